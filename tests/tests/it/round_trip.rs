//! Batches come back unchanged: every type, nested and sliced, as stream and as file, with any options.
//!
//! Fails where a buffer is cut, shifted, rebased, padded or compressed wrongly, a field node counts wrongly, a
//! dictionary is left out or sent to the wrong field, or the schema loses anything.

use ipc_core::DictionaryHandling::{Delta, Resend};
use ipc_core::Options;
use ipc_tests::arrays::Sharing::{self, Changing, Equal, Growing, Shared};
use ipc_tests::batches::{Batches, arb_batches};
use ipc_tests::cases::cases;
use ipc_tests::options::arb_options;
use ipc_tests::value::assert_same_batches;
use ipc_tests::{encode, read};
use proptest::prelude::proptest;

const ANY: &[Sharing] = &[Shared, Equal, Growing, Changing];
/// A file has one dictionary per field.
const UNCHANGED: &[Sharing] = &[Shared, Equal];
/// A file's dictionaries may grow.
const GROWING: &[Sharing] = &[Shared, Equal, Growing];

#[track_caller]
fn assert_comes_back(batches: &Batches, found: &read::Contents) {
    assert_eq!(batches.schema, found.schema);
    assert_same_batches(&batches.batches, &found.batches);
}

fn check_stream(batches: &Batches, options: &Options) {
    let bytes = encode::stream(&batches.schema, &batches.batches, options).unwrap();
    assert_comes_back(batches, &read::stream(&bytes).unwrap());
}

fn check_file(batches: &Batches, options: &Options) {
    let bytes = encode::file(&batches.schema, &batches.batches, options).unwrap();
    assert_comes_back(batches, &read::file(&bytes).unwrap());
    assert_comes_back(batches, &read::stream(&bytes[8..]).unwrap());
}

proptest! {
    #![proptest_config(cases(700))]

    #[test]
    fn a_stream_comes_back(batches in arb_batches(ANY), options in arb_options(Resend)) {
        check_stream(&batches, &options);
    }

    #[test]
    fn a_stream_with_deltas_comes_back(batches in arb_batches(ANY), options in arb_options(Delta)) {
        check_stream(&batches, &options);
    }

    #[test]
    fn a_file_comes_back_and_is_a_stream_too(batches in arb_batches(UNCHANGED), options in arb_options(Resend)) {
        check_file(&batches, &options);
    }

    #[test]
    fn a_file_with_deltas_comes_back_and_is_a_stream_too(
        batches in arb_batches(GROWING),
        options in arb_options(Delta),
    ) {
        check_file(&batches, &options);
    }
}
