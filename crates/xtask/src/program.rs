//! Runs test programs that may fail, abort or hang.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::cargo::Cargo;
use crate::error::{Error, Result};
use crate::workspace::{json, text};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    Passed,
    Failed,
    Aborted,
    OutOfTime,
}

/// Builds a test program by a `cargo test --no-run`, and returns its path.
pub(crate) fn built(build: Cargo, target: &str) -> Result<PathBuf> {
    let messages = build.arg("--message-format=json-render-diagnostics").capture()?;
    for line in messages.lines() {
        let message = json(line)?;
        if message["target"]["name"] == target && message["executable"].is_string() {
            return Ok(text(&message, "executable")?.into());
        }
    }
    Err(Error::Output(format!("no test program `{target}`")))
}

/// Runs the command, and stops it at the limit of time.
pub(crate) fn end_of(command: &mut Command, limit: Duration) -> Result<Ending> {
    let end = |command: &mut Command| -> io::Result<Ending> {
        let limit = Instant::now() + limit;
        let mut process = command.spawn()?;
        loop {
            match process.try_wait()? {
                Some(status) if status.success() => return Ok(Ending::Passed),
                Some(status) if status.code().is_some() => return Ok(Ending::Failed),
                Some(_) => return Ok(Ending::Aborted),
                None => {}
            }
            if Instant::now() >= limit {
                process.kill()?;
                process.wait()?;
                return Ok(Ending::OutOfTime);
            }
            thread::sleep(Duration::from_millis(10));
        }
    };
    end(command).map_err(|source| Error::Start { command: command.get_program().display().to_string(), source })
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passes",
            Self::Failed => "fails",
            Self::Aborted => "aborts",
            Self::OutOfTime => "does not end in time",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Ending {
        end_of(Command::new("sh").args(["-c", script]), limit).unwrap()
    }

    #[test]
    fn ends_are_told_apart() {
        let long = Duration::from_secs(60);
        assert_eq!(shell("exit 0", long), Ending::Passed);
        assert_eq!(shell("exit 101", long), Ending::Failed);
        assert_eq!(shell("kill -ABRT $$", long), Ending::Aborted);
        assert_eq!(shell("sleep 60", Duration::from_millis(50)), Ending::OutOfTime);
    }
}
