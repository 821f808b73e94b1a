//! What cannot be written is refused before a byte of it is, by an error that names the column, and the encoder goes
//! on as if it had never been asked.
//!
//! Fails where a check comes behind the first write, where one is missing - a float column in an integer stream reads
//! back as integers -, or where a refusal leaves something behind in the encoder.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int32Array, ListArray, RecordBatch, StringArray, new_empty_array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields, SchemaRef, UnionFields, UnionMode};
use ipc_core::{Alignment, Compression, Encoder, Error, MetadataVersion, Options, RawBuffers};
use ipc_tests::by_hand::{field, schema, unchecked};
use ipc_tests::read;
use ipc_tests::value::assert_same_batches;

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
    let keyed = DataType::Dictionary(Box::new(DataType::Utf8), Box::new(DataType::Utf8));
    let run_ends = Arc::new(Field::new("run_ends", DataType::Int8, false));
    let cases = [
        ("binary", field("binary", DataType::FixedSizeBinary(-1))),
        ("fixed", field("fixed", DataType::FixedSizeList(Arc::new(field("item", DataType::Int8)), -1))),
        ("keyed", field("keyed", keyed)),
        ("runs", field("runs", DataType::RunEndEncoded(run_ends, Arc::new(field("values", DataType::Int8))))),
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
fn each_kind_of_nesting_counts_its_levels() {
    let x = || Arc::new(field("x", DataType::Int8));
    let pair = DataType::Struct(
        vec![field("key", DataType::Int8).with_nullable(false), field("value", DataType::Int8)].into(),
    );
    let runs = Field::new("run_ends", DataType::Int16, false);
    let kinds = [
        (DataType::Int8, 1),
        (DataType::ListView(x()), 2),
        (DataType::Map(Arc::new(Field::new("entries", pair.clone(), false)), false), 3),
        (DataType::Union(UnionFields::from_fields(vec![field("x", DataType::Int8)]), UnionMode::Sparse), 2),
        (DataType::RunEndEncoded(Arc::new(runs), x()), 2),
        (DataType::Dictionary(Box::new(DataType::Int8), Box::new(pair)), 2),
    ];
    for (kind, levels) in kinds {
        let schema = schema(vec![field("a", kind)]);
        let start = |limit| {
            let options = Options::builder().max_nesting(limit).build().unwrap();
            Encoder::stream(Vec::new()).with_options(options).start(Arc::clone(&schema))
        };
        assert!(start(levels).is_ok(), "{schema:?}");
        if levels > 1 {
            let refused = start(levels - 1).unwrap_err();
            assert!(matches!(refused.error(), Error::NestingTooDeep { .. }), "{schema:?}: {refused:?}");
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
fn a_column_of_another_type_than_its_field_is_refused() {
    let child = Arc::new(field("b", DataType::Int32));
    let fields = vec![field("a", DataType::Int32), field("list", DataType::List(Arc::clone(&child)))];
    let number: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let list = || ListArray::new(Arc::clone(&child), OffsetBuffer::from_lengths([1]), Arc::clone(&number), None);
    let good = RecordBatch::try_new(schema(fields.clone()), vec![Arc::clone(&number), Arc::new(list())]).unwrap();
    for clear_nulls in [false, true] {
        let options = Options::builder().clear_nulls(clear_nulls).build().unwrap();
        let encoder = Encoder::stream(Vec::new()).with_options(options);
        let mut encoder = encoder.start(good.schema()).unwrap();
        for other in [Arc::new(StringArray::from(vec!["1"])) as ArrayRef, Arc::new(list())] {
            let bad = unchecked(schema(fields.clone()), vec![other, Arc::clone(good.column(1))], 1);
            let error = encoder.write(&bad).unwrap_err();
            assert!(matches!(&error, Error::InvalidArray { path, .. } if path == "a"), "{error:?}");
        }
        encoder.write(&good).unwrap();
        let stream = encoder.close().unwrap().into_inner();
        assert_same_batches(std::slice::from_ref(&good), &read::stream(&stream).unwrap().batches);
    }
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let refused = [
        Options::builder().compression(Compression::Zstd(0)),
        Options::builder().compression(Compression::Zstd(23)),
        Options::builder().compression(Compression::Lz4).metadata_version(MetadataVersion::V4),
        Options::builder().compression(Compression::Zstd(1)).metadata_version(MetadataVersion::V4Legacy),
        Options::builder().raw_buffers(RawBuffers::SavingLessThan(-0.1)),
        Options::builder().raw_buffers(RawBuffers::SavingLessThan(1.1)),
        Options::builder().max_nesting(0),
    ];
    for builder in refused {
        assert!(matches!(builder.clone().build(), Err(Error::InvalidOptions(_))), "{builder:?}");
    }
    for bytes in [0, 1, 4, 12, 128] {
        assert!(matches!(Alignment::try_from(bytes), Err(Error::InvalidOptions(_))), "{bytes}");
    }
}
