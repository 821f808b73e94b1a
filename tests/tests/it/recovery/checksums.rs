//! Where checksums are announced, a batch that is not what was written is cut, wherever it stands and whatever else is
//! right about it; where they are not, no body is read for them.
//!
//! Fails where any kind of batch is not verified, where a batch that lost its checksum passes, where zeros that were
//! written are taken for some that were not, and where sums that another writer carried over are believed.

use arrow_array::RecordBatch;
use arrow_ipc::MessageHeader;
use ipc_core::format::{CHECKSUM_KEY, CHECKSUMS_KEY};
use ipc_core::{DictionaryHandling, Options};
use ipc_recover::{Condition, Damage, Error, Fault, Input, Kind, RecoverOptions, Source};
use ipc_tests::dictionaries::{batch, words};
use ipc_tests::framing::{Framed, messages};
use ipc_tests::{encode, read};

use super::support::recover;

/// Three batches whose dictionary grows, as a stream and as a file.
fn inputs(checksums: bool) -> [(Kind, Vec<u8>); 2] {
    let batches = batches();
    let options = Options::builder().dictionaries(DictionaryHandling::Delta).checksums(checksums).build().unwrap();
    let schema = batches[0].schema();
    [
        (Kind::Stream, encode::stream(&schema, &batches, &options).unwrap()),
        (Kind::File, encode::file(&schema, &batches, &options).unwrap()),
    ]
}

fn batches() -> [RecordBatch; 3] {
    [["a"].as_slice(), &["a", "b"], &["a", "b", "c"]].map(|of| batch(&words(of)))
}

fn batch_messages(kind: Kind, bytes: &[u8]) -> Vec<Framed> {
    let start = if kind == Kind::File { 8 } else { 0 };
    messages(bytes, start).messages.into_iter().filter(|message| message.kind != MessageHeader::Schema).collect()
}

fn salvaging() -> RecoverOptions {
    RecoverOptions::default().with_salvage()
}

/// What a list stops at.
fn listed(kind: Kind, bytes: &[u8]) -> Option<Damage> {
    let mut input = match Input::open(Source::from(bytes)) {
        Ok(input) => input.with_a_look_at_bodies(),
        Err(damage) => return Some(damage),
    };
    assert_eq!(input.kind(), kind);
    loop {
        match input.next() {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(damage) => return Some(damage),
        }
    }
}

#[test]
fn a_flipped_bit_in_any_body_is_told() {
    for (kind, whole) in inputs(true) {
        assert!(listed(kind, &whole).is_none());
        assert_eq!(recover(&whole, &RecoverOptions::default()).unwrap().1.condition, Condition::Complete);
        let all = batch_messages(kind, &whole);
        assert_eq!(all.len(), 6, "three dictionary batches, three record batches");
        for (message, position) in all.iter().zip(0..) {
            for at in [message.body.start, message.body.end - 1] {
                let mut bytes = whole.clone();
                bytes[at] ^= 1;
                let damage = listed(kind, &bytes).unwrap();
                assert_eq!(damage.offset, message.offset as u64);
                assert!(matches!(damage.fault, Fault::Checksum { .. }), "{damage}");
                let kept = match recover(&bytes, &salvaging()) {
                    Ok((output, report)) => {
                        assert_ne!(report.condition, Condition::Complete);
                        let batches = if kind == Kind::File { read::file(&output) } else { read::stream(&output) };
                        batches.unwrap().batches
                    }
                    Err(error) => panic!("{error}"),
                };
                assert!(kept.iter().all(|batch| batches().contains(batch)), "nothing wrong is kept");
                assert!(kept.len() >= position / 2 && kept.len() < 3, "{kind:?}, message {position}: {}", kept.len());
            }
        }
    }
}

#[test]
fn a_batch_that_lost_its_checksum_is_damaged() {
    for (kind, whole) in inputs(true) {
        for message in batch_messages(kind, &whole) {
            let mut bytes = whole.clone();
            let key = bytes[message.flatbuffer.clone()].windows(10).position(|bytes| bytes == CHECKSUM_KEY.as_bytes());
            bytes[message.flatbuffer.start + key.unwrap()] = b'x';
            let damage = listed(kind, &bytes).unwrap();
            assert!(matches!(damage.fault, Fault::ChecksumMissing), "{damage}");
            assert_eq!(damage.offset, message.offset as u64);
            let (_, report) = recover(&bytes, &salvaging()).unwrap();
            assert!(report.kept.record_batches < 3);
        }
    }
}

/// Another writer keeps a batch's metadata, and makes another body; or it is the announcement that is gone.
#[test]
fn sums_that_nobody_announces_mean_nothing() {
    for (kind, whole) in inputs(true) {
        let mut bytes = whole.clone();
        let at = bytes.windows(13).position(|bytes| bytes == CHECKSUMS_KEY.as_bytes()).unwrap();
        bytes[at] = b'x';
        let last = batch_messages(kind, &whole).pop().unwrap();
        bytes[last.body.start] ^= 1;
        assert!(listed(kind, &bytes).is_none());
        assert_eq!(recover(&bytes, &RecoverOptions::default()).unwrap().1.condition, Condition::Complete);
    }
    for (kind, mut bytes) in inputs(false) {
        let last = batch_messages(kind, &bytes).pop().unwrap();
        bytes[last.body.start] ^= 1;
        assert!(listed(kind, &bytes).is_none(), "nobody can tell");
    }
}

/// What is written anew announces them again, whether the schema comes from a message or from a footer, and what is added
/// has its own. Where the announcement cannot be read, the sums that are there are verified, and announced to nobody.
#[test]
fn what_recovery_makes_has_checksums_where_its_input_had_all() {
    let has_them = |output: &[u8], kind: Kind| {
        let mut bytes = output.to_vec();
        let last = batch_messages(kind, output).pop().unwrap();
        bytes[last.body.start] ^= 1;
        assert!(listed(kind, output).is_none(), "{kind:?}");
        assert_eq!(recover(output, &RecoverOptions::default()).unwrap().1.condition, Condition::Complete);
        listed(kind, &bytes).is_some()
    };
    for checksums in [false, true] {
        let [(_, stream), (_, file)] = inputs(checksums);
        let mut damaged = file.clone();
        let last = batch_messages(Kind::File, &file).pop().unwrap();
        damaged[last.offset..last.offset + 16].fill(7);
        for input in [&stream, &file, &file[..file.len() - 20].to_vec(), &damaged] {
            for kind in [Kind::Stream, Kind::File] {
                // As a stream has deltas, and no dictionary twice, it can be made a file.
                let (output, _) = recover(input, &salvaging().with_format(kind)).unwrap();
                assert_eq!(has_them(&output, kind), checksums, "{kind:?}");
            }
        }
    }
    // A dictionary is lost that no key refers to: one without values takes its place.
    let nulls = || {
        let keys = arrow_array::Int32Array::from(vec![None, None]);
        let values = arrow_array::StringArray::from(vec!["a"]);
        let column = arrow_array::DictionaryArray::new(keys, std::sync::Arc::new(values));
        RecordBatch::try_from_iter_with_nullable([("n", std::sync::Arc::new(column) as _, true)]).unwrap()
    };
    for checksums in [false, true] {
        let options = Options::builder().checksums(checksums).build().unwrap();
        let mut file = encode::file(&nulls().schema(), &[nulls()], &options).unwrap();
        let dictionary = batch_messages(Kind::File, &file).remove(0);
        file[dictionary.offset..dictionary.offset + 16].fill(7);
        let (output, report) = recover(&file, &salvaging()).unwrap();
        assert_eq!((report.kept.record_batches, report.empty_dictionaries), (1, 1), "{report:?}");
        assert_eq!(read::file(&output).unwrap().batches.len(), 1);
        assert_eq!(has_them(&output, Kind::File), checksums);
    }
    // The announcement is damaged.
    let [_, (_, mut file)] = inputs(true);
    file[16..24].fill(0xff);
    let (output, _) = recover(&file, &salvaging().with_format(Kind::Stream)).unwrap();
    assert!(!has_them(&output, Kind::Stream));
    let first = batch_messages(Kind::File, &inputs(true)[1].1).remove(0);
    file[first.body.start] ^= 1;
    assert!(recover(&file, &salvaging()).is_ok_and(|(_, report)| report.condition == Condition::Damaged));
}

/// After a loss of power, the size of the file has grown and the last body has not come: zeros to the end. Without a
/// checksum nobody could tell the last whole batch, if it ends in zeros, from one that was not written.
#[test]
fn a_checksum_tells_zeros_that_were_written() {
    let zeros = || arrow_array::record_batch!(("n", Int64, vec![0; 100])).unwrap();
    for checksums in [false, true] {
        let options = Options::builder().checksums(checksums).build().unwrap();
        let whole = encode::stream(&zeros().schema(), &[zeros(), zeros()], &options).unwrap();
        let ends: Vec<_> = messages(&whole, 0).messages.iter().map(Framed::end).collect();
        // The end of the second batch's metadata, and a body that never came.
        let unwritten = [&whole[..ends[1]], &vec![0; 4096]].concat();
        let (_, report) = recover(&unwritten, &RecoverOptions::default()).unwrap();
        assert_eq!(report.kept.record_batches, u64::from(checksums));
        let metadata_only = messages(&whole, 0).messages[2].body.start;
        let mut lost = whole[..metadata_only].to_vec();
        lost.resize(metadata_only + 800 + 4096, 0);
        let (_, report) = recover(&lost, &RecoverOptions::default()).unwrap();
        assert_eq!(report.kept.record_batches, u64::from(checksums) + 1, "zeros are what was written, by luck");
    }
}

#[test]
fn a_batch_that_was_never_written_is_no_damage_before_the_tail() {
    let batches = batches();
    let options = Options::builder().dictionaries(DictionaryHandling::Delta).checksums(true).build().unwrap();
    let whole = encode::stream(&batches[0].schema(), &batches, &options).unwrap();
    let last = batch_messages(Kind::Stream, &whole).pop().unwrap();
    let mut bytes = whole[..last.end()].to_vec();
    bytes[last.body.clone()].fill(0xff);
    let (output, report) = recover(&bytes, &RecoverOptions::default()).unwrap();
    assert_eq!(report.condition, Condition::Torn);
    assert_eq!(read::stream(&output).unwrap().batches, batches[..2]);

    // With one that is whole behind it, it is.
    let first = batch_messages(Kind::Stream, &whole).remove(1);
    let mut bytes = whole.clone();
    bytes[first.body.clone()].fill(0xff);
    let refused = recover(&bytes, &RecoverOptions::default()).unwrap_err();
    let Error::DamagedBeforeTail { damage, behind } = refused else { panic!("{refused}") };
    assert_eq!((damage.offset, behind), (first.offset as u64, first.end() as u64));
}
