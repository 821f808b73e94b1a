//! Instructions, counted by valgrind's callgrind: this program runs as its child, twice.
//!
//! One run writes more batches than the other. What the two share, start and preparation, cancels out, so nothing
//! depends on the names of functions or on what the optimiser makes of them.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::counts::{WARM_UP, Who};
use crate::writers::{Setup, open};

/// By how many batches the runs differ.
const BATCHES: usize = 512;

/// Whether callgrind is installed; says so where it is not.
#[must_use]
pub fn is_here() -> bool {
    let found = Command::new(VALGRIND).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        eprintln!("skipped: instructions: no valgrind here");
    }
    found
}

/// Instructions for one batch.
///
/// # Panics
///
/// Where callgrind does not tell.
#[must_use]
pub fn instructions(who: Who, setup: &Setup) -> u64 {
    let [few, many] = [WARM_UP, WARM_UP + BATCHES].map(|batches| total(who, setup, batches));
    (many - few) / BATCHES as u64
}

/// What the child does: writes so many batches to a sink that counts.
///
/// # Panics
///
/// Where `setup` is about a data set.
pub fn repeat(who: Who, setup: &Setup, batches: usize) {
    let made = setup.shape.batches().expect("what is counted is made here");
    let contender = open(who.way(), setup, &made, Path::new("."));
    contender.expect("every system can count").write(batches);
}

fn total(who: Who, setup: &Setup, batches: usize) -> u64 {
    let program = env::current_exe().expect("this program knows where it is");
    let output = Command::new(VALGRIND)
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["repeat", &setup.to_string(), who.name(), &batches.to_string()])
        .output()
        .expect("valgrind has started before");
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = collected.unwrap_or_else(|| panic!("callgrind tells no count of {setup}: {report}"));
    count.trim().parse().expect("callgrind counts in numbers")
}

const VALGRIND: &str = "valgrind";
