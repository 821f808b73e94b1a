//! Whatever a sink does, at whichever call of the encoder: what was confirmed is in the output once, none is there twice
//! or torn, and nothing follows torn bytes unless they were taken back.
//!
//! Each test has every fault at the first call of the sink, at the second, and so on until a run is clean, with and
//! without staging and compression, and says how many it tried. `shared_faults` does so for the shared writer.
//!
//! Fails where an error is taken for the end although no byte was written, where state changes before the bytes are out,
//! where a retry or a rollback repeats or loses bytes, or where a marker or a footer is put behind half a message.

use ipc_core::{FileFormat, StreamFormat};
use ipc_tests::faults::sweep::{Mending, every_call, some_calls};
use ipc_tests::faults::verdict::judge_with_pyarrow;
use ipc_tests::faults::writers::Alone;

#[test]
fn a_stream_survives_or_ends() {
    every_call::<Alone, StreamFormat>(Mending::None);
}

#[test]
fn a_file_survives_or_ends() {
    every_call::<Alone, FileFormat>(Mending::None);
}

#[test]
fn a_stream_goes_on_after_a_rollback() {
    every_call::<Alone, StreamFormat>(Mending::Rollback);
}

#[test]
fn a_file_goes_on_after_a_rollback() {
    every_call::<Alone, FileFormat>(Mending::Rollback);
}

#[test]
fn pyarrow_reads_what_is_whole() {
    let mut samples = Vec::new();
    for mending in [Mending::None, Mending::Rollback] {
        samples.extend(some_calls::<Alone, StreamFormat>(mending));
        samples.extend(some_calls::<Alone, FileFormat>(mending));
    }
    judge_with_pyarrow(&samples);
}
