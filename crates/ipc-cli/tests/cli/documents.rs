//! The commands of the README and of the guide, as they are printed there.
//!
//! Each page gets a folder with the sample inputs, in which its `sh` blocks run one after the other. `cargo run ... -p
//! ipc-cli --` is the program under test; `cargo add` and `cargo install` do nothing here.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{folder, program, python, text};

/// Stands for cargo: runs what is built already, and installs nothing.
const CARGO: &str = r#"#!/bin/sh
case "$*" in
    "run --release -p ipc-cli -- "*) shift 5; exec arrow-ipc "$@" ;;
    "add "* | "install --path crates/ipc-cli") exit 0 ;;
    *) echo "no such command in the tests: cargo $*" >&2; exit 1 ;;
esac
"#;

#[test]
fn every_command_of_the_documents_works_as_printed() {
    let mut pages = vec![root().join("README.md")];
    pages.extend(fs::read_dir(root().join("docs/guide/src")).unwrap().map(|entry| entry.unwrap().path()));
    let mut run_pages = 0;
    for page in pages {
        let script = commands(&fs::read_to_string(&page).unwrap());
        if script.is_empty() {
            continue;
        }
        run_pages += 1;
        let place = folder();
        prepare(place.path());
        let done = run(place.path(), &script);
        assert!(done.status.success(), "{}: {}\n{}", page.display(), text(&done.stdout), text(&done.stderr));
    }
    assert!(run_pages >= 5, "{run_pages} pages have commands");
}

/// What the README says of the file that its commands make.
#[test]
fn the_first_two_commands_end_with_a_file_that_inspect_and_pyarrow_show() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let place = folder();
    prepare(place.path());
    let shown = run(place.path(), &commands(&readme));
    let shown = text(&shown.stdout);
    assert!(shown.contains("18 rows in 6 record batches") && shown.contains("complete"), "{shown}");
    let Some(python) = python("pyarrow") else { return };
    let line =
        readme.split("`python3 -c \"").nth(1).and_then(|rest| rest.split("\"`").next()).expect("a line for pyarrow");
    let read = Command::new(python).args(["-c", &line.replace('\n', " ")]).current_dir(place.path()).output().unwrap();
    let table = text(&read.stdout);
    assert!(table.contains("celsius: double") && table.contains("\"Lima\""), "{table}{}", text(&read.stderr));
}

/// The `sh` blocks of a page, as one script.
fn commands(page: &str) -> String {
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap_or(rest));
    blocks.collect::<Vec<_>>().concat()
}

fn run(folder: &Path, script: &str) -> std::process::Output {
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
    Command::new("sh")
        .args(["-euc", script])
        .env("PATH", path)
        .env("CLONE", root())
        .current_dir(folder)
        .output()
        .unwrap()
}

/// Puts the sample inputs and the commands into a folder.
fn prepare(folder: &Path) {
    let data = folder.join("examples/data");
    fs::create_dir_all(&data).unwrap();
    for entry in fs::read_dir(root().join("examples/data")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), data.join(entry.file_name())).unwrap();
    }
    let bin = folder.join("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(program().get_program(), bin.join("arrow-ipc")).unwrap();
    fs::write(bin.join("cargo"), CARGO).unwrap();
    fs::set_permissions(bin.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
