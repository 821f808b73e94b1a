//! Opens inputs as the command line names them: a path, or `-`, the standard input.

use std::fs::File;
use std::io;
use std::path::Path;

use ipc_recover::Source;

use crate::error::{Error, Result};

/// Opens a path, or `-`, the standard input.
pub(crate) fn open(path: &Path) -> Result<Source<'static>> {
    if is_standard(path) {
        return Ok(Source::sequential(io::stdin()));
    }
    let failed = |error| Error::input(&display_name(path), error);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(Error::input(&display_name(path), "is a directory"));
    }
    if metadata.is_file() { Source::seekable(file).map_err(failed) } else { Ok(Source::sequential(file)) }
}

/// Copies an input that can only be read in sequence to an unnamed temporary file. Returns other inputs unchanged.
pub(crate) fn into_seekable(mut source: Source<'static>) -> io::Result<Source<'static>> {
    if source.length().is_some() {
        return Ok(source);
    }
    let mut file = tempfile::tempfile()?;
    io::copy(&mut source, &mut file)?;
    Source::seekable(file)
}

/// Returns whether a path means the standard input or the standard output.
pub(crate) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Returns the name of an input in errors.
pub(crate) fn display_name(path: &Path) -> String {
    if is_standard(path) { "standard input".to_owned() } else { path.display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spooled_bytes_are_the_same() {
        let mut source = into_seekable(Source::sequential(&[1, 2, 3][..])).unwrap();
        assert_eq!(source.length(), Some(3));
        assert!(source.skip(2).unwrap() && source.lacks(2));
        assert_eq!(source.read_whole(1).unwrap().unwrap().as_slice(), [3]);
    }
}
