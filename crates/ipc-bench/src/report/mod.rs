//! What a run leaves behind: `bench.json`, a Markdown table, and two charts.
//!
//! - [`json`]: the figures, for programs.
//! - [`markdown`]: the same, for people, with the machine they are from.
//! - [`chart`]: how many times as fast, and how the cost grows; drawn with [`svg`].
//! - [`machine`]: what the machine is, without saying which.

pub mod chart;
pub mod json;
pub mod machine;
pub mod markdown;
pub mod svg;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::figure::Figure;
use crate::growth::Series;
use crate::report::machine::Machine;

/// Writes the report into `folder`, and returns the files.
///
/// # Errors
///
/// Where a file cannot be written, or `bench.json` does not read back.
pub fn write(folder: &Path, machine: &Machine, figures: &[Figure], growth: &[Series]) -> io::Result<Vec<PathBuf>> {
    let json = json::document(figures);
    json::validate(&json).map_err(io::Error::other)?;
    let files = [
        ("bench.json", json),
        ("bench.md", markdown::document(machine, figures)),
        ("bench.svg", chart::ratios(machine, figures)),
        ("growth.svg", chart::growth(machine, growth)),
    ];
    let write = |(name, text): (&str, String)| {
        let path = folder.join(name);
        fs::write(&path, text).map(|()| path)
    };
    files.into_iter().map(write).collect()
}
