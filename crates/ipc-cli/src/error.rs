//! What can go wrong, each reported in one line.

use std::fmt::Display;
use std::io;

/// The result of this program's fallible functions.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// An error about one input, whose name comes first.
    #[error("{input}: {reason}")]
    Input { input: String, reason: String },

    /// The output cannot have the dictionaries of one input, with these arguments. They may be `too_large` for one
    /// array.
    #[error("{input}: {reason}")]
    Dictionaries { input: String, reason: String, too_large: bool },

    /// An error about the output.
    #[error("{output}: {reason}")]
    Output { output: String, reason: String },

    /// The output is complete, but rows, or bytes that may have been rows, were left out. That has been reported.
    #[error("rows are left out")]
    RowsLeftOut,

    /// The reader of our standard output has gone away. Nothing is reported.
    #[error("nobody reads the output")]
    BrokenPipe,

    /// A thread panicked. The panic has been printed already.
    #[error("internal error: a thread panicked")]
    Panicked,

    /// The system could not create a thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

impl Error {
    pub(crate) fn input(input: &str, reason: impl Display) -> Self {
        Self::Input { input: input.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn output(output: &str, reason: impl Display) -> Self {
        Self::Output { output: output.to_owned(), reason: reason.to_string() }
    }

    /// A failed write to the output.
    pub(crate) fn write(output: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::BrokenPipe } else { Self::output(output, error) }
    }

    /// An error of the writer: about `input`, if it refused the input; otherwise about the output.
    pub(crate) fn writer(input: &str, output: &str, error: &ipc_shared::Error) -> Self {
        match error {
            ipc_shared::Error::Core(ipc_core::Error::Io(error)) => Self::write(output, error),
            ipc_shared::Error::Poisoned { source, .. } => Self::write(output, source),
            ipc_shared::Error::Core(refusal) => Self::core(input, refusal),
            other => Self::output(output, other),
        }
    }

    /// An encoder's refusal of `input`.
    pub(crate) fn core(input: &str, refusal: &ipc_core::Error) -> Self {
        match refusal {
            ipc_core::Error::DictionaryTooLarge { .. } => {
                Self::Dictionaries { input: input.to_owned(), reason: refusal.to_string(), too_large: true }
            }
            ipc_core::Error::DictionaryReplacement { .. } | ipc_core::Error::DictionaryOverflow { .. } => {
                Self::dictionaries(input, refusal)
            }
            // The other reasons are about types that no output can have.
            ipc_core::Error::Unsupported { reason, .. } if reason.contains("unified") => {
                Self::dictionaries(input, refusal)
            }
            other => Self::input(input, other),
        }
    }

    pub(crate) fn dictionaries(input: &str, reason: impl Display) -> Self {
        Self::Dictionaries { input: input.to_owned(), reason: reason.to_string(), too_large: false }
    }

    /// Prints the error in one line, whatever it contains.
    pub(crate) fn print(&self) {
        tell(self);
    }
}

/// Prints a note, which is not an error.
pub(crate) fn warn(input: &str, what: impl Display) {
    tell(format_args!("{input}: warning: {what}"));
}

/// Prints a decision that the arguments left open.
pub(crate) fn note(what: impl Display) {
    tell(what);
}

fn tell(what: impl Display) {
    eprintln!("arrow-ipc: {}", one_line(&what.to_string()));
}

/// Removes line ends, and characters that a terminal would obey: names come from inputs.
pub(crate) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let shown = |char: char| if char.is_control() { char.escape_default().to_string() } else { char.to_string() };
    words.join(" ").chars().map(shown).collect()
}
