//! Finds what tests need from outside the workspace: test data beside it, a Python with pyarrow, and strace. Where one
//! is missing, the test is skipped and says so on standard error.

use std::env;
use std::ffi::OsStr;
use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Returns the parent folder of the workspace's root, which may hold `shared`.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns a file or folder of the test data, such as `gold`: from `../shared/data`, or as `cargo xtask test-data`
/// makes it. If neither has it, prints that the test is skipped and returns `None`.
#[must_use]
pub fn data(name: &str) -> Option<PathBuf> {
    let places = [workspace().join("../shared/data"), workspace().join("target/test-data")];
    let path = places.iter().map(|place| place.join(name)).find(|path| path.exists());
    if path.is_none() {
        skipped(&format!("no test data at ../shared/data/{name}"));
    }
    path
}

/// Returns a Python that can import `modules`: the one that `IPC_TEST_PYTHON` names, else the workspace's `.venv`, else
/// `python3`. If it cannot, prints that the test is skipped and returns `None`.
#[must_use]
pub fn python(modules: &str) -> Option<PathBuf> {
    let venv = workspace().join(".venv/bin/python");
    let python = match env::var_os("IPC_TEST_PYTHON") {
        Some(python) => PathBuf::from(python),
        None if venv.exists() => venv,
        None => PathBuf::from("python3"),
    };
    let output = Command::new(&python).args(["-c", &format!("import {modules}")]).stderr(Stdio::null()).status();
    if output.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    skipped(&format!("no Python that can import {modules} (set IPC_TEST_PYTHON, or make a .venv beside Cargo.toml)"));
    None
}

/// A pair of files for the judge to compare.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The mode of comparison.
    pub flags: &'static str,
    /// The input; several are separated by commas.
    pub read: String,
    /// The output to compare with it.
    pub written: PathBuf,
}

impl Pair {
    /// Returns a pair whose output must have the batches of the input, one by one.
    #[must_use]
    pub fn by_batches(read: &Path, written: PathBuf) -> Self {
        Self { flags: "--batches", read: read.display().to_string(), written }
    }

    /// Returns such a pair that may hold values outside the range of their type.
    #[must_use]
    pub fn lax(self) -> Self {
        Self { flags: "--batches --lax", ..self }
    }
}

/// Judges all pairs with pyarrow, in one process, and returns the verdicts: `equal`, or the first difference. Prints
/// that the test is skipped, and returns `None`, without a Python that has pyarrow.
///
/// The judge is that of `../shared`, or else `compare.py`.
#[must_use]
pub fn judge(pairs: &[Pair]) -> Option<Vec<String>> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let judges = [workspace().join("../shared/tools/compare_ipc.py"), tests.join("compare.py")];
    let judge = judges.into_iter().find(|judge| judge.exists()).expect("one of them is in this package");
    let driver = tests.join("judge_many.py");
    let mut child = Command::new(python("pyarrow")?)
        .args([driver, judge])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let line = |pair: &Pair| format!("{}\t{}\t{}\n", pair.flags, pair.read, pair.written.display());
    let lines: String = pairs.iter().map(line).collect();
    child.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("the judge takes all pairs before it starts");
    let output = child.wait_with_output().expect("the judge ends");
    let verdicts: Vec<String> = String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect();
    assert!(output.status.success() && verdicts.len() == pairs.len(), "the judge gave {} verdicts", verdicts.len());
    Some(verdicts)
}

/// Runs `program` under strace with these flags. Returns its output and the trace. If strace is missing or may not
/// trace, prints that the test is skipped and returns `None`.
#[must_use]
pub fn strace(flags: &[&str], program: &[&OsStr]) -> Option<(Output, String)> {
    let may_trace = Command::new("strace").args(["-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    if !may_trace.is_ok_and(|status| status.success()) {
        skipped("strace is missing, or may not trace");
        return None;
    }
    let log = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    let mut strace = Command::new("strace");
    let done = strace.arg("-f").arg("-o").arg(log.path()).args(flags).args(program).output().expect("it has just run");
    Some((done, std::fs::read_to_string(log.path()).expect("strace has written its log")))
}

/// Prints that something was skipped.
pub fn skipped(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    aloud(format_args!("skipped: {test}: {reason}"));
}

/// Prints a line past the test harness, which hides the output of tests that pass.
pub fn aloud(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
