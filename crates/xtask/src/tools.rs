//! Programs that some chores need beyond Rust and a C compiler, and how to install them.

use std::process::{Command, Stdio};

use crate::error::{Error, Result};

/// A program that may be missing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    /// Its name in messages.
    name: &'static str,
    /// A command that succeeds if it is installed.
    probe: &'static [&'static str],
    /// The command that installs it.
    install: &'static str,
}

impl Tool {
    pub(crate) const VALGRIND: Self =
        Self { name: "valgrind", probe: &["valgrind", "--version"], install: "apt-get install valgrind" };
    pub(crate) const DENY: Self = Self {
        name: "cargo-deny",
        probe: &["cargo", "deny", "--version"],
        install: "cargo install --locked cargo-deny",
    };
    pub(crate) const HACK: Self = Self {
        name: "cargo-hack",
        probe: &["cargo", "hack", "--version"],
        install: "cargo install --locked cargo-hack",
    };
    pub(crate) const SEMVER_CHECKS: Self = Self {
        name: "cargo-semver-checks",
        probe: &["cargo", "semver-checks", "--version"],
        install: "cargo install --locked cargo-semver-checks",
    };
    pub(crate) const FUZZ: Self = Self {
        name: "cargo-fuzz",
        probe: &["cargo", "fuzz", "--version"],
        install: "cargo install --locked cargo-fuzz",
    };
    pub(crate) const LLVM_COV: Self = Self {
        name: "cargo-llvm-cov",
        probe: &["cargo", "llvm-cov", "--version"],
        install: "cargo install --locked cargo-llvm-cov",
    };
    pub(crate) const GIT: Self = Self { name: "git", probe: &["git", "--version"], install: "apt-get install git" };

    /// Returns an error that says how to install the program, if it is missing.
    pub(crate) fn require(self) -> Result<()> {
        if self.is_there() { Ok(()) } else { Err(Error::Missing { tool: self.name, install: self.install.to_owned() }) }
    }

    fn is_there(self) -> bool {
        let [program, arguments @ ..] = self.probe else { return false };
        let status = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_way_to_get_it() {
        let tool = Tool { name: "no-such-tool", probe: &["no-such-tool-anywhere"], install: "look elsewhere" };
        let error = tool.require().unwrap_err();
        assert_eq!(error.to_string(), "no-such-tool is missing; this installs it: look elsewhere");
        let cargo = Tool { probe: &["cargo", "--version"], ..tool };
        assert!(cargo.require().is_ok());
        let unwilling = Tool { probe: &["cargo", "no-such-subcommand"], ..tool };
        assert!(unwilling.require().is_err());
    }
}
