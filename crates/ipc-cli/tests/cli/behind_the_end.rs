//! What stands behind the end of a stream is read, refused, or left out as told, and never without a word: as a path, and on
//! the standard input.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};
use serde_json::Value;

use crate::support::{batch, case, file, folder, inspect, merge, merge_badly, program, put, read, run, stream, text};

/// Merges an input by its path, or from the standard input.
fn merged(input: &Path, piped: bool, output: &Path, further: &[&str]) -> Output {
    if !piped {
        return merge(&[input], output, further);
    }
    let mut command = program();
    command.args(["merge", "-", "--output"]).arg(output).args(further).stdin(File::open(input).unwrap());
    command.output().unwrap()
}

fn rows(path: &Path) -> usize {
    read(path).iter().map(RecordBatch::num_rows).sum()
}

#[test]
fn streams_one_behind_the_other_are_all_read_and_counted() {
    let folder = folder();
    let input = case("two_streams.arrows");
    let size = std::fs::metadata(&input).unwrap().len();
    for piped in [false, true] {
        for name in ["out.arrow", "out.arrows"] {
            let output = folder.path().join(name);
            let done = merged(&input, piped, &output, &["--json"]);
            assert!(done.status.success(), "{}", text(&done.stderr));
            let said: Value = serde_json::from_slice(&done.stdout).unwrap();
            assert_eq!((&said["rows"], &said["inputs"], rows(&output)), (&9.into(), &1.into(), 9), "{piped} {said}");
            let counted = said["read_bytes"].as_u64().unwrap();
            assert!(counted > size * 7 / 10 && counted <= size, "{counted} of {size}");
        }
    }
}

#[test]
fn bytes_that_are_no_stream_are_left_out_as_told_or_refused() {
    let folder = folder();
    let bytes = [&stream(&[batch(1, 5), batch(2, 6)])[..], b"HTTP error 500: out of luck"].concat();
    let input = put(&folder, "in.arrows", &bytes);
    let output = folder.path().join("out.arrow");
    let told = merge_badly(folder.path(), &[&input], &output, &[]);
    assert!(told.contains("out of luck") && told.contains("--allow-trailing"), "{told}");
    for (piped, quiet) in [(false, "--json"), (false, "--quiet"), (true, "--quiet"), (true, "--json")] {
        let done = merged(&input, piped, &output, &["--allow-trailing", quiet]);
        let told = text(&done.stderr);
        assert_eq!((done.status.code(), told.lines().count()), (Some(3), 1), "{piped} {quiet}: {told}");
        assert!(told.contains("warning: ") && told.contains("out of luck") && told.contains("left out"), "{told}");
        assert_eq!(rows(&output), 11);
        if quiet == "--json" {
            let said: Value = serde_json::from_slice(&done.stdout).unwrap();
            assert!(said["warnings"][0]["what"].as_str().unwrap().contains("out of luck"), "{said}");
        }
    }
}

/// A file system made room that was never written to.
#[test]
fn zeros_are_told_and_no_reason_to_refuse() {
    let folder = folder();
    let output = folder.path().join("out.arrow");
    for (name, whole) in [("in.arrows", stream(&[batch(1, 5)])), ("in.arrow", file(&[batch(1, 5)]))] {
        for (zeros, counted) in [
            (1, "1 byte"),
            (3, "3 bytes"),
            (8, "8 bytes"),
            (10, "10 bytes"),
            (4096, "4,096 bytes"),
            (200_001, "200,001 bytes"),
        ] {
            let input = put(&folder, name, &[&whole[..], &vec![0; zeros]].concat());
            for piped in [false, true] {
                let done = merged(&input, piped, &output, &[]);
                let told = text(&done.stderr);
                assert!(
                    done.status.success() && told.contains(&format!("only zeros follow the end; {counted} left out")),
                    "{told}"
                );
                assert_eq!(rows(&output), 5);
                let done = merged(&input, piped, &output, &["--quiet", "--json"]);
                assert!(done.status.success() && done.stderr.is_empty(), "{}", text(&done.stderr));
                let said: Value = serde_json::from_slice(&done.stdout).unwrap();
                assert_eq!(said["warnings"].as_array().unwrap().len(), 1, "{said}");
            }
            let (said, complete) = inspect(&input);
            let trailing = &said["trailing"];
            assert!(complete && trailing["is_zero"] == true && trailing["length"] == zeros, "{said}");
            assert_eq!(trailing["offset"], whole.len(), "{said}");
            let recovered = folder.path().join("recovered");
            let done = run(["recover", input.to_str().unwrap(), "--output", recovered.to_str().unwrap()]);
            let told = text(&done.stderr);
            assert!(done.status.success() && told.contains("complete, and zeros follow"), "{told}");
            assert_eq!(
                std::fs::read(&recovered).unwrap(),
                whole,
                "{name}: the zeros are cut, and nothing else is changed"
            );
        }
    }
}

/// They say nothing of a footer that is missing.
#[test]
fn zeros_behind_a_file_without_a_footer_do_not_complete_it() {
    let folder = folder();
    let whole = file(&[batch(1, 5)]);
    let input = put(&folder, "in.arrow", &[&whole[..whole.len() - 11], &[0; 5_000]].concat());
    let output = folder.path().join("out.arrow");
    let told = merge_badly(folder.path(), &[&input], &output, &[]);
    assert!(told.contains("has no footer at its end"), "{told}");
    let (said, complete) = inspect(&input);
    assert!(!complete && said["complete"] == false, "{said}");
    let done = run(["recover", input.to_str().unwrap(), "--output", output.to_str().unwrap()]);
    assert!(done.status.success() && text(&done.stderr).contains("torn at its end"), "{}", text(&done.stderr));
    assert_eq!(rows(&output), 5);
}

#[test]
fn metadata_of_a_later_stream_that_differs_is_told() {
    let folder = folder();
    let with = |unit: &str| {
        let pair = HashMap::from([("unit".to_owned(), unit.to_owned())]);
        let batch = batch(1, 3);
        let fields: Vec<Field> = batch.schema().fields().iter().map(|field| Field::clone(field)).collect();
        let fields = fields.into_iter().map(|field| field.with_metadata(pair.clone())).collect::<Vec<_>>();
        stream(&[RecordBatch::try_new(Arc::new(Schema::new(fields)), batch.columns().to_vec()).unwrap()])
    };
    let input = put(&folder, "in.arrows", &[with("m"), with("km"), with("km")].concat());
    let done = merge(&[&input], &folder.path().join("out.arrow"), &[]);
    let told = text(&done.stderr);
    assert!(done.status.success() && rows(&folder.path().join("out.arrow")) == 9, "{told}");
    assert_eq!(told.matches("metadata is dropped").count(), 1, "{told}");
    assert!(told.contains("`unit` of the column `name` (inputs differ)"), "{told}");
}
