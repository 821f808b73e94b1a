//! Counts what a writer allocates and how often it calls its sink: `ipc-bench-tally CASE ours|peer`.
//!
//! A program of its own, since its allocator counts, which costs those who allocate. It prints the allocations, the
//! calls, the pieces and the bytes of as many batches as [`ipc_bench::counts`] says.

use std::alloc::System;
use std::env;
use std::process::ExitCode;

use ipc_bench::counts::tally::Tallied;
use ipc_bench::counts::{Who, setup_named};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [case, who] = arguments.as_slice() else { return usage() };
    let who = [Who::Ours, Who::Peer].into_iter().find(|named| named.name() == who);
    let (Some(setup), Some(who)) = (setup_named(case), who) else { return usage() };
    let Tallied { allocations, calls, pieces, bytes } = Tallied::count(who, &setup, allocations);
    println!("{allocations} {calls} {pieces} {bytes}");
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: ipc-bench-tally CASE ours|peer");
    ExitCode::from(2)
}

fn allocations() -> u64 {
    let stats = ALLOCATOR.stats();
    (stats.allocations + stats.reallocations) as u64
}
