//! A batch of another extension type than the stream's, or with an ordered dictionary where the stream's is not, is
//! refused by every writer with the column's path, what was expected and what was found; other metadata may differ.
//!
//! Fails where a place in which a type has fields is left out of the comparison, where a writer does not make it, or
//! where metadata counts that says nothing of the type.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::extension::{EXTENSION_TYPE_METADATA_KEY, EXTENSION_TYPE_NAME_KEY};
use arrow_schema::{DataType, Field, Metadata, Schema, SchemaRef, UnionFields, UnionMode};
use ipc_core::parts::StreamSchema;
use ipc_core::{Encoder, Error, Options};
use ipc_shared::SharedWriter;
use ipc_tests::read;

/// A place inside a column `a` for a field, and the path that it has there.
type Place = (fn(Field) -> DataType, &'static str);

const PLACES: [Place; 11] = [
    (|field| DataType::List(field.into()), "a.x"),
    (|field| DataType::LargeList(field.into()), "a.x"),
    (|field| DataType::ListView(field.into()), "a.x"),
    (|field| DataType::LargeListView(field.into()), "a.x"),
    (|field| DataType::FixedSizeList(field.into(), 2), "a.x"),
    (|field| DataType::Struct(vec![Field::new("w", DataType::Int8, true), field].into()), "a.x"),
    (
        |field| {
            let entries = vec![Field::new("key", DataType::Utf8, false), field];
            DataType::Map(Field::new("entries", DataType::Struct(entries.into()), false).into(), false)
        },
        "a.entries.x",
    ),
    (|field| DataType::RunEndEncoded(Field::new("run_ends", DataType::Int32, false).into(), field.into()), "a.x"),
    (|field| DataType::Union(UnionFields::try_new([3], [field]).unwrap(), UnionMode::Dense), "a.x"),
    (|field| DataType::Union(UnionFields::try_new([3], [field]).unwrap(), UnionMode::Sparse), "a.x"),
    (
        |field| {
            let values = DataType::Struct(vec![field].into());
            DataType::Dictionary(Box::new(DataType::Int8), Box::new(values))
        },
        "a.x",
    ),
];

fn dictionary(values: DataType) -> DataType {
    DataType::Dictionary(Box::new(DataType::Int8), Box::new(values))
}

fn schema(field: Field) -> SchemaRef {
    Arc::new(Schema::new(vec![field]))
}

/// `field` as a column, and at every place inside one, with its path.
fn everywhere(field: &Field) -> Vec<(SchemaRef, &'static str)> {
    let inside = PLACES.iter().map(|(of, path)| (schema(Field::new("a", of(field.clone()), true)), *path));
    inside.chain([(schema(field.clone()), "x")]).collect()
}

/// Returns the error of every writer for a batch of `found` in an output of `expected`. Each must accept the next batch
/// of the right schema.
#[track_caller]
fn refused(expected: &SchemaRef, found: &SchemaRef) -> Error {
    let [good, bad] = [expected, found].map(|schema| RecordBatch::new_empty(Arc::clone(schema)));
    let mut encoder = Encoder::stream(Vec::new()).start(good.schema()).unwrap();
    let error = encoder.write(&bad).unwrap_err();
    encoder.write(&good).unwrap();

    let writer = SharedWriter::stream(Vec::new()).build().unwrap();
    let (mut one, mut other) = (writer.producer(), writer.producer());
    one.write(&good).unwrap();
    let in_a_slot = writer.reserve().unwrap().write(&bad).unwrap_err().to_string();
    let told = [other.write(&bad).unwrap_err().to_string(), writer.write(&bad).unwrap_err().to_string(), in_a_slot];
    assert!(told.iter().all(|told| told.ends_with(&error.to_string())), "{told:?}");
    other.write(&good).unwrap();
    drop((one, other));
    writer.close().unwrap();
    let written = read::stream(&writer.into_inner().unwrap()).unwrap();
    assert_eq!((written.batches.len(), &written.schema), (2, expected));
    assert!(matches!(error, Error::SchemaMismatch { .. }), "{error:?}");
    error
}

fn extension(name: &str, metadata: Option<&str>) -> Metadata {
    let named = Metadata::from([(EXTENSION_TYPE_NAME_KEY, name)]);
    metadata.into_iter().fold(named, |pairs, metadata| pairs.with(EXTENSION_TYPE_METADATA_KEY, metadata))
}

#[test]
fn another_extension_type_is_refused_wherever_it_stands() {
    let of = |metadata: Metadata| Field::new("x", DataType::Binary, true).with_metadata(metadata);
    let (wkb, json) = (extension("geoarrow.wkb", Some("EPSG:4326")), extension("arrow.json", None));
    let cases = [
        (
            &wkb,
            extension("geoarrow.wkb", Some("EPSG:3857")),
            "extension type `geoarrow.wkb` with metadata `EPSG:4326`, found metadata `EPSG:3857`",
        ),
        (
            &wkb,
            extension("geoarrow.wkb", None),
            "extension type `geoarrow.wkb` with metadata `EPSG:4326`, found metadata ``",
        ),
        (&wkb, json.clone(), "extension type `geoarrow.wkb`, found extension type `arrow.json`"),
        (&json, Metadata::new(), "extension type `arrow.json`, found no extension type"),
        (&Metadata::new(), json.clone(), "no extension type, found extension type `arrow.json`"),
    ];
    for (expected, found, told) in cases {
        let pairs = everywhere(&of(expected.clone())).into_iter().zip(everywhere(&of(found)));
        for ((expected, path), (found, _)) in pairs {
            let error = refused(&expected, &found).to_string();
            assert_eq!(error, format!("schema mismatch at column `{path}`: expected {told}"));
        }
    }
}

#[test]
fn an_ordered_dictionary_is_not_an_unordered_one() {
    let of = |is_ordered| Field::new("x", dictionary(DataType::Utf8), true).with_dict_is_ordered(is_ordered);
    for (expected, found) in everywhere(&of(true)).into_iter().zip(everywhere(&of(false))) {
        let ((ordered, path), (unordered, _)) = (expected, found);
        let error = refused(&ordered, &unordered).to_string();
        let told = "expected an ordered dictionary, found an unordered dictionary";
        assert_eq!(error, format!("schema mismatch at column `{path}`: {told}"));
        let error = refused(&unordered, &ordered).to_string();
        let told = "expected an unordered dictionary, found an ordered dictionary";
        assert_eq!(error, format!("schema mismatch at column `{path}`: {told}"));
    }
}

/// pyarrow writes missing metadata of an extension type as an empty string; arrow-rs leaves the key out.
#[test]
fn an_extension_type_without_metadata_is_the_same_as_one_with_none() {
    let of = |metadata| Field::new("x", DataType::FixedSizeBinary(16), true).with_metadata(metadata);
    let (absent, empty) = (extension("arrow.uuid", None), extension("arrow.uuid", Some("")));
    for (one, other) in everywhere(&of(absent)).into_iter().zip(everywhere(&of(empty))) {
        for (expected, found) in [(&one.0, &other.0), (&other.0, &one.0)] {
            let stream = StreamSchema::try_new(Arc::clone(expected), &Options::default()).unwrap();
            stream.check(found).unwrap();
            assert_eq!(stream.metadata_differences(found), []);
        }
    }
}

#[test]
fn other_metadata_may_differ_and_is_listed() {
    let of = |pairs: Metadata| Field::new("x", DataType::Int8, true).with_metadata(pairs);
    let (one, other) = (Metadata::from([("a", "1"), ("b", "2")]), Metadata::from([("b", "3"), ("c", "4")]));
    for ((expected, path), (found, _)) in everywhere(&of(one.clone())).into_iter().zip(everywhere(&of(other.clone()))) {
        let noted = |schema: &Schema, metadata: &Metadata| {
            Arc::new(Schema::new_with_metadata(schema.fields().clone(), metadata.clone()))
        };
        let (expected, found) = (noted(&expected, &one), noted(&found, &other));
        let stream = StreamSchema::try_new(expected, &Options::default()).unwrap();
        stream.check(&found).unwrap();
        let differences = stream.metadata_differences(&found);
        let told: Vec<_> =
            differences.iter().map(|d| (&*d.path, &*d.key, d.expected.as_deref(), d.found.as_deref())).collect();
        let at = |path| [(path, "a", Some("1"), None), (path, "b", Some("2"), Some("3")), (path, "c", None, Some("4"))];
        assert_eq!(told, [at(""), at(path)].concat());
    }
}
