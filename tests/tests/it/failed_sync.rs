//! A sync that the system refuses ends the writer: every later call says so, with the error and with what the sync
//! before has made durable, and no further system call touches the file. One that is only interrupted is made again.
//!
//! A program writes to a real file and syncs after each batch. strace refuses its first sync, its second, and so on,
//! until every sync has been refused once. `shared/sync.rs` does the same with its own sink, from many threads.
//!
//! Fails where a sync that failed is tried again, where anything is written or cut behind it, where the writer counts
//! what it only wrote as durable, or where a `sync` makes no system call at all.

use std::fs;
use std::path::Path;

use ipc_shared::{FileFormat, StreamFormat};
use ipc_tests::outside::{aloud, strace};
use ipc_tests::shared::{Output, Words, marks};

#[test]
fn a_sync_that_the_system_refuses_is_the_end() {
    let mut refused = 0;
    for (writer, format) in WRITERS {
        for (error, told) in [("EIO", "Input/output error"), ("ENOSPC", "No space left on device")] {
            for nth in 1.. {
                let Some(Run { calls, trace, bytes }) = run(writer, format, error, nth) else { return };
                let context = format!("{writer}, {format}, {error} of sync {nth}: {calls:#?}\n{trace:#?}");
                let Some(at) = trace.iter().position(|call| call.contains("(INJECTED)")) else {
                    assert_complete(format, &calls, &bytes);
                    assert_eq!(nth - 1, BATCHES, "there is a call for each sync: {context}");
                    break;
                };
                assert_eq!(trace[at + 1..], [""; 0], "nothing touches the file behind it: {context}");
                refused += 1;
                let (good, bad) = calls.split_at(2 * nth - 1);
                assert!(good.iter().all(|call| call.told == "ok"), "{context}");
                // What the sync before has made durable: the file was as long as that then.
                let durable = if nth == 1 { 0 } else { good[2 * nth - 3].length };
                let expected = format!("poisoned at {durable}, 1 unconfirmed: {told}");
                assert_eq!(bad.len(), 7, "{context}");
                assert!(bad.iter().all(|call| call.told.starts_with(&expected)), "{context}");
                assert!(bad.iter().all(|call| call.length == bytes.len()), "{context}");
            }
        }
    }
    aloud(format_args!("{refused} syncs refused by the system"));
}

#[test]
fn a_sync_that_is_interrupted_is_made_again() {
    for (writer, format) in WRITERS {
        for nth in 1..=BATCHES {
            let Some(Run { calls, trace, bytes }) = run(writer, format, "EINTR", nth) else { return };
            let syncs = trace.iter().filter(|call| call.contains("sync(")).count();
            assert_eq!(syncs, BATCHES + 1, "{writer}, {format}, sync {nth}: {trace:#?}");
            assert_complete(format, &calls, &bytes);
        }
    }
}

#[track_caller]
fn assert_complete(format: &str, calls: &[Call], bytes: &[u8]) {
    assert!(calls.iter().all(|call| call.told == "ok"), "{calls:?}");
    let batches = if format == "file" { FileFormat::whole(bytes) } else { StreamFormat::whole(bytes) };
    assert_eq!(marks(Words::Equal, &batches), [(0, 0), (0, 1), (0, 2), (0, 3)]);
}

/// The result of a run.
struct Run {
    /// The results of its calls.
    calls: Vec<Call>,
    /// The system calls that touched the file.
    trace: Vec<String>,
    /// What is in the file.
    bytes: Vec<u8>,
}

/// A line of the program.
#[derive(Debug)]
struct Call {
    /// How long the file was after it.
    length: usize,
    /// What came of it.
    told: String,
}

/// Has the system refuse the sync with this number. `None`, said aloud, where strace may not.
fn run(writer: &str, format: &str, error: &str, nth: usize) -> Option<Run> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("output");
    let inject = format!("inject=fsync,fdatasync:error={error}:when={nth}");
    let trace = "trace=write,writev,pwrite64,pwritev,ftruncate,fsync,fdatasync";
    let program = [PROGRAM.as_ref(), writer.as_ref(), format.as_ref(), path.as_os_str()];
    let (done, trace) = strace(&["-y", "-e", trace, "-e", &inject], &program)?;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let of_file = |call: &&str| call.contains(&format!("<{}>", Path::display(&path)));
    Some(Run {
        calls: String::from_utf8(done.stdout).unwrap().lines().map(parsed).collect(),
        trace: trace.lines().filter(of_file).map(str::to_owned).collect(),
        bytes: fs::read(&path).unwrap(),
    })
}

/// `CALL LENGTH WHAT CAME OF IT`.
fn parsed(line: &str) -> Call {
    let [_, length, told] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    Call { length: length.parse().unwrap(), told: told.to_owned() }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_synced");
const WRITERS: [(&str, &str); 4] =
    [("encoder", "stream"), ("encoder", "file"), ("shared", "stream"), ("shared", "file")];

/// The number of batches that the program writes, with a sync after each.
const BATCHES: usize = 4;
