//! Whatever a sink does, at whichever call of one thread or of four: what was confirmed is in the output once, none is
//! there twice or torn, nothing follows torn bytes unless they were taken back, and every thread returns.
//!
//! Each test has every fault at the first call of the sink, at the second, and so on until a run is clean, with and
//! without staging and compression, and says how many it tried. `encoder_faults` does so for the encoder.
//!
//! Fails in the same cases, and if a thread keeps sleeping or gets an error other than the first.

use ipc_shared::{FileFormat, StreamFormat};
use ipc_tests::faults::sweep::{Mending, every_call, some_calls};
use ipc_tests::faults::verdict::judge_with_pyarrow;
use ipc_tests::faults::writers::{Reserving, Together};

#[test]
fn a_stream_of_one_thread_survives_or_ends() {
    every_call::<Together<1>, StreamFormat>(Mending::None);
}

#[test]
fn a_file_of_one_thread_survives_or_ends() {
    every_call::<Together<1>, FileFormat>(Mending::None);
}

#[test]
fn a_stream_of_one_thread_goes_on_after_a_rollback() {
    every_call::<Together<1>, StreamFormat>(Mending::Rollback);
}

#[test]
fn a_file_of_one_thread_goes_on_after_a_rollback() {
    every_call::<Together<1>, FileFormat>(Mending::Rollback);
}

#[test]
fn a_stream_of_four_threads_survives_or_ends() {
    every_call::<Together<4>, StreamFormat>(Mending::None);
}

#[test]
fn a_file_of_four_threads_survives_or_ends() {
    every_call::<Together<4>, FileFormat>(Mending::None);
}

#[test]
fn a_stream_of_four_threads_goes_on_after_a_rollback() {
    every_call::<Together<4>, StreamFormat>(Mending::Rollback);
}

#[test]
fn a_file_of_four_threads_goes_on_after_a_rollback() {
    every_call::<Together<4>, FileFormat>(Mending::Rollback);
}

#[test]
fn places_of_one_thread_in_a_stream_survive_or_end() {
    every_call::<Reserving<1>, StreamFormat>(Mending::None);
}

#[test]
fn places_of_one_thread_in_a_file_survive_or_end() {
    every_call::<Reserving<1>, FileFormat>(Mending::None);
}

#[test]
fn places_of_one_thread_in_a_stream_go_on_after_a_rollback() {
    every_call::<Reserving<1>, StreamFormat>(Mending::Rollback);
}

#[test]
fn places_of_one_thread_in_a_file_go_on_after_a_rollback() {
    every_call::<Reserving<1>, FileFormat>(Mending::Rollback);
}

#[test]
fn places_of_four_threads_in_a_stream_survive_or_end() {
    every_call::<Reserving<4>, StreamFormat>(Mending::None);
}

#[test]
fn places_of_four_threads_in_a_file_survive_or_end() {
    every_call::<Reserving<4>, FileFormat>(Mending::None);
}

#[test]
fn places_of_four_threads_in_a_stream_go_on_after_a_rollback() {
    every_call::<Reserving<4>, StreamFormat>(Mending::Rollback);
}

#[test]
fn places_of_four_threads_in_a_file_go_on_after_a_rollback() {
    every_call::<Reserving<4>, FileFormat>(Mending::Rollback);
}

#[test]
fn pyarrow_reads_what_is_whole() {
    let mut samples = Vec::new();
    for mending in [Mending::None, Mending::Rollback] {
        samples.extend(some_calls::<Together<1>, FileFormat>(mending));
        samples.extend(some_calls::<Together<4>, StreamFormat>(mending));
        samples.extend(some_calls::<Together<4>, FileFormat>(mending));
        samples.extend(some_calls::<Reserving<4>, StreamFormat>(mending));
        samples.extend(some_calls::<Reserving<4>, FileFormat>(mending));
    }
    judge_with_pyarrow(&samples);
}
