//! An input that changes while it is read is read as long as it was: what is appended is not seen, and where something is
//! missing, that is an error.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Output, Stdio};

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;

use crate::support::{batch, folder, inspect, program, put, stream, text};

/// Merges an input to the standard output, and changes it while nobody takes what comes out, so that most of it is
/// still to be read.
fn changed_meanwhile(input: &Path, change: impl FnOnce(&Path)) -> Output {
    let mut command = program();
    command.arg("merge").arg(input).args(["--output", "-", "--threads", "2"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // More than the schema: so it is open.
    let mut first = [0; 100_000];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    change(input);
    let mut done = child.wait_with_output().unwrap();
    done.stdout.splice(..0, first);
    done
}

/// About 1 MiB each: many more than are read ahead.
fn batches() -> Vec<RecordBatch> {
    (0..48).map(|n| batch(n, 40_000)).collect()
}

#[test]
fn what_is_cut_off_while_it_is_read_is_an_error() {
    let folder = folder();
    let input = put(&folder, "cut.arrows", &stream(&batches()));
    // Where the second last batch ends, and inside of it.
    let end = inspect(&input).0["messages"][48]["offset"].as_u64().unwrap();
    for length in [end, end - 1000] {
        fs::write(&input, stream(&batches())).unwrap();
        let cut = |input: &Path| OpenOptions::new().write(true).open(input).unwrap().set_len(length).unwrap();
        let done = changed_meanwhile(&input, cut);
        let told = text(&done.stderr);
        assert_eq!((done.status.code(), told.lines().count()), (Some(1), 1), "{told}");
        assert!(told.contains("cut.arrows: ") && told.contains("while it was read"), "{told}");
    }
}

#[test]
fn what_is_appended_while_it_is_read_is_not_seen() {
    let (folder, batches) = (folder(), batches());
    let mut bytes = stream(&batches);
    let end = bytes.split_off(bytes.len() - 8);
    let input = put(&folder, "grows.arrows", &bytes);
    let append = |input: &Path| OpenOptions::new().append(true).open(input).unwrap().write_all(&end).unwrap();
    let done = changed_meanwhile(&input, append);
    let told = text(&done.stderr);
    assert!(done.status.success() && told.contains("has no end-of-stream marker"), "{told}");
    let read: Vec<_> = StreamReader::try_new(done.stdout.as_slice(), None).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, batches);
}
