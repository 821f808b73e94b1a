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
        /// What the system said.
        source: io::Error,
    },
    /// A program ran and was not content.
    #[error("`{command}` failed: {status}")]
    Exit {
        /// The command as a person would type it.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A chore needs what is not there.
    #[error("{tool} is missing; this installs it: {install}")]
    Missing {
        /// What it is.
        tool: &'static str,
        /// A command, or several to choose from.
        install: String,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Cargo's output is not what it is documented to be.
    #[error("unexpected output of cargo: {0}")]
    Output(String),
    /// A check of our own found something.
    #[error("{0}")]
    Check(String),
    /// Some steps failed; the report has already told which, and why.
    #[error("failed: {}", .0.join(", "))]
    Steps(Vec<String>),
}
