//! Inputs that tests make, and runs of the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use ipc_tests::outside;
pub(crate) use ipc_tests::outside::{Pair, data, python, skipped};
use tempfile::TempDir;

/// The program, ready for arguments.
pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_arrow-ipc"))
}

/// The program, which a Ctrl-C ends also if these tests were started with it ignored, as by a shell in the background:
/// the program would leave it ignored.
pub(crate) fn interruptible_program() -> Command {
    if cfg!(target_os = "linux") {
        let mut command = Command::new("env");
        command.args(["--default-signal=INT", env!("CARGO_BIN_EXE_arrow-ipc")]);
        command
    } else {
        program()
    }
}

/// Sends a signal such as `-INT`, and returns how the program ended.
pub(crate) fn told_to_stop(mut child: Child, signal: &str) -> ExitStatus {
    assert!(Command::new("kill").arg(signal).arg(child.id().to_string()).status().unwrap().success());
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(8) {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    panic!("the program goes on after {signal}");
}

/// Runs the program to its end.
pub(crate) fn run<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Output {
    program().args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Runs `merge INPUTS --output OUTPUT` with further arguments.
pub(crate) fn merge(inputs: &[&Path], output: &Path, further: &[&str]) -> Output {
    let mut command = program();
    command.arg("merge").args(inputs).arg("--output").arg(output).args(further).stdin(Stdio::null());
    command.output().unwrap()
}

/// Runs `merge`, which must succeed.
pub(crate) fn merge_well(inputs: &[&Path], output: &Path, further: &[&str]) {
    let output = merge(inputs, output, further);
    assert!(output.status.success(), "{inputs:?} {further:?}: {}", text(&output.stderr));
}

/// Runs `merge`, which must refuse in one line with status 1 and leave nothing in `folder` that was not there. Returns
/// the line.
pub(crate) fn merge_badly(folder: &Path, inputs: &[&Path], output: &Path, further: &[&str]) -> String {
    let before = names(folder);
    let done = merge(inputs, output, further);
    let told = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{inputs:?}: {told}");
    assert_eq!(told.lines().count(), 1, "one line: {told}");
    assert!(told.starts_with("arrow-ipc: ") && done.stdout.is_empty(), "{told}");
    assert_eq!(names(folder), before, "nothing is left behind");
    told
}

/// The names in a folder, hidden ones too.
pub(crate) fn names(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder that goes away with the test.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A batch of `rows` rows that say which batch they are of.
pub(crate) fn batch(number: i64, rows: usize) -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from_value(number, rows));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("{number}/{row}"))));
    RecordBatch::try_from_iter([("number", numbers), ("name", names)]).unwrap()
}

/// A batch with one dictionary column.
pub(crate) fn dictionary_batch(dictionary: &[&str], keys: &[i32]) -> RecordBatch {
    let values = Arc::new(StringArray::from_iter_values(dictionary));
    let cities = DictionaryArray::<Int32Type>::new(keys.to_vec().into(), values);
    RecordBatch::try_from_iter([("city", Arc::new(cities) as ArrayRef)]).unwrap()
}

/// A stream as arrow's writer makes it.
pub(crate) fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), batches[0].schema_ref()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

/// A file as arrow's writer makes it.
pub(crate) fn file(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = FileWriter::try_new(Vec::new(), batches[0].schema_ref()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

/// A small input that once was got wrong; `tests/cases` has them all.
pub(crate) fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases").join(name)
}

/// Puts bytes into a file of a folder.
pub(crate) fn put(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// All batches of a file or a stream, as arrow's reader sees them.
pub(crate) fn read(path: &Path) -> Vec<RecordBatch> {
    let bytes = fs::read(path).unwrap();
    if bytes.starts_with(b"ARROW1") {
        FileReader::try_new(std::io::Cursor::new(bytes), None).unwrap().map(Result::unwrap).collect()
    } else {
        StreamReader::try_new(bytes.as_slice(), None).unwrap().map(Result::unwrap).collect()
    }
}

/// What `inspect --json` says, and whether it was content.
pub(crate) fn inspect(path: &Path) -> (serde_json::Value, bool) {
    let output = program().args(["inspect", "--json"]).arg(path).output().unwrap();
    let said = serde_json::from_slice(&output.stdout);
    (said.unwrap_or_else(|error| panic!("{path:?}: {error}: {}", text(&output.stderr))), output.status.success())
}

/// Has pyarrow judge all pairs, in one process. Panics with all that differ.
pub(crate) fn judge(pairs: &[Pair]) {
    let Some(verdicts) = outside::judge(pairs) else { return };
    let differ: Vec<_> = verdicts
        .iter()
        .zip(pairs)
        .filter(|(verdict, _)| *verdict != "equal")
        .map(|(verdict, pair)| format!("{} -> {}: {verdict}", pair.read, pair.written.display()))
        .collect();
    assert!(differ.is_empty(), "{} of {} differ:\n{}", differ.len(), pairs.len(), differ.join("\n"));
}
