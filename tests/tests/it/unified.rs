//! What unified dictionaries send, and what they leave out: each value once, as a delta before the first batch that
//! needs it; equal values, by their bits, as one; values that no key uses not at all.
//!
//! Fails where a dictionary is sent again, where a value that was never written counts as sent, where one batch's
//! values get in although another's were too many, or where a key that means nothing is written.

use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowDictionaryKeyType, Int8Type, Int16Type, Int32Type, UInt8Type, UInt16Type};
use arrow_array::{
    Array, ArrayRef, BinaryViewArray, DictionaryArray, FixedSizeListArray, Float64Array, Int8Array, Int16Array,
    Int32Array, PrimitiveArray, RecordBatch, RunArray, StringArray, StringViewArray, StructArray,
};
use arrow_buffer::ArrowNativeType;
use arrow_schema::{DataType, Field, Schema};
use ipc_core::parts::{
    AddedValues, BatchEncoder, Group, Ledger, NewValues, Sending, SentDictionaries, Slice, StreamSchema,
    UnifiedDictionaries, UnifiedSnapshot, UnifiedStore,
};
use ipc_core::{Encoder, Error, Format, Metadata, Options, OptionsBuilder, Remedy, Stats, StreamFormat, Unify};
use ipc_tests::dictionaries::Sent::{self, Batch, Extended, Whole};
use ipc_tests::dictionaries::{batch, dictionary, nested, sent, words};
use ipc_tests::sink::{Fault, Faulty};
use ipc_tests::value::assert_same_batches;
use ipc_tests::{encode, read};

/// The batch, with what it needs before it where readers have what was `sent` of a stream.
fn group<'a>(
    encoder: &mut BatchEncoder,
    batch: &'a RecordBatch,
    dictionaries: &mut impl UnifiedStore,
    sent: &SentDictionaries,
) -> Group<Slice<'a>> {
    encoder.encode_group::<StreamFormat>(batch, &Metadata::new(), dictionaries, sent, Sending::Changes).unwrap()
}

fn unify() -> OptionsBuilder {
    unify_with(Unify::new())
}

fn unify_with(unify: Unify) -> OptionsBuilder {
    Options::builder().dictionaries(unify)
}

fn of(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.iter().map(|(name, array)| (*name, array.clone(), true))).unwrap()
}

/// A batch of strings, each of them in a dictionary of the batch's own.
fn own(values: &[&str]) -> RecordBatch {
    let keys: Vec<i32> = (0..i32::try_from(values.len()).unwrap()).collect();
    of(&[("word", dictionary(&keys, words(values)))])
}

/// What a stream and a file of `batches` send, which is the same; both must read back.
#[track_caller]
fn sent_by(batches: &[RecordBatch]) -> Vec<Sent> {
    let (schema, options) = (batches[0].schema(), unify().build().unwrap());
    let stream = encode::stream(&schema, batches, &options).unwrap();
    assert_same_batches(batches, &read::stream(&stream).unwrap().batches);
    let file = encode::file(&schema, batches, &options).unwrap();
    assert_same_batches(batches, &read::file(&file).unwrap().batches);
    assert_eq!(sent(&stream, 0), sent(&file, 8));
    sent(&stream, 0)
}

fn stats(batches: &[RecordBatch]) -> Stats {
    let mut encoder =
        Encoder::stream(Vec::new()).with_options(unify().build().unwrap()).start(batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| _ = encoder.write(batch).unwrap());
    encoder.stats()
}

#[test]
fn new_values_are_sent_before_the_batch_that_needs_them() {
    let batches = [own(&["a", "b"]), own(&["b", "c", "a"]), own(&["c", "a"]), own(&["d"])];
    assert_eq!(sent_by(&batches), [Whole(0, 2), Batch, Extended(0, 1), Batch, Batch, Extended(0, 1), Batch]);
    let stats = stats(&batches);
    assert_eq!((stats.dictionary_batches, stats.deltas, stats.replacements), (3, 2, 0));
}

#[test]
fn what_no_key_uses_is_left_out_and_counted() {
    let values = words(&["a", "b", "c", "d"]);
    let uses = |keys: &[i32]| of(&[("word", dictionary(keys, values.clone()))]);
    assert_eq!(sent_by(&[uses(&[2, 2]), uses(&[0, 2])]), [Whole(0, 1), Batch, Extended(0, 1), Batch]);
    assert_eq!(stats(&[uses(&[2, 2]), uses(&[2])]).unused_values, 3);
    // The rows that a slice leaves out use nothing.
    assert_eq!(sent_by(&[uses(&[0, 1, 2]).slice(1, 1)]), [Whole(0, 1), Batch]);
}

#[test]
fn what_no_key_uses_is_counted_once_however_often_its_batch_is_tried() {
    let own = |keys: &[i32], values: &[&str]| dictionary(keys, words(values));
    let known = of(&[("a", own(&[0], &["x"])), ("b", own(&[0], &["x"]))]);
    // The second brings a new value, so the batch is encoded again, and then the sink refuses it.
    let batch = of(&[("a", own(&[1], &["left out", "x"])), ("b", own(&[0], &["y", "left out, too"]))]);
    let mut sink = Faulty::new(Fault::Error, 2);
    let mut encoder = Encoder::stream(&mut sink).with_options(unify().build().unwrap()).start(known.schema()).unwrap();
    encoder.write(&known).unwrap();
    assert!(matches!(encoder.write(&batch), Err(Error::Io(_))));
    assert_eq!(encoder.stats().unused_values, 0, "it has not been accepted");
    (0..2).for_each(|_| _ = encoder.write(&batch).unwrap());
    assert_eq!(encoder.stats().unused_values, 2);
}

#[test]
fn equal_values_become_one() {
    assert_eq!(sent_by(&[own(&["a", "b", "a", "a"])]), [Whole(0, 2), Batch]);
    let nulls = Arc::new(StringArray::from(vec![None, Some(""), None]));
    let batch = of(&[("word", dictionary(&[0, 1, 2], nulls))]);
    assert_eq!(sent_by(&[batch.clone(), batch]), [Whole(0, 2), Batch, Batch]);
}

#[test]
fn lists_are_told_apart_by_where_they_end() {
    // The same items and nulls, one after the other.
    let values: [&[Option<&[Option<i32>]>]; 4] =
        [&[Some(&[None])], &[Some(&[]), None], &[Some(&[None]), Some(&[])], &[Some(&[]), None, Some(&[])]];
    let mut lists = ListBuilder::new(ListBuilder::new(Int32Builder::new()));
    for value in values {
        for list in value {
            list.iter().copied().flatten().for_each(|number| lists.values().values().append_option(*number));
            lists.values().append(list.is_some());
        }
        lists.append(true);
    }
    let batch = of(&[("lists", dictionary(&[0, 1, 2, 3], Arc::new(lists.finish())))]);
    assert_eq!(sent_by(&[batch]), [Whole(0, 4), Batch]);
}

#[test]
fn each_dictionary_inside_another_has_its_own_values() {
    let inner = |values| dictionary(&[0, 1, 1], words(values));
    let both = StructArray::from(vec![
        (Arc::new(Field::new("a", inner(&["x", "y"]).data_type().clone(), true)), inner(&["x", "y"])),
        (Arc::new(Field::new("b", inner(&["v", "w"]).data_type().clone(), true)), inner(&["v", "w"])),
    ]);
    let batch = of(&[("outer", dictionary(&[2, 0, 1], Arc::new(both)))]);
    let options = unify().build().unwrap();
    let stream = encode::stream(&batch.schema(), std::slice::from_ref(&batch), &options).unwrap();
    assert_same_batches(&[batch], &read::stream(&stream).unwrap().batches);
    assert_eq!(sent(&stream, 0), [Whole(0, 2), Whole(1, 2), Whole(2, 2), Batch]);
}

/// Views share the memory of their array; the values that are kept and written do not.
#[test]
fn views_bring_along_their_own_bytes_only() {
    let long = |n: i32| format!("a string that is too long for a view: {n}");
    let views: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..10_000).map(long)));
    let lists = Arc::new(FixedSizeListArray::new(
        Arc::new(Field::new("item", DataType::Utf8View, true)),
        1,
        views.clone(),
        None,
    ));
    let bytes = Arc::new(BinaryViewArray::from_iter_values((0..10_000).map(long)));
    for values in [views, lists, bytes] {
        let batches = [of(&[("word", dictionary(&[7], values.clone()))]), of(&[("word", dictionary(&[9], values))])];
        let bytes = encode::stream(&batches[0].schema(), &batches, &unify().build().unwrap()).unwrap();
        assert!(bytes.len() < 4000, "{} bytes for two strings", bytes.len());
        assert_same_batches(&batches, &read::stream(&bytes).unwrap().batches);
    }
}

#[test]
fn a_null_key_stands_for_no_value() {
    let keys = Int32Array::new(vec![77, 0, -1].into(), Some(vec![false, true, false].into()));
    let array = DictionaryArray::<Int32Type>::new(keys, words(&["a"]));
    assert_eq!(sent_by(&[of(&[("word", Arc::new(array))])]), [Whole(0, 1), Batch]);
    let none = of(&[("word", Arc::new(DictionaryArray::<Int32Type>::new_null_with(2)))]);
    assert_eq!(sent_by(&[none, own(&["a"])]), [Whole(0, 0), Batch, Extended(0, 1), Batch]);
}

/// A column of nulls with a dictionary of no values.
trait Nulls {
    fn new_null_with(rows: usize) -> Self;
}

impl Nulls for DictionaryArray<Int32Type> {
    fn new_null_with(rows: usize) -> Self {
        Self::new(Int32Array::new_null(rows), words(&[]))
    }
}

#[test]
fn a_value_that_only_hidden_rows_have_is_not_sent_where_these_are_cleared() {
    let child = dictionary(&[0, 1], words(&["seen", "hidden"]));
    let fields = vec![Field::new("word", child.data_type().clone(), false)];
    let rows = StructArray::new(fields.into(), vec![child], Some(vec![true, false].into()));
    let batch = of(&[("row", Arc::new(rows))]);
    for (clears, count) in [(false, 2), (true, 1)] {
        let options = unify().clear_nulls(clears).build().unwrap();
        let bytes = encode::stream(&batch.schema(), std::slice::from_ref(&batch), &options).unwrap();
        assert_eq!(sent(&bytes, 0), [Whole(0, count), Batch]);
        assert_eq!(bytes.windows(6).any(|window| window == b"hidden"), !clears);
        assert_same_batches(std::slice::from_ref(&batch), &read::stream(&bytes).unwrap().batches);
    }
}

#[test]
fn numbers_are_told_apart_by_their_bits() {
    let odd_nan = f64::from_bits(f64::NAN.to_bits() | 1);
    let numbers = |values: &[f64]| {
        let keys: Vec<i32> = (0..i32::try_from(values.len()).unwrap()).collect();
        of(&[("number", dictionary(&keys, Arc::new(Float64Array::from(values.to_vec()))))])
    };
    let batches = [numbers(&[0.0, f64::NAN]), numbers(&[-0.0, odd_nan, f64::NAN, 0.0])];
    assert_eq!(sent_by(&batches), [Whole(0, 2), Batch, Extended(0, 2), Batch]);
}

/// Another producer's batch has brought values, and is overtaken by one that needs none.
#[test]
fn the_first_message_of_a_dictionary_has_all_that_is_known() {
    let options = unify().build().unwrap();
    let nulls = of(&[("word", Arc::new(DictionaryArray::<Int32Type>::new_null_with(2)))]);
    let schema = Arc::new(StreamSchema::try_new(nulls.schema(), &options).unwrap());
    let mut dictionaries = UnifiedDictionaries::new(Arc::clone(&schema));
    let mut ledger = Ledger::new::<StreamFormat>(schema, &options).unwrap();
    let overtaken = own(&["a", "b"]);
    let _ = group(&mut BatchEncoder::new(&options), &overtaken, &mut dictionaries, ledger.sent());

    let mut group = group(&mut BatchEncoder::new(&options), &nulls, &mut dictionaries, ledger.sent());
    let mut sink = Vec::new();
    ledger.append(&mut sink, &mut group).unwrap();
    assert_eq!(ledger.required(), [0]);
    ledger.end(&mut sink).unwrap();
    assert_eq!(sent(&sink, 0), [Whole(0, 2), Batch]);
}

#[test]
fn each_field_has_a_dictionary_of_its_own() {
    let both = |a: &[&str], b: &[&str]| of(&[("a", own(a).column(0).clone()), ("b", own(b).column(0).clone())]);
    let batches = [both(&["x"], &["y"]), both(&["y"], &["y"]), both(&["x"], &["x"])];
    let expected = [Whole(0, 1), Whole(1, 1), Batch, Extended(0, 1), Batch, Extended(1, 1), Batch];
    assert_eq!(sent_by(&batches), expected);
}

#[test]
fn keys_that_are_right_already_are_borrowed() {
    let keys: Vec<i32> = (0..200).map(|row| row % 2).collect();
    let batch = of(&[("word", dictionary(&keys, words(&["a", "b"])))]);
    // There is nothing to clear.
    for options in [unify().build().unwrap(), unify().clear_nulls(true).build().unwrap()] {
        let schema = Arc::new(StreamSchema::try_new(batch.schema(), &options).unwrap());
        let (mut dictionaries, mut encoder) = (UnifiedDictionaries::new(schema), BatchEncoder::new(&options));
        let none_sent = SentDictionaries::default();
        let before = group(&mut encoder, &batch, &mut dictionaries, &none_sent);
        encoder.recycle(before);
        let group = group(&mut encoder, &batch, &mut dictionaries, &none_sent);
        let keys = batch.column(0).as_dictionary::<Int32Type>().keys().values().inner().as_ptr();
        assert!(group.message().slices().any(|slice| slice.as_ptr() == keys), "the body has the array's own bytes");
    }
}

/// So many keys that there is a table of narrow ones in the end, which has to go once an id is learned.
#[test]
fn keys_stay_right_however_many_have_been_rewritten() {
    fn check<K: ArrowDictionaryKeyType>(count: usize) {
        let values: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).rev().map(|n| n.to_string())));
        let batch = |rows: usize, key: fn(usize, usize) -> usize| {
            let keys = (0..rows).map(|row| (row < count || row % 97 > 0).then(|| K::Native::usize_as(key(row, count))));
            let words = DictionaryArray::new(PrimitiveArray::<K>::from_iter(keys), values.clone());
            of(&[("word", Arc::new(words))])
        };
        // The first key comes last.
        let most = batch(1 << 18, |row, count| 1 + row * 31 % (count - 1));
        let all = batch(4 * count, |row, count| row % count);
        let batches = [most.clone(), most.slice(1, 1001), all.clone(), all];
        let stream = encode::stream(&most.schema(), &batches, &unify().build().unwrap()).unwrap();
        assert_same_batches(&batches, &read::stream(&stream).unwrap().batches);
        let first = i64::try_from(count - 1).unwrap();
        assert_eq!(sent(&stream, 0), [Whole(0, first), Batch, Batch, Extended(0, 1), Batch, Batch]);
    }
    check::<Int8Type>(100);
    check::<UInt8Type>(200);
    check::<Int16Type>(1000);
    check::<UInt16Type>(40_000);
    check::<Int32Type>(1000);
}

#[test]
#[should_panic(expected = "dictionaries grow by what is lacking in a snapshot of theirs")]
fn dictionaries_do_not_grow_by_what_others_lack() {
    /// Shows some dictionaries, and grows others.
    struct Mixed([UnifiedDictionaries; 2]);

    impl UnifiedStore for Mixed {
        fn schema(&self) -> &StreamSchema {
            UnifiedStore::schema(&self.0[0])
        }

        fn snapshot(&mut self) -> &UnifiedSnapshot {
            UnifiedStore::snapshot(&mut self.0[0])
        }

        fn grow(&mut self, new: NewValues) -> Result<AddedValues, Error> {
            self.0[1].grow(new)
        }
    }

    let (batch, options) = (own(&["a"]), unify().build().unwrap());
    let schema = Arc::new(StreamSchema::try_new(batch.schema(), &options).unwrap());
    let mut mixed = Mixed([(); 2].map(|()| UnifiedDictionaries::new(schema.clone())));
    let _ = group(&mut BatchEncoder::new(&options), &batch, &mut mixed, &SentDictionaries::default());
}

#[test]
fn too_many_values_are_refused_before_any_of_the_batch_is_added() {
    let short = |name: &str, from: i32, count: i8| -> (String, ArrayRef) {
        let values = StringArray::from_iter_values((from..from + i32::from(count)).map(|n| format!("{name} {n}")));
        let keys = Int8Array::from_iter_values(0..count);
        (name.to_owned(), Arc::new(DictionaryArray::<Int8Type>::new(keys, Arc::new(values))))
    };
    let both =
        |first: (String, ArrayRef), second: (String, ArrayRef)| of(&[(&first.0, first.1), (&second.0, second.1)]);
    let first = both(short("a", 0, 100), short("b", 0, 100));
    let options = unify().build().unwrap();
    let mut encoder = Encoder::file(Vec::new()).with_options(options).start(first.schema()).unwrap();
    encoder.write(&first).unwrap();
    let before = encoder.stats();
    let refused = encoder.write(&both(short("a", 50, 100), short("b", 0, 100))).unwrap_err();
    let Error::DictionaryOverflow { path, count, limit } = &refused else { panic!("{refused:?}") };
    assert_eq!((path.as_str(), *count, *limit), ("a", 150, 128));
    // The keys of `a` can number the new values, those of `b` cannot.
    let message = "the dictionary of column `b` would have 148 values; the key type allows 128";
    let refused = encoder.write(&both(short("a", 80, 48), short("b", 100, 48))).unwrap_err();
    assert_eq!(refused.to_string(), message);
    assert_eq!(encoder.stats(), before);
    let last = both(short("a", 200, 28), short("b", 100, 28));
    encoder.write(&last).unwrap();
    let file = encoder.close().unwrap().into_inner();
    assert_same_batches(&[first, last], &read::file(&file).unwrap().batches);
    assert_eq!(sent(&file, 8)[3..], [Extended(0, 28), Extended(1, 28), Batch]);
}

/// Rows `from..to` of as many values, each in a run of its own whose end has 16 bits.
fn runs(rows: std::ops::Range<i32>) -> RecordBatch {
    let ends = Int16Array::from_iter_values(1..=i16::try_from(rows.len()).unwrap());
    let keys: Vec<i32> = (0..i32::try_from(rows.len()).unwrap()).collect();
    let runs = RunArray::try_new(&ends, &Int32Array::from_iter_values(rows)).unwrap();
    of(&[("run", dictionary(&keys, Arc::new(runs)))])
}

/// Readers have all values of a dictionary in one array, and that ends where its run ends do.
#[test]
fn more_than_one_array_holds_is_refused_before_any_of_the_batch_is_added() {
    let (first, beyond, last) = (runs(0..20_000), runs(10_000..32_768), runs(19_999..32_767));
    let written = [first.clone(), last.clone()];
    let (deltas, at_close) = (unify().build().unwrap(), unify_with(Unify::new().at_close(true)).build().unwrap());
    let stream = Encoder::stream(Vec::new()).with_options(deltas.clone()).start(first.schema()).unwrap();
    assert_same_batches(&written, &read::stream(&all_but_one(stream, [&first, &beyond, &last])).unwrap().batches);
    for options in [deltas, at_close] {
        let file = Encoder::file(Vec::new()).with_options(options).start(first.schema()).unwrap();
        assert_same_batches(&written, &read::file(&all_but_one(file, [&first, &beyond, &last])).unwrap().batches);
    }
}

/// What an encoder makes of three batches, the second of which it has to refuse.
fn all_but_one<F: Format>(mut encoder: Encoder<Vec<u8>, F>, batches: [&RecordBatch; 3]) -> Vec<u8> {
    encoder.write(batches[0]).unwrap();
    let before = encoder.stats();
    let refused = encoder.write(batches[1]).unwrap_err();
    let message = "the dictionary of column `run` would have 32768 rows in runs; one array of its type holds 32767";
    assert_eq!(refused.to_string(), message);
    assert_eq!(encoder.stats(), before);
    encoder.write(batches[2]).unwrap();
    encoder.close().unwrap().into_inner()
}

#[test]
fn wider_keys_have_room() {
    // So many rows that there would be a table of keys as narrow as these, if they stayed so.
    const MANY: usize = 1 << 18;
    let short = |from: usize| {
        let values = StringArray::from_iter_values((from..from + 100).map(|n| n.to_string()));
        let keys = Int8Array::from_iter_values((0..100).cycle().take(MANY));
        of(&[("word", Arc::new(DictionaryArray::<Int8Type>::new(keys, Arc::new(values))))])
    };
    let options = unify_with(Unify::new().widen_keys(true)).build().unwrap();
    let many = short(0);
    let others = (1..4).map(|n| short(n * 50).slice(0, 100));
    let batches: Vec<RecordBatch> = [many.clone(), many.slice(MANY - 99, 99)].into_iter().chain(others).collect();
    let mut encoder = Encoder::stream(Vec::new()).with_options(options).start(batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| _ = encoder.write(batch).unwrap());
    let wide = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    assert_eq!(encoder.schema().field(0).data_type(), &wide);
    let refused = encoder.write(&of(&[("word", Arc::new(Int32Array::from(vec![1])))])).unwrap_err();
    assert!(matches!(refused, Error::SchemaMismatch { .. }), "{refused}");
    let found = read::stream(&encoder.close().unwrap().into_inner()).unwrap().batches;
    for (expected, found) in batches.iter().zip(&found) {
        let words = |batch: &RecordBatch| {
            let array = batch.column(0).as_any_dictionary();
            let (keys, values) = (array.normalized_keys(), array.values().as_string::<i32>().clone());
            keys.into_iter().map(|key| values.value(key).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(words(found), words(expected));
    }
}

/// Its order would be lost. It is extended where it grows, and sent again where it is replaced, as without unifying.
#[test]
fn an_ordered_dictionary_keeps_its_order_and_grows_beside_unified_ones() {
    let data_type = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let ordered = Field::new("size", data_type.clone(), true).with_dict_is_ordered(true);
    let schema = Arc::new(Schema::new(vec![ordered, Field::new("word", data_type, true)]));
    let batch = |sizes: &[&str], words: &[&str]| {
        let columns = vec![own(sizes).column(0).clone(), own(words).column(0).clone()];
        RecordBatch::try_new(schema.clone(), columns).unwrap()
    };
    let (small, large, other) = (&["small", "large"], &["small", "large"], &["small", "huge"]);
    let more = &["small", "large", "huge"];
    let grows = [batch(&small[..], &["a", "b"]), batch(more, &["b", "a", "c"]), batch(large, &["c", "a"])];
    let options = unify().build().unwrap();
    let expected = [Whole(0, 2), Whole(1, 2), Batch, Extended(0, 1), Extended(1, 1), Batch, Batch];
    let bytes = encode::stream(&schema, &grows, &options).unwrap();
    assert_same_batches(&grows, &read::stream(&bytes).unwrap().batches);
    assert_eq!(sent(&bytes, 0), expected);
    let file = encode::file(&schema, &grows, &options).unwrap();
    assert_same_batches(&grows, &read::file(&file).unwrap().batches);
    assert_eq!(sent(&file, 8), expected);

    let replaced = [batch(small, &["a", "b"]), batch(other, &["c", "a"])];
    let bytes = encode::stream(&schema, &replaced, &options).unwrap();
    assert_same_batches(&replaced, &read::stream(&bytes).unwrap().batches);
    assert_eq!(sent(&bytes, 0), [Whole(0, 2), Whole(1, 2), Batch, Whole(0, 2), Extended(1, 1), Batch]);
    let refused = encode::file(&schema, &replaced, &options).unwrap_err();
    assert!(
        matches!(&refused, Error::DictionaryReplacement { path, remedy: Remedy::Stream, .. } if path == "size"),
        "{refused}"
    );
    assert!(refused.to_string().ends_with("only a stream can send this dictionary again"), "{refused}");
}

/// Those that are not unified are encoded first; what readers have of the others is found all the same.
#[test]
fn ordered_dictionaries_may_stand_between_unified_ones() {
    let schema = |batch: &RecordBatch| {
        let fields = batch.schema().fields().clone();
        let field = |(at, field): (usize, &Arc<Field>)| field.as_ref().clone().with_dict_is_ordered(at % 2 == 1);
        Arc::new(Schema::new(fields.iter().enumerate().map(field).collect::<Vec<_>>()))
    };
    let batch = |values: &[&str]| {
        let columns: Vec<_> = ["a", "b", "c", "d", "e"].map(|name| (name, own(values).column(0).clone())).to_vec();
        let batch = of(&columns);
        RecordBatch::try_new(schema(&batch), batch.columns().to_vec()).unwrap()
    };
    let batches = [batch(&["x"]), batch(&["x", "y"])];
    let whole: Vec<Sent> = (0..5).map(|id| Whole(id, 1)).collect();
    let extended: Vec<Sent> = (0..5).map(|id| Extended(id, 1)).collect();
    let expected = [whole, vec![Batch], extended, vec![Batch]].concat();
    assert_eq!(sent_by(&batches), expected);
}

/// They are sent as they are, with keys as they are: the outer one's values hold keys of the inner one.
#[test]
fn dictionaries_inside_and_around_an_ordered_one_are_not_unified_and_not_widened() {
    let nested = |values: ArrayRef, inner_ordered: bool| {
        let inner: DictionaryArray<Int8Type> = DictionaryArray::new(Int8Array::from(vec![1, 0]), values);
        let field = Field::new("inner", inner.data_type().clone(), true).with_dict_is_ordered(inner_ordered);
        let row = StructArray::new(vec![field].into(), vec![Arc::new(inner)], None);
        let outer = DictionaryArray::<Int8Type>::new(Int8Array::from(vec![0, 1, 0]), Arc::new(row));
        let field = Field::new("outer", outer.data_type().clone(), true).with_dict_is_ordered(!inner_ordered);
        let schema = Arc::new(Schema::new(vec![field]));
        RecordBatch::try_new(schema, vec![Arc::new(outer) as ArrayRef]).unwrap()
    };
    for inner_ordered in [false, true] {
        let (one, other) = (nested(words(&["a", "b"]), inner_ordered), nested(words(&["c", "d"]), inner_ordered));
        let batches = [one.clone(), one.clone(), other.clone()];
        for options in [unify(), unify_with(Unify::new().widen_keys(true))] {
            let options = options.build().unwrap();
            let bytes = encode::stream(&one.schema(), &batches, &options).unwrap();
            let read = read::stream(&bytes).unwrap();
            assert_eq!(read.schema, one.schema());
            assert_same_batches(&batches, &read.batches);
            assert_eq!(sent(&bytes, 0), [Whole(0, 2), Whole(1, 2), Batch, Batch, Whole(0, 2), Whole(1, 2), Batch]);
            let file = encode::file(&one.schema(), &batches[..2], &options).unwrap();
            assert_same_batches(&batches[..2], &read::file(&file).unwrap().batches);
            let refused = encode::file(&one.schema(), &batches, &options).unwrap_err();
            assert!(matches!(&refused, Error::DictionaryReplacement { remedy: Remedy::Stream, .. }), "{refused}");
        }
    }
}

/// Some readers take the first message of a dictionary for all there is.
#[test]
fn a_first_batch_that_uses_no_value_brings_its_whole_dictionary() {
    let values = words(&["a", "b", "c"]);
    let of_nulls = |values: &ArrayRef| {
        let keys = Int32Array::from(vec![None, None]);
        of(&[("word", Arc::new(DictionaryArray::new(keys, values.clone())))])
    };
    let later = of(&[("word", dictionary(&[2, 0], values.clone()))]);
    let none = words(&[]);
    let cases = [
        (of(&[("word", dictionary(&[], values.clone()))]), vec![Whole(0, 3), Batch, Batch]),
        (of_nulls(&values), vec![Whole(0, 3), Batch, Batch]),
        // There is none; readers need one all the same.
        (of_nulls(&none), vec![Whole(0, 0), Batch, Extended(0, 2), Batch]),
    ];
    for (first, expected) in cases {
        let batches = [first, later.clone()];
        let options = unify().build().unwrap();
        let stream = encode::stream(&later.schema(), &batches, &options).unwrap();
        assert_same_batches(&batches, &read::stream(&stream).unwrap().batches);
        assert_eq!(sent(&stream, 0), expected);
        let file = encode::file(&later.schema(), &batches, &options).unwrap();
        assert_same_batches(&batches, &read::file(&file).unwrap().batches);
        assert_eq!(sent(&file, 8), expected);
    }
    // A value that only hidden keys stood for would get out.
    let options = unify().clear_nulls(true).build().unwrap();
    let stream = encode::stream(&later.schema(), &[of_nulls(&values)], &options).unwrap();
    assert_eq!(sent(&stream, 0), [Whole(0, 0), Batch]);
}

#[test]
fn an_outer_dictionary_is_sent_again_when_it_grows_and_an_inner_one_extended() {
    let batches = [
        nested(&[0, 1], &[0, 1], &words(&["a", "b"])),
        // The same values through other keys.
        nested(&[1, 0, 1], &[1, 0], &words(&["a", "b"])),
        nested(&[0], &[0], &words(&["c"])),
    ];
    let options = unify().build().unwrap();
    let bytes = encode::stream(&batches[0].schema(), &batches, &options).unwrap();
    assert_same_batches(&batches, &read::stream(&bytes).unwrap().batches);
    assert_eq!(sent(&bytes, 0), [Whole(0, 2), Whole(1, 2), Batch, Batch, Extended(0, 1), Whole(1, 3), Batch]);

    let refused = encode::file(&batches[0].schema(), &batches, &options).unwrap_err();
    assert!(matches!(&refused, Error::Unsupported { path, .. } if path == "outer"), "{refused}");
    let options = unify_with(Unify::new().at_close(true)).build().unwrap();
    let file = encode::file(&batches[0].schema(), &batches, &options).unwrap();
    assert_same_batches(&batches, &read::file(&file).unwrap().batches);
    assert_eq!(sent(&file, 8), [Batch, Batch, Batch, Whole(0, 3), Whole(1, 3)]);
}

#[test]
fn what_could_not_be_written_is_sent_with_the_next_that_needs_it() {
    let batches = [own(&["a", "b"]), own(&["c", "a"]), own(&["d", "c"])];
    for fails_at in [1, 2, 3] {
        let mut sink = Faulty::new(Fault::Error, fails_at);
        let options = unify().build().unwrap();
        let mut encoder = Encoder::stream(&mut sink).with_options(options).start(batches[0].schema()).unwrap();
        let mut written = Vec::new();
        for batch in &batches {
            match encoder.write(batch) {
                Ok(_) => written.push(batch.clone()),
                Err(Error::Io(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        encoder.close().unwrap();
        assert_eq!(written.len(), 2);
        assert_same_batches(&written, &read::stream(&sink.taken).unwrap().batches);
        let first = sent(&sink.taken, 0)[0];
        assert_eq!(first, if fails_at == 1 { Whole(0, 3) } else { Whole(0, 2) });
    }
}

#[test]
fn a_key_that_means_nothing_is_refused_with_its_column() {
    let keys = Int32Array::from(vec![0, 2]);
    // SAFETY: the key without a value is intended; only the encoder reads it, and it checks keys.
    let array = unsafe { DictionaryArray::<Int32Type>::new_unchecked(keys, words(&["a", "b"])) };
    let options = unify().build().unwrap();
    let good = own(&["a"]);
    let mut encoder = Encoder::stream(Vec::new()).with_options(options).start(good.schema()).unwrap();
    let refused = encoder.write(&of(&[("word", Arc::new(array))])).unwrap_err();
    let expected = "invalid array in column `word`: expected keys below 2, found key 2";
    assert_eq!(refused.to_string(), expected);
    encoder.write(&good).unwrap();
    assert_eq!(sent(&encoder.close().unwrap().into_inner(), 0), [Whole(0, 1), Batch]);
}

#[test]
fn a_close_without_batches_has_no_dictionaries() {
    let options = unify_with(Unify::new().at_close(true)).build().unwrap();
    let encoder = Encoder::file(Vec::new()).with_options(options).start(batch(&words(&["a"])).schema()).unwrap();
    let file = encoder.close().unwrap().into_inner();
    assert_eq!(sent(&file, 8), []);
    assert!(read::file(&file).unwrap().batches.is_empty());
}

/// What readers have of a unified dictionary only grows, so what others send is a part of what was to be sent, or more.
#[test]
fn values_that_others_have_sent_meanwhile_are_left_out_and_those_that_lack_are_decided_anew() {
    let options = unify().build().unwrap();
    let column = |count: i32| dictionary(&[0, 1, 2].map(|key| count.min(key + 1) - 1), words(&["x", "y", "z"]));
    let both = |a, b| of(&[("a", column(a)), ("b", column(b))]);
    let (a, ab, abc, other) = (both(1, 1), both(2, 1), both(3, 1), both(1, 2));
    let schema = Arc::new(StreamSchema::try_new(a.schema(), &options).unwrap());
    // The batch at hand, what others write, whether what was decided is right then, and what is sent behind the first.
    let cases = [
        (&ab, None, true, vec![Extended(0, 1), Batch]),
        (&a, Some(&ab), true, vec![Extended(0, 1), Batch, Batch]),
        (&ab, Some(&ab), true, vec![Extended(0, 1), Batch, Batch]),
        (&ab, Some(&abc), true, vec![Extended(0, 2), Batch, Batch]),
        (&ab, Some(&other), true, vec![Extended(1, 1), Batch, Extended(0, 1), Batch]),
        (&abc, Some(&ab), false, vec![]),
    ];
    for (batch, others, right, expected) in cases {
        let mut dictionaries = UnifiedDictionaries::new(Arc::clone(&schema));
        let mut ledger = Ledger::new::<StreamFormat>(Arc::clone(&schema), &options).unwrap();
        let (mut encoder, mut sink) = (BatchEncoder::new(&options), Vec::new());
        for batch in [&abc, &other] {
            let _ = group(&mut encoder, batch, &mut dictionaries, ledger.sent());
        }
        let mut prepared =
            |batch, ledger: &Ledger| group(&mut encoder, batch, &mut dictionaries, ledger.sent()).into_owned();
        ledger.append(&mut sink, &mut prepared(&a, &ledger)).unwrap();
        let (compared, mut group) = (ledger.sent().clone(), prepared(batch, &ledger));
        if let Some(others) = others {
            ledger.append(&mut sink, &mut prepared(others, &ledger)).unwrap();
        }
        assert_eq!(ledger.accepts(&group, &compared), right);
        if right {
            ledger.append(&mut sink, &mut group).unwrap();
            ledger.end(&mut sink).unwrap();
            assert_eq!(sent(&sink, 0)[3..], expected);
        }
    }
}
