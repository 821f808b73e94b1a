//! The standard input and the standard output work as in any pipeline.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};

use arrow_ipc::reader::StreamReader;

use crate::support::{batch, file, folder, merge, program, put, read, stream, text};

fn through(arguments: &[&str], input: &[u8]) -> Output {
    let mut child =
        program().args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    })
}

#[test]
fn streams_and_files_go_through_both_ways() {
    let batches: Vec<_> = (0..20).map(|n| batch(n, 500)).collect();
    for input in [stream(&batches), file(&batches)] {
        for format in ["stream", "file"] {
            let done = through(&["merge", "-", "--output", "-", "--format", format, "--quiet"], &input);
            assert!(done.status.success() && done.stderr.is_empty(), "{}", text(&done.stderr));
            let folder = folder();
            assert_eq!(read(&put(&folder, "out", &done.stdout)), batches, "{format}");
        }
    }
}

#[test]
fn the_summary_goes_where_the_data_does_not() {
    let done = through(&["merge", "-", "--output", "-", "--json"], &stream(&[batch(1, 3)]));
    let said: serde_json::Value = serde_json::from_slice(&done.stderr).unwrap();
    assert_eq!(said["rows"], 3);
    assert_eq!(StreamReader::try_new(done.stdout.as_slice(), None).unwrap().count(), 1);
}

#[test]
fn a_batch_comes_out_before_the_next_goes_in() {
    let mut child = program()
        .args(["merge", "-", "--output", "-", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let bytes = stream(&[batch(7, 3)]);
    // All but the end-of-stream marker: the program cannot know that nothing follows.
    stdin.write_all(&bytes[..bytes.len() - 8]).unwrap();
    let mut reader = StreamReader::try_new(stdout, None).unwrap();
    assert_eq!(reader.next().unwrap().unwrap(), batch(7, 3));
    stdin.write_all(&bytes[bytes.len() - 8..]).unwrap();
    drop(stdin);
    assert!(reader.next().is_none());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let folder = folder();
    let input = put(&folder, "a.arrow", &file(&(0..200).map(|n| batch(n, 1_000)).collect::<Vec<_>>()));
    let mut child = program()
        .args(["merge", "--output", "-"])
        .arg(&input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 1_000]).unwrap();
    drop(stdout);
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{}", text(&done.stderr));
}

#[cfg(unix)]
#[test]
fn named_pipes_are_inputs_like_any_other() {
    let folder = folder();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let batches = [batch(1, 30), batch(2, 40)];
    let (bytes, to) = (stream(&batches), pipe.clone());
    let feeder = std::thread::spawn(move || fs::write(to, bytes).unwrap());
    let output = folder.path().join("out.arrow");
    assert!(merge(&[&pipe], &output, &[]).status.success());
    feeder.join().unwrap();
    assert_eq!(read(&output), batches);
}
