//! Cargo commands, which are printed as a person would type them and then run.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::mem;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::tally::Tally;

/// A cargo command that has not run yet.
///
/// It has no standard input, so that no program can wait for an answer.
pub(crate) struct Cargo {
    command: Command,
}

impl Cargo {
    /// `cargo ARGUMENTS`, run in `directory`. White space separates the arguments.
    pub(crate) fn within(directory: &Path, arguments: &str) -> Self {
        let mut cargo = Self::anywhere(arguments);
        cargo.command.current_dir(directory);
        cargo
    }

    /// `cargo ARGUMENTS`, run in the current directory. White space separates the arguments.
    pub(crate) fn anywhere(arguments: &str) -> Self {
        // Cargo tells its children which cargo it is; the one that runs this chore runs its steps.
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| PROGRAM.into()));
        command.args(arguments.split_whitespace()).stdin(Stdio::null()).stderr(Stdio::inherit());
        Self { command }
    }

    /// Adds an argument, which may contain spaces.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments, which may contain spaces.
    pub(crate) fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// The process that will run.
    pub(crate) fn process(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Removes an environment variable.
    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Compiles the crates of the workspace through a program in `loom-tests/wrappers`, apart from other builds of
    /// them.
    ///
    /// All other crates are shared with other builds, which they would not be if flags were added for rustc.
    pub(crate) fn wrapped(self, root: &Path, wrapper: &str) -> Self {
        self.env("RUSTC_WORKSPACE_WRAPPER", root.join("loom-tests/wrappers").join(wrapper))
    }

    /// Adds flags for rustc to those in the environment.
    pub(crate) fn rustflags(self, flags: &str) -> Self {
        let given = env::var("RUSTFLAGS").unwrap_or_default();
        // The encoded form, where it is set, would win over the readable one.
        self.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", format!("{given} {flags}").trim())
    }

    /// Runs the command, which prints where this process prints.
    pub(crate) fn run(mut self) -> Result<()> {
        println!("$ {self}");
        match self.command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Error::Exit { command: self.to_string(), status }),
            Err(source) => Err(Error::Start { command: self.to_string(), source }),
        }
    }

    /// As [`run`](Self::run), and counts the tests in the output.
    pub(crate) fn run_tests(mut self, tally: &mut Tally) -> Result<()> {
        println!("$ {self}");
        // Cargo writes to a pipe, and would leave out the colours.
        if io::stdout().is_terminal() && env::var_os("CARGO_TERM_COLOR").is_none() {
            self.command.env("CARGO_TERM_COLOR", "always");
        }
        match self.pass_on(tally, &mut io::stdout()) {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Error::Exit { command: self.to_string(), status }),
            Err(source) => Err(Error::Start { command: self.to_string(), source }),
        }
    }

    /// Writes each line of the output to `target` as it comes.
    ///
    /// Returns when the process ends, even if one that it started still holds the pipe open.
    fn pass_on(&mut self, tally: &mut Tally, target: &mut impl Write) -> io::Result<ExitStatus> {
        let (output, input) = io::pipe()?;
        self.command.stdout(input.try_clone()?).stderr(input);
        let mut process = self.command.spawn()?;
        // The pipe does not end while this process has copies of its end.
        self.command.stdout(Stdio::null()).stderr(Stdio::null());

        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                if sender.send(mem::take(&mut line)).is_err() {
                    return;
                }
            }
        });
        loop {
            match lines.recv_timeout(Duration::from_millis(200)) {
                Ok(line) => {
                    target.write_all(&line)?;
                    tally.read(String::from_utf8_lossy(&line).trim_end());
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(status) = process.try_wait()? {
                        return Ok(status);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return process.wait(),
            }
        }
    }

    /// Runs the command and returns what it printed. Its standard error is that of this process.
    pub(crate) fn capture(mut self) -> Result<String> {
        match self.command.output() {
            Ok(output) if output.status.success() => {
                String::from_utf8(output.stdout).map_err(|error| Error::Output(error.to_string()))
            }
            Ok(output) => Err(Error::Exit { command: self.to_string(), status: output.status }),
            Err(source) => Err(Error::Start { command: self.to_string(), source }),
        }
    }
}

impl fmt::Display for Cargo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.command.get_envs() {
            if let Some(value) = value {
                write!(f, "{}={} ", name.display(), quoted(value))?;
            }
        }
        f.write_str(PROGRAM)?;
        self.command.get_args().try_for_each(|argument| write!(f, " {}", quoted(argument)))
    }
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy().into_owned();
    if word.is_empty() || word.contains(char::is_whitespace) { format!("'{word}'") } else { word }
}

const PROGRAM: &str = "cargo";

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn shown_as_it_would_be_typed() {
        let cargo = Cargo::anywhere("doc  --no-deps").env("RUSTDOCFLAGS", "-D warnings").arg("a b");
        assert_eq!(cargo.to_string(), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps 'a b'");
    }

    #[test]
    fn failure_of_the_command_is_an_error() {
        let unknown = || {
            let mut cargo = Cargo::anywhere("no-such-subcommand");
            cargo.command.stderr(Stdio::null());
            cargo
        };
        for error in [unknown().run().unwrap_err(), unknown().capture().unwrap_err()] {
            assert!(matches!(error, Error::Exit { .. }), "{error}");
        }
    }

    /// Runs a script, and returns what is passed on of its output, and the tests in it.
    fn passed_on(script: &str) -> (String, Tally) {
        let mut shell = Cargo { command: Command::new("sh") };
        shell.command.args(["-c", script]);
        let (mut tally, mut output) = (Tally::default(), Vec::new());
        assert!(shell.pass_on(&mut tally, &mut output).unwrap().success());
        (String::from_utf8(output).unwrap(), tally)
    }

    #[test]
    fn tests_are_counted_on_either_output() {
        let (output, tally) = passed_on("echo 'skipped: a: why' >&2; echo 'test b ... ignored, because'");
        assert_eq!(output.lines().count(), 2, "{output}");
        let shown = tally.to_string();
        assert!(shown.contains("why: 1 (a)") && shown.contains("because: 1 (b)"), "{shown}");
    }

    #[test]
    fn a_process_that_is_left_behind_is_not_waited_for() {
        let start = Instant::now();
        assert_eq!(passed_on("echo begun; sleep 60 & exit 0").0, "begun\n");
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn output_is_captured() {
        let version = Cargo::anywhere("--version").capture().unwrap();
        assert!(version.starts_with("cargo "), "{version}");
    }
}
