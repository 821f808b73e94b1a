//! The progress bar is there for whom it is meant: a person at a terminal who did not ask for silence.

use std::process::Command;

use crate::support::{batch, folder, merge, put, python, stream, text};

/// Runs a command with a terminal for its standard error, and prints what it wrote there.
const AT_A_TERMINAL: &str = "
import os, pty, subprocess, sys
ours, theirs = pty.openpty()
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
os.close(theirs)
said = b''
while True:
    try:
        piece = os.read(ours, 4096)
    except OSError:
        break
    if not piece:
        break
    said += piece
sys.stdout.buffer.write(said)
sys.exit(child.wait())
";

#[test]
fn a_terminal_sees_a_bar_and_nobody_else_does() {
    let folder = folder();
    let batches: Vec<_> = (0..200).map(|i| batch(i, 1000)).collect();
    let input = put(&folder, "in.arrows", &stream(&batches));
    let output = folder.path().join("out.arrow");

    let unseen = merge(&[&input], &output, &[]);
    assert!(unseen.status.success());
    assert_eq!(text(&unseen.stderr).lines().count(), 1, "the summary, and no bar where standard error is no terminal");

    let Some(python) = python("pty") else { return };
    let at_a_terminal = |further: &[&str]| {
        let mut command = Command::new(&python);
        command.args(["-c", AT_A_TERMINAL, env!("CARGO_BIN_EXE_arrow-ipc"), "merge"]);
        let done = command.arg(&input).arg("--output").arg(&output).args(further).output().unwrap();
        assert!(done.status.success(), "{}", text(&done.stderr));
        text(&done.stdout)
    };
    let seen = at_a_terminal(&[]);
    assert!(seen.contains(" %  ") && seen.contains("left"), "a bar with a share and a time: {seen:?}");
    assert_eq!(at_a_terminal(&["--quiet"]), "", "no bar where silence was asked for");
}
