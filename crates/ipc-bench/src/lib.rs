//! Ours, the peers and the floor, side by side: what `cargo xtask bench` runs, and the counts that gate a change.
//!
//! Each line of the report compares two ways to write the same batches, in one run, in turn. Nothing is tuned to it:
//! options are the defaults unless a line names them.
//!
//! - [`batches`], [`codec`], [`sinks`]: what is written, how, and where to.
//! - [`writers`]: by whom; [`read_back`] checks that all of them write what they were given.
//! - [`measure`] and [`figure`]: how two ways are compared, and what comes out.
//! - [`lines`]: the lines that compare times, as tables.
//! - [`dictionaries`]: unified ones, which no peer has.
//! - [`latency`], [`probes`], [`growth`]: the unluckiest writes, memory, and how the cost rises with the work.
//! - [`locks`]: the lock of the shared writer by itself.
//! - [`counts`]: allocations, calls and instructions, and the stored baseline that a change is judged by.
//! - [`report`]: what a run leaves behind.
//!
//! # Adding lines
//!
//! A combination of what is here already is an entry in [`lines`]. Anything else is a file with a function that takes
//! a [`Bench`](measure::Bench) and gives it two closures, each of which does its work so many times:
//!
//! ```
//! use ipc_bench::figure::{Line, Metric};
//! use ipc_bench::measure::{Bench, Effort};
//!
//! fn run(bench: &mut Bench) {
//!     let line = Line::new("sums of 100 numbers", Metric::Time, "a loop").at_least(1.0);
//!     bench.compare(
//!         line,
//!         |times| (0..times).for_each(|_| _ = std::hint::black_box((0..100).sum::<u32>())),
//!         |times| (0..times).for_each(|_| (0..100).for_each(|i| _ = std::hint::black_box(i))),
//!     );
//! }
//!
//! let mut bench = Bench::new(Effort::Smoke, Vec::new(), std::path::Path::new("."));
//! run(&mut bench);
//! assert_eq!(bench.figures().len(), 1);
//! ```

#![forbid(unsafe_code)]

pub mod batches;
pub mod codec;
pub mod counts;
pub mod dictionaries;
pub mod figure;
pub mod growth;
pub mod latency;
pub mod lines;
pub mod locks;
pub mod measure;
pub mod probes;
pub mod read_back;
pub mod report;
pub mod sinks;
pub mod writers;
