//! The output, which appears under its name only when it is complete.
//!
//! A regular file is an [`OutputFile`]: written under a temporary name until [`Output::complete`], and removed if it is
//! dropped before. Anything else (the standard output, a file that is already [open](crate::open_file), a device, a
//! named pipe) is written directly and never replaced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use ipc_output::OutputFile;

use crate::error::{Error, Result};
use crate::open_file;
use crate::signals;
use crate::source::is_standard;

/// The sink of the writer. It remembers its first failure.
///
/// The writer keeps a batch that its sink refused, and may try again. Here, no sink recovers by waiting, so the caller
/// checks the [`Failure`] and stops.
pub(crate) struct Sink {
    inner: Box<dyn Write + Send>,
    failure: Failure,
}

/// The first failure of a sink, if there was one. Cheap to clone; all clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failure(Arc<OnceLock<io::Error>>);

/// An unfinished output.
#[derive(Debug)]
pub(crate) struct Output {
    name: String,
    /// The file, if it is one. Kept apart from the sink, which threads that are left behind after an error may still
    /// hold.
    file: Option<OutputFile>,
}

impl Output {
    /// Creates the output and the sink that fills it.
    pub(crate) fn create(path: &Path) -> Result<(Self, Sink)> {
        let name = display_name(path);
        let failed = |error: io::Error| Error::output(&name, error);
        let open = if is_standard(path) { open_file::standard_output().map(Some) } else { open_file::named_by(path) };
        let open = match (open.map_err(failed)?, fs::metadata(path)) {
            (Some(open), _) => Some(open),
            (None, Ok(found)) if found.is_dir() => return Err(Error::output(&name, "is a directory")),
            (None, Ok(found)) if !found.is_file() => Some(OpenOptions::new().write(true).open(path).map_err(failed)?),
            (None, _) => None,
        };
        match open {
            Some(open) if open.is_terminal() => {
                Err(Error::output(&name, "is a terminal; redirect it, or give --output a file"))
            }
            Some(open) => Ok((Self { name, file: None }, Sink::new(Box::new(open)))),
            None => {
                let file = OutputFile::create(path).map_err(|error| match missing_folder(path) {
                    Some(folder) => {
                        Error::output(&name, format_args!("the folder {} does not exist", folder.display()))
                    }
                    None => failed(error),
                })?;
                let temporary = file.temporary_path().to_owned();
                // Once the file has its name, there is no temporary file to remove.
                signals::before_stopping(move |_| drop(fs::remove_file(temporary)));
                let sink = file.as_file().try_clone().map_err(failed)?;
                Ok((Self { name, file: Some(file) }, Sink::new(Box::new(sink))))
            }
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Syncs the output to the storage device, and gives it its name.
    pub(crate) fn complete(self) -> Result<()> {
        let Some(file) = self.file else { return Ok(()) };
        file.complete().map_err(|error| match error {
            ipc_output::Error::Incomplete(error) => Error::output(&self.name, error),
            other => Error::output(&self.name, with_source(&other)),
        })
    }
}

impl Sink {
    pub(crate) fn new(inner: Box<dyn Write + Send>) -> Self {
        Self { inner, failure: Failure::default() }
    }

    pub(crate) fn failure(&self) -> &Failure {
        &self.failure
    }

    fn noting<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && error.kind() != io::ErrorKind::Interrupted
        {
            // The first failure counts, since it causes the later ones.
            let copy = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            let _ = self.failure.0.set(copy);
        }
        result
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        self.noting(written)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.inner.write_vectored(slices);
        self.noting(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.inner.flush();
        self.noting(flushed)
    }
}

impl Failure {
    /// Fails if the sink of the output called `name` has failed.
    pub(crate) fn check(&self, name: &str) -> Result<()> {
        self.0.get().map_or(Ok(()), |error| Err(Error::write(name, error)))
    }
}

/// Returns whether the output would replace this input, or be appended to it, under any name.
pub(crate) fn is_same_file(input: &Path, output: &Path) -> bool {
    let by_path = || Some(fs::canonicalize(input).ok()? == fs::canonicalize(output).ok()?);
    is_one_file(input, output).or_else(|| if is_standard(output) { None } else { by_path() }).unwrap_or(false)
}

/// Returns the name of the output in errors.
pub(crate) fn display_name(path: &Path) -> String {
    if is_standard(path) { "standard output".to_owned() } else { path.display().to_string() }
}

/// Returns whether this output writes to the same file as the standard output, under any name.
#[cfg(unix)]
pub(crate) fn is_standard_output(path: &Path) -> bool {
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;

    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let standard = || Some(identity(File::from(io::stdout().as_fd().try_clone_to_owned().ok()?).metadata().ok()?));
    let named = || Some(identity(fs::metadata(path).ok()?));
    is_standard(path) || named().is_some_and(|named| Some(named) == standard())
}

#[cfg(not(unix))]
pub(crate) fn is_standard_output(path: &Path) -> bool {
    is_standard(path)
}

/// Returns the folder of an output, if it does not exist.
fn missing_folder(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists())
}

/// Returns whether two paths lead to the same regular file, under any name; `None` if they lead to none.
#[cfg(unix)]
fn is_one_file(input: &Path, output: &Path) -> Option<bool> {
    use std::os::fd::{AsFd, BorrowedFd};
    use std::os::unix::fs::MetadataExt;

    let identity = |path: &Path, standard: BorrowedFd<'_>| {
        let metadata = if is_standard(path) {
            File::from(standard.try_clone_to_owned().ok()?).metadata()
        } else {
            fs::metadata(path)
        };
        let metadata = metadata.ok().filter(fs::Metadata::is_file)?;
        Some((metadata.dev(), metadata.ino()))
    };
    Some(identity(input, io::stdin().as_fd())? == identity(output, io::stdout().as_fd())?)
}

#[cfg(not(unix))]
fn is_one_file(_: &Path, _: &Path) -> Option<bool> {
    None
}

fn with_source(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
