//! Inputs from files, without a fuzzer.

use std::fs;
use std::io;
use std::path::Path;

/// Runs a target with a file, or with all files in a folder, and returns how many there were.
///
/// # Errors
///
/// Where a file cannot be read.
pub fn replay(path: &Path, run: impl Fn(&[u8]) + Copy) -> io::Result<usize> {
    if !path.is_dir() {
        run(&fs::read(path)?);
        return Ok(1);
    }
    let mut entries =
        fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    entries.iter().try_fold(0, |count, entry| Ok(count + replay(entry, run)?))
}
