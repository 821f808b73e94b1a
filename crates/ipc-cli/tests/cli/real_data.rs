//! Data that others have written comes out equal, judged by pyarrow: alone and merged with itself, on 1, 2 and 8 threads,
//! with every codec, in both formats.
//!
//! In the order of the inputs, the number of threads leaves no trace in the output. So outputs are compared byte by byte
//! across threads, and judged once.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Pair, data, folder, inspect, judge, merge, merge_well, names, text};

const FORMATS: [&str; 2] = ["file", "stream"];
const CODECS: [&str; 3] = ["none", "lz4", "zstd:1"];

fn inputs() -> Vec<PathBuf> {
    ["real", "data"].iter().filter_map(|name| data(name)).flat_map(|folder| names(&folder)).collect()
}

#[test]
fn real_data_comes_out_equal() {
    let folder = folder();
    let mut pairs = Vec::new();
    for input in inputs() {
        let is_stream = input.extension().is_some_and(|extension| extension == "arrows");
        for times in 1..=if is_stream { 2 } else { 1 } {
            let read = vec![input.as_path(); times];
            for (format, codec) in FORMATS.iter().flat_map(|format| CODECS.map(|codec| (format, codec))) {
                let written = folder.path().join(format!("{}.arrow", pairs.len()));
                let again = folder.path().join("again.arrow");
                let options = |threads| ["--format", format, "--compression", codec, "--threads", threads];
                merge_well(&read, &written, &options("1"));
                for threads in ["2", "8"] {
                    merge_well(&read, &again, &options(threads));
                    let same = fs::read(&written).unwrap() == fs::read(&again).unwrap();
                    assert!(same, "{input:?} x {times}, {format}, {codec}: {threads} threads leave a trace");
                }
                let (said, complete) = inspect(&written);
                let schemas = said["messages"].as_array().unwrap().iter().filter(|m| m["kind"] == "schema").count();
                assert!(complete && schemas == 1, "{input:?}: {schemas} schemas");
                pairs.push(Pair { flags: "--batches", read: joined(&read), written });
            }
        }
    }
    judge(&pairs);
}

#[test]
fn other_options_change_no_value() {
    let folder = folder();
    let mut pairs = Vec::new();
    for input in inputs() {
        for (times, flags, further) in [
            (1, "--unordered", &["--order", "arrival", "--threads", "8"][..]),
            (1, "--batches", &["--alignment", "8", "--dictionaries", "delta"]),
            (2, "--batches", &["--threads", "3"]),
        ] {
            // To sort thousands of batches as Python lists takes pyarrow minutes.
            if flags == "--unordered" && input.ends_with("iot.arrow") {
                continue;
            }
            let read = vec![input.as_path(); times];
            let written = folder.path().join(format!("{}.arrow", pairs.len()));
            merge_well(&read, &written, further);
            pairs.push(Pair { flags, read: joined(&read), written });
        }
    }
    judge(&pairs);
}

#[test]
fn every_feature_comes_out_equal() {
    let folder = folder();
    let mut pairs = Vec::new();
    for input in cases() {
        for format in FORMATS {
            let written = folder.path().join(format!("{}.arrow", pairs.len()));
            let done = merge(&[&input], &written, &["--format", format, "--compression", "lz4", "--threads", "3"]);
            let name = input.file_name().unwrap().to_str().unwrap();
            assert!(done.status.success(), "{input:?}: {}", text(&done.stderr));
            // A file holds one dictionary for each field, which grows by deltas only.
            let must_unify = format == "file" && ["dict_replacement.arrows", "dict_delta.arrows"].contains(&name);
            assert_eq!(text(&done.stderr).contains("dictionaries are unified"), must_unify, "{input:?}");
            pairs.push(Pair { flags: flags(&input), read: joined(&[&input]), written });
        }
    }
    judge(&pairs);
}

/// Every file and stream of one feature each, and of the format's own golden files.
fn cases() -> Vec<PathBuf> {
    let folders =
        ["features/file", "features/stream", "gold/1.0.0-littleendian", "gold/2.0.0-compression", "gold/cpp-21.0.0"];
    let all = folders.iter().filter_map(|name| data(name)).flat_map(|folder| names(&folder));
    all.filter(|path| path.extension().is_some_and(|extension| extension != "gz")).collect()
}

/// Some golden files hold values outside their type's range, which a full validation would refuse in the input too.
fn flags(input: &Path) -> &'static str {
    let name = input.to_str().unwrap();
    let is_lax = name.contains("1.0.0-littleendian") && (name.contains("decimal") || name.contains("datetime"));
    if is_lax { "--batches --lax" } else { "--batches" }
}

fn joined(inputs: &[&Path]) -> String {
    inputs.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(",")
}
