//! Streams one behind the other are one input, by whichever way it comes; what stands behind the end and is no stream is
//! refused, unless it means nothing.
//!
//! Fails where rows of a later stream are lost without a word, where a pipe is read otherwise than a file, and where bytes
//! are left out with status 0.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use ipc_tests::outside::python;
use serde_json::Value;

use crate::support::{
    batch, dictionary_batch, file, folder, inspect, merge, merge_badly, merge_well, program, put, read, stream, text,
};

/// What `merge - --output OUTPUT` makes of what a pipe delivers.
fn merge_from_a_pipe(bytes: &[u8], output: &Path) -> Output {
    let mut command = program();
    command.args(["merge", "-", "--output"]).arg(output);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may be refused before all is read.
    let _ = child.stdin.take().unwrap().write_all(bytes);
    child.wait_with_output().unwrap()
}

#[test]
fn all_streams_of_an_input_are_merged_from_a_path_and_from_a_pipe() {
    let folder = folder();
    let all = [dictionary_batch(&["a", "b"], &[0, 1]), dictionary_batch(&["b"], &[0]), dictionary_batch(&["c"], &[0])];
    let bytes = [stream(&all[..1]), stream(&all[1..])].concat();
    let input = put(&folder, "both.arrows", &bytes);
    for (name, further) in [("out.arrows", &[][..]), ("out.arrow", &[]), ("quiet.arrow", &["--quiet"])] {
        let output = folder.path().join(name);
        merge_well(&[&input], &output, further);
        let rows = read(&output).iter().map(arrow_array::RecordBatch::num_rows).sum::<usize>();
        assert_eq!(rows, 4, "{name}");
    }
    let piped = folder.path().join("piped.arrows");
    let done = merge_from_a_pipe(&bytes, &piped);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(read(&piped), all);
    let (said, complete) = inspect(&input);
    assert!(complete);
    let streams: Vec<_> = said["streams"].as_array().unwrap().iter().map(|stream| &stream["rows"]).collect();
    assert_eq!(streams, [&Value::from(2), &Value::from(2)]);
}

#[test]
fn a_stream_of_other_columns_behind_another_is_refused_by_its_first_difference() {
    let folder = folder();
    let bytes = [stream(&[batch(1, 2)]), stream(&[dictionary_batch(&["a"], &[0])])].concat();
    let input = put(&folder, "both.arrows", &bytes);
    let output = folder.path().join("out.arrows");
    let told = merge_badly(folder.path(), &[&input], &output, &[]);
    assert!(told.contains("differs in its schema from the first") && told.contains("number"), "{told}");
    assert!(!merge_from_a_pipe(&bytes, &output).status.success() && !output.exists());
    assert!(!inspect(&input).1);
}

#[test]
fn bytes_behind_the_end_that_are_no_stream_are_refused_or_passed_over_on_request() {
    let folder = folder();
    let whole = stream(&[batch(1, 4)]);
    let said = "Code: 241. DB::Exception: Memory limit exceeded";
    for (behind, what) in
        [(said.as_bytes(), said), (&[0xc3; 90], "not another stream"), (&whole[300..], "not another stream")]
    {
        let bytes = [&whole, behind].concat();
        let input = put(&folder, "in.arrows", &bytes);
        let output = folder.path().join("out.arrows");
        let told = merge_badly(folder.path(), &[&input], &output, &["--quiet"]);
        assert!(told.contains(what) && told.contains("--allow-trailing"), "{told}");
        let piped = merge_from_a_pipe(&bytes, &output);
        assert!(piped.status.code() == Some(1) && !output.exists(), "{}", text(&piped.stderr));
        let done = merge(&[&input], &output, &["--allow-trailing", "--json"]);
        let json: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(json["warnings"][0]["offset"], whole.len(), "{json}");
        assert_eq!(read(&output), [batch(1, 4)]);
        let (listed, complete) = inspect(&input);
        assert!(!complete);
        assert_eq!(
            (&listed["trailing"]["offset"], &listed["trailing"]["length"]),
            (&whole.len().into(), &behind.len().into())
        );
        fs::remove_file(&output).unwrap();
    }
}

/// Room that a file system made: nothing but zeros.
#[test]
fn zeros_behind_the_end_are_told_and_mean_nothing() {
    let folder = folder();
    let whole = stream(&[batch(1, 4)]);
    let bytes = [&whole[..], &[0; 5_000]].concat();
    let input = put(&folder, "in.arrows", &bytes);
    let output = folder.path().join("out.arrows");
    let done = merge(&[&input], &output, &["--require-end"]);
    assert!(done.status.success() && text(&done.stderr).contains("5,000 bytes left out"), "{}", text(&done.stderr));
    assert!(merge(&[&input], &output, &["--quiet"]).stderr.is_empty(), "no row can be lost with them");
    assert!(merge_from_a_pipe(&bytes, &output).status.success());
    assert_eq!(read(&output), [batch(1, 4)]);
    let (listed, complete) = inspect(&input);
    assert!(complete && listed["trailing"]["is_zero"] == true, "{listed}");
}

#[test]
fn what_is_known_to_be_something_else_is_named() {
    let folder = folder();
    for (bytes, name) in [
        (&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], "a gzip file"),
        (b"\x28\xb5\x2f\xfd\x24\0\x01\0\0\x99\xe9\xd8\x51", "a Zstandard file"),
        (b"\xfd7zXZ\0\0\x04", "an xz file"),
        (b"BZh91AY&SY", "a bzip2 file"),
        (b"PAR1\x15\x04\x15\x10", "a Parquet file"),
        (b"FEA1\0\0\0\0", "a Feather file of version 1"),
        (b"Obj\x01\x04\x14avro.codec", "an Avro file"),
        (b"ORC\x08\x03\x10", "an ORC file"),
        (b"{\"a\": 1, \"b\": 2}", "JSON text"),
        (b"city,height\nLima,154\n", "text, most likely CSV"),
        (b"<html><body>502 Bad Gateway</body></html>", "HTML"),
    ] {
        let input = put(&folder, "input", bytes);
        let told = merge_badly(folder.path(), &[&input], &folder.path().join("out.arrow"), &[]);
        assert!(told.contains(name), "{name}: {told}");
        for command in [&["inspect"][..], &["recover", "--output", "nowhere.arrow"]] {
            let done = program().arg(command[0]).arg(&input).args(&command[1..]).output().unwrap();
            assert!(done.status.code() == Some(1) && text(&done.stderr).contains(name), "{}", text(&done.stderr));
        }
    }
}

#[test]
fn recovery_writes_what_the_name_of_its_output_says() {
    let folder = folder();
    for (input, whole) in [("in.arrows", stream(&[batch(1, 4)])), ("in.arrow", file(&[batch(1, 4)]))] {
        let input = put(&folder, input, &whole);
        for (name, is_file) in [("out.arrow", true), ("out.feather", true), ("out.arrows", false)] {
            let output = folder.path().join(name);
            let done = program().arg("recover").arg(&input).arg("--output").arg(&output).output().unwrap();
            assert!(done.status.success(), "{}", text(&done.stderr));
            assert_eq!(fs::read(&output).unwrap().starts_with(b"ARROW1"), is_file, "{name}");
            assert_eq!(read(&output), [batch(1, 4)]);
        }
    }
}

/// polars writes the schema message at the front of a file without its length: readers go by the footer.
#[test]
fn a_file_that_polars_streamed_out_is_complete() {
    let Some(python) = python("polars") else { return };
    let folder = folder();
    let input = folder.path().join("sink.arrow");
    let script = "import sys, polars\n\
                  frame = polars.DataFrame({'a': [1, 2, 3], 's': ['x', 'y', 'x']}, schema={'a': polars.Int64, 's': polars.Categorical})\n\
                  frame.lazy().sink_ipc(sys.argv[1])";
    let done = std::process::Command::new(python).args(["-c", script]).arg(&input).output().unwrap();
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(inspect(&input).1);
    merge_well(&[&input], &folder.path().join("merged.arrow"), &[]);
    let recovered = folder.path().join("recovered.arrow");
    let done = program().arg("recover").arg(&input).arg("--output").arg(&recovered).output().unwrap();
    assert!(text(&done.stderr).contains("already complete"), "{}", text(&done.stderr));
    assert_eq!(fs::read(&recovered).unwrap(), fs::read(&input).unwrap());
}
