//! What can go wrong, each told in one line.

use std::fmt::Display;
use std::io;

/// The result of this program's fallible steps.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Something about one input, whose name comes first.
    #[error("{input}: {reason}")]
    Input { input: String, reason: String },

    /// The dictionaries of one input are none that the output can have, as it is asked for. They may be `too_large` to be one.
    #[error("{input}: {reason}")]
    Dictionaries { input: String, reason: String, too_large: bool },

    /// Something about the output.
    #[error("{output}: {reason}")]
    Output { output: String, reason: String },

    /// All is done, and rows, or bytes that may have been rows, are left out, which has been told.
    #[error("rows are left out")]
    RowsLeftOut,

    /// Whoever read our standard output has gone. Nothing to say, and nobody to say it to.
    #[error("nobody reads the output")]
    BrokenPipe,

    /// A thread panicked; the panic itself has been told already.
    #[error("internal error: a thread panicked")]
    Panicked,

    /// The system gave us no thread.
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

    /// Something that the writer refused or suffered: about `input`, if it was refused, else about the output.
    pub(crate) fn writer(input: &str, output: &str, error: &ipc_shared::Error) -> Self {
        match error {
            ipc_shared::Error::Core(ipc_core::Error::Io(error)) => Self::write(output, error),
            ipc_shared::Error::Poisoned { source, .. } => Self::write(output, source),
            ipc_shared::Error::Core(refusal) => Self::core(input, refusal),
            other => Self::output(output, other),
        }
    }

    /// Something that the encoder refused of `input`.
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

    /// Tells the error, in one line whatever it holds.
    pub(crate) fn print(&self) {
        tell(self);
    }
}

/// Tells something that is worth knowing, and no error.
pub(crate) fn warn(input: &str, what: impl Display) {
    tell(format_args!("{input}: warning: {what}"));
}

/// Tells what was decided where the arguments left it open.
pub(crate) fn note(what: impl Display) {
    tell(what);
}

fn tell(what: impl Display) {
    eprintln!("arrow-ipc: {}", one_line(&what.to_string()));
}

/// A text without line ends, and without what a terminal would obey: names come from inputs.
pub(crate) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let shown = |char: char| if char.is_control() { char.escape_default().to_string() } else { char.to_string() };
    words.join(" ").chars().map(shown).collect()
}
