//! Streams that stand one behind the other are one input: all their batches are kept, and how each ended is told.
//!
//! Fails where a second stream is taken for damage or left out, where an end that is missing is not told, and where
//! batches of two schemas would go into one output.

use std::sync::Arc;

use arrow_array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray, UnionArray};
use arrow_schema::{DataType, Field, UnionFields};
use ipc_core::format::bare_abort_mark;
use ipc_core::parts::StreamSchema;
use ipc_core::{MetadataVersion, Options};
use ipc_recover::{Condition, Ending, Error, Fault, Input, Kind, Part, RecoverOptions, Source};
use ipc_tests::value::assert_same_batches;
use ipc_tests::{encode, read};

use super::support::recover;

/// A batch of one column, whose dictionary has these values.
fn cities(values: &[&str], keys: &[i32]) -> RecordBatch {
    let values = Arc::new(StringArray::from_iter_values(values));
    let column = DictionaryArray::new(Int32Array::from(keys.to_vec()), values);
    RecordBatch::try_from_iter([("city", Arc::new(column) as ArrayRef)]).unwrap()
}

fn numbers(numbers: &[i64]) -> RecordBatch {
    RecordBatch::try_from_iter([("number", Arc::new(Int64Array::from(numbers.to_vec())) as ArrayRef)]).unwrap()
}

fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    encode::stream(&batches[0].schema(), batches, &Options::default()).unwrap()
}

/// How the streams of an input end, as far as it can be read.
fn endings(bytes: &[u8]) -> Vec<Ending> {
    let mut endings = [Vec::new(), Vec::new()];
    let sources = [Source::from(bytes), Source::sequential(bytes)];
    for (source, endings) in sources.into_iter().zip(&mut endings) {
        let mut input = Input::open(source).unwrap();
        while let Ok(Some(part)) = input.next() {
            endings.extend(if let Part::End { ending, .. } = part { Some(ending) } else { None });
        }
    }
    assert_eq!(endings[0], endings[1], "a pipe and a file have one account");
    endings[0].clone()
}

fn without_marker(stream: &[u8]) -> &[u8] {
    &stream[..stream.len() - 8]
}

#[test]
fn all_batches_of_all_streams_are_kept_each_with_its_own_dictionary() {
    let all = [cities(&["Lima", "Oslo"], &[0, 1]), cities(&["Pune"], &[0]), cities(&["Lima"], &[0, 0])];
    let parts = all.each_ref().map(|batch| stream(std::slice::from_ref(batch)));
    let ended = parts.concat();
    let (output, report) = recover(&ended, &RecoverOptions::default()).unwrap();
    assert_eq!((report.condition, report.streams, report.kept.rows), (Condition::Complete, 3, 5));
    assert!(report.cuts.is_empty(), "{:?}", report.cuts);
    assert_same_batches(&all, &read::stream(&output).unwrap().batches);
    assert!(endings(&ended).iter().all(|ending| matches!(ending, Ending::Marker(_))));

    let unended = [without_marker(&parts[0]), without_marker(&parts[1]), &parts[2]].concat();
    let (output, report) = recover(&unended, &RecoverOptions::default()).unwrap();
    assert_eq!((report.condition, report.streams, report.cut.rows), (Condition::Torn, 3, 0));
    assert!(report.cuts.iter().all(|cut| matches!(cut.fault, Fault::Unterminated)), "{:?}", report.cuts);
    assert_same_batches(&all, &read::stream(&output).unwrap().batches);
    assert_eq!(endings(&unended)[..2], [Ending::AnotherStream, Ending::AnotherStream]);
}

#[test]
fn a_file_takes_several_streams_only_if_their_dictionaries_are_one() {
    let as_file = RecoverOptions::default().with_format(Kind::File);
    let same = stream(&[cities(&["Lima", "Oslo"], &[0, 1])]).repeat(3);
    let (output, report) = recover(&same, &as_file).unwrap();
    assert_eq!((report.kept.rows, report.kept.dictionary_batches), (6, 1));
    assert_same_batches(&vec![cities(&["Lima", "Oslo"], &[0, 1]); 3], &read::file(&output).unwrap().batches);

    let other = [stream(&[cities(&["Lima"], &[0])]), stream(&[cities(&["Oslo"], &[0])])].concat();
    match recover(&other, &as_file) {
        Err(Error::NoFile(damage)) => {
            let told = damage.to_string();
            assert!(told.contains("`city` has a second dictionary (id 0)") && told.contains("at byte"), "{told}");
        }
        refused => panic!("{refused:?}"),
    }
}

#[test]
fn a_stream_of_another_schema_is_refused_and_left_out_by_a_salvage() {
    let both = [stream(&[numbers(&[1, 2])]), stream(&[cities(&["Lima"], &[0])])].concat();
    let refused = recover(&both, &RecoverOptions::default()).unwrap_err();
    let told = refused.to_string();
    assert!(matches!(refused, Error::OtherStream(_)) && told.contains("number") && told.contains("city"), "{told}");
    let (output, report) = recover(&both, &RecoverOptions::default().with_salvage()).unwrap();
    assert_eq!(report.condition, Condition::Damaged);
    assert_same_batches(&[numbers(&[1, 2])], &read::stream(&output).unwrap().batches);
    let mut input = Input::open(Source::from(both.as_slice())).unwrap();
    let damage = loop {
        match input.next() {
            Ok(part) => assert!(part.is_some(), "the difference is told"),
            Err(damage) => break damage,
        }
    };
    assert!(matches!(damage.fault, Fault::OtherSchema { .. }), "{damage}");
}

/// A server is replaced by another version of it, which appends to the same log.
#[test]
fn streams_of_another_version_or_framing_are_kept() {
    let all = [cities(&["Lima", "Oslo"], &[0, 1]), cities(&["Pune"], &[0]), cities(&["Lima"], &[0, 0])];
    let versions = [MetadataVersion::V5, MetadataVersion::V4, MetadataVersion::V4Legacy];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
        let parts = all.iter().zip(order).map(|(batch, version)| {
            let options = Options::builder().metadata_version(versions[version]).build().unwrap();
            encode::stream(&batch.schema(), std::slice::from_ref(batch), &options).unwrap()
        });
        let parts = parts.collect::<Vec<_>>().concat();
        let (output, report) = recover(&parts, &RecoverOptions::default()).unwrap();
        assert_eq!((report.condition, report.streams, report.kept.rows), (Condition::Complete, 3, 5), "{order:?}");
        assert_same_batches(&all, &read::stream(&output).unwrap().batches);
        // All of them have the first one's.
        let mut input = Input::open(Source::from(output.as_slice())).unwrap();
        let expected = (input.framing(), versions[order[0]]);
        while let Some(part) = input.next().unwrap() {
            if let Part::Message(head) = part {
                let is_v5 = head.message().version() == arrow_ipc::MetadataVersion::V5;
                assert_eq!((head.framing(), is_v5), (expected.0, expected.1 == MetadataVersion::V5), "{order:?}");
            }
        }
        // In a file, the footer names where they stand then.
        let same = parts_of_one_dictionary(order.map(|version| versions[version]));
        let (output, report) = recover(&same, &RecoverOptions::default().with_format(Kind::File)).unwrap();
        assert_eq!((report.kept.rows, report.kept.dictionary_batches), (6, 1), "{order:?}");
        assert_same_batches(&vec![all[0].clone(); 3], &read::file(&output).unwrap().batches);
    }
}

/// Three streams of the same batch.
fn parts_of_one_dictionary(versions: [MetadataVersion; 3]) -> Vec<u8> {
    let batch = cities(&["Lima", "Oslo"], &[0, 1]);
    let parts = versions.map(|version| {
        let options = Options::builder().metadata_version(version).build().unwrap();
        encode::stream(&batch.schema(), std::slice::from_ref(&batch), &options).unwrap()
    });
    parts.concat()
}

/// The buffers of a union are others in another version.
#[test]
fn a_stream_with_unions_of_another_version_is_refused_with_the_reason() {
    let fields = UnionFields::from_fields(vec![Field::new("a", DataType::Int64, true)]);
    let union = UnionArray::try_new(fields, vec![0, 0].into(), None, vec![Arc::new(Int64Array::from(vec![1, 2]))]);
    let batch = RecordBatch::try_from_iter([("union", Arc::new(union.unwrap()) as ArrayRef)]).unwrap();
    let of = |version| {
        let options = Options::builder().metadata_version(version).build().unwrap();
        encode::stream(&batch.schema(), std::slice::from_ref(&batch), &options).unwrap()
    };
    let both = [of(MetadataVersion::V5), of(MetadataVersion::V4)].concat();
    let refused = recover(&both, &RecoverOptions::default()).unwrap_err().to_string();
    assert!(refused.contains("unions as another version of the metadata has them"), "{refused}");
    let alike = of(MetadataVersion::V4).repeat(2);
    assert_eq!(recover(&alike, &RecoverOptions::default()).unwrap().1.kept.rows, 4);
}

#[test]
fn a_schema_message_that_is_repeated_is_named_and_stepped_over() {
    let whole = stream(&[numbers(&[1, 2]), numbers(&[3])]);
    let schema = ipc_tests::framing::messages(&whole, 0).messages[0].end();
    let twice = [&whole[..schema], &whole].concat();
    let (output, report) = recover(&twice, &RecoverOptions::default()).unwrap();
    assert_eq!(output, whole);
    assert!(matches!(report.cuts[..], [ref cut] if matches!(cut.fault, Fault::SchemaRepeated)), "{:?}", report.cuts);
    assert_eq!(endings(&twice)[0], Ending::SchemaAgain);
}

#[test]
fn the_mark_of_a_stream_that_was_given_up_is_cut_and_what_is_behind_it_kept() {
    let (first, second) = (numbers(&[1, 2]), numbers(&[3]));
    let schema = StreamSchema::try_new(first.schema(), &Options::default()).unwrap();
    for (mark, reason) in [
        (schema.abort_mark(&Options::default(), "the disk is full"), "the disk is full"),
        (bare_abort_mark(MetadataVersion::V5).to_vec(), ""),
    ] {
        let whole = stream(std::slice::from_ref(&first));
        let aborted = [without_marker(&whole), &mark].concat();
        let (output, report) = recover(&aborted, &RecoverOptions::default()).unwrap();
        assert_eq!(output, whole, "what was whole is kept");
        match &report.cuts[..] {
            [cut] => {
                assert_eq!((cut.offset, cut.length), (whole.len() as u64 - 8, mark.len() as u64));
                assert!(matches!(&cut.fault, Fault::Aborted { reason: said } if said == reason), "{cut:?}");
            }
            cuts => panic!("{cuts:?}"),
        }
        assert_eq!(endings(&aborted), [Ending::Aborted(reason.to_owned())]);
        let followed = [aborted, stream(std::slice::from_ref(&second))].concat();
        let (output, _) = recover(&followed, &RecoverOptions::default()).unwrap();
        assert_same_batches(&[first.clone(), second.clone()], &read::stream(&output).unwrap().batches);
        assert_eq!(endings(&followed).len(), 2);
    }
}

/// What a server says that fails, in the middle of its answer.
#[test]
fn words_behind_the_data_are_shown() {
    let whole = stream(&[numbers(&[1, 2])]);
    let said = "Code: 241. DB::Exception: Memory limit (total) exceeded";
    for bytes in [&whole[..], without_marker(&whole)] {
        let bytes = [bytes, said.as_bytes()].concat();
        let (output, report) = recover(&bytes, &RecoverOptions::default()).unwrap();
        assert_eq!((report.condition, &output), (Condition::Torn, &whole));
        let told = report.cuts[0].fault.to_string();
        assert!(told.contains(said) && !told.contains("metadata of"), "{told}");
    }
    let garbage = [without_marker(&whole), &[0xc3; 90]].concat();
    let told = recover(&garbage, &RecoverOptions::default()).unwrap().1.cuts[0].fault.to_string();
    assert!(told.contains("expected a message, found other bytes") && !told.contains("truncated"), "{told}");
}

/// A server that is killed in the middle of a message, and appends a new stream when it comes back: that message looks
/// whole, with the other stream's bytes for its values; or it has another checksum, or is longer than all that is there.
/// What is whole before it and behind it is kept, and what a sync of the new stream has confirmed is not refused.
#[test]
fn a_message_that_was_torn_before_another_stream_was_appended_is_cut() {
    for (checksums, long) in [(false, 100), (true, 100), (false, 10_000), (true, 10_000)] {
        let first = [numbers(&[1, 2]), numbers(&[5, 6]), numbers(&(0..long).collect::<Vec<_>>())];
        let second = [numbers(&[3]), numbers(&(0..60).collect::<Vec<_>>()), numbers(&[4])];
        let options = Options::builder().checksums(checksums).build().unwrap();
        let of = |batches: &[RecordBatch]| encode::stream(&first[0].schema(), batches, &options).unwrap();
        let whole = of(&first);
        let last = ipc_tests::framing::messages(&whole, 0).messages.remove(3);
        let written = [1, 3, 4, 7, 8, 60].map(|length| last.offset + length).into_iter();
        // Wherever it was torn, the rest of its body is taken from the stream behind, which goes on.
        for end in written.chain([0, 8, 64, 304, 504].map(|length| last.body.start + length)) {
            let both = [&whole[..end], &of(&second)].concat();
            let confirmed = both.len() as u64 - 8;
            let without = RecoverOptions::default();
            for options in [&without, &without.clone().with_salvage(), &without.clone().with_confirmed(confirmed)] {
                let (output, report) = recover(&both, options).unwrap();
                let kept = [&first[..2], &second].concat();
                assert_same_batches(&kept, &read::stream(&output).unwrap().batches);
                assert!(report.condition == Condition::Torn && report.leaves_rows_out(), "{report:?}");
                let cut = &report.cuts[0];
                assert_eq!((cut.offset, cut.offset + cut.length), (last.offset as u64, end as u64), "{report:?}");
                assert!(matches!(cut.fault, Fault::TornBeforeAnother { .. }), "{report:?}");
            }
            let (output, _) = recover(&both, &without.with_confirmed_only(confirmed)).unwrap();
            assert_eq!(read::stream(&output).unwrap().batches.len(), 5);
        }
    }
}

/// Ids of dictionaries are a stream's own. A batch of a later stream is not given the dictionary of an earlier one.
#[test]
fn a_later_stream_has_no_dictionary_of_an_earlier_one() {
    let (first, second) = (cities(&["Lima", "Oslo"], &[0, 1]), cities(&["Pune", "Rome"], &[0, 1]));
    let later = stream(std::slice::from_ref(&second));
    let dictionary = ipc_tests::framing::messages(&later, 0).messages.remove(1);
    assert!(dictionary.dictionary_id.is_some());
    let later = [&later[..dictionary.offset], &later[dictionary.end()..]].concat();
    let both = [stream(std::slice::from_ref(&first)), later].concat();
    let (output, report) = recover(&both, &RecoverOptions::default()).unwrap();
    assert_same_batches(std::slice::from_ref(&first), &read::stream(&output).unwrap().batches);
    assert!(report.leaves_rows_out(), "{report:?}");
    assert!(matches!(report.cuts[0].fault, Fault::DictionaryMissing { id: 0 }), "{report:?}");
    let mut input = Input::open(Source::from(both.as_slice())).unwrap();
    let damage = loop {
        match input.next() {
            Ok(part) => assert!(part.is_some(), "it is refused"),
            Err(damage) => break damage,
        }
    };
    assert!(matches!(damage.fault, Fault::DictionaryMissing { id: 0 }), "{damage}");
}

/// What stands behind an end marker is no message of the stream, whatever it starts like.
#[test]
fn the_start_of_a_message_behind_an_end_is_not_cut_as_a_torn_one() {
    let (first, second) = ([numbers(&[1, 2]), numbers(&[3])], [numbers(&[4])]);
    let start = [&[0xff, 0xff, 0xff, 0xff, 200, 0, 0, 0][..], &[0xc3; 40]].concat();
    let both = [&stream(&first)[..], &start, &stream(&second)].concat();
    let refused = recover(&both, &RecoverOptions::default()).unwrap_err();
    assert!(matches!(refused, Error::DamagedBeforeTail { .. }), "{refused}");
}

/// Nobody tore a message then, so which of them is to go is not for recovery to say.
#[test]
fn bytes_between_two_streams_that_are_no_message_cost_no_batch() {
    let (first, second) = ([numbers(&[1, 2]), numbers(&[3])], [numbers(&[4])]);
    for whole in [stream(&first), without_marker(&stream(&first)).to_vec()] {
        for between in [vec![0xc3; 90], vec![0; 90], b"Code: 241. DB::Exception".to_vec()] {
            let both = [whole.as_slice(), &between, &stream(&second)].concat();
            let refused = recover(&both, &RecoverOptions::default()).unwrap_err();
            assert!(matches!(refused, Error::DamagedBeforeTail { .. }), "{refused}");
            let (output, _) = recover(&both, &RecoverOptions::default().with_salvage()).unwrap();
            assert_same_batches(&first, &read::stream(&output).unwrap().batches);
        }
    }
}
