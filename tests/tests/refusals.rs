//! What cannot be written is refused before a byte of it is, by an error that names the column, and the encoder goes
//! on as if it had never been asked.
//!
//! Fails where a check comes behind the first write, where one is missing - a float column in an integer stream reads
//! back as integers -, or where a refusal leaves something behind in the encoder.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use std::sync::Arc;

use arrow_array::types::Int8Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Int8Array, Int32Array, ListArray, RecordBatch, StringArray, StringViewArray,
    StructArray, new_empty_array,
};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields, Metadata, Schema, SchemaRef, UnionFields, UnionMode};
use ipc_core::{Alignment, Compression, Encoder, Error, MetadataVersion, Options};
use ipc_tests::read;
use ipc_tests::value::assert_same_batches;

fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn schema(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

/// A stream, then a file, of a `good` batch, a `bad` one, and the good one again. Returns why the bad one was refused.
#[track_caller]
fn refused(good: &RecordBatch, bad: &RecordBatch, options: &Options) -> Error {
    let expected = [good.clone(), good.clone()];
    let mut encoder = Encoder::stream(Vec::new()).with_options(options.clone()).start(good.schema()).unwrap();
    encoder.write(good).unwrap();
    let (length, stats) = (encoder.get_ref().len(), encoder.stats());
    encoder.write(bad).expect_err("it must be refused");
    assert_eq!((encoder.get_ref().len(), encoder.stats()), (length, stats), "a refusal leaves no trace");
    encoder.write(good).unwrap();
    let stream = encoder.close().unwrap().into_inner();
    assert_same_batches(&expected, &read::stream(&stream).unwrap().batches);

    let mut encoder = Encoder::file(Vec::new()).with_options(options.clone()).start(good.schema()).unwrap();
    encoder.write(good).unwrap();
    encoder.flush().unwrap();
    let length = encoder.get_ref().len();
    let error = encoder.write(bad).expect_err("it must be refused");
    encoder.flush().unwrap();
    assert_eq!(encoder.get_ref().len(), length, "nor is anything staged");
    encoder.write(good).unwrap();
    let file = encoder.close().unwrap().into_inner();
    assert_same_batches(&expected, &read::file(&file).unwrap().batches);
    error
}

/// The path that a mismatch between schemas of these fields names.
#[track_caller]
fn mismatch(expected: Vec<Field>, found: Vec<Field>) -> String {
    let (good, bad) = (RecordBatch::new_empty(schema(expected)), RecordBatch::new_empty(schema(found)));
    match refused(&good, &bad, &Options::default()) {
        Error::SchemaMismatch { path, .. } => path,
        error => panic!("{error:?}"),
    }
}

/// A batch that its own constructor would refuse.
fn unchecked(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> RecordBatch {
    // SAFETY: nothing but the encoder sees the batch, and that reads columns through checked accessors only.
    unsafe { RecordBatch::new_unchecked(schema, columns, rows) }
}

#[test]
fn another_schema_is_refused_by_the_path_of_its_first_difference() {
    use DataType::{Dictionary, Float32, Int16, Int32, Int64, List, Map, RunEndEncoded, Struct, Union, Utf8};
    let one = |data_type: DataType| vec![field("a", data_type)];
    let list = |child: Field| one(List(Arc::new(child)));
    let fields = |fields: Vec<Field>| one(Struct(fields.into()));
    let dictionary = |key, value| one(Dictionary(Box::new(key), Box::new(value)));
    let run_ends =
        |key, value| one(RunEndEncoded(Arc::new(Field::new("run_ends", key, false)), Arc::new(field("values", value))));
    let map = |value| {
        let entry = Struct(vec![Field::new("key", Utf8, false), field("value", value)].into());
        one(Map(Arc::new(Field::new("entries", entry, false)), false))
    };
    let union = |id, value| one(Union(UnionFields::try_new([id], [field("u", value)]).unwrap(), UnionMode::Sparse));
    let cases = [
        ("a", one(Int32), one(Float32)),
        ("a", one(Int32), vec![field("b", Int32)]),
        ("a", one(Int32), vec![Field::new("a", Int32, false)]),
        ("a", vec![Field::new("a", Int32, false)], one(Int32)),
        ("b", one(Int32), vec![field("a", Int32), field("b", Int32)]),
        ("b", vec![field("a", Int32), field("b", Int32)], one(Int32)),
        ("a", one(Int32), vec![]),
        ("a.x", list(field("x", Int32)), list(field("x", Int64))),
        ("a.x", list(field("x", Int32)), list(field("y", Int32))),
        ("a.x", list(field("x", Int32)), list(Field::new("x", Int32, false))),
        ("a.y", fields(vec![field("x", Utf8), field("y", Utf8)]), fields(vec![field("x", Utf8), field("y", Int32)])),
        ("a.y", fields(vec![field("x", Utf8), field("y", Utf8)]), fields(vec![field("x", Utf8)])),
        ("a", dictionary(Int32, Utf8), dictionary(Int16, Utf8)),
        ("a", dictionary(Int32, Utf8), dictionary(Int32, Int64)),
        ("a", dictionary(Int32, Utf8), one(Utf8)),
        ("a.values", run_ends(Int32, Utf8), run_ends(Int32, Int64)),
        ("a.run_ends", run_ends(Int32, Utf8), run_ends(Int64, Utf8)),
        ("a.entries.value", map(Int32), map(Int64)),
        ("a.u", union(0, Int32), union(0, Int64)),
        ("a", union(0, Int32), union(1, Int32)),
    ];
    for (path, expected, found) in cases {
        assert_eq!(mismatch(expected.clone(), found.clone()), path, "{expected:?}\n{found:?}");
    }
}

#[test]
fn metadata_alone_is_no_mismatch() {
    let plain = RecordBatch::new_empty(schema(vec![field("a", DataType::Int32)]));
    let with = field("a", DataType::Int32).with_metadata(Metadata::from([("k", "v")]));
    let with = Schema::new(vec![with]).with_metadata(Metadata::from([("k", "v")]));
    let mut encoder = Encoder::stream(Vec::new()).start(plain.schema()).unwrap();
    encoder.write(&RecordBatch::new_empty(Arc::new(with))).unwrap();
}

#[test]
fn a_null_where_the_field_allows_none_is_refused() {
    let schema = schema(vec![Field::new("a", DataType::Int32, false)]);
    let good = RecordBatch::try_new(schema.clone(), vec![Arc::new(Int32Array::from(vec![1, 2]))]).unwrap();
    let bad = unchecked(schema, vec![Arc::new(Int32Array::from(vec![Some(1), None]))], 2);
    let error = refused(&good, &bad, &Options::default());
    assert!(matches!(&error, Error::InvalidArray { path, .. } if path == "a"), "{error:?}");
}

#[test]
fn columns_shorter_than_their_batch_are_refused() {
    let column: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let good = RecordBatch::try_from_iter([("a", column.clone())]).unwrap();
    let bad = unchecked(good.schema(), vec![column], 3);
    let error = refused(&good, &bad, &Options::default());
    assert!(matches!(&error, Error::InvalidArray { path, .. } if path == "a"), "{error:?}");
}

#[test]
fn offsets_that_fall_are_refused_by_the_column_they_are_in() {
    let strings = |offsets: Vec<i32>| {
        // SAFETY: only the encoder sees the array, which checks offsets before it follows them.
        unsafe {
            let offsets = OffsetBuffer::new_unchecked(ScalarBuffer::from(offsets));
            StringArray::new_unchecked(offsets, Buffer::from(b"abcdef".as_slice()), None)
        }
    };
    let structs = |strings: StringArray| {
        let inner = Fields::from(vec![field("word", DataType::Utf8)]);
        let structs = StructArray::new(inner, vec![Arc::new(strings)], None);
        RecordBatch::try_from_iter_with_nullable([("s", Arc::new(structs) as ArrayRef, true)]).unwrap()
    };
    for offsets in [vec![4, 3, 2], vec![0, 3, 7], vec![-1, 0, 1]] {
        let error = refused(&structs(strings(vec![0, 3, 6])), &structs(strings(offsets)), &Options::default());
        assert!(matches!(&error, Error::InvalidArray { path, .. } if path == "s.word"), "{error:?}");
    }
}

#[test]
fn lists_beyond_their_child_are_refused() {
    let lists = |offsets: Vec<i32>| {
        let child = Arc::new(field("item", DataType::Int32));
        let values = Arc::new(Int32Array::from(vec![1, 2, 3]));
        // SAFETY: only the encoder sees the array, which checks offsets before it follows them.
        let array = unsafe {
            let offsets = OffsetBuffer::new_unchecked(ScalarBuffer::from(offsets));
            ListArray::new_unchecked(child, offsets, values, None)
        };
        RecordBatch::try_from_iter_with_nullable([("l", Arc::new(array) as ArrayRef, true)]).unwrap()
    };
    let error = refused(&lists(vec![0, 1, 3]), &lists(vec![0, 1, 4]), &Options::default());
    assert!(matches!(&error, Error::InvalidArray { path, .. } if path == "l.item"), "{error:?}");
}

#[test]
fn views_beyond_their_buffers_are_refused_where_they_are_followed() {
    let views = |offset: u32| {
        let view = 20u128 | u128::from(offset) << 96;
        let buffers = vec![Buffer::from(b"twenty bytes of text, and more".as_slice())];
        // SAFETY: only the encoder sees the array, which checks views before it follows them.
        let array = unsafe { StringViewArray::new_unchecked(vec![view].into(), buffers.into(), None) };
        RecordBatch::try_from_iter_with_nullable([("v", Arc::new(array) as ArrayRef, true)]).unwrap()
    };
    let options = Options::builder().compact_views(true).build().unwrap();
    let good = {
        let array = StringViewArray::from(vec!["short"]);
        RecordBatch::try_from_iter_with_nullable([("v", Arc::new(array) as ArrayRef, true)]).unwrap()
    };
    let error = refused(&good, &views(11), &options);
    assert!(matches!(&error, Error::InvalidArray { path, .. } if path == "v"), "{error:?}");
}

#[test]
fn invalid_values_of_a_dictionary_are_refused_with_it() {
    let batch = |offsets: Vec<i32>| {
        // SAFETY: only the encoder sees the array, which checks offsets before it follows them.
        let values = unsafe {
            let offsets = OffsetBuffer::new_unchecked(ScalarBuffer::from(offsets));
            StringArray::new_unchecked(offsets, Buffer::from(b"abcdef".as_slice()), None)
        };
        let array = DictionaryArray::<Int8Type>::new(Int8Array::from(vec![0]), Arc::new(values));
        RecordBatch::try_from_iter_with_nullable([("d", Arc::new(array) as ArrayRef, true)]).unwrap()
    };
    let mut encoder = Encoder::stream(Vec::new()).start(batch(vec![0, 6]).schema()).unwrap();
    let error = encoder.write(&batch(vec![0, 7])).unwrap_err();
    assert!(matches!(&error, Error::InvalidArray { path, .. } if path == "d"), "{error:?}");
    encoder.write(&batch(vec![0, 6])).unwrap();
    let stream = encoder.close().unwrap().into_inner();
    assert_same_batches(&[batch(vec![0, 6])], &read::stream(&stream).unwrap().batches);
}

/// Why a schema is refused. The encoder comes back, has written nothing, and can be started with another.
#[track_caller]
fn refused_schema(refused: &SchemaRef, options: &Options) -> Error {
    let good = schema(vec![field("a", DataType::Int32)]);
    let failed = Encoder::stream(Vec::new()).with_options(options.clone()).start(refused.clone()).unwrap_err();
    let (_, encoder) = failed.into_parts();
    let sink = encoder.into_inner();
    assert!(sink.is_empty());
    let failed = Encoder::file(sink).with_options(options.clone()).start(refused.clone()).unwrap_err();
    let (error, encoder) = failed.into_parts();
    let file = encoder.start(good.clone()).unwrap().close().unwrap().into_inner();
    assert_eq!(read::file(&file).unwrap().schema, good);
    error
}

#[test]
fn types_that_the_format_cannot_express_are_refused() {
    let dictionary = |values| DataType::Dictionary(Box::new(DataType::Int8), Box::new(values));
    let twice = field("twice", dictionary(dictionary(DataType::Utf8)));
    let inside = field("list", DataType::List(Arc::new(twice.clone())));
    let entries = |data_type| field("map", DataType::Map(Arc::new(Field::new("entries", data_type, false)), false));
    let three = Fields::from(vec![field("k", DataType::Utf8), field("v", DataType::Utf8), field("w", DataType::Utf8)]);
    let cases = [
        ("twice", twice),
        ("list.twice", inside),
        ("map", entries(DataType::Utf8)),
        ("map", entries(DataType::Struct(three))),
    ];
    for (at, field) in cases {
        let error = refused_schema(&schema(vec![field]), &Options::default());
        assert!(matches!(&error, Error::Unsupported { path, .. } if path == at), "{error:?}");
    }
}

#[test]
fn types_that_nest_too_deep_are_refused() {
    let nest = |wrap: fn(Arc<Field>) -> DataType, levels: usize| {
        (1..levels).fold(field("x", DataType::Int8), |child, _| field("x", wrap(Arc::new(child))))
    };
    let wraps: [fn(Arc<Field>) -> DataType; 4] = [
        DataType::List,
        DataType::LargeListView,
        |child| DataType::FixedSizeList(child, 1),
        |child| DataType::Struct(Fields::from(vec![child])),
    ];
    for wrap in wraps {
        for limit in [1, 5, 60] {
            let options = Options::builder().max_nesting(limit).build().unwrap();
            let error = refused_schema(&schema(vec![nest(wrap, limit + 1)]), &options);
            let Error::NestingTooDeep { path, limit: named } = &error else { panic!("{error:?}") };
            assert_eq!((path.split('.').count(), *named), (limit + 1, limit));

            let deepest = nest(wrap, limit);
            let batch = RecordBatch::new_empty(schema(vec![deepest.clone()]));
            let mut encoder = Encoder::stream(Vec::new()).with_options(options).start(batch.schema()).unwrap();
            encoder.write(&batch).unwrap();
            assert_eq!(new_empty_array(deepest.data_type()).len(), 0);
        }
    }
}

#[test]
fn a_first_batch_that_is_refused_leaves_the_encoder_unstarted() {
    let schema = schema(vec![Field::new("a", DataType::Int32, false)]);
    let bad = unchecked(schema.clone(), vec![Arc::new(Int32Array::from(vec![None]))], 1);
    let good = RecordBatch::try_new(schema, vec![Arc::new(Int32Array::from(vec![1]))]).unwrap();
    let (error, encoder) = Encoder::stream(Vec::new()).start_with(&bad).unwrap_err().into_parts();
    assert!(matches!(error, Error::InvalidArray { .. }));
    let (encoder, _) = encoder.start_with(&good).unwrap();
    let stream = encoder.close().unwrap().into_inner();
    assert_same_batches(&[good], &read::stream(&stream).unwrap().batches);
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let refused = [
        Options::builder().compression(Compression::Zstd(0)),
        Options::builder().compression(Compression::Zstd(23)),
        Options::builder().compression(Compression::Lz4).metadata_version(MetadataVersion::V4),
        Options::builder().compression(Compression::Zstd(1)).metadata_version(MetadataVersion::V4Legacy),
        Options::builder().min_space_saving(-0.1),
        Options::builder().min_space_saving(1.1),
        Options::builder().min_space_saving(0.5).raw_buffers(false),
        Options::builder().max_nesting(0),
    ];
    for builder in refused {
        assert!(matches!(builder.clone().build(), Err(Error::InvalidOptions(_))), "{builder:?}");
    }
    for bytes in [0, 1, 4, 12, 128] {
        assert!(matches!(Alignment::try_from(bytes), Err(Error::InvalidOptions(_))), "{bytes}");
    }
}
