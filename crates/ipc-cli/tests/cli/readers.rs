//! What this program writes of real data, polars and nanoarrow read too.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{data, folder, merge_well, names, python, text};

#[test]
fn polars_reads_what_we_write() {
    // polars knows no run-end encoding, unions, list views and intervals; these data have none.
    reads("polars", |_| true);
}

#[test]
fn nanoarrow_reads_what_we_write() {
    // A file is read as the stream that it is from byte 8 on. nanoarrow reads no views, which `embeddings` has. It would
    // take compressed dictionaries for raw ones, which is why they are raw.
    reads("nanoarrow", |input| input.file_stem().unwrap() != "embeddings");
}

fn reads(reader: &str, readable: impl Fn(&Path) -> bool) {
    let folder = folder();
    let mut pairs = Vec::new();
    for input in ["real", "data"].iter().filter_map(|name| data(name)).flat_map(|folder| names(&folder)) {
        for (format, codec) in [("file", "none"), ("stream", "none"), ("file", "lz4"), ("stream", "zstd")] {
            if readable(&input) {
                let written = folder.path().join(format!("{}.arrow", pairs.len()));
                merge_well(&[&input], &written, &["--format", format, "--compression", codec]);
                pairs.push((input.clone(), written));
            }
        }
    }
    compare_with(reader, &pairs);
}

/// Has `reader` read the second of each pair, and compares that with what pyarrow reads of the first.
pub(crate) fn compare_with(reader: &str, pairs: &[(PathBuf, PathBuf)]) {
    let Some(python) = python(&format!("pyarrow, {reader}")) else { return };
    let line = |(read, written): &(PathBuf, PathBuf)| format!("{}\t{}", read.display(), written.display());
    let lines: Vec<String> = pairs.iter().map(line).collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers.py");
    let mut child =
        Command::new(python).arg(script).arg(reader).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let verdicts = text(&output.stdout);
    assert!(output.status.success() && verdicts.lines().count() == lines.len(), "{reader} failed: {verdicts}");
    for (verdict, line) in verdicts.lines().zip(&lines) {
        assert_eq!(verdict, "equal", "{reader}: {line}");
    }
}
