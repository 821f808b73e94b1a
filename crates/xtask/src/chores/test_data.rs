//! `cargo xtask test-data`: makes, with pyarrow, the test data that a clone lacks and that can be made.
//!
//! Tests look for it in `../shared/data` first, where there may be more: files of arrow-testing, data sets of others.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Makes test data in `target/test-data`: each feature of the format, and four larger sets.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {}

/// Runs the script that makes it.
pub(crate) fn run(workspace: &Workspace, _: &Arguments) -> Result<()> {
    let python = python(workspace);
    let has_pyarrow = Command::new(&python).args(["-c", "import pyarrow"]).stderr(Stdio::null()).status();
    if !has_pyarrow.is_ok_and(|status| status.success()) {
        let install = "python3 -m venv .venv && .venv/bin/python -m pip install -r tests/requirements.txt";
        return Err(Error::Missing { tool: "a Python with pyarrow", install: install.to_owned() });
    }
    let folder = workspace.root().join("target/test-data");
    let mut make = Command::new(&python);
    make.arg(workspace.root().join("tests/make_data.py")).arg(&folder).stdin(Stdio::null());
    let command = format!("{} tests/make_data.py {}", python.display(), folder.display());
    println!("$ {command}");
    match make.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::Exit { command, status }),
        Err(source) => Err(Error::Start { command, source }),
    }
}

/// The Python that the tests use, too.
fn python(workspace: &Workspace) -> PathBuf {
    let venv = workspace.root().join(".venv/bin/python");
    match env::var_os("IPC_TEST_PYTHON") {
        Some(python) => python.into(),
        None if venv.exists() => venv,
        None => "python3".into(),
    }
}
