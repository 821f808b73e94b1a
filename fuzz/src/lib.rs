//! Fuzz targets: what is to hold for any input, and how bytes become an input.
//!
//! Each target is a function of bytes that panics where something does not hold. Built with `--cfg fuzzing`, as cargo-fuzz
//! does, it is called by libFuzzer; built without, it is a program that replays the files and folders that it is given,
//! and a test replays the corpus. `cargo xtask fuzz` runs them all.
//!
//! - [`mod@round_trip`]: batches of any schema come back as they were, whatever the options.
//! - [`mod@options`]: options are refused when they are built, or work.
//! - [`mod@broken`]: arrays that contradict themselves are refused or written, and never followed out of their buffers.
//! - [`mod@recover`]: any bytes are listed and recovered, or refused.
//! - [`input`]: bytes to schemas, batches and options; [`tamper`]: arrays to broken ones.
//!
//! The corpus is kept small: inputs that a fuzzer needs long to find, and inputs that once failed.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a target that panics has found something")]

pub mod broken;
pub mod input;
pub mod options;
pub mod recover;
pub mod replay;
pub mod round_trip;
pub mod tamper;

/// The entry of a target: libFuzzer's, or that of a program that replays inputs.
#[cfg(fuzzing)]
#[macro_export]
macro_rules! target {
    ($run:path) => {
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $run(data));
    };
}

/// The entry of a target: libFuzzer's, or that of a program that replays inputs.
#[cfg(not(fuzzing))]
#[macro_export]
macro_rules! target {
    ($run:path) => {
        fn main() -> std::io::Result<()> {
            std::env::args_os().skip(1).try_for_each(|path| $crate::replay::replay(path.as_ref(), $run).map(drop))
        }
    };
}
