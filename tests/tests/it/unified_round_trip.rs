//! Whatever dictionaries batches come with, and of whatever values, unified they read back as what they were.
//!
//! Fails where a key is rewritten to another value's id, where two values become one, or where a delta comes after the
//! batch that needs it. What the judge of another project makes of all types, and of dictionaries inside dictionaries, is
//! at the end.

use std::io::Write;
use std::sync::Mutex;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Metadata};
use ipc_core::Unify;
use ipc_core::{Error, Options, OptionsBuilder};
use ipc_shared::{FileFormat, StreamFormat};
use ipc_tests::arrays::Sharing::{self, Changing, Equal, Growing, Shared};
use ipc_tests::arrays::{contains, has_dictionary};
use ipc_tests::batches::{Batches, Plan, arb_batches, every_kind};
use ipc_tests::cases::cases;
use ipc_tests::options::arb_options_with;
use ipc_tests::outside::{Pair, judge};
use ipc_tests::shared::Output;
use ipc_tests::threads::together;
use ipc_tests::value::{assert_same_batches, value};
use ipc_tests::{encode, read};
use proptest::proptest;

const ANY: &[Sharing] = &[Shared, Equal, Growing, Changing];

fn assert_comes_back(batches: &Batches, found: &read::Contents) {
    assert_eq!(batches.schema, found.schema);
    assert_same_batches(&batches.batches, &found.batches);
}

/// A file whose fields cannot be unified without dictionaries at close says so.
fn is_unsupported(error: &Error) -> bool {
    matches!(error, Error::Unsupported { reason, .. } if reason.contains("at close"))
}

#[track_caller]
fn unless_unsupported(written: Result<Vec<u8>, Error>) -> Option<Vec<u8>> {
    match written {
        Ok(bytes) => Some(bytes),
        Err(error) if is_unsupported(&error) => None,
        Err(error) => panic!("{error}"),
    }
}

fn unify(builder: OptionsBuilder) -> OptionsBuilder {
    builder.dictionaries(Unify::new())
}

fn at_close(builder: OptionsBuilder) -> OptionsBuilder {
    builder.dictionaries(Unify::new().at_close(true))
}

fn widened(builder: OptionsBuilder) -> OptionsBuilder {
    builder.dictionaries(Unify::new().widen_keys(true))
}

/// The batches, cell by cell and in any order, since threads wrote them in any.
fn sorted_cells(batches: &[RecordBatch]) -> Vec<String> {
    let cells = |batch: &RecordBatch| {
        let column = |column: &ArrayRef| (0..batch.num_rows()).map(|row| value(column, row)).collect::<Vec<_>>();
        format!("{} {:?}", batch.num_rows(), batch.columns().iter().map(column).collect::<Vec<_>>())
    };
    let mut all: Vec<String> = batches.iter().map(cells).collect();
    all.sort_unstable();
    all
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn a_stream_comes_back(batches in arb_batches(ANY), options in arb_options_with(unify)) {
        let bytes = encode::stream(&batches.schema, &batches.batches, &options).unwrap();
        assert_comes_back(&batches, &read::stream(&bytes).unwrap());
    }

    #[test]
    fn a_file_comes_back_and_is_a_stream_too(batches in arb_batches(ANY), options in arb_options_with(unify)) {
        let written = encode::file(&batches.schema, &batches.batches, &options);
        if let Some(bytes) = unless_unsupported(written) {
            assert_comes_back(&batches, &read::file(&bytes).unwrap());
            assert_comes_back(&batches, &read::stream(&bytes[8..]).unwrap());
        }
    }

    #[test]
    fn a_file_with_its_dictionaries_at_close_comes_back(
        batches in arb_batches(ANY),
        options in arb_options_with(at_close),
    ) {
        let bytes = encode::file(&batches.schema, &batches.batches, &options).unwrap();
        assert_comes_back(&batches, &read::file(&bytes).unwrap());
    }

    #[test]
    fn cells_stay_what_they_are_behind_wider_keys(
        batches in arb_batches(ANY),
        options in arb_options_with(widened),
    ) {
        let bytes = encode::stream(&batches.schema, &batches.batches, &options).unwrap();
        let found = read::stream(&bytes).unwrap();
        let is_short = |data_type: &DataType| {
            matches!(data_type, DataType::Dictionary(key, _) if key.primitive_width().is_some_and(|width| width < 4))
        };
        assert!(found.schema.fields().iter().all(|field| !contains(field.data_type(), &is_short)));
        assert_eq!(sorted_cells(&batches.batches), sorted_cells(&found.batches));
    }

    #[test]
    fn what_four_threads_write_to_a_stream_comes_back(
        batches in arb_batches(ANY),
        options in arb_options_with(unify),
    ) {
        assert_comes_back_from_threads::<StreamFormat>(&batches, options);
    }

    #[test]
    fn what_four_threads_write_to_a_file_comes_back(batches in arb_batches(ANY), options in arb_options_with(unify)) {
        assert_comes_back_from_threads::<FileFormat>(&batches, options);
    }

    #[test]
    fn what_four_threads_write_to_a_file_with_its_dictionaries_at_close_comes_back(
        batches in arb_batches(ANY),
        options in arb_options_with(at_close),
    ) {
        assert_comes_back_from_threads::<FileFormat>(&batches, options);
    }
}

/// Each batch is written twice: as a write, which comes to stand anywhere, and in a place.
fn assert_comes_back_from_threads<F: Output>(batches: &Batches, options: Options) {
    let Batches { schema, batches, .. } = batches;
    let writer = match F::to(Vec::new()).schema(schema.clone()).options(options).window(2 * batches.len() + 1).build() {
        Ok(writer) => writer,
        Err(failed) => return assert!(is_unsupported(failed.error()), "{failed}"),
    };
    let places: Vec<_> = batches.iter().map(|_| Mutex::new(writer.reserve().ok())).collect();
    together(4, |thread| {
        let mut producer = writer.producer();
        for (batch, place) in batches.iter().zip(&places).skip(thread).step_by(4) {
            producer.write(batch).unwrap();
            place.lock().unwrap().take().unwrap().write(batch).unwrap();
        }
    });
    drop(places);
    writer.close().unwrap();
    let found = F::whole(&writer.into_inner().unwrap());
    let twice = [batches.as_slice(), batches.as_slice()].concat();
    assert_eq!(sorted_cells(&found), sorted_cells(&twice));
}

/// Batches with a dictionary of every kind, each with dictionaries of its own, and what another writer makes of them.
fn judged(fields: &[Field], seed: u64) -> (Batches, Vec<u8>) {
    let (fields, rows) = (fields.to_vec(), vec![30, 0, 20, 50]);
    let batches = Batches::new(Plan { fields, metadata: Metadata::new(), rows, sharing: Changing, seed });
    let mut writer = StreamWriter::try_new(Vec::new(), &batches.schema).unwrap();
    batches.batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    let bytes = writer.into_inner().unwrap();
    (batches, bytes)
}

/// A dictionary of every type of values, and every place where a dictionary may be. Left out are numbers that mean dates
/// and decimals, and structs whose fields have one name: all the same to us, but not to the judge.
fn dictionaries() -> Vec<Field> {
    let has_namesakes = |data_type: &DataType| match data_type {
        DataType::Struct(fields) => fields.iter().skip(1).any(|field| field.name() == fields[0].name()),
        _ => false,
    };
    let is_judged = |data_type: &DataType| {
        !(data_type.is_temporal() || data_type.is_decimal() || contains(data_type, &has_namesakes))
    };
    let dictionary = |data_type: DataType| DataType::Dictionary(Box::new(DataType::Int16), Box::new(data_type));
    let of_kind = |field: Field| {
        let data_type = field.data_type().clone();
        if has_dictionary(&data_type) { field } else { field.with_data_type(dictionary(data_type)) }
    };
    every_kind().into_iter().filter(|field| is_judged(field.data_type())).map(of_kind).collect()
}

#[test]
fn pyarrow_reads_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut pairs = Vec::new();
    let put = |name: String, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
        path
    };
    let all = dictionaries();
    let inside_none = |field: &&Field| !matches!(field.data_type(), DataType::Dictionary(_, v) if has_dictionary(v));
    let not_nested: Vec<Field> = all.iter().filter(inside_none).cloned().collect();
    assert!(not_nested.len() < all.len());
    for seed in 0..4 {
        for (fields, name) in [(&all, "all"), (&not_nested, "flat")] {
            let (Batches { schema, batches, .. }, theirs) = judged(fields, seed);
            let read = put(format!("{name} {seed}"), &theirs);
            let mut compare = |format: &str, bytes: &[u8]| {
                let written = put(format!("{name} {format} {seed}"), bytes);
                pairs.push(Pair::by_batches(&read, written).lax());
            };
            let options = unify(Options::builder()).build().unwrap();
            compare("stream", &encode::stream(&schema, &batches, &options).unwrap());
            if name == "flat" {
                compare("file", &encode::file(&schema, &batches, &options).unwrap());
            }
            let options = at_close(Options::builder()).build().unwrap();
            compare("at close", &encode::file(&schema, &batches, &options).unwrap());
        }
    }
    for (pair, verdict) in pairs.iter().zip(judge(&pairs).into_iter().flatten()) {
        assert_eq!(verdict, "equal", "{pair:?}");
    }
}
