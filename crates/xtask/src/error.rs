//! What can go wrong in a chore.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// The result of a chore or of a part of one.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why a chore failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A program could not be started.
    #[error("cannot start `{command}`: {source}")]
    Start {
        /// The command as a person would type it.
        command: String,
        /// The error of the system.
        source: io::Error,
    },
    /// A program ran and failed.
    #[error("`{command}` failed: {status}")]
    Exit {
        /// The command as a person would type it.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A program that a chore needs is missing.
    #[error("{tool} is missing; this installs it: {install}")]
    Missing {
        /// Its name.
        tool: &'static str,
        /// The command that installs it.
        install: String,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The output of cargo is not as documented.
    #[error("unexpected output of cargo: {0}")]
    Output(String),
    /// A check found something.
    #[error("{0}")]
    Check(String),
    /// Some steps failed. The report has shown why.
    #[error("failed: {}", .0.join(", "))]
    Steps(Vec<String>),
}
