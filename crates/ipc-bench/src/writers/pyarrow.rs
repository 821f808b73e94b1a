//! pyarrow's writer, from threads, in a process of its own that is told how much to write and answers when it has.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use arrow_array::RecordBatch;
use ipc_core::Encoder;
use tempfile::TempDir;

use crate::codec::Codec;
use crate::sinks::Sink;
use crate::writers::{Contender, Setup};

/// A Python that can import pyarrow, and pyarrow's version: the one that `IPC_TEST_PYTHON` names, else the workspace's
/// `.venv`, else `python3`.
#[must_use]
pub fn version() -> Option<(PathBuf, String)> {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let python = match env::var_os("IPC_TEST_PYTHON") {
        Some(python) => PathBuf::from(python),
        None if venv.exists() => venv,
        None => PathBuf::from("python3"),
    };
    let output =
        Command::new(&python).args(["-c", "import pyarrow; print(pyarrow.__version__)"]).stderr(Stdio::null()).output();
    let output = output.ok().filter(|output| output.status.success())?;
    Some((python, String::from_utf8(output.stdout).ok()?.trim().to_owned()))
}

pub(super) fn open(setup: &Setup, batches: &[RecordBatch], folder: &Path) -> Option<Box<dyn Contender>> {
    Some(Box::new(Process::start(setup, batches, folder)?))
}

/// The file that it writes.
pub(super) fn written(setup: &Setup, batches: &[RecordBatch], folder: &Path, count: usize) -> Option<Vec<u8>> {
    let mut process = Process::start(&Setup { sink: Sink::NewFile, ..*setup }, batches, folder)?;
    process.write(count);
    Some(fs::read(process.folder.path().join(OUTPUT)).expect("pyarrow has written it"))
}

struct Process {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    folder: TempDir,
}

impl Process {
    fn start(setup: &Setup, batches: &[RecordBatch], folder: &Path) -> Option<Self> {
        let Some((python, _)) = version() else {
            eprintln!("skipped: {setup}: no Python that can import pyarrow");
            return None;
        };
        let folder = TempDir::new_in(folder).expect("the folder can be written to");
        let input = folder.path().join("input.arrows");
        write_input(&input, batches);
        let output = match setup.sink {
            Sink::Counting => PathBuf::from("-"),
            Sink::NewFile => folder.path().join(OUTPUT),
            other => {
                unreachable!("pyarrow writes to new files or counts, and there is no way to have it use a {other}")
            }
        };
        let codec = match setup.codec {
            Codec::Raw => "raw".to_owned(),
            Codec::Lz4 => "lz4".to_owned(),
            Codec::Zstd(level) => format!("zstd:{level}"),
        };
        let mut child = Command::new(python)
            .args(["-c", PROGRAM])
            .args([input, output])
            .args([setup.threads.to_string(), codec])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this Python has started before");
        let orders = child.stdin.take().expect("it is a pipe");
        let answers = BufReader::new(child.stdout.take().expect("it is a pipe"));
        Some(Self { child, orders, answers, folder })
    }
}

impl Contender for Process {
    fn write(&mut self, batches: usize) {
        writeln!(self.orders, "{batches}").expect("pyarrow listens");
        let answered = self.answers.read_line(&mut String::new()).expect("pyarrow answers");
        assert!(answered > 0, "pyarrow has given up");
    }

    fn close(self: Box<Self>) {
        let Self { mut child, orders, .. } = *self;
        drop(orders);
        child.wait().expect("pyarrow ends with its orders");
    }
}

fn write_input(path: &Path, batches: &[RecordBatch]) {
    let file = File::create(path).expect("the folder can be written to");
    let mut encoder = Encoder::stream(file).start(batches[0].schema()).expect("the disk has room");
    batches.iter().for_each(|batch| _ = encoder.write(batch).expect("the disk has room"));
    encoder.close().map_err(ipc_core::Error::from).expect("the disk has room");
}

const PROGRAM: &str = include_str!("pyarrow.py");

/// The file's name in a folder of its own.
const OUTPUT: &str = "output.arrow";
