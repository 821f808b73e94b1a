//! What is damaged before its end is refused, and says where, unless it is to be salvaged; what is torn is not.
//!
//! Fails where damage with whole messages behind it is cut off silently, where a tear is refused, where salvage loses a
//! batch that is whole, and where it keeps one whose dictionary may not be the one it was written with.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow_ipc::{Block, MessageHeader};
use arrow_schema::{DataType, Field, Metadata, Schema, SchemaRef};
use ipc_core::{Compression, DictionaryHandling, Options};
use ipc_recover::{Condition, Error, Fault, Kind, RecoverOptions, Report};
use ipc_tests::arrays::Sharing;
use ipc_tests::batches::{Batches, Plan};
use ipc_tests::framing::{Framed, footer, messages};
use ipc_tests::value::assert_same_batches;
use ipc_tests::{encode, read};

use super::support::{recover, with_footer, with_footer_of};

fn plain() -> (SchemaRef, Vec<RecordBatch>) {
    let fields = vec![Field::new("number", DataType::Int64, true), Field::new("name", DataType::Utf8, true)];
    let rows = vec![5, 12, 3, 40, 7];
    let plan = Plan { fields, metadata: Metadata::new(), rows, sharing: Sharing::Shared, seed: 3 };
    let Batches { schema, batches, .. } = Batches::new(plan);
    (schema, batches)
}

/// Batches whose dictionary has one value more each time.
fn growing() -> (SchemaRef, Vec<RecordBatch>) {
    let batch = |number: i32| {
        let cities = Arc::new(StringArray::from_iter_values((0..=number).map(|city| format!("city {city}"))));
        let keys = Int32Array::from_iter_values((0..30).map(|row| row % (number + 1)));
        RecordBatch::try_from_iter([("city", Arc::new(DictionaryArray::new(keys, cities)) as ArrayRef)]).unwrap()
    };
    let batches: Vec<_> = (0..8).map(batch).collect();
    (batches[0].schema(), batches)
}

fn options() -> Options {
    let builder = Options::builder().dictionaries(DictionaryHandling::Delta);
    builder.compression(Compression::Lz4).build().unwrap()
}

fn stream((schema, batches): &(SchemaRef, Vec<RecordBatch>)) -> (Vec<u8>, Vec<Framed>) {
    let bytes = encode::stream(schema, batches, &options()).unwrap();
    let framed = messages(&bytes, 0).messages;
    (bytes, framed)
}

fn file((schema, batches): &(SchemaRef, Vec<RecordBatch>)) -> (Vec<u8>, Vec<Framed>) {
    let bytes = encode::file(schema, batches, &options()).unwrap();
    let framed = messages(&bytes, 8).messages;
    (bytes, framed)
}

/// Ways to damage a message so that it can be noticed.
fn damages(message: &Framed) -> Vec<(Range<usize>, Vec<u8>)> {
    let (prefix, flatbuffer) = (message.offset..message.flatbuffer.start, message.flatbuffer.clone());
    let length = prefix.end - 4..prefix.end;
    let replaced = |range: &Range<usize>, byte| (range.clone(), vec![byte; range.len()]);
    vec![
        replaced(&prefix, 0),
        replaced(&length, 0),
        replaced(&length, 0xff),
        (length.clone(), i32::MAX.to_le_bytes().to_vec()),
        (length, 64_i32.to_le_bytes().to_vec()),
        replaced(&flatbuffer, 0),
        replaced(&flatbuffer, 0xff),
        replaced(&flatbuffer, 0x11),
    ]
}

fn damaged(bytes: &[u8], (range, with): (Range<usize>, Vec<u8>)) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    damaged[range].copy_from_slice(&with);
    damaged
}

#[track_caller]
fn assert_refused(bytes: &[u8], offset: usize, behind: usize) {
    match recover(bytes, &RecoverOptions::default()) {
        Err(Error::DamagedBeforeTail { damage, behind: found }) => {
            // A length of 0 makes an end-of-stream marker, and what is wrong is that something stands behind it.
            let is_there = (offset..=offset + 8).contains(&usize::try_from(damage.offset).unwrap());
            assert!(
                is_there && found == behind as u64,
                "expected damage at {offset} before {behind}: {damage}, {found}"
            );
        }
        other => panic!("expected a refusal at {offset}, found {other:?}"),
    }
}

#[track_caller]
fn salvage(bytes: &[u8]) -> (Vec<RecordBatch>, Report) {
    let (output, report) = recover(bytes, &RecoverOptions::default().with_salvage()).unwrap();
    let found = if report.output == Kind::File { read::file(&output) } else { read::stream(&output) };
    (found.unwrap().batches, report)
}

#[test]
fn a_stream_damaged_in_its_middle() {
    let batches = plain();
    let (bytes, framed) = stream(&batches);
    for (number, pair) in framed[1..].windows(2).enumerate() {
        for damage in damages(&pair[0]) {
            let damaged = damaged(&bytes, damage);
            assert_refused(&damaged, pair[0].offset, pair[1].offset);
            let (found, report) = salvage(&damaged);
            assert_same_batches(&batches.1[..number], &found);
            assert_eq!(report.condition, Condition::Damaged);
        }
    }
}

#[test]
fn a_file_damaged_in_its_middle() {
    let batches = plain();
    let (bytes, framed) = file(&batches);
    for (number, message) in framed[1..].iter().enumerate() {
        let behind = framed.get(number + 2).map_or_else(|| footer(&bytes).start, |next| next.offset);
        for damage in damages(message) {
            let damaged = damaged(&bytes, damage);
            assert_refused(&damaged, message.offset, behind);
            let (found, report) = salvage(&damaged);
            let mut rest = batches.1.clone();
            rest.remove(number);
            assert_same_batches(&rest, &found);
            assert_eq!((report.condition, report.cuts.len()), (Condition::Damaged, 1), "{report:?}");
            assert!((message.offset..=message.offset + 8).contains(&usize::try_from(report.cuts[0].offset).unwrap()));
        }
    }
}

#[test]
fn a_file_without_footer_damaged_in_its_middle() {
    let batches = plain();
    let (bytes, framed) = file(&batches);
    for damage in damages(&framed[2]) {
        let damaged = damaged(&bytes[..bytes.len() - 30], damage);
        assert_refused(&damaged, framed[2].offset, framed[3].offset);
        assert_same_batches(&batches.1[..1], &salvage(&damaged).0);
    }
}

#[test]
fn the_last_message_is_the_tail_of_a_stream() {
    let batches = plain();
    let (bytes, framed) = stream(&batches);
    let last = framed.last().unwrap();
    for damage in damages(last) {
        let (output, report) = recover(&damaged(&bytes, damage), &RecoverOptions::default()).unwrap();
        assert_eq!(report.condition, Condition::Torn);
        assert_same_batches(&batches.1[..4], &read::stream(&output).unwrap().batches);
    }
}

/// A file is what its footer says, schema and all, for every reader: also where no schema message stands at its front.
#[test]
fn a_file_without_a_schema_message_that_can_be_read() {
    let batches = plain();
    let (bytes, framed) = file(&batches);
    for damage in damages(&framed[0]) {
        let damaged_front = damaged(&bytes, damage);
        let (output, report) = recover(&damaged_front, &RecoverOptions::default()).unwrap();
        assert!(report.condition == Condition::Complete && output == damaged_front);
        assert_same_batches(&batches.1, &read::file(&output).unwrap().batches);
        let as_stream = RecoverOptions::default().with_format(Kind::Stream);
        let found = read::stream(&recover(&damaged_front, &as_stream).unwrap().0).unwrap();
        assert_eq!(found.schema, batches.0);
        assert_same_batches(&batches.1, &found.batches);

        // A batch that is damaged, too, is refused, and left out by a salvage.
        let lost = framed[3].flatbuffer.clone();
        let worse = damaged(&damaged_front, (lost.clone(), vec![0; lost.len()]));
        assert_refused(&worse, framed[3].offset, framed[4].offset);
        assert_same_batches(&[&batches.1[..2], &batches.1[3..]].concat(), &salvage(&worse).0);
    }
}

#[test]
fn a_footer_is_the_tail_of_a_file() {
    let batches = growing();
    let (bytes, _) = file(&batches);
    let mut torn = 0;
    for at in footer(&bytes).start..bytes.len() {
        for bit in [1, 0x80] {
            let mut damaged = bytes.clone();
            damaged[at] ^= bit;
            let (output, report) = recover(&damaged, &RecoverOptions::default())
                .unwrap_or_else(|error| panic!("bit {bit} of byte {at} flipped: {error}"));
            assert_eq!(report.kept.record_batches, 8, "bit {bit} of byte {at} flipped: {report:?}");
            if report.condition == Condition::Torn {
                torn += 1;
                assert_same_batches(&batches.1, &read::file(&output).unwrap().batches);
            }
        }
    }
    assert!(torn > 100, "only {torn} flips were noticed");
}

#[test]
fn batches_do_not_outlive_their_dictionary() {
    let batches = growing();
    let (bytes, framed) = file(&batches);
    let deltas: Vec<_> = framed.iter().filter(|message| message.is_delta).collect();
    assert!(deltas.len() > 2);
    for lost in framed.iter().filter(|message| message.kind == MessageHeader::DictionaryBatch) {
        let damage = (lost.flatbuffer.clone(), vec![0; lost.flatbuffer.len()]);
        let (found, report) = salvage(&damaged(&bytes, damage));
        let before = framed.iter().filter(|m| m.kind == MessageHeader::RecordBatch && m.offset < lost.offset).count();
        assert_same_batches(&batches.1[..before], &found);
        assert!(report.cuts.iter().any(|cut| matches!(cut.fault, Fault::DictionaryMissing { id: 0 })));
    }
}

/// A footer that leaves out a delta, and one that leaves out a batch; then that delta and another batch are damaged,
/// too.
#[test]
fn a_footer_that_leaves_something_out() {
    let batches = growing();
    let (bytes, framed) = file(&batches);
    let listed = footer(&bytes);
    let without = |list: &[Block], number| [&list[..number], &list[number + 1..]].concat();
    for footer in [
        with_footer(&bytes, &without(&listed.dictionaries, 3), &listed.record_batches),
        with_footer(&bytes, &listed.dictionaries, &without(&listed.record_batches, 3)),
    ] {
        let (output, report) = recover(&footer, &RecoverOptions::default()).unwrap();
        assert_eq!(report.condition, Condition::Torn);
        assert!(matches!(report.cuts[0].fault, Fault::FooterLeavesOut), "{report:?}");
        assert_same_batches(&batches.1, &read::file(&output).unwrap().batches);

        let mut worse = footer;
        for (kind, number) in [(MessageHeader::RecordBatch, 1), (MessageHeader::DictionaryBatch, 3)] {
            let message = framed.iter().filter(|message| message.kind == kind).nth(number).unwrap();
            worse = damaged(&worse, (message.flatbuffer.clone(), vec![0; message.flatbuffer.len()]));
        }
        assert_same_batches(&[batches.1[0].clone(), batches.1[2].clone()], &salvage(&worse).0);
    }
}

/// A footer with another schema than the batches have, and a batch that is damaged: those in front of it are what the
/// schema message asks for, so all are recovered with that.
#[test]
fn a_footer_with_a_schema_that_is_not_the_batches() {
    let batches = plain();
    let (bytes, framed) = file(&batches);
    let listed = footer(&bytes);
    let fields = vec![Field::new("number", DataType::Int64, true), Field::new("name", DataType::Int8, true)];
    for schema in [Schema::empty(), Schema::new(fields)] {
        let other = with_footer_of(&schema, &bytes, &listed.dictionaries, &listed.record_batches);
        let lost = framed[3].flatbuffer.clone();
        let other = damaged(&other, (lost.clone(), vec![0; lost.len()]));
        assert_refused(&other, framed[3].offset, framed[4].offset);
        assert_same_batches(&[&batches.1[..2], &batches.1[3..]].concat(), &salvage(&other).0);
    }
}

#[test]
fn what_follows_the_end() {
    let batches = plain();
    let (bytes, framed) = stream(&batches);
    let (end, first) = (bytes.len(), framed[1].offset);
    for (junk, condition) in [
        (&b"\n"[..], Condition::Torn),
        (&[0xff; 300], Condition::Torn),
        // Room that a file system made means nothing.
        (&[0; 300], Condition::Complete),
    ] {
        let (output, report) = recover(&[&bytes, junk].concat(), &RecoverOptions::default()).unwrap();
        assert!(report.condition == condition && output == bytes, "{:?}", report.cuts);
        assert_eq!((report.cut.bytes, report.cuts[0].offset), (junk.len() as u64, end as u64));
    }
    // Messages of no stream are damage before the tail.
    assert_refused(&[&bytes, &bytes[first..]].concat(), end, end);
}

#[test]
fn room_that_was_never_written_to() {
    let batches = plain();
    let (bytes, framed) = stream(&batches);
    for zeros in [1, 4, 8, 5_000] {
        let torn = [&bytes[..framed[3].offset], &vec![0; zeros]].concat();
        let (output, report) = recover(&torn, &RecoverOptions::default()).unwrap();
        assert_same_batches(&batches.1[..2], &read::stream(&output).unwrap().batches);
        // Four zeros at the very end are how streams ended once.
        let expected = if zeros == 4 { Condition::Complete } else { Condition::Torn };
        assert_eq!(report.condition, expected, "{zeros} zeros");
        if zeros >= 8 {
            assert!(matches!(report.cuts[0].fault, Fault::Zeros), "{report:?}");
            assert_eq!((report.cuts[0].offset, report.cut.bytes), (framed[3].offset as u64, zeros as u64));
        }
    }
}

/// A body that looks whole, and of which only the first part has been written.
#[test]
fn a_body_that_ends_in_room_that_was_never_written_to() {
    let batches = plain();
    let (bytes, framed) = stream(&batches);
    for written in [0, 64, framed[2].body.len() - 65] {
        let mut torn = bytes[..framed[2].body.start + written].to_vec();
        torn.resize(framed[2].end() + 5_000, 0);
        let (output, report) = recover(&torn, &RecoverOptions::default()).unwrap();
        assert_same_batches(&batches.1[..1], &read::stream(&output).unwrap().batches);
        assert_eq!((report.condition, report.kept.record_batches), (Condition::Torn, 1), "{written} written");
    }
}

/// A batch whose values are streams of the same schema, which look like messages behind the cut.
#[test]
fn messages_inside_a_body_are_none() {
    let of = |value: &[u8]| RecordBatch::try_from_iter([("b", Arc::new(BinaryArray::from(vec![value])) as _)]);
    let inner = of(b"inside").unwrap();
    let raw = Options::default();
    let value = encode::stream(&inner.schema(), std::slice::from_ref(&inner), &raw).unwrap();
    let outer = of(&value).unwrap();
    let bytes = encode::stream(&outer.schema(), &[inner.clone(), outer], &raw).unwrap();
    let framed = messages(&bytes, 0).messages;
    let (output, report) = recover(&bytes[..framed[2].end() - 1], &RecoverOptions::default()).unwrap();
    assert_eq!(report.condition, Condition::Torn);
    assert_same_batches(&[inner], &read::stream(&output).unwrap().batches);
}
