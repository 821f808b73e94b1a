//! `recover` keeps what is whole, tells what it cut and why, refuses what is damaged before its end, and never touches
//! its input.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use serde_json::Value;

use crate::support::{batch, file, folder, inspect, names, program, put, read, stream, text};

fn recover(input: &Path, output: &Path, further: &[&str]) -> Output {
    let mut command = program();
    command.arg("recover").arg(input).arg("--output").arg(output).args(further).stdin(Stdio::null());
    command.output().unwrap()
}

/// What `recover --json` says; it must go well, and its status say whether rows are left out.
fn recovered(input: &Path, output: &Path, further: &[&str]) -> Value {
    recovered_with(0, input, output, further)
}

/// The same, with this status.
fn recovered_with(status: i32, input: &Path, output: &Path, further: &[&str]) -> Value {
    let before = fs::read(input).unwrap();
    let done = recover(input, output, &[&["--json"], further].concat());
    assert!(done.stderr.is_empty(), "{}", text(&done.stderr));
    let said: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((done.status.code(), &said["leaves_rows_out"]), (Some(status), &Value::Bool(status == 3)), "{said}");
    assert_eq!(fs::read(input).unwrap(), before, "the input is not touched");
    said
}

#[test]
fn what_is_whole_comes_back() {
    let folder = folder();
    let batches: Vec<_> = (0..5).map(|number| batch(number, 100)).collect();
    for (name, whole) in [("a.arrow", file(&batches)), ("a.arrows", stream(&batches))] {
        let input = put(&folder, name, &whole);
        let fourth = inspect(&input).0["messages"][4]["offset"].as_u64().unwrap();
        fs::write(&input, &whole[..usize::try_from(fourth).unwrap() + 500]).unwrap();
        let output = folder.path().join("out");
        let said = recovered(&input, &output, &[]);
        assert_eq!(read(&output), batches[..3], "{name}");
        assert!(inspect(&output).1, "{name} is complete now");
        assert_eq!((&said["condition"], &said["input_format"]), (&"torn".into(), &said["format"]));
        assert_eq!((&said["kept"]["record_batches"], &said["kept"]["rows"]), (&3.into(), &300.into()));
        assert_eq!((&said["cut"]["bytes"], &said["cuts"][0]["offset"]), (&500.into(), &fourth.into()));
        assert!(said["cuts"][0]["reason"].as_str().unwrap().starts_with("truncated"), "{said}");
        assert_eq!(said["written_bytes"], fs::metadata(&output).unwrap().len());

        let told = text(&recover(&input, &output, &[]).stderr);
        assert!(told.contains("torn") && told.contains("kept 300 rows in 3 record batches"), "{told}");
        assert!(told.contains(&format!("cut 500 B from byte {fourth} on")), "{told}");
        fs::remove_file(&output).unwrap();
    }
}

#[test]
fn what_is_sound_is_copied() {
    let folder = folder();
    for (name, whole) in [("a.arrow", file(&[batch(1, 5)])), ("a.arrows", stream(&[batch(1, 5)]))] {
        let (input, output) = (put(&folder, name, &whole), folder.path().join("out"));
        assert_eq!(recovered(&input, &output, &[])["condition"], "complete");
        assert_eq!(fs::read(&output).unwrap(), whole);
        assert!(text(&recover(&input, &output, &[]).stderr).contains("already complete"));
        assert!(recover(&input, &output, &["--quiet"]).stderr.is_empty());
    }
}

#[test]
fn the_format_can_be_chosen() {
    let folder = folder();
    let input = put(&folder, "a.arrows", &stream(&[batch(1, 5), batch(2, 6)]));
    let output = folder.path().join("out");
    assert_eq!(recovered(&input, &output, &["--format", "file"])["format"], "file");
    assert!(fs::read(&output).unwrap().starts_with(b"ARROW1"));
    assert_eq!(read(&output), [batch(1, 5), batch(2, 6)]);
    assert_eq!(recovered(&output, &folder.path().join("back"), &["--format", "stream"])["format"], "stream");
    assert_eq!(read(&folder.path().join("back")), [batch(1, 5), batch(2, 6)]);
}

#[test]
fn damage_before_the_tail_is_refused_unless_it_is_to_be_salvaged() {
    let folder = folder();
    let batches: Vec<_> = (0..4).map(|number| batch(number, 100)).collect();
    let mut whole = file(&batches);
    let input = put(&folder, "a.arrow", &whole);
    let said = inspect(&input).0;
    let second = said["messages"][2]["offset"].as_u64().unwrap();
    let third = &said["messages"][3]["offset"];
    let at = usize::try_from(second).unwrap();
    whole[at..at + 64].fill(0x11);
    fs::write(&input, &whole).unwrap();
    let output = folder.path().join("out");
    let done = recover(&input, &output, &[]);
    let told = text(&done.stderr);
    assert_eq!((done.status.code(), told.lines().count()), (Some(1), 1), "{told}");
    for part in ["a.arrow: ", "damaged, not torn at its end", &format!("at byte {second}"), "--salvage"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(told.contains(&format!("from byte {third} on")), "{told}");
    assert_eq!(names(folder.path()), std::slice::from_ref(&input), "nothing is left behind");
    let said = recovered_with(3, &input, &output, &["--salvage"]);
    assert_eq!((&said["condition"], &said["cuts"][0]["offset"]), (&"damaged".into(), &second.into()));
    assert_eq!(said["holes"], 1);
    let quiet = recover(&input, &output, &["--salvage", "--quiet"]);
    assert!(quiet.status.code() == Some(3) && !quiet.stderr.is_empty(), "no switch hides that rows are lost");
    assert_eq!(read(&output), [batches[0].clone(), batches[2].clone(), batches[3].clone()]);
}

/// Whoever appends the output to something would not see that rows are missing: the status says so.
#[test]
fn rows_that_are_left_out_between_others_are_told_by_the_status() {
    let folder = folder();
    let batch = |keys: &[Option<i32>]| {
        let values = Arc::new(StringArray::from(vec!["Lima"]));
        let column = DictionaryArray::<Int32Type>::new(Int32Array::from(keys.to_vec()), values);
        RecordBatch::try_from_iter_with_nullable([("city", Arc::new(column) as ArrayRef, true)]).unwrap()
    };
    let (nothing, something) = (batch(&[None, None]), batch(&[Some(0), None]));
    let whole = put(&folder, "whole", &stream(&[nothing.clone(), something, nothing]));
    let (bytes, said) = (fs::read(&whole).unwrap(), inspect(&whole).0);
    let part = |message: &Value| {
        let number = |name: &str| usize::try_from(message[name].as_u64().unwrap()).unwrap();
        bytes[number("offset")..number("offset") + number("metadata_length") + number("body_length")].to_vec()
    };
    let messages = said["messages"].as_array().unwrap();
    let without_dictionary = messages.iter().filter(|message| message["kind"] != "dictionary_batch");
    let input = put(&folder, "a.arrows", &without_dictionary.flat_map(part).collect::<Vec<_>>());
    let output = folder.path().join("out");
    let said = recovered_with(3, &input, &output, &[]);
    assert_eq!((&said["kept"]["rows"], &said["holes"], &said["empty_dictionaries"]), (&4.into(), &1.into(), &1.into()));
    assert_eq!(read(&output).len(), 2);
    for further in [&[][..], &["--quiet"]] {
        let done = recover(&input, &output, further);
        let told = text(&done.stderr);
        assert!(done.status.code() == Some(3) && told.contains("missing between those kept, in 1 place"), "{told}");
    }
}

#[test]
fn what_is_beyond_recovery_is_refused() {
    let folder = folder();
    let whole = stream(&[batch(1, 5)]);
    let inputs = [("empty", &b""[..]), ("text", b"no Arrow at all"), ("schema", &whole[..40])];
    for (name, bytes) in inputs {
        let (input, output) = (put(&folder, name, bytes), folder.path().join("out"));
        let done = recover(&input, &output, &["--salvage"]);
        let told = text(&done.stderr);
        assert_eq!((done.status.code(), told.lines().count()), (Some(1), 1), "{told}");
        assert!(told.contains("nothing can be recovered") && !output.exists(), "{told}");
    }
}

#[test]
fn the_input_is_never_the_output() {
    let folder = folder();
    let whole = stream(&[batch(1, 5)]);
    let input = put(&folder, "a.arrows", &whole[..whole.len() - 8]);
    let mut outputs: Vec<PathBuf> = vec![input.clone(), folder.path().join(".").join("a.arrows")];
    let link = folder.path().join("link");
    if fs::hard_link(&input, &link).is_ok() {
        outputs.push(link);
    }
    for output in outputs {
        let done = recover(&input, &output, &[]);
        assert_eq!(done.status.code(), Some(1), "{output:?}");
        assert!(text(&done.stderr).contains("is also the output"));
        assert_eq!(fs::read(&input).unwrap(), whole[..whole.len() - 8]);
    }
}

#[test]
fn a_pipe_can_be_recovered() {
    let folder = folder();
    let whole = file(&[batch(1, 5), batch(2, 5)]);
    let input = put(&folder, "a.arrow", &whole[..whole.len() - 20]);
    let stdin = Stdio::from(fs::File::open(&input).unwrap());
    let done = program().args(["recover", "-", "--output", "-", "--json"]).stdin(stdin).output().unwrap();
    assert!(done.status.success(), "{}", text(&done.stderr));
    let said: Value = serde_json::from_slice(&done.stderr).unwrap();
    assert_eq!(said["kept"]["record_batches"], 2);
    assert_eq!(read(&put(&folder, "out", &done.stdout)).len(), 2);
}
