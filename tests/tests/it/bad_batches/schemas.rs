//! Batches of another schema than the stream's, and batches that do not have the schema that they say they have.
//!
//! Fields are compared in name, type and nullability, at every level. Metadata is not: a batch is free to carry its own,
//! and readers see that of the stream's schema.

use std::sync::Arc;

use arrow_array::{ArrayRef, DictionaryArray, Float32Array, Int32Array, RecordBatch, types::Int8Type};
use arrow_schema::{DataType, Field, Metadata, Schema, UnionFields, UnionMode};
use ipc_core::{DictionaryHandling, Encoder, Error, Options, Unify, Validation};
use ipc_tests::by_hand::{field, schema, unchecked};
use ipc_tests::read;

use super::writers::{options, refusal};

/// The path that a mismatch between schemas of these fields names.
#[track_caller]
fn mismatch(expected: Vec<Field>, found: Vec<Field>) -> String {
    let (good, bad) = (RecordBatch::new_empty(schema(expected)), RecordBatch::new_empty(schema(found)));
    match refusal(&good, 1, &bad, &Options::default()) {
        Some(Error::SchemaMismatch { path, .. }) => path,
        refusal => panic!("{refusal:?}"),
    }
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
fn metadata_may_differ_and_readers_see_that_of_the_stream() {
    let list = |metadata: Metadata| {
        let item = field("item", DataType::Int32).with_metadata(metadata.clone());
        let list = field("a", DataType::List(Arc::new(item))).with_metadata(metadata.clone());
        RecordBatch::new_empty(Arc::new(Schema::new(vec![list]).with_metadata(metadata)))
    };
    let of_stream = list(Metadata::from([("k", "stream")]));
    for of_batch in [Metadata::new(), Metadata::from([("k", "batch"), ("more", "")])] {
        for validation in [Validation::Layout, Validation::Full] {
            let bad = list(of_batch.clone());
            assert!(refusal(&of_stream, 1, &bad, &options(validation)).is_none());
            let mut encoder = Encoder::stream(Vec::new()).start(of_stream.schema()).unwrap();
            encoder.write(&bad).unwrap();
            let read = read::stream(&encoder.close().unwrap().into_inner()).unwrap();
            assert_eq!(read.schema, of_stream.schema());
            assert_eq!(read.batches[0].schema(), of_stream.schema());
        }
    }
}

#[track_caller]
fn refused_at(good: &RecordBatch, bad: &RecordBatch, validation: Validation) -> Option<String> {
    match refusal(good, 1, bad, &options(validation)) {
        Some(Error::InvalidArray { path, .. }) => Some(path),
        None => None,
        Some(error) => panic!("{error:?}"),
    }
}

#[test]
fn columns_that_a_batch_lacks_or_has_too_many_of_are_refused() {
    let integers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let words = DictionaryArray::<Int8Type>::from_iter(["x", "y"]);
    let schema = schema(vec![field("a", DataType::Int32), field("b", arrow_array::Array::data_type(&words).clone())]);
    let words: ArrayRef = Arc::new(words);
    let columns = [Arc::clone(&integers), words, Arc::clone(&integers)];
    let good = RecordBatch::try_new(schema.clone(), columns[..2].to_vec()).unwrap();
    for validation in [Validation::Layout, Validation::Full] {
        for (count, path) in [(0, "a"), (1, "b"), (3, "columns")] {
            let bad = unchecked(schema.clone(), columns[..count].to_vec(), 2);
            assert_eq!(refused_at(&good, &bad, validation).as_deref(), Some(path));
        }
    }
}

#[test]
fn columns_shorter_than_their_batch_are_refused() {
    let column: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let good = RecordBatch::try_from_iter([("a", column.clone())]).unwrap();
    for validation in [Validation::Layout, Validation::Full] {
        let bad = unchecked(good.schema(), vec![column.clone()], 3);
        assert_eq!(refused_at(&good, &bad, validation).as_deref(), Some("a"));
    }
}

#[test]
fn columns_of_another_type_than_their_batch_says_are_refused() {
    let integers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let floats: ArrayRef = Arc::new(Float32Array::from(vec![1.0, 2.0]));
    let bytes = |size| -> ArrayRef { arrow_array::new_null_array(&DataType::FixedSizeBinary(size), 2) };
    let lists = |size| -> ArrayRef {
        arrow_array::new_null_array(&DataType::new_fixed_size_list(DataType::Int8, size, true), 2)
    };
    let union = |id, member, mode| -> ArrayRef {
        let fields = UnionFields::try_new([id], [field("u", member)]).unwrap();
        arrow_array::new_null_array(&DataType::Union(fields, mode), 2)
    };
    let sparse = union(0, DataType::Int32, UnionMode::Sparse);
    let dictionary = |key, values| -> ArrayRef {
        arrow_array::new_null_array(&DataType::Dictionary(Box::new(key), Box::new(values)), 2)
    };
    let words = dictionary(DataType::Int8, DataType::Utf8);
    let pairs = [
        (Arc::clone(&integers), floats),
        (bytes(4), bytes(8)),
        (lists(4), lists(8)),
        (arrow_array::new_null_array(&DataType::Null, 2), integers),
        (Arc::clone(&sparse), union(1, DataType::Int32, UnionMode::Sparse)),
        (sparse, union(0, DataType::Int32, UnionMode::Dense)),
        (Arc::clone(&words), dictionary(DataType::Int16, DataType::Utf8)),
    ];
    for (good, bad) in pairs {
        let good = RecordBatch::try_from_iter_with_nullable([("a", good, true)]).unwrap();
        let bad = unchecked(good.schema(), vec![bad], 2);
        for validation in [Validation::Layout, Validation::Full] {
            assert_eq!(refused_at(&good, &bad, validation).as_deref(), Some("a"));
        }
    }
    // As the first that is sent: once another was, a file would refuse it for that.
    let good = RecordBatch::try_from_iter_with_nullable([("a", words, true)]).unwrap();
    let bad = unchecked(good.schema(), vec![dictionary(DataType::Int8, DataType::Binary)], 2);
    for handling in [DictionaryHandling::Resend, Unify::new().into()] {
        let options = Options::builder().dictionaries(handling).staging(false).build().unwrap();
        let refusal = refusal(&good, 0, &bad, &options);
        assert!(matches!(&refusal, Some(Error::InvalidArray { path, .. }) if path == "a"), "{handling:?}: {refusal:?}");
    }
}

#[test]
fn dictionaries_where_the_schema_has_none_are_refused() {
    let words = |words: [&str; 2]| DictionaryArray::<Int8Type>::from_iter(words);
    let struct_of = |fields: Vec<(&str, ArrayRef)>| {
        let fields = fields.into_iter().map(|(name, array)| (Arc::new(field(name, array.data_type().clone())), array));
        Arc::new(arrow_array::StructArray::from(fields.collect::<Vec<_>>())) as ArrayRef
    };
    let integers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let one = struct_of(vec![("a", Arc::new(words(["x", "y"]))), ("b", integers)]);
    let two = struct_of(vec![("a", Arc::new(words(["x", "y"]))), ("b", Arc::new(words(["z", "z"])))]);
    let good = RecordBatch::try_from_iter_with_nullable([("s", one, true)]).unwrap();
    let bad = unchecked(good.schema(), vec![two], 2);
    for validation in [Validation::Layout, Validation::Full] {
        assert_eq!(refused_at(&good, &bad, validation).as_deref(), Some("columns"));
    }
}
