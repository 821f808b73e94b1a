//! A batch is kept with its dictionary, or not at all.
//!
//! Fails where a batch is kept whose keys refer to nothing, where one is dropped that refers to none, and where the
//! dictionary of a file is looked for only before the batch.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, RecordBatch};
use arrow_ipc::MessageHeader;
use ipc_core::Options;
use ipc_recover::{Condition, Error, Fault, Kind, RecoverOptions};
use ipc_tests::framing::messages;
use ipc_tests::value::assert_same_batches;
use ipc_tests::{encode, read};

use crate::support::recover;

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
