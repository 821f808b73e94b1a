//! A limit on the size of files is told by the write that meets it.
//!
//! The system also sends a signal then, which ends a program that does not care for it: without a word, and with its
//! temporary file left behind. Taking notice of the signal is all it takes for the write to return its error.

/// Lets writes beyond the limit fail instead of ending the program. Where that is impossible, they end it.
#[cfg(unix)]
pub(crate) fn let_writes_fail() {
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default());
}

#[cfg(not(unix))]
pub(crate) fn let_writes_fail() {}
