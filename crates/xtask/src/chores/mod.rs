//! The chores, one file each.
//!
//! A chore has `Arguments`, whose documentation is its help, and `run(&Workspace, &Arguments)`. A chore that every
//! change needs is a step of [`mod@test`], unless it takes long or needs more than Rust and a C compiler.

pub(crate) mod bench;
pub(crate) mod counts;
pub(crate) mod coverage;
pub(crate) mod crash;
pub(crate) mod deny;
pub(crate) mod features;
pub(crate) mod fuzz;
pub(crate) mod loom;
pub(crate) mod mutants;
pub(crate) mod semver;
pub(crate) mod shuttle;
pub(crate) mod stress;
pub(crate) mod test;
pub(crate) mod test_data;
pub(crate) mod tsan;
pub(crate) mod valgrind;
