//! What the system refuses while the output is written is told in one line, with status 1, and leaves nothing behind. What
//! it only interrupts is done all the same. The output has its name only once it is on the device.
//!
//! The system calls of the program are made to fail by strace, each kind at its first call, its second, and so on until
//! no call is left. `merge` writes with `writev`, from several threads; `recover` with `write`.
//!
//! Fails where an error is lost between threads, where the signal of a limit ends the program, where a temporary file
//! stays, or where a call that was interrupted counts as failed.

#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::{batch, file, folder, names, put, read, skipped, text};

#[test]
fn a_limit_on_the_size_of_files_is_told() {
    let (folder, input) = input();
    let before = names(folder.path());
    for format in ["file", "stream"] {
        let output = folder.path().join("out");
        let script = "ulimit -f 64 && exec \"$@\"";
        let mut limited = Command::new("sh");
        limited.args(["-c", script, "sh", env!("CARGO_BIN_EXE_arrow-ipc"), "merge", "--format", format]);
        let done = limited.arg(&input).arg("--output").arg(&output).output().unwrap();
        assert_refused(&done, "File too large", format);
        assert_eq!(names(folder.path()), before, "nothing is left behind");
    }
}

#[test]
fn a_call_that_fails_is_told_whichever_it_is() {
    let (folder, input) = input();
    let before = names(folder.path());
    for (command, call, error, told) in [
        ("merge", "writev", "ENOSPC", "No space left on device"),
        ("merge", "writev", "EIO", "Input/output error"),
        ("merge", "fsync", "EIO", "Input/output error"),
        ("merge", "fsync", "ENOSPC", "No space left on device"),
        ("merge", "rename,renameat,renameat2", "EACCES", "Permission denied"),
        ("recover", "write", "ENOSPC", "No space left on device"),
        ("recover", "fsync", "EIO", "Input/output error"),
    ] {
        let calls = every_call(&folder, command, call, error, &input, |done, output| {
            let context = format!("{command}: {error} of {call}");
            assert_refused(done, told, &context);
            if text(&done.stderr).contains("the output is complete") {
                assert_eq!(call, "fsync", "only the last call comes when it has its name");
                assert_eq!(read(output).len(), BATCHES);
                fs::remove_file(output).unwrap();
            }
            assert_eq!(names(folder.path()), before, "nothing is left behind: {context}");
        });
        let Some(calls) = calls else { return };
        let at_least = if call.starts_with("rename") { 1 } else { 2 };
        assert!(calls >= at_least, "{command}: {calls} calls of {call}");
    }
}

#[test]
fn a_call_that_is_interrupted_is_made_again() {
    let (folder, input) = input();
    for (command, call) in [("merge", "writev"), ("merge", "fsync"), ("recover", "write"), ("recover", "fsync")] {
        let calls = every_call(&folder, command, call, "EINTR", &input, |done, output| {
            assert!(done.status.success(), "{command}: {call}: {}", text(&done.stderr));
            assert_eq!(read(output).len(), BATCHES);
            fs::remove_file(output).unwrap();
        });
        let Some(calls) = calls else { return };
        assert!(calls >= 2, "{command}: {calls} calls of {call}");
    }
}

/// Written, synced, closed, renamed; and then the folder is synced.
#[test]
fn the_output_is_on_the_device_before_it_has_its_name() {
    let (folder, input) = input();
    let output = folder.path().join("out.arrow");
    let calls = "writev,fsync,close,rename,renameat,renameat2";
    let Some((done, trace)) = traced(&folder, "merge", &["-y", "-e", &format!("trace={calls}")], &input, &output)
    else {
        return;
    };
    assert!(done.status.success(), "{}", text(&done.stderr));
    let temporary = format!("{}/.arrow-ipc-", folder.path().display());
    let target = format!("<{}>", folder.path().display());
    let place = |what: &str, call: &str, path: &str| {
        let is_it = |line: &&str| line.contains(&format!(" {call}(")) && line.contains(path);
        let found = trace.lines().enumerate().filter(|(_, line)| is_it(line)).last();
        found.unwrap_or_else(|| panic!("{what}: no {call} of {path} in\n{trace}")).0
    };
    let order = [
        place("written", "writev", &temporary),
        place("synced", "fsync", &temporary),
        place("closed", "close", &temporary),
        place("renamed", if trace.contains(" renameat(") { "renameat" } else { "rename" }, &temporary),
        place("the folder is synced", "fsync", &target),
    ];
    assert!(order.is_sorted(), "{order:?} in\n{trace}");
}

/// How many batches the input has. Each is too large to wait for others.
const BATCHES: usize = 8;

fn input() -> (TempDir, PathBuf) {
    let folder = folder();
    let batches: Vec<_> = (0..).take(BATCHES).map(|number| batch(number, 10_000)).collect();
    let input = put(&folder, "in.arrow", &file(&batches));
    (folder, input)
}

#[track_caller]
fn assert_refused(done: &Output, told: &str, context: &str) {
    let line = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{context}: {:?}: {line}", done.status);
    assert!(line.lines().count() == 1 && line.contains(told), "{context}: {line}");
}

/// Runs a command with `error` at the first call of its kind, then at the second, and so on, until none is left. Returns
/// how many there were; strace counts them for each thread.
fn every_call(
    folder: &TempDir,
    command: &str,
    call: &str,
    error: &str,
    input: &Path,
    check: impl Fn(&Output, &Path),
) -> Option<usize> {
    let output = folder.path().join("out.arrow");
    for nth in 1.. {
        let inject = format!("inject={call}:error={error}:when={nth}");
        let (done, trace) = traced(folder, command, &["-e", &format!("trace={call}"), "-e", &inject], input, &output)?;
        if !trace.contains("(INJECTED)") {
            assert!(done.status.success(), "{}", text(&done.stderr));
            fs::remove_file(output).unwrap();
            return Some(nth - 1);
        }
        check(&done, &output);
    }
    unreachable!("a program makes so many calls and no more")
}

/// Runs a command under strace, and returns what it said and what strace saw. `None`, said aloud, where strace may not.
fn traced(folder: &TempDir, command: &str, flags: &[&str], input: &Path, output: &Path) -> Option<(Output, String)> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut strace = Command::new("strace");
    strace.arg("-f").arg("-o").arg(log.path()).args(flags).arg(env!("CARGO_BIN_EXE_arrow-ipc")).arg(command);
    strace.arg(input).arg("--output").arg(output).arg("--quiet").stdin(Stdio::null()).current_dir(folder.path());
    let done = strace.output().ok().filter(|_| may_trace());
    if done.is_none() {
        skipped("strace is missing, or may not trace");
    }
    Some((done?, fs::read_to_string(log.path()).unwrap()))
}

fn may_trace() -> bool {
    let traced = Command::new("strace").args(["-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    traced.is_ok_and(|status| status.success())
}
