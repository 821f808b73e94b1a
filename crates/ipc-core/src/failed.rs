//! The error of a step that consumes what it works on: it returns that with the reason.

use std::fmt;
use std::io;

use arrow_schema::ArrowError;

use crate::error::Error;

/// The error of a step that consumes its subject, with the subject.
///
/// `?` keeps the error and drops the subject. It converts to whatever the error converts to.
///
/// ```
/// # use ipc_core::{Encoder, Error};
/// # use arrow_schema::Schema;
/// fn begin(sink: Vec<u8>) -> Result<(), Error> {
///     let encoder = Encoder::stream(sink).start(Schema::empty())?;
///     encoder.close()?;
///     Ok(())
/// }
/// # begin(Vec::new()).unwrap();
/// ```
pub struct Failed<T, E = Error> {
    inner: Box<(E, T)>,
}

impl<T, E> Failed<T, E> {
    /// Returns the failure of a step that consumed `subject`.
    pub fn new(error: E, subject: T) -> Self {
        Self { inner: Box::new((error, subject)) }
    }

    /// Returns why the step failed.
    #[must_use]
    pub fn error(&self) -> &E {
        &self.inner.0
    }

    /// Returns what the step had consumed.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.inner.1
    }

    /// Returns why the step failed, and what it had consumed.
    #[must_use]
    pub fn into_parts(self) -> (E, T) {
        *self.inner
    }
}

impl<T, E: fmt::Debug> fmt::Debug for Failed<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Failed").field(&self.inner.0).finish()
    }
}

impl<T, E: fmt::Display> fmt::Display for Failed<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.0.fmt(f)
    }
}

impl<T, E: std::error::Error> std::error::Error for Failed<T, E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.0.source()
    }
}

impl<T> From<Failed<T>> for Error {
    fn from(failed: Failed<T>) -> Self {
        failed.inner.0
    }
}

impl<T, E: Into<ArrowError>> From<Failed<T, E>> for ArrowError {
    fn from(failed: Failed<T, E>) -> Self {
        failed.inner.0.into()
    }
}

impl<T, E: Into<io::Error>> From<Failed<T, E>> for io::Error {
    fn from(failed: Failed<T, E>) -> Self {
        failed.inner.0.into()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_failed_step_gives_back_what_it_consumed_and_says_why() {
        let source = Arc::new(io::Error::from(io::ErrorKind::StorageFull));
        let failed = Failed::new(Error::Poisoned { offset: 8, unconfirmed: 0, source }, 7);
        assert_eq!(failed.to_string(), failed.error().to_string());
        assert!(std::error::Error::source(&failed).is_some() && format!("{failed:?}").contains("Poisoned"));
        assert_eq!(failed.into_inner(), 7);
    }

    #[test]
    fn a_failure_becomes_whatever_its_error_does() {
        let full = || Failed::new(Error::Io(io::ErrorKind::StorageFull.into()), "subject");
        assert!(matches!(Error::from(full()), Error::Io(_)));
        assert!(matches!(ArrowError::from(full()), ArrowError::IoError(..)));
        assert_eq!(io::Error::from(full()).kind(), io::ErrorKind::StorageFull);
    }
}
