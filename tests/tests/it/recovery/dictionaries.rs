//! A batch is kept with its dictionary, or not at all.
//!
//! Fails where a batch is kept whose keys refer to nothing, where one is dropped that refers to none, where the
//! dictionary of a file is looked for only before the batch, where an outer dictionary has to stand behind the inner one,
//! where rows are missing between others and nothing says so, and where readers miss a dictionary in what comes out.

use std::ops::Range;
use std::process::Command;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, RecordBatch, new_null_array};
use arrow_ipc::MessageHeader;
use arrow_schema::{DataType, Field};
use ipc_core::{MetadataVersion, Options};
use ipc_recover::{Condition, Error, Fault, Kind, RecoverOptions};
use ipc_tests::batches::flat_types;
use ipc_tests::dictionaries::{nested, words};
use ipc_tests::framing::messages;
use ipc_tests::value::assert_same_batches;
use ipc_tests::{encode, outside, read};

use super::support::recover;

fn batch(cities: &[Option<&str>]) -> RecordBatch {
    let cities = cities.iter().copied().collect::<DictionaryArray<Int32Type>>();
    RecordBatch::try_from_iter_with_nullable([("city", Arc::new(cities) as ArrayRef, true)]).unwrap()
}

/// The schema message, the dictionary batches, the record batches and the marker of a stream.
struct Parts<'b> {
    bytes: &'b [u8],
    schema: Range<usize>,
    dictionaries: Vec<Range<usize>>,
    record_batches: Vec<Range<usize>>,
}

impl<'b> Parts<'b> {
    fn of(bytes: &'b [u8]) -> Self {
        let framing = messages(bytes, 0);
        let ranges = |kind| framing.of_kind(kind).map(|message| message.offset..message.end()).collect::<Vec<_>>();
        Self {
            bytes,
            schema: ranges(MessageHeader::Schema).remove(0),
            dictionaries: ranges(MessageHeader::DictionaryBatch),
            record_batches: ranges(MessageHeader::RecordBatch),
        }
    }

    /// The schema, then these messages.
    fn put(&self, messages: &[&Range<usize>]) -> Vec<u8> {
        let messages = messages.iter().flat_map(|range| &self.bytes[(*range).clone()]);
        self.bytes[self.schema.clone()].iter().chain(messages).copied().collect()
    }
}

const MARKER: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

#[test]
fn a_batch_without_its_dictionary_is_dropped_and_one_without_values_is_not() {
    let nothing = batch(&[None, None]);
    let something = batch(&[Some("Lima"), None]);
    let stream = encode::stream(&nothing.schema(), &[nothing.clone(), something.clone()], &Options::default()).unwrap();
    let parts = Parts::of(&stream);
    let batches = [&parts.record_batches[0], &parts.record_batches[1], &parts.record_batches[0]];
    let without = [parts.put(&batches), MARKER.to_vec()].concat();
    let (output, report) = recover(&without, &RecoverOptions::default()).unwrap();
    assert_same_batches(&[nothing.clone(), nothing], &read::stream(&output).unwrap().batches);
    assert_eq!((report.condition, report.cut.record_batches, report.cut.rows), (Condition::Torn, 1, 2));
    assert!(matches!(report.cuts[0].fault, Fault::DictionaryMissing { id: 0 }), "{report:?}");
}

#[test]
fn a_file_may_have_its_dictionary_behind_its_batches() {
    let something = batch(&[Some("Lima"), Some("Oslo")]);
    let stream = encode::stream(&something.schema(), std::slice::from_ref(&something), &Options::default()).unwrap();
    let parts = Parts::of(&stream);
    let (dictionary, record_batch) = (&parts.dictionaries[0], &parts.record_batches[0]);
    let file = [b"ARROW1\0\0".to_vec(), parts.put(&[record_batch, record_batch, dictionary])].concat();

    let expected = [something.clone(), something];
    let (output, report) = recover(&file, &RecoverOptions::default()).unwrap();
    assert_same_batches(&expected, &read::file(&output).unwrap().batches);
    assert_eq!((report.condition, report.cut.bytes), (Condition::Torn, 0), "{report:?}");

    // A stream has to have it first.
    let (output, _) = recover(&file, &RecoverOptions::default().with_format(Kind::Stream)).unwrap();
    assert_same_batches(&expected, &read::stream(&output).unwrap().batches);

    // Cut off before it is whole, nothing is left.
    let (output, report) = recover(&file[..file.len() - 1], &RecoverOptions::default()).unwrap();
    assert!(read::file(&output).unwrap().batches.is_empty());
    assert_eq!(report.cut.record_batches, 2);
}

#[test]
fn a_dictionary_behind_the_last_batch_of_a_stream_is_dropped() {
    let something = batch(&[Some("Lima")]);
    let stream = encode::stream(&something.schema(), std::slice::from_ref(&something), &Options::default()).unwrap();
    let parts = Parts::of(&stream);
    let (dictionary, record_batch) = (&parts.dictionaries[0], &parts.record_batches[0]);
    let (output, report) =
        recover(&parts.put(&[dictionary, record_batch, dictionary]), &RecoverOptions::default()).unwrap();
    assert_eq!(output, stream);
    assert!(report.cuts.iter().any(|cut| matches!(cut.fault, Fault::DictionaryUnused)), "{report:?}");
}

#[test]
fn a_dictionary_that_is_replaced_has_no_place_in_a_file() {
    let batches = [batch(&[Some("Lima")]), batch(&[Some("Oslo")])];
    let stream = encode::stream(&batches[0].schema(), &batches, &Options::default()).unwrap();
    let (_, report) = recover(&stream, &RecoverOptions::default()).unwrap();
    assert_eq!(report.condition, Condition::Complete);
    let refused = recover(&stream, &RecoverOptions::default().with_format(Kind::File));
    assert!(matches!(refused, Err(Error::NoFile(_))), "{refused:?}");
}

#[test]
fn an_outer_dictionary_may_stand_before_the_inner_one() {
    let batch = nested(&[1, 0], &[0, 1], &words(&["Lima", "Oslo"]));
    let stream = encode::stream(&batch.schema(), std::slice::from_ref(&batch), &Options::default()).unwrap();
    let parts = Parts::of(&stream);
    let [inner, outer] = &parts.dictionaries[..] else { panic!("two dictionaries") };
    let record_batch = &parts.record_batches[0];
    let swapped = [outer, inner, record_batch, outer, inner, record_batch];

    let whole = [parts.put(&swapped), MARKER.to_vec()].concat();
    let (output, report) = recover(&whole, &RecoverOptions::default()).unwrap();
    assert!(report.condition == Condition::Complete && output == whole, "{report:?}");

    // Cut behind any of them, the batches are kept that stand before.
    for end in 0..=swapped.len() {
        let (output, report) = recover(&parts.put(&swapped[..end]), &RecoverOptions::default()).unwrap();
        let batches = swapped[..end].iter().filter(|part| **part == record_batch).count();
        assert_eq!((report.kept.record_batches, report.holes), (batches as u64, 0), "{end}: {report:?}");
        // Once more as the format's other readers have it: the inner ones first.
        let again = recover(&output, &RecoverOptions::default()).unwrap().1;
        assert_eq!((again.condition, again.kept.record_batches), (Condition::Complete, batches as u64));
    }

    // Behind an outer one that is replaced and refers to something that never comes, nothing is kept.
    let without_inner = parts.put(&[outer, record_batch, outer, record_batch]);
    let (output, report) = recover(&without_inner, &RecoverOptions::default()).unwrap();
    assert!(read::stream(&output).unwrap().batches.is_empty(), "{report:?}");
    assert_eq!((report.kept.dictionary_batches, report.cut.record_batches), (0, 2), "{report:?}");

    let file = [b"ARROW1\0\0".to_vec(), parts.put(&[record_batch, outer, inner])].concat();
    let (_, report) = recover(&file, &RecoverOptions::default()).unwrap();
    assert_eq!((report.kept.record_batches, report.cut.bytes), (1, 0), "{report:?}");
}

#[test]
fn rows_that_are_missing_between_others_are_a_hole() {
    let nothing = batch(&[None, None]);
    let something = batch(&[Some("Lima"), None]);
    let stream = encode::stream(&nothing.schema(), &[nothing, something], &Options::default()).unwrap();
    let parts = Parts::of(&stream);
    let [nothing, something] = [&parts.record_batches[0], &parts.record_batches[1]];
    for (batches, kept, holes) in [
        (vec![nothing, something, nothing], 2, 1),
        (vec![something, nothing, something, nothing], 2, 2),
        (vec![nothing, nothing, something], 2, 0),
        (vec![nothing, nothing], 2, 0),
    ] {
        let (_, report) = recover(&parts.put(&batches), &RecoverOptions::default()).unwrap();
        assert_eq!((report.kept.record_batches, report.holes), (kept, holes), "{report:?}");
    }
}

/// A batch of two nulls for each type that a dictionary's values may have.
fn nulls() -> RecordBatch {
    // pyarrow has no dictionaries of these.
    let is_known =
        |values: &DataType| !matches!(values, DataType::Null | DataType::Union(..) | DataType::RunEndEncoded(..));
    let list = |item| DataType::List(Arc::new(Field::new("item", item, true)));
    let word = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let nested = [
        list(DataType::Int32),
        list(word.clone()),
        DataType::FixedSizeList(Arc::new(Field::new("item", DataType::LargeUtf8, true)), 2),
        DataType::Struct(vec![Field::new("a", word, true), Field::new("b", DataType::Utf8View, true)].into()),
    ];
    let types = flat_types().into_iter().filter(is_known).chain(nested);
    let columns = types.enumerate().map(|(number, values)| {
        let column = DataType::Dictionary(Box::new(DataType::Int16), Box::new(values));
        (format!("column {number}"), new_null_array(&column, 2), true)
    });
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

#[test]
fn what_is_written_anew_has_every_dictionary() {
    let batch = nulls();
    let folder = tempfile::tempdir().unwrap();
    for version in [MetadataVersion::V5, MetadataVersion::V4, MetadataVersion::V4Legacy] {
        let options = Options::builder().metadata_version(version).build().unwrap();
        let stream = encode::stream(&batch.schema(), std::slice::from_ref(&batch), &options).unwrap();
        let parts = Parts::of(&stream);
        let torn = parts.put(&[&parts.record_batches[0], &parts.record_batches[0]]);
        let file = [b"ARROW1\0\0", &torn[..]].concat();
        for (input, format) in [(&torn, Kind::Stream), (&torn, Kind::File), (&file, Kind::File), (&file, Kind::Stream)]
        {
            let (output, report) = recover(input, &RecoverOptions::default().with_format(format)).unwrap();
            assert_eq!(report.empty_dictionaries, parts.dictionaries.len() as u64);
            let found = if format == Kind::File { read::file(&output) } else { read::stream(&output) };
            assert_same_batches(&[batch.clone(), batch.clone()], &found.unwrap().batches);
            let again = recover(&output, &RecoverOptions::default()).unwrap().1;
            assert_eq!((again.condition, again.empty_dictionaries), (Condition::Complete, 0), "{again:?}");
            let name = format!("{} {version:?} of {}", format.name(), input.len());
            std::fs::write(folder.path().join(name), output).unwrap();
        }
    }
    let Some(python) = outside::python("pyarrow") else { return };
    let done = Command::new(python).args(["-c", READERS]).arg(folder.path()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

const READERS: &str = r#"
import os, sys, pyarrow.ipc as ipc
for name in os.listdir(sys.argv[1]):
    path = os.path.join(sys.argv[1], name)
    table = (ipc.open_file if name.startswith("file") else ipc.open_stream)(path).read_all()
    table.validate(full=True)
    assert table.num_rows == 4 and all(c.null_count == 4 for c in table.columns), name
"#;

/// A reader of a stream wants all dictionaries before the first record batch.
#[test]
fn a_dictionary_that_comes_later_in_a_stream_stands_in_front_without_values() {
    let batch = |number: usize| {
        let column = |is_there: bool, word: &str| {
            let keys = if is_there { Int32Array::from(vec![Some(0)]) } else { Int32Array::from(vec![None]) };
            Arc::new(DictionaryArray::new(keys, words(&[word]))) as ArrayRef
        };
        let columns = [("a", column(true, "Lima"), true), ("b", column(number > 0, "Oslo"), true)];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    };
    let batches = [batch(0), batch(1)];
    let stream = encode::stream(&batches[0].schema(), &batches, &Options::default()).unwrap();
    let parts = Parts::of(&stream);
    let [a, b] = [&parts.dictionaries[0], &parts.dictionaries[1]];
    let torn = parts.put(&[a, &parts.record_batches[0], b, &parts.record_batches[1]]);
    let (output, report) = recover(&torn, &RecoverOptions::default()).unwrap();
    assert_eq!((report.kept.record_batches, report.empty_dictionaries), (2, 1));
    assert_same_batches(&batches, &read::stream(&output).unwrap().batches);
    let kinds = messages(&output, 0).messages.iter().map(|message| message.kind).collect::<Vec<_>>();
    assert_eq!(kinds[1..3], [MessageHeader::DictionaryBatch; 2]);
    let file = recover(&torn, &RecoverOptions::default().with_format(Kind::File)).unwrap();
    assert_eq!(file.1.empty_dictionaries, 0, "a file may have them anywhere, and once");
    assert_same_batches(&batches, &read::file(&file.0).unwrap().batches);
}
