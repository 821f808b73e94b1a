//! Recovery and the list of messages take time in proportion to their input, however wide its schema.
//!
//! Fails where each message of an input looks at all of its schema, as an input with a dictionary for each of many
//! columns shows: it has as many messages as it has columns.
//!
//! `--release -- --ignored --nocapture` prints times beside those of arrow-rs's reader.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, RecordBatch};
use ipc_core::Options;
use ipc_recover::{Condition, Input, RecoverOptions, Source};
use ipc_tests::outside::aloud;
use ipc_tests::{encode, read};

use super::support::recover;

/// Two batches of `columns` dictionaries each, which a stream replaces between them.
fn batches(columns: usize) -> Vec<RecordBatch> {
    let batch = |word: &str| {
        let column = |_| Arc::new([word].into_iter().collect::<DictionaryArray<Int32Type>>()) as ArrayRef;
        let columns = (0..columns).map(column).enumerate();
        RecordBatch::try_from_iter(columns.map(|(number, column)| (format!("column {number}"), column))).unwrap()
    };
    vec![batch("Lima"), batch("Oslo")]
}

fn stream(columns: usize) -> Vec<u8> {
    let batches = batches(columns);
    encode::stream(&batches[0].schema(), &batches, &Options::default()).unwrap()
}

fn file(columns: usize) -> Vec<u8> {
    let batches = batches(columns);
    encode::file(&batches[0].schema(), &batches[..1], &Options::default()).unwrap()
}

fn recovered(bytes: &[u8]) {
    let (_, report) = recover(bytes, &RecoverOptions::default()).unwrap();
    assert_eq!(report.condition, Condition::Complete);
}

fn listed(bytes: &[u8]) {
    let mut input = Input::open(Source::from(bytes)).unwrap();
    while input.next().unwrap().is_some() {}
}

fn time(work: fn(&[u8]), bytes: &[u8]) -> Duration {
    let begin = Instant::now();
    work(bytes);
    begin.elapsed()
}

/// How many times as long `work` takes for the last of two inputs: the median of rounds that have both.
fn growth(work: fn(&[u8]), [small, large]: [&[u8]; 2]) -> f64 {
    let mut ratios: Vec<_> =
        (0..7).map(|_| time(work, large).as_secs_f64() / time(work, small).as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

#[test]
fn eight_times_the_columns_take_far_less_than_sixty_four_times_as_long() {
    for (name, make) in [("stream", stream as fn(usize) -> Vec<u8>), ("file", file)] {
        let [small, large] = [make(250), make(2_000)];
        for (what, work) in [("recover", recovered as fn(&[u8])), ("list", listed)] {
            let ratio = growth(work, [&small, &large]);
            assert!(ratio < 20.0, "{what} of a {name}: {ratio} times as long");
        }
    }
}

#[test]
#[ignore = "times mean nothing without --release, and with others at work"]
fn twice_the_columns_take_at_most_a_little_more_than_twice_as_long() {
    for (name, make) in [("stream", stream as fn(usize) -> Vec<u8>), ("file", file)] {
        let [small, large] = [make(5_000), make(10_000)];
        for (what, work) in [("recover", recovered as fn(&[u8])), ("list", listed)] {
            let ratio = growth(work, [&small, &large]);
            aloud(format_args!("{what} of a {name}: {:?} for 10,000 columns, {ratio:.2}", time(work, &large)));
            assert!(ratio < 2.3, "{what} of a {name}: {ratio} times as long");
        }
        let peer = |bytes: &[u8]| drop(if name == "file" { read::file(bytes) } else { read::stream(bytes) });
        let begin = Instant::now();
        peer(&large);
        let peer = begin.elapsed();
        aloud(format_args!("arrow-rs reads that {name} in {peer:?}"));
        assert!(time(recovered, &large) < peer * 2, "{name}");
    }
}
