//! Dictionaries are decided on what has really been sent: a plan that others have overtaken is made anew.
//!
//! Fails where a batch is appended with the plan of another moment (it reads back with another thread's values), where
//! a stale plan is carried out by sending everything again, or where a dictionary inside another one's values changes
//! without the outer one being sent again.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, Schema};
use ipc_shared::{Compression, DictionaryHandling, StreamFormat};
use ipc_tests::shared::{Output, Words, batch, encoded, marks, sorted_marks, unstaged_with};
use ipc_tests::threads::{at_every_width, together};

use super::in_both_formats;

in_both_formats!(equal_dictionaries_of_many_threads_are_sent_once, a_dictionary_that_grows_is_extended);

const HANDLINGS: [DictionaryHandling; 2] = [DictionaryHandling::Resend, DictionaryHandling::Delta];

#[test]
fn every_batch_of_a_stream_has_its_own_values() {
    at_every_width(|threads| {
        for handling in HANDLINGS {
            let writer =
                StreamFormat::to(Vec::new()).options(unstaged_with(Compression::None, handling)).build().unwrap();
            together(threads, |thread| {
                for number in 0..12 {
                    writer.write(&batch(Words::Own, (thread, number))).unwrap();
                }
            });
            let stats = writer.close().unwrap().stats;
            assert_eq!(stats.dictionary_batches, 12 * threads as u64, "each differs from the one before it");
            let expected: Vec<_> = (0..threads).flat_map(|thread| (0..12).map(move |n| (thread, n))).collect();
            assert_eq!(sorted_marks(Words::Own, &StreamFormat::whole(&writer.into_inner().unwrap())), expected);
        }
    });
}

fn equal_dictionaries_of_many_threads_are_sent_once<F: Output>(threads: usize) {
    for round in 0..20 {
        let handling = HANDLINGS[round % 2];
        let writer = F::to(Vec::new()).options(unstaged_with(Compression::None, handling)).build().unwrap();
        together(threads, |thread| writer.write(&batch(Words::Equal, (thread, round))).unwrap());
        assert_eq!(writer.close().unwrap().stats.dictionary_batches, 1);
        let found = sorted_marks(Words::Equal, &F::whole(&writer.into_inner().unwrap()));
        assert_eq!(found, (0..threads).map(|thread| (thread, round)).collect::<Vec<_>>());
    }
}

/// Each thread writes what it knows by then: threads that are behind use the first values of what has been sent.
fn a_dictionary_that_grows_is_extended<F: Output>(threads: usize) {
    let options = unstaged_with(Compression::None, DictionaryHandling::Delta);
    let writer = F::to(Vec::new()).options(options).build().unwrap();
    let of = |thread: usize, number: usize| {
        let plain = batch(Words::Equal, (thread, number));
        let words = encoded(plain.num_rows(), (0..=number).map(|word| format!("word {word}")));
        RecordBatch::try_new(plain.schema(), vec![plain.column(0).clone(), plain.column(1).clone(), words]).unwrap()
    };
    together(threads, |thread| (0..10).for_each(|number| _ = writer.write(&of(thread, number)).unwrap()));
    let stats = writer.close().unwrap().stats;
    // In a stream, a thread that has been overtaken twice sends all that it knows, and so may replace.
    if F::HAS_FOOTER {
        assert_eq!((stats.replacements, stats.deltas + 1), (0, stats.dictionary_batches));
        assert!(stats.dictionary_batches <= 10, "no value is sent twice");
    }
    let found = F::whole(&writer.into_inner().unwrap());
    let mut expected: Vec<_> = (0..threads).flat_map(|thread| (0..10).map(move |n| (thread, n))).collect();
    for batch in &found {
        let place = expected.iter().position(|&(thread, number)| batch == &of(thread, number));
        expected.remove(place.expect("a batch that was written, once"));
    }
    assert!(expected.is_empty());
}

/// A dictionary whose values are structs with a dictionary inside; `inner` says which words that one has.
fn nested(thread: usize, inner: usize) -> RecordBatch {
    let words = encoded(4, (0..4).map(|word| format!("word {word} of {inner}")));
    let fields = vec![Field::new("inner", words.data_type().clone(), true)];
    let values = StructArray::new(fields.into(), vec![words], None);
    let keys = Int32Array::from_iter_values((0..8).map(|row| (row + i32::try_from(thread).unwrap()) % 4));
    let outer: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(values)));
    let fields =
        vec![Field::new("thread", DataType::Int32, false), Field::new("outer", outer.data_type().clone(), true)];
    let thread = Arc::new(Int32Array::from(vec![i32::try_from(thread).unwrap(); 8]));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![thread, outer]).unwrap()
}

#[test]
fn nested_dictionaries_are_bound_anew() {
    at_every_width(|threads| {
        let writer = StreamFormat::to(Vec::new()).build().unwrap();
        // Threads share inner words in pairs, so that now one part of a plan holds and now the other.
        together(threads, |thread| (0..6).for_each(|_| _ = writer.write(&nested(thread, thread / 2)).unwrap()));
        writer.close().unwrap();
        let found = StreamFormat::whole(&writer.into_inner().unwrap());
        for thread in 0..threads {
            let expected = nested(thread, thread / 2);
            let same = found.iter().filter(|batch| {
                ipc_tests::value::value(&batch.column(0), 0) == ipc_tests::value::value(&expected.column(0), 0)
            });
            let same: Vec<_> = same.cloned().collect();
            ipc_tests::value::assert_same_batches(&vec![expected; 6], &same);
        }
    });
}

/// The same array in every batch is not even compared, and a slice of it, or another wrapping of it, is the same.
#[test]
fn one_array_in_all_batches_is_sent_once() {
    at_every_width(|threads| {
        let writer = StreamFormat::to(Vec::new()).build().unwrap();
        let shared = batch(Words::Own, (0, 0));
        together(threads, |_| (0..5).for_each(|_| _ = writer.write(&shared).unwrap()));
        assert_eq!(writer.close().unwrap().stats.dictionary_batches, 1);
        let found = marks(Words::Own, &StreamFormat::whole(&writer.into_inner().unwrap()));
        assert_eq!(found, vec![(0, 0); 5 * threads]);
    });
}
