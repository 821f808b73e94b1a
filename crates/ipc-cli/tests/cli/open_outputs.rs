//! An output that is an open file is written to from where it is, by whichever name it is called; nothing is replaced.

#![cfg(unix)]

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::{Command, Output, Stdio};

use arrow_ipc::reader::StreamReader;
use tempfile::TempDir;

use crate::support::{batch, file, folder, names, program, put, run, stream, text};

const BEFORE: &[u8] = b"what stands here already\n";

/// Merges the input `in.arrow` of the folder to `output`, as a shell with `redirections` runs it.
fn redirected(folder: &TempDir, output: &str, redirections: &str, further: &str) -> Output {
    put(folder, "in.arrow", &file(&[batch(1, 5), batch(2, 6)]));
    let line = format!("exec \"$0\" merge in.arrow --format stream --output {output} {further} {redirections}");
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).arg(env!("CARGO_BIN_EXE_arrow-ipc"));
    shell.stdin(Stdio::null()).current_dir(folder.path()).output().unwrap()
}

fn rows(bytes: &[u8]) -> usize {
    StreamReader::try_new(bytes, None).unwrap().map(|batch| batch.unwrap().num_rows()).sum()
}

/// Each name of an open file, opened for appending: what stands there stays, in the same file.
#[test]
fn what_an_open_file_holds_stays() {
    let names_of = |number: u32| {
        let own = format!("/proc/self/fd/{number}");
        [format!("/dev/fd/{number}"), own, format!("/proc/$$/fd/{number}"), "link".to_owned()]
    };
    let outputs: Vec<_> = [1, 3].into_iter().flat_map(|number| names_of(number).map(|name| (number, name))).collect();
    for (number, output) in outputs.into_iter().chain([(1, "/dev/stdout".to_owned()), (1, "-".to_owned())]) {
        if output.starts_with("/proc") && !cfg!(target_os = "linux") {
            continue;
        }
        let folder = folder();
        let target = put(&folder, "target", BEFORE);
        symlink(format!("/dev/fd/{number}"), folder.path().join("link")).unwrap();
        let inode = fs::metadata(&target).unwrap().ino();
        let before = names(folder.path()).len();
        let done = redirected(&folder, &output, &format!("{number}>>target"), "");
        assert!(done.status.success(), "{output}: {}", text(&done.stderr));
        let written = fs::read(&target).unwrap();
        assert!(written.starts_with(BEFORE), "{output}: {} bytes", written.len());
        assert_eq!(rows(&written[BEFORE.len()..]), 11, "{output}");
        assert_eq!(fs::metadata(&target).unwrap().ino(), inode, "{output}");
        assert_eq!(names(folder.path()).len(), before + 1, "{output}: only the input is new");
    }
}

/// Not opened for appending, it has a position.
#[test]
fn an_open_file_is_written_to_from_its_position() {
    for number in [1, 3] {
        let folder = folder();
        let path = format!("/dev/fd/{number}");
        let done = redirected(&folder, &path, &format!("{number}>target"), "");
        assert!(done.status.success(), "{}", text(&done.stderr));
        let line = format!(
            "{{ printf 'what stands here already\\n' >&{number}; exec \"$0\" merge in.arrow --format stream --output {path}; }} {number}>target"
        );
        let mut shell = Command::new("sh");
        shell.args(["-c", &line]).arg(env!("CARGO_BIN_EXE_arrow-ipc")).current_dir(folder.path());
        let done = shell.stderr(Stdio::piped()).output().unwrap();
        assert!(done.status.success(), "{}", text(&done.stderr));
        let written = fs::read(folder.path().join("target")).unwrap();
        assert!(written.starts_with(BEFORE), "{number}: {} bytes", written.len());
        assert_eq!(rows(&written[BEFORE.len()..]), 11, "{number}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_without_a_name_is_written_to() {
    let folder = folder();
    let input = put(&folder, "in.arrow", &file(&[batch(1, 5)]));
    let before = names(folder.path());
    for output in ["/dev/stdout", "/proc/self/fd/1", "-"] {
        let mut nameless = tempfile::tempfile_in(folder.path()).unwrap();
        let stdout = Stdio::from(nameless.try_clone().unwrap());
        let mut command = program();
        command.arg("merge").arg(&input).args(["--format", "stream", "--output", output]);
        let done = command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert!(done.status.success(), "{output}: {}", text(&done.stderr));
        nameless.seek(SeekFrom::Start(0)).unwrap();
        let read =
            StreamReader::try_new(&nameless, None).unwrap().map(|batch| batch.unwrap().num_rows()).sum::<usize>();
        assert_eq!(read, 5, "{output}");
        assert_eq!(names(folder.path()), before, "{output}: no file appears");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_open_for_reading_only_is_not_written_to() {
    let folder = folder();
    put(&folder, "target", BEFORE);
    let done = redirected(&folder, "/dev/fd/3", "3<target", "");
    let told = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{told}");
    assert!(told.contains("/dev/fd/3: is open for reading only"), "{told}");
    assert_eq!(fs::read(folder.path().join("target")).unwrap(), BEFORE);
}

/// It is no place for the summary, either.
#[test]
fn the_summary_stays_out_of_the_data_by_whichever_name() {
    for (output, redirections) in [("/dev/stdout", ""), ("/dev/fd/1", ""), ("/dev/fd/3", "3>&1")] {
        let folder = folder();
        let done = redirected(&folder, output, redirections, "--json");
        assert!(done.status.success(), "{output}: {}", text(&done.stderr));
        let said: serde_json::Value = serde_json::from_slice(&done.stderr).unwrap();
        assert_eq!((&said["rows"], rows(&done.stdout)), (&11.into(), 11), "{output}");
        assert!(done.stdout.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]), "{output}");
    }
}

#[test]
fn an_open_file_that_is_an_input_is_not_appended_to() {
    let folder = folder();
    let input = put(&folder, "a.arrows", &stream(&[batch(1, 4)]));
    let before = fs::read(&input).unwrap();
    for name in ["/dev/stdout", "/dev/fd/1"] {
        let appended = OpenOptions::new().append(true).open(&input).unwrap();
        let mut command = program();
        command.arg("merge").arg(&input).args(["--format", "stream", "--output", name]).stdout(appended);
        let done = command.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        let told = text(&done.stderr);
        assert!(told.contains("is also the output") && done.status.code() == Some(1), "{told}");
        assert_eq!(fs::read(&input).unwrap(), before);
    }
}

#[test]
fn a_standard_output_that_is_closed_is_an_error() {
    for output in ["-", "/dev/stdout", "/dev/fd/1"] {
        let folder = folder();
        let done = redirected(&folder, output, ">&-", "");
        let told = text(&done.stderr);
        assert_eq!((done.status.code(), told.lines().count()), (Some(1), 1), "{output}: {told}");
        assert!(told.contains("is closed"), "{output}: {told}");
    }
    let folder = folder();
    let done = redirected(&folder, "-", ">/dev/null", "");
    assert!(done.status.success(), "who wants nothing gets it: {}", text(&done.stderr));
}

#[test]
fn devices_and_named_pipes_stay_what_they_are() {
    let folder = folder();
    let input = put(&folder, "in.arrow", &file(&[batch(1, 5)]));
    let input = input.to_str().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = {
        let pipe = pipe.clone();
        std::thread::spawn(move || fs::read(pipe).unwrap())
    };
    let done = run(["merge", input, "--format", "stream", "--output", pipe.to_str().unwrap()]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(rows(&reader.join().unwrap()), 5);
    assert!(!fs::metadata(&pipe).unwrap().is_file());
    let done = run(["merge", input, "--format", "file", "--output", "/dev/null"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    assert!(File::options().write(true).open("/dev/null").unwrap().write_all(b"x").is_ok());
}
