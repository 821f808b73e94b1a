//! Allocations and calls, counted by a program of its own.
//!
//! That program is `ipc-bench-tally`, which lies beside this one: it has an allocator that counts.

use std::env;
use std::process::{Command, Stdio};

use crate::counts::{BATCHES, WARM_UP, Who};
use crate::sinks::Tally;
use crate::writers::{Setup, open_boxed};

/// What [`BATCHES`] batches cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tallied {
    /// Allocations, growing ones included.
    pub allocations: u64,
    /// Calls into the sink.
    pub calls: u64,
    /// Pieces in those calls.
    pub pieces: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Tallied {
    /// Counts here; `allocations` tells how many there have been so far.
    ///
    /// # Panics
    ///
    /// Where `setup` is about a data set.
    pub fn count(who: Who, setup: &Setup, allocations: impl Fn() -> u64) -> Self {
        let batches = setup.shape.batches().expect("what is counted is made here");
        let tally = Tally::default();
        let mut contender = open_boxed(who.way(), setup, &batches, tally.clone());
        contender.write(WARM_UP);
        let (before, allocated) = (tally.counted(), allocations());
        contender.write(BATCHES);
        let (allocated, after) = (allocations() - allocated, tally.counted());
        Self {
            allocations: allocated,
            calls: after.calls - before.calls,
            pieces: after.pieces - before.pieces,
            bytes: after.bytes - before.bytes,
        }
    }
}

/// Has the other program count.
///
/// # Panics
///
/// Where that program is not beside this one.
#[must_use]
pub fn ask(who: Who, setup: &Setup) -> Tallied {
    let program = env::current_exe().expect("this program knows where it is").with_file_name(PROGRAM);
    let output = Command::new(program).args([&setup.to_string(), who.name()]).stderr(Stdio::inherit()).output();
    let output = output.expect("ipc-bench-tally is built with ipc-bench");
    let text = String::from_utf8(output.stdout).expect("it prints numbers");
    let numbers: Vec<u64> = text.split_whitespace().map(|word| word.parse().expect("a number")).collect();
    let [allocations, calls, pieces, bytes] = numbers[..] else { panic!("ipc-bench-tally printed `{text}`") };
    Tallied { allocations, calls, pieces, bytes }
}

/// The program, as cargo names it.
const PROGRAM: &str = if cfg!(windows) { "ipc-bench-tally.exe" } else { "ipc-bench-tally" };
