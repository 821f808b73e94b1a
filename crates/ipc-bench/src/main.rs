//! Ours, a peer and the floor side by side: `cargo run --release -p ipc-bench`.
//!
//! Each line compares two ways to write the same batches. They run in turn, round by round, so that a change in the
//! machine's speed meets both; the figure is the median of the rounds' ratios, with the middle half beside it. A third
//! contender, ours once more, is the control: how far it is from 1 is how far to trust the line.
//!
//! - [`batches`]: what is written.
//! - [`measure`]: how two ways are compared.
//! - [`sinks`]: where it is written to.
//! - [`encode`], [`files`], [`codecs`], [`threads`]: the lines, by what they are about.
//!
//! Arguments, if any, choose the lines whose names contain one of them. `--quick` runs fewer rounds.

mod batches;
mod codecs;
mod encode;
mod files;
mod measure;
mod sinks;
mod threads;

use crate::measure::Bench;

fn main() {
    let (flags, filters): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let mut bench = Bench::new(filters, flags.iter().any(|flag| flag == "--quick"));
    encode::run(&mut bench);
    files::run(&mut bench);
    codecs::run(&mut bench);
    threads::run(&mut bench);
    bench.report();
}
