//! Writing a batch allocates nothing, once the encoder has seen its largest: every type, sliced or not, compressed or
//! not, as long as dictionaries do not change.
//!
//! Fails where a walk slices an array or asks for its `to_data()`, where a codec makes its context anew, or where a
//! vector is dropped instead of kept.
//!
//! A file remembers 24 bytes per batch for its footer, in a list that doubles when it is full. That is the one thing
//! allowed here, and it is counted.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray, make_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_data::{ArrayData, ArrayDataBuilder};
use arrow_schema::{DataType, Field, Metadata, Schema};
use ipc_core::parts::Comparison;
use ipc_core::parts::{
    AddedValues, BatchEncoder, NewValues, Sending, SentDictionaries, StreamSchema, UnifiedDictionaries,
    UnifiedSnapshot, UnifiedStore,
};
use ipc_core::{Compression, Encoder, Error, FileFormat, Format, Options, Unify, Unstarted};
use ipc_tests::allocations;
use ipc_tests::arrays::{Sharing, has_dictionary};
use ipc_tests::batches::{Batches, Plan, every_kind};
use ipc_tests::sink::Counting;

const COMPRESSIONS: [Compression; 3] = [Compression::None, Compression::Lz4, Compression::Zstd(1)];

/// Returns batches with columns of `fields`, of very different sizes, whole and sliced, in the order of encoding.
fn batches_of(fields: Vec<Field>) -> Vec<RecordBatch> {
    let rows = vec![700, 0, 1, 40];
    let plan = Plan { fields, metadata: Metadata::new(), rows, sharing: Sharing::Shared, seed: 3 };
    let batches = Batches::new(plan).batches;
    let slices = batches.iter().map(|batch| batch.slice(batch.num_rows() / 7, batch.num_rows() / 2));
    slices.chain(batches.iter().cloned()).collect()
}

/// Whether this is a dictionary inside a run-end encoded array, which gets a new array around the same buffers in each
/// batch.
fn is_rewrapped(field: &Field) -> bool {
    matches!(field.data_type(), DataType::RunEndEncoded(_, values) if has_dictionary(values.data_type()))
}

fn batches() -> Vec<RecordBatch> {
    batches_of(every_kind().into_iter().filter(|field| !is_rewrapped(field)).collect())
}

/// Allocations that writing `batches` over and over makes after the second round, and how many batches that were.
fn allocations_after_warm_up<F: Format>(
    encoder: Encoder<Counting, F, Unstarted>,
    batches: &[RecordBatch],
    rounds: usize,
) -> (u64, usize) {
    let mut encoder = encoder.start(batches[0].schema()).unwrap();
    let mut round = || batches.iter().for_each(|batch| _ = encoder.write(batch).unwrap());
    (0..2).for_each(|_| round());
    let ((), allocations, _) = allocations::count(|| (0..rounds).for_each(|_| round()));
    (allocations, rounds * batches.len())
}

#[test]
fn the_counter_counts() {
    let (vec, allocations, bytes) = allocations::count(|| vec![0u8; 1000]);
    assert_eq!((vec.len(), allocations, bytes), (1000, 1, 1000));
}

#[test]
fn a_stream_allocates_nothing_per_batch() {
    let batches = batches();
    for compression in COMPRESSIONS {
        for (staging, checksums) in [(false, false), (true, false), (false, true), (true, true)] {
            let options = Options::builder().compression(compression).staging(staging).checksums(checksums);
            let encoder = Encoder::stream(Counting::default()).with_options(options.build().unwrap());
            let (allocations, _) = allocations_after_warm_up(encoder, &batches, 5);
            assert_eq!(allocations, 0, "{compression:?}, staging {staging}, checksums {checksums}");
        }
    }
}

#[test]
fn a_schema_that_is_equal_but_another_costs_nothing() {
    let batches = batches();
    let schema = Schema::clone(&batches[0].schema());
    let mut encoder = Encoder::stream(Counting::default()).start(schema).unwrap();
    let mut round = || batches.iter().for_each(|batch| _ = encoder.write(batch).unwrap());
    (0..2).for_each(|_| round());
    let ((), allocations, _) = allocations::count(round);
    assert_eq!(allocations, 0);
}

#[test]
fn a_dictionary_with_the_same_buffers_in_another_array_costs_nothing() {
    let batches = batches_of(every_kind().into_iter().filter(is_rewrapped).collect());
    let encoder = Encoder::stream(Counting::default());
    let (allocations, _) = allocations_after_warm_up(encoder, &batches, 5);
    assert_eq!(allocations, 0);
}

/// Readers wrap the same memory in new arrays for each batch. A comparison of values would first need `ArrayData`.
#[test]
fn values_of_any_type_in_the_same_buffers_are_the_same_without_a_look_at_them() {
    for batch in batches_of(every_kind()) {
        for (field, values) in batch.schema().fields().iter().zip(batch.columns()) {
            let again = make_array(values.to_data());
            let (found, allocations, _) = allocations::count(|| Comparison::of(values, &again).unwrap());
            assert_eq!((found, allocations), (Comparison::Same, 0), "{field}");
            for elsewhere in with_one_buffer_copied(&values.to_data()) {
                let elsewhere = make_array(elsewhere);
                let (found, allocations, _) = allocations::count(|| Comparison::of(values, &elsewhere).unwrap());
                // There is nothing to allocate for a struct of no fields.
                let is_looked_at = allocations > 0 || matches!(field.data_type(), DataType::Struct(f) if f.is_empty());
                assert!(found == Comparison::Same && is_looked_at, "{field}: each buffer counts");
            }
        }
    }
}

/// The same data as often as it has buffers, each time with another one of them in memory of its own.
fn with_one_buffer_copied(data: &ArrayData) -> Vec<ArrayData> {
    let copy = |buffer: &Buffer| Buffer::from(buffer.as_slice());
    let mut all = Vec::new();
    let mut keep = |changed: ArrayDataBuilder| all.push(changed.build().unwrap());
    if let Some(nulls) = data.nulls().filter(|nulls| nulls.null_count() > 0) {
        let bits = BooleanBuffer::new(copy(nulls.buffer()), nulls.offset(), nulls.len());
        keep(data.clone().into_builder().nulls(Some(NullBuffer::new(bits))));
    }
    for (i, _) in data.buffers().iter().enumerate().filter(|(_, buffer)| !buffer.is_empty()) {
        let mut buffers = data.buffers().to_vec();
        buffers[i] = copy(&buffers[i]);
        keep(data.clone().into_builder().buffers(buffers));
    }
    for (i, child) in data.child_data().iter().enumerate() {
        for changed in with_one_buffer_copied(child) {
            let mut children = data.child_data().to_vec();
            children[i] = changed;
            keep(data.clone().into_builder().child_data(children));
        }
    }
    all
}

#[test]
fn unified_dictionaries_cost_nothing_while_they_do_not_grow() {
    let batches = batches();
    for compression in COMPRESSIONS {
        let options = Options::builder().compression(compression).dictionaries(Unify::new()).build().unwrap();
        let encoder = Encoder::stream(Counting::default()).with_options(options);
        let (allocations, _) = allocations_after_warm_up(encoder, &batches, 5);
        assert_eq!(allocations, 0, "{compression:?}");
    }
}

/// Also where they came in another wrapping than those that this encoder has met before.
#[test]
fn where_new_values_have_been_added_is_not_looked_up_again() {
    let values: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let of = |key: i32, values: ArrayRef| {
        let column = DictionaryArray::<Int32Type>::new(Int32Array::from(vec![key]), values);
        RecordBatch::try_from_iter([("word", Arc::new(column) as ArrayRef)]).unwrap()
    };
    // No dictionary is encoded before the close.
    let options = Options::builder().dictionaries(Unify::new().at_close(true)).build().unwrap();
    let batches = [of(0, values.clone()), of(1, make_array(values.to_data()))];
    let schema = Arc::new(StreamSchema::try_new(batches[0].schema(), &options).unwrap());
    let mut store = CountingStore { dictionaries: UnifiedDictionaries::new(schema), grown: None };
    let mut encoder = BatchEncoder::new(&options);
    for batch in &batches {
        let (none, none_sent) = (ipc_core::Metadata::new(), SentDictionaries::default());
        let group = encoder.encode_group::<FileFormat>(batch, &none, &mut store, &none_sent, Sending::Changes);
        let grown = store.grown.take().expect("each batch brings a value");
        assert_eq!(allocations::so_far() - grown, 0);
        encoder.recycle(group.unwrap());
    }
}

/// Notes how many allocations there were when it had grown.
struct CountingStore {
    dictionaries: UnifiedDictionaries,
    grown: Option<u64>,
}

impl UnifiedStore for CountingStore {
    fn schema(&self) -> &StreamSchema {
        UnifiedStore::schema(&self.dictionaries)
    }

    fn snapshot(&mut self) -> &UnifiedSnapshot {
        UnifiedStore::snapshot(&mut self.dictionaries)
    }

    fn grow(&mut self, new: NewValues) -> Result<AddedValues, Error> {
        let added = self.dictionaries.grow(new);
        self.grown = Some(allocations::so_far());
        added
    }
}

/// The bytes that 200 batches allocate, each of which brings 100 words, all of them new or none, to a dictionary of
/// `words`.
fn bytes_of_200_batches(words: usize, is_new: bool) -> u64 {
    let of = |from: usize, count: usize| {
        let values = StringArray::from_iter_values((from..from + count).map(|word| format!("the word {word:09}")));
        let keys = Int32Array::from_iter_values((0..count).map(|key| i32::try_from(key).unwrap()));
        let column = DictionaryArray::<Int32Type>::new(keys, Arc::new(values));
        RecordBatch::try_from_iter([("word", Arc::new(column) as ArrayRef)]).unwrap()
    };
    let first = of(0, words);
    let options = Options::builder().dictionaries(Unify::new()).build().unwrap();
    let mut encoder = Encoder::stream(Counting::default()).with_options(options).start(first.schema()).unwrap();
    encoder.write(&first).unwrap();
    let batches = (0..200).map(|round| of(if is_new { words + round * 100 } else { round * 100 % words }, 100));
    let batches: Vec<RecordBatch> = batches.collect();
    // Whatever is allocated once, for the first dictionary that is short.
    encoder.write(&batches[0]).unwrap();
    let ((), _, bytes) = allocations::count(|| batches.iter().for_each(|batch| _ = encoder.write(batch).unwrap()));
    bytes
}

/// Growing costs what is added, however much is there: not quite, since with twice as much a value is copied once more.
#[test]
fn unified_dictionaries_grow_at_the_cost_of_what_is_new() {
    let (small, large) = (bytes_of_200_batches(1_000, true), bytes_of_200_batches(100_000, true));
    let a_dictionary = 100_000 * 18;
    assert!(
        large < 200 * a_dictionary / 50,
        "{large} bytes, as if the dictionary were copied {} times",
        large / a_dictionary
    );
    assert!(large < small * 3 / 2, "{small} bytes with 1,000 words there, {large} with 100,000");
    let nothing_new = [1_000, 100_000].map(|words| bytes_of_200_batches(words, false));
    assert!(nothing_new[1] < nothing_new[0] * 3 / 2, "with nothing new: {nothing_new:?}");
}

#[test]
fn compacted_views_allocate_nothing_per_batch() {
    let options = Options::builder().compact_views(true).build().unwrap();
    let encoder = Encoder::stream(Counting::default()).with_options(options);
    let (allocations, _) = allocations_after_warm_up(encoder, &batches(), 5);
    assert_eq!(allocations, 0);
}

/// All but the list of its pieces, which share the batch's memory.
#[test]
fn an_owned_message_gives_its_memory_back() {
    let batches = batches();
    let mut encoder = BatchEncoder::new(&Options::default());
    let mut allocations_of_a_round = |comes_back: bool| {
        let ((), allocations, _) = allocations::count(|| {
            for batch in &batches {
                let owned = encoder.encode(batch).unwrap().into_owned();
                if comes_back {
                    encoder.recycle_owned(owned);
                }
            }
        });
        allocations
    };
    (0..2).for_each(|_| _ = allocations_of_a_round(true));
    let (kept, dropped) = (allocations_of_a_round(true), allocations_of_a_round(false));
    assert!(kept < dropped, "{kept} allocations, {dropped} without memory");
}

#[test]
fn a_file_allocates_for_its_footer_only() {
    let batches = batches();
    for compression in COMPRESSIONS {
        let options = Options::builder().compression(compression).build().unwrap();
        let encoder = Encoder::file(Counting::default()).with_options(options);
        let (allocations, count) = allocations_after_warm_up(encoder, &batches, 20);
        // The list of blocks doubles from 4 on: so often between the end of the warm-up and the last batch.
        let before = 2 * batches.len();
        let doublings = (2..).map(|power| 1 << power).take_while(|full| *full < before + count);
        let doublings = doublings.filter(|full| *full >= before).count() as u64;
        assert!(allocations <= doublings, "{compression:?}: {allocations} allocations, {doublings} doublings");
    }
}
