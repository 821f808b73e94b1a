//! An output that is put together from the public parts of `ipc-core`, with parts that do not fit: each is refused before
//! a byte is written, and the output goes on.
//!
//! Fails where what was encoded for something else gets into an output: readers would refuse it, or read other values.

use std::sync::Arc;

use arrow_array::types::{ArrowDictionaryKeyType, Int8Type, Int16Type};
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, RecordBatchOptions, StructArray};
use arrow_buffer::Buffer;
use arrow_schema::{DataType, Schema};
use ipc_core::DictionaryHandling::{Delta, Resend};
use ipc_core::parts::{
    BatchEncoder, Group, Ledger, Message, Sending, SentDictionaries, Slice, StreamSchema, UnifiedDictionaries,
};
use ipc_core::{
    Alignment, DictionaryHandling, Encoder, Error, FileFormat, Format, Metadata, MetadataVersion, Options,
    OptionsBuilder, StreamFormat, Unify, Validation,
};
use ipc_tests::by_hand::{field, schema};
use ipc_tests::read;
use ipc_tests::value::assert_same_batches;

/// All that writes one output, at once, so that the sink shows what was written.
struct Parts {
    encoder: BatchEncoder,
    unified: UnifiedDictionaries,
    ledger: Ledger,
    sink: Vec<u8>,
}

impl Parts {
    fn of<F: Format>(batch: &RecordBatch, options: &Options) -> Self {
        let schema = Arc::new(StreamSchema::try_new(batch.schema(), options).unwrap());
        let mut ledger = Ledger::new::<F>(Arc::clone(&schema), options).unwrap();
        let mut sink = Vec::new();
        ledger.write_staged(&mut sink).unwrap();
        Self { encoder: BatchEncoder::new(options), unified: UnifiedDictionaries::new(schema), ledger, sink }
    }

    /// The batch, with what it needs before it if readers have what this output has sent.
    fn group<'a, F: Format>(&mut self, batch: &'a RecordBatch) -> Group<Slice<'a>> {
        let sent = self.ledger.sent().clone();
        self.try_group::<F>(batch, &sent).unwrap()
    }

    fn try_group<'a, F: Format>(
        &mut self,
        batch: &'a RecordBatch,
        sent: &SentDictionaries,
    ) -> Result<Group<Slice<'a>>, Error> {
        self.encoder.encode_group::<F>(batch, &Metadata::new(), &mut self.unified, sent, Sending::Changes)
    }

    /// Appends, or says why not after checking that nothing has changed.
    fn append<B: AsRef<[u8]>>(&mut self, group: &mut Group<B>) -> Option<Error> {
        let (length, stats, batches) = (self.sink.len(), self.ledger.stats(), group.dictionaries().len());
        let refusal = self.ledger.append(&mut self.sink, group).err()?;
        assert_eq!((self.sink.len(), self.ledger.stats()), (length, stats), "a refusal leaves no trace");
        assert_eq!(group.dictionaries().len(), batches, "the group stays as it was");
        Some(refusal)
    }

    /// Completes the output, which has just these batches.
    fn assert_complete(mut self, batches: &[RecordBatch]) {
        self.ledger.end(&mut self.sink).unwrap();
        let read = if self.sink.starts_with(b"ARROW1") { read::file(&self.sink) } else { read::stream(&self.sink) };
        assert_same_batches(batches, &read.unwrap().batches);
    }
}

fn builder(handling: impl Into<DictionaryHandling>) -> OptionsBuilder {
    Options::builder().dictionaries(handling).staging(false)
}

fn options(handling: impl Into<DictionaryHandling>) -> Options {
    builder(handling).build().unwrap()
}

fn one<K: ArrowDictionaryKeyType>(words: &[&str]) -> RecordBatch {
    let array: DictionaryArray<K> = words.iter().copied().collect();
    RecordBatch::try_from_iter([("word", Arc::new(array) as ArrayRef)]).unwrap()
}

fn words(words: &[&str]) -> RecordBatch {
    one::<Int8Type>(words)
}

#[track_caller]
fn assert_invalid_options(refusal: Option<&Error>) {
    assert!(matches!(refusal, Some(Error::InvalidOptions(_))), "{refusal:?}");
}

#[track_caller]
fn assert_path(refusal: Option<Error>, expected: &str) {
    match refusal {
        Some(Error::InvalidArray { path, .. } | Error::DictionaryReplacement { path, .. }) => {
            assert_eq!(path, expected);
        }
        refusal => panic!("{refusal:?}"),
    }
}

#[test]
fn messages_of_other_options_are_refused() {
    let batch = words(&["a", "b"]);
    let mut parts = Parts::of::<FileFormat>(&batch, &options(Resend));
    let others = [
        builder(Resend).alignment(Alignment::A8),
        builder(Resend).metadata_version(MetadataVersion::V4),
        builder(Resend).metadata_version(MetadataVersion::V4Legacy),
    ];
    for other in others {
        let mut other = Parts::of::<FileFormat>(&batch, &other.build().unwrap());
        assert_invalid_options(parts.append(&mut other.group::<FileFormat>(&batch)).as_ref());
        let mut foreign = other.group::<FileFormat>(&batch);
        let refused = parts.ledger.append_ahead(&mut parts.sink, &mut foreign);
        assert_invalid_options(refused.err().as_ref());
    }
    assert_invalid_options(parts.append(&mut Group::from(Message::<Buffer>::default())).as_ref());
    let mut own = parts.group::<FileFormat>(&batch);
    assert!(parts.append(&mut own).is_none());
    parts.assert_complete(&[batch]);
}

#[test]
fn a_schema_of_another_version_is_refused() {
    let batch = words(&["a"]);
    let schema = Arc::new(StreamSchema::try_new(batch.schema(), &options(Resend)).unwrap());
    let other = builder(Resend).metadata_version(MetadataVersion::V4).build().unwrap();
    assert_invalid_options(Ledger::new::<StreamFormat>(schema, &other).err().as_ref());
}

/// What services want that take the schema and the batches apart.
#[test]
fn the_schema_message_alone_and_batch_messages_make_a_stream() {
    let batch = RecordBatch::try_from_iter([("a", Arc::new(Int32Array::from(vec![1, 2, 3])) as ArrayRef)]).unwrap();
    for (version, alignment) in [
        (MetadataVersion::V5, Alignment::A64),
        (MetadataVersion::V5, Alignment::A8),
        (MetadataVersion::V4, Alignment::A64),
        (MetadataVersion::V4Legacy, Alignment::A16),
    ] {
        let options = Options::builder().metadata_version(version).alignment(alignment).build().unwrap();
        let schema = StreamSchema::try_new(batch.schema(), &options).unwrap();
        let message = schema.message(&options).unwrap();
        assert_eq!(read::stream(&message).unwrap().schema, batch.schema());
        let started = Encoder::stream(Vec::new()).with_options(options.clone()).start(batch.schema()).unwrap();
        assert_eq!(&message, started.get_ref(), "as a stream starts");

        let encoded = BatchEncoder::new(&options).encode(&batch).unwrap().into_owned().into_buffers();
        let whole: Vec<u8> = encoded.iter().fold(message, |all, buffer| [all, buffer.to_vec()].concat());
        assert_same_batches(std::slice::from_ref(&batch), &read::stream(&whole).unwrap().batches);
    }
    let schema = StreamSchema::try_new(batch.schema(), &Options::default()).unwrap();
    let other = Options::builder().metadata_version(MetadataVersion::V4).build().unwrap();
    assert_invalid_options(schema.message(&other).err().as_ref());
}

#[test]
fn keys_of_a_unified_dictionary_are_refused_without_its_values() {
    let batch = words(&["a", "b"]);
    let [mut parts, mut other] = [(); 2].map(|()| Parts::of::<StreamFormat>(&batch, &options(Unify::new())));
    let mut group = parts.group::<StreamFormat>(&batch);
    other.ledger.append_ahead(&mut other.sink, &mut group).unwrap();
    assert!(group.dictionaries().is_empty(), "they are in another output");
    assert_path(parts.append(&mut group), "word");
    // Nor may keys of the batch's own dictionary get among them.
    let own = parts.encoder.encode(&batch).unwrap();
    assert_path(parts.append(&mut own.into()), "columns");
    let Parts { encoder, unified, ledger, .. } = &mut parts;
    encoder
        .reencode_dictionaries::<StreamFormat, _>(&mut group, &batch, unified, ledger.sent(), Sending::Changes)
        .unwrap();
    assert!(parts.append(&mut group).is_none());
    parts.assert_complete(&[batch]);
}

#[test]
fn a_file_does_not_end_without_the_dictionaries_that_it_has_at_close() {
    let batch = words(&["a", "b"]);
    let mut parts = Parts::of::<FileFormat>(&batch, &builder(Unify::new().at_close(true)).build().unwrap());
    let mut group = parts.group::<FileFormat>(&batch);
    assert!(group.dictionaries().is_empty());
    assert!(parts.append(&mut group).is_none());
    let length = parts.sink.len();
    assert_path(parts.ledger.end(&mut parts.sink).err(), "word");
    assert_eq!(parts.sink.len(), length);
    let Parts { encoder, unified, ledger, sink } = &mut parts;
    let closing = encoder.encode_closing(unified, ledger.required(), ledger.sent()).unwrap();
    ledger.end_with(sink, closing).unwrap();
    parts.assert_complete(&[batch]);
}

#[test]
fn a_file_takes_no_replacement_whatever_was_planned() {
    let batches = [words(&["a", "b"]), words(&["x", "y"])];
    let mut parts = Parts::of::<FileFormat>(&batches[0], &options(Resend));
    let [mut first, mut second] = batches.each_ref().map(|batch| parts.group::<FileFormat>(batch));
    assert!(parts.append(&mut first).is_none());
    assert_path(parts.append(&mut second), "word");
    // In a stream such a plan would do, but not here.
    let mut replacing = parts.group::<StreamFormat>(&batches[1]);
    assert_path(parts.append(&mut replacing), "word");
    parts.assert_complete(&batches[..1]);
}

#[test]
fn a_delta_extends_what_it_was_made_for() {
    let (first, more) = (words(&["a", "b"]), words(&["a", "b", "c"]));
    let equal = words(&["a", "b"]);
    let [mut one, mut other] = [(); 2].map(|()| Parts::of::<StreamFormat>(&first, &options(Delta)));
    let mut whole = one.group::<StreamFormat>(&first);
    assert!(one.append(&mut whole).is_none());
    // One of nothing, and one of other values.
    let mut delta = one.group::<StreamFormat>(&more);
    assert_path(other.append(&mut delta), "word");
    let mut whole = other.group::<StreamFormat>(&equal);
    assert!(other.append(&mut whole).is_none());
    assert_path(other.append(&mut delta), "word");
    // What was refused elsewhere is still whole.
    assert!(one.append(&mut delta).is_none());
    one.assert_complete(&[first.clone(), more]);
    other.assert_complete(&[first]);
}

#[test]
fn what_was_decided_on_something_else_does_not_hold() {
    let batches = [words(&["a", "b"]), words(&["x", "y"])];
    let mut parts = Parts::of::<StreamFormat>(&batches[0], &options(Resend));
    let before = parts.ledger.sent().clone();
    let [mut first, mut stale] = batches.each_ref().map(|batch| parts.group::<StreamFormat>(batch));
    assert!(parts.ledger.accepts(&stale, &before));
    assert!(parts.append(&mut first).is_none());
    let after = parts.ledger.sent().clone();
    assert!(!parts.ledger.accepts(&stale, &before) && !parts.ledger.accepts(&stale, &after));
    // Only its dictionaries are encoded anew.
    let Parts { encoder, unified, .. } = &mut parts;
    encoder
        .reencode_dictionaries::<StreamFormat, _>(&mut stale, &batches[1], unified, &after, Sending::Changes)
        .unwrap();
    assert!(parts.ledger.accepts(&stale, &after));
    assert!(parts.append(&mut stale).is_none());
    parts.assert_complete(&batches);
}

#[test]
fn a_group_that_sends_everything_holds_for_any_stream() {
    let batches = [words(&["a", "b"]), words(&["x", "y"])];
    let mut parts = Parts::of::<StreamFormat>(&batches[0], &options(Resend));
    let before = parts.ledger.sent().clone();
    let mut first = parts.group::<StreamFormat>(&batches[0]);
    let Parts { encoder, unified, .. } = &mut parts;
    let metadata = Metadata::new();
    let second =
        encoder.encode_group::<StreamFormat>(&batches[1], &metadata, unified, &before, Sending::Everything).unwrap();
    assert!(parts.append(&mut first).is_none());
    assert!(parts.ledger.accepts(&second, &before));
    let mut owned = second.into_owned();
    assert!(parts.append(&mut owned).is_none());
    parts.encoder.recycle_owned(owned);
    parts.assert_complete(&batches);
}

#[test]
fn batches_of_another_schema_are_refused() {
    let batch = words(&["a", "b"]);
    let narrow = RecordBatch::try_from_iter([("n", Arc::new(Int32Array::from(vec![1])) as ArrayRef)]).unwrap();
    let wide =
        RecordBatch::try_from_iter([("n", narrow.column(0).clone()), ("word", narrow.column(0).clone())]).unwrap();
    let both = RecordBatch::try_from_iter([("n", narrow.column(0).clone()), ("word", batch.column(0).slice(0, 1))]);
    let mut parts = Parts::of::<StreamFormat>(&both.unwrap(), &options(Resend));
    let none = SentDictionaries::default();
    let refused = parts.try_group::<StreamFormat>(&narrow, &none);
    assert!(matches!(refused, Err(Error::SchemaMismatch { .. })), "{refused:?}");
    let nothing = parts.try_group::<StreamFormat>(&wide, &none);
    assert!(nothing.unwrap().dictionaries().is_empty(), "there are no dictionaries in it");
    // Keys of another type than those that are written.
    let mut unifying = Parts::of::<StreamFormat>(&batch, &options(Unify::new()));
    let other = one::<Int16Type>(&["b", "a"]);
    assert_path(unifying.try_group::<StreamFormat>(&other, &none).err(), "word");
    // And values of another type.
    let numbers = DictionaryArray::<Int8Type>::new(vec![0].into(), Arc::clone(narrow.column(0)));
    let other = RecordBatch::try_from_iter([("word", Arc::new(numbers) as ArrayRef)]).unwrap();
    let refused = unifying.try_group::<StreamFormat>(&other, &none);
    assert!(matches!(&refused, Err(Error::SchemaMismatch { path, .. }) if path == "word"), "{refused:?}");
}

#[test]
fn any_number_of_rows_may_be_counted() {
    let rows = usize::try_from(i64::MAX).unwrap();
    let nothing = Arc::new(Schema::empty());
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&nothing), Vec::new(), &options).unwrap();
    let mut encoder = Encoder::stream(Vec::new()).start(nothing).unwrap();
    (0..3).for_each(|_| _ = encoder.write(&batch).unwrap());
    assert_eq!((encoder.stats().record_batches, encoder.stats().rows), (3, u64::MAX));
}

/// `levels` structs, one inside the other, around a number.
fn nested(levels: usize) -> ArrayRef {
    let number: ArrayRef = Arc::new(Int32Array::from(vec![7]));
    (0..levels).fold(number, |child, _| {
        let fields = vec![field("f", child.data_type().clone())].into();
        Arc::new(StructArray::new(fields, vec![child], None))
    })
}

#[test]
fn types_may_nest_as_deep_as_the_stack_is_sure_to_bear() {
    let refused = Options::builder().max_nesting(129).build();
    assert!(matches!(refused, Err(Error::InvalidOptions(_))), "{refused:?}");
    let deepest = Options::builder().max_nesting(128).validation(Validation::Full).clear_nulls(true).build().unwrap();
    let batch = RecordBatch::try_from_iter([("x", nested(127))]).unwrap();
    let mut encoder = Encoder::stream(Vec::new()).with_options(deepest.clone()).start(batch.schema()).unwrap();
    encoder.write(&batch).unwrap();
    let deeper = RecordBatch::try_from_iter([("x", nested(128))]).unwrap();
    let refused = Encoder::stream(Vec::new()).with_options(deepest).start(deeper.schema()).unwrap_err();
    assert!(matches!(refused.error(), Error::NestingTooDeep { limit: 128, .. }), "{refused:?}");
}

#[test]
fn a_schema_is_not_followed_deeper_than_types_may_nest() {
    // Arrow itself drops it level by level, so not too deep.
    let deep = (0..3000).fold(DataType::Int32, |child, _| DataType::Struct(vec![field("f", child)].into()));
    let options = builder(Unify::new().widen_keys(true)).build().unwrap();
    let refused = StreamSchema::try_new(schema(vec![field("x", deep)]), &options);
    assert!(matches!(refused, Err(Error::NestingTooDeep { .. })), "{refused:?}");
}
