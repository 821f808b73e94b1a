//! Messages that writers without a lock wove into each other are named, and none of them is taken for values.
//!
//! Fails where a body is kept that starts with another message's header, and where values are called one that only look
//! like it.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, UInt8Array};
use arrow_ipc::MessageHeader;
use ipc_core::{MetadataVersion, Options};
use ipc_recover::{Condition, Error, Fault, Kind, RecoverOptions};
use ipc_tests::dictionaries::{batch, words};
use ipc_tests::framing::{Framed, messages};
use ipc_tests::value::assert_same_batches;
use ipc_tests::{encode, read};

use super::support::recover;

fn numbers(numbers: &[i64]) -> RecordBatch {
    RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(numbers.to_vec())) as ArrayRef)]).unwrap()
}

/// The stream with two messages woven into each other: both headers, then both bodies.
fn woven(stream: &[u8], first: &Framed, second: &Framed) -> Vec<u8> {
    let header = |message: &Framed| stream[message.offset..message.body.start].to_vec();
    let body = |message: &Framed| stream[message.body.clone()].to_vec();
    [
        stream[..first.offset].to_vec(),
        header(first),
        header(second),
        body(first),
        body(second),
        stream[second.end()..].to_vec(),
    ]
    .concat()
}

#[test]
fn a_body_that_starts_with_a_header_is_none() {
    let batches: Vec<_> = (0..4).map(|number| numbers(&[number; 40])).collect();
    for version in [MetadataVersion::V5, MetadataVersion::V4Legacy] {
        let options = Options::builder().metadata_version(version).build().unwrap();
        let stream = encode::stream(&batches[0].schema(), &batches, &options).unwrap();
        let framed = messages(&stream, 0).messages;
        let bytes = woven(&stream, &framed[2], &framed[3]);
        let at = framed[2].offset as u64;
        match recover(&bytes, &RecoverOptions::default()) {
            Err(Error::DamagedBeforeTail { damage, .. }) => {
                assert!(damage.offset == at && matches!(damage.fault, Fault::Interleaved), "{version:?}: {damage}");
            }
            other => panic!("{version:?}: {other:?}"),
        }
        let (output, report) = recover(&bytes, &RecoverOptions::default().with_salvage()).unwrap();
        assert_same_batches(&batches[..1], &read::stream(&output).unwrap().batches);
        let cut = report.cuts.iter().find(|cut| cut.offset == at).unwrap();
        assert!(matches!(cut.fault, Fault::Interleaved), "{report:?}");
    }
}

#[test]
fn a_dictionary_or_a_schema_may_be_woven_in() {
    let batch = batch(&words(&["a word that makes a body of more than a few bytes"; 9]));
    let stream = encode::stream(&batch.schema(), std::slice::from_ref(&batch), &Options::default()).unwrap();
    let framed = messages(&stream, 0).messages;
    let [schema, dictionary, record_batch] = &framed[..3] else { panic!("three messages") };
    let woven_schema =
        [&stream[..dictionary.body.start], &stream[schema.offset..schema.end()], &stream[dictionary.body.start..]];
    for bytes in [woven(&stream, dictionary, record_batch), woven_schema.concat()] {
        let (_, report) = recover(&bytes, &RecoverOptions::default().with_salvage()).unwrap();
        assert_eq!((report.condition, report.kept.messages), (Condition::Damaged, 1), "{report:?}");
        assert!(report.cuts.iter().any(|cut| matches!(cut.fault, Fault::Interleaved)), "{report:?}");
    }
    assert_eq!((schema.kind, dictionary.kind), (MessageHeader::Schema, MessageHeader::DictionaryBatch));
}

/// Bytes may hold whatever they like, a stream too, and start with it.
#[test]
fn values_may_look_like_a_stream() {
    let inner = encode::stream(&numbers(&[1]).schema(), &[numbers(&[1])], &Options::default()).unwrap();
    let bytes = [&inner[..], &[7; 64]].concat();
    let outer = RecordBatch::try_from_iter([("b", Arc::new(UInt8Array::from(bytes)) as ArrayRef)]).unwrap();
    let [stream, file] = [encode::stream, encode::file]
        .map(|encode| encode(&outer.schema(), &[outer.clone(), outer.clone()], &Options::default()).unwrap());
    for (bytes, kind) in [(stream, Kind::Stream), (file, Kind::File)] {
        let (output, report) = recover(&bytes, &RecoverOptions::default()).unwrap();
        assert_eq!((report.condition, report.input), (Condition::Complete, kind));
        assert_eq!(output, bytes);
    }
}
