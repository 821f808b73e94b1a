//! `cargo xtask semver`: whether a change of the public interface needs a new version number.
//!
//! Nothing has been published yet, so the interface is compared with that of a git revision: the last tag `v*`, or the
//! revision that is named.

use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::tools::Tool;
use crate::workspace::Workspace;

/// Compares the public interfaces of the libraries with those of a git revision.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The revision: a tag, a branch, a commit; the last tag `v*` where there is one.
    #[arg(long)]
    baseline: Option<String>,
}

/// The libraries that are meant to be published.
const LIBRARIES: [&str; 2] = ["ipc-core", "ipc-shared"];

/// Runs cargo-semver-checks.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    Tool::SEMVER_CHECKS.require()?;
    Tool::GIT.require()?;
    let baseline = match &arguments.baseline {
        Some(revision) => revision.clone(),
        None => last_tag(workspace).ok_or_else(|| {
            Error::Check("there is no tag `v*` to compare with: name a revision with --baseline".to_owned())
        })?,
    };
    println!("compared with {baseline}");
    let packages = LIBRARIES.iter().flat_map(|library| ["--package", library]);
    workspace.cargo("semver-checks").args(packages).args(["--baseline-rev", &baseline]).run()
}

fn last_tag(workspace: &Workspace) -> Option<String> {
    let mut git = Command::new("git");
    git.args(["describe", "--tags", "--abbrev=0", "--match", "v*"]).current_dir(workspace.root());
    let output = git.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let tag = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| tag.trim().to_owned())
}
