//! A merge to a stream that does not come to its end is taken for a whole, shorter one by no reader: whether an input turns out
//! bad, or the program is told to stop.

#![cfg(unix)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use arrow_ipc::reader::StreamReader;

use crate::support::{
    batch, file, folder, inspect, interruptible_program, names, program, put, python, read, stream, text, told_to_stop,
};

/// How many batches arrow's reader gets, and whether it comes to the end without an error.
fn read_by_arrow(bytes: &[u8]) -> (usize, bool) {
    let Ok(reader) = StreamReader::try_new(bytes, None) else { return (0, false) };
    let read: Vec<_> = reader.collect();
    (read.iter().filter(|batch| batch.is_ok()).count(), read.iter().all(Result::is_ok))
}

/// Fails if any of the readers at hand takes these bytes for a stream.
fn assert_refused(bytes: &[u8], context: &str) {
    let (_, is_whole) = read_by_arrow(bytes);
    assert!(!is_whole, "{context}: arrow-rs takes it");
    for (reader, script) in [
        ("pyarrow", "import sys, pyarrow; pyarrow.ipc.open_stream(sys.stdin.buffer.read()).read_all()"),
        ("polars", "import sys, polars; polars.read_ipc_stream(sys.stdin.buffer.read())"),
        ("nanoarrow", "import sys, nanoarrow; nanoarrow.ArrayStream.from_readable(sys.stdin.buffer.read()).read_all()"),
    ] {
        let Some(python) = python(reader) else { continue };
        let mut child = Command::new(python)
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        let done = child.wait_with_output().unwrap();
        let told = text(&done.stderr);
        assert!(
            done.status.code() == Some(1) && told.contains("Error"),
            "{context}: {reader}: {:?}: {told}",
            done.status
        );
    }
}

/// Whether the reason stands in the mark.
fn has_mark(bytes: &[u8], reason: &str) -> bool {
    let contains = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    contains("ipc.aborted") && contains(reason)
}

#[test]
fn an_input_that_turns_out_bad_in_the_middle_gives_the_stream_up() {
    let folder = folder();
    let good = put(&folder, "good.arrow", &file(&(0..20).map(|n| batch(n, 1_000)).collect::<Vec<_>>()));
    let whole = stream(&(20..40).map(|n| batch(n, 1_000)).collect::<Vec<_>>());
    let cut = put(&folder, "cut.arrows", &whole[..whole.len() / 2]);
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut last = Vec::new();
    for threads in ["1", "4"] {
        for order in ["input", "arrival"] {
            for output in ["-", "/dev/stdout", "pipe"] {
                let context = format!("{threads} {order} {output}");
                let reading = (output == "pipe").then(|| {
                    let pipe = pipe.clone();
                    thread::spawn(move || fs::read(pipe).unwrap())
                });
                let mut command = program();
                command.current_dir(folder.path()).arg("merge").args([&good, &cut]).args(["--format", "stream"]);
                command.args(["--output", output, "--threads", threads, "--order", order]);
                let done = command.output().unwrap();
                let told = text(&done.stderr);
                assert_eq!((done.status.code(), told.lines().count()), (Some(1), 1), "{context}: {told}");
                assert!(told.contains("cut.arrows: truncated"), "{context}: {told}");
                let written = reading.map_or(done.stdout, |reading| reading.join().unwrap());
                assert!(has_mark(&written, "cut.arrows: truncated"), "{context}");
                assert!(!read_by_arrow(&written).1, "{context}");
                last = written;
            }
        }
    }
    assert_refused(&last, "an input that turns out bad");
}

#[test]
fn a_bad_value_gives_the_stream_up() {
    let folder = folder();
    let mut bytes = stream(&(0..20).map(|n| batch(n, 1_000)).collect::<Vec<_>>());
    // Among it, offsets of strings that point far beyond their data.
    let half = bytes.len() / 2;
    bytes[half..half + 8_000].fill(0x7f);
    let bad = put(&folder, "bad.arrows", &bytes);
    let done = program().arg("merge").arg(&bad).args(["--output", "-"]).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", text(&done.stderr));
    assert!(has_mark(&done.stdout, "bad.arrows: "));
    assert_refused(&done.stdout, "a bad value");
}

/// A merge of the standard input to the standard output that has taken two batches and waits for more.
fn waiting(output: &[&str], folder: &Path) -> Child {
    let mut command = interruptible_program();
    command.args(["merge", "-", "--quiet", "--output"]).args(output).current_dir(folder);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let bytes = stream(&[batch(1, 300), batch(2, 300), batch(3, 300)]);
    child.stdin.as_mut().unwrap().write_all(&bytes[..bytes.len() - 5_000]).unwrap();
    child
}

#[test]
fn a_merge_that_is_told_to_stop_gives_its_stream_up() {
    for (signal, number) in [("-INT", 2), ("-TERM", 15)] {
        for output in [&["-"][..], &["/dev/stdout", "--format", "stream"]] {
            let folder = folder();
            let mut child = waiting(output, folder.path());
            // Open until the program has ended: an input that ends would be another reason to stop.
            let (input, mut stdout) = (child.stdin.take(), child.stdout.take().unwrap());
            let mut written = vec![0; 2_000];
            stdout.read_exact(&mut written).unwrap();
            // Both batches are out, or soon will be.
            thread::sleep(Duration::from_millis(100));
            let status = told_to_stop(child, signal);
            drop(input);
            stdout.read_to_end(&mut written).unwrap();
            assert_eq!(status.signal(), Some(number), "{status}");
            assert!(has_mark(&written, &format!("stopped by SIG{}", &signal[1..])), "{signal} {output:?}");
            assert_eq!(read_by_arrow(&written).0, 2, "what was written before is whole");
            assert_refused(&written, signal);
        }
    }
}

/// A message is on its way that nobody takes: it stays torn.
#[test]
fn a_reader_that_takes_nothing_is_not_waited_for() {
    let folder = folder();
    let input = put(&folder, "in.arrow", &file(&(0..20).map(|n| batch(n, 10_000)).collect::<Vec<_>>()));
    let mut command = program();
    command.arg("merge").arg(&input).args(["--quiet", "--output", "-"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    thread::sleep(Duration::from_millis(300));
    let status = told_to_stop(child, "-TERM");
    assert_eq!(status.signal(), Some(15), "{status}");
    let mut written = Vec::new();
    stdout.read_to_end(&mut written).unwrap();
    assert!(!read_by_arrow(&written).1);
}

#[test]
fn a_file_that_is_given_up_is_not_there() {
    for signal in ["-INT", "-TERM"] {
        let folder = folder();
        let mut child = waiting(&["out.arrows"], folder.path());
        let input = child.stdin.take();
        while names(folder.path()).is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(50));
        assert!(told_to_stop(child, signal).signal().is_some());
        drop(input);
        assert!(names(folder.path()).is_empty(), "{signal}");
    }
}

/// Shells have commands in the background ignore Ctrl-C.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' INT; exec \"$0\" merge - --quiet --output -"]).arg(env!("CARGO_BIN_EXE_arrow-ipc"));
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let bytes = stream(&[batch(1, 300), batch(2, 300)]);
    let (mut input, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    input.write_all(&bytes[..bytes.len() - 100]).unwrap();
    let mut written = vec![0; 2_000];
    stdout.read_exact(&mut written).unwrap();
    assert!(Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap().success());
    thread::sleep(Duration::from_millis(100));
    input.write_all(&bytes[bytes.len() - 100..]).unwrap();
    drop(input);
    stdout.read_to_end(&mut written).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(read_by_arrow(&written), (2, true));
}

/// Nothing follows the end, also if the program is told to stop then.
#[test]
fn a_stream_that_came_to_its_end_has_no_mark() {
    let folder = folder();
    let input = put(&folder, "in.arrow", &file(&[batch(1, 30)]));
    let output = folder.path().join("out");
    let mut command = program();
    command.arg("merge").arg(&input).args(["--output", "-"]).stdout(File::create(&output).unwrap());
    assert!(command.stderr(Stdio::null()).status().unwrap().success());
    let written = fs::read(output).unwrap();
    assert!(!has_mark(&written, ""));
    assert_eq!(read_by_arrow(&written), (1, true));
}

/// Another writer's batch may have the key of a mark, and its lengths: one row, and a body of 8 bytes.
#[test]
fn a_batch_of_another_writer_with_the_key_of_a_mark_is_a_batch() {
    const WRITE: &str = "
import sys, pyarrow as pa
schema = pa.schema([pa.field('a', pa.int64())])
with pa.ipc.new_stream(sys.argv[1], schema) as writer:
    for number in (1, -1, 8):
        batch = pa.record_batch([pa.array([number])], schema=schema)
        writer.write_batch(batch, custom_metadata={'ipc.aborted': 'not at all'})
";
    let Some(python) = python("pyarrow") else { return };
    let folder = folder();
    let input = folder.path().join("in.arrows");
    let done = Command::new(python).args(["-c", WRITE]).arg(&input).output().unwrap();
    assert!(done.status.success(), "{}", text(&done.stderr));
    let (said, complete) = inspect(&input);
    assert!(complete && said["totals"]["rows"] == 3 && said["messages"][1]["body_length"] == 8, "{said}");
    for command in ["merge", "recover"] {
        let output = folder.path().join("out.arrows");
        let done = program().arg(command).arg(&input).arg("--output").arg(&output).output().unwrap();
        let told = text(&done.stderr);
        assert!(done.status.success() && !told.contains("given up") && !told.contains("cut"), "{command}: {told}");
        let rows: Vec<_> = read(&output).iter().map(arrow_array::RecordBatch::num_rows).collect();
        assert_eq!(rows, [1, 1, 1], "{command}");
    }
}
