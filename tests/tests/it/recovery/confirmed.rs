//! What a sync has confirmed is never cut, and what is wrong behind it is the end; on request nothing else is kept.
//!
//! Fails where a confirmed batch is taken for one that was not written, where damage behind the position is refused, and
//! where a position that no sync has returned passes.

use arrow_array::{RecordBatch, record_batch};
use ipc_core::{Options, StreamFormat};
use ipc_recover::{Condition, Error, Fault, Kind, RecoverOptions};
use ipc_shared::FileFormat;
use ipc_tests::crash::device::Device;
use ipc_tests::framing::{Framed, messages};
use ipc_tests::read;
use ipc_tests::shared::Output;

use super::support::{recover, with_footer};

/// Bytes, positions and batches.
type Synced = (Vec<u8>, Vec<u64>, Vec<RecordBatch>);

/// An output of three batches that end in zeros, and the position that a sync behind each has confirmed.
fn synced<F: Output>() -> Synced {
    let batches: Vec<_> =
        (1..4).map(|n| record_batch!(("n", Int64, vec![n; 50]), ("zero", Int64, vec![0; 50])).unwrap()).collect();
    let options = Options::builder().staging(true).build().unwrap();
    let mut encoder = F::encoder(Device::default()).with_options(options).start(batches[0].schema()).unwrap();
    let mut confirmed = Vec::new();
    for batch in &batches {
        encoder.write(batch).unwrap();
        confirmed.push(encoder.sync().unwrap());
    }
    let device = encoder.close().unwrap().into_inner();
    (device.content(), confirmed, batches)
}

fn kinds() -> [(Kind, Synced); 2] {
    [(Kind::Stream, synced::<StreamFormat>()), (Kind::File, synced::<FileFormat>())]
}

fn read(kind: Kind, bytes: &[u8]) -> Vec<RecordBatch> {
    if kind == Kind::File { read::file(bytes) } else { read::stream(bytes) }.unwrap().batches
}

fn floor(bytes: u64) -> RecoverOptions {
    RecoverOptions::default().with_confirmed(bytes)
}

fn ceiling(bytes: u64) -> RecoverOptions {
    RecoverOptions::default().with_confirmed_only(bytes)
}

/// The size grew, and the data behind the position did not come.
#[test]
fn a_confirmed_batch_that_ends_in_zeros_is_kept() {
    for (kind, (whole, confirmed, batches)) in kinds() {
        for (&position, count) in confirmed.iter().zip(1..) {
            let mut bytes = whole[..usize::try_from(position).unwrap()].to_vec();
            bytes.resize(bytes.len() + 4096, 0);
            let (_, without) = recover(&bytes, &RecoverOptions::default()).unwrap();
            assert_eq!(without.kept.record_batches, count - 1, "nobody can tell");
            for options in [floor(position), ceiling(position)] {
                let (output, report) = recover(&bytes, &options).unwrap();
                assert_eq!(report.condition, Condition::Torn);
                assert_eq!(read(kind, &output), batches[..usize::try_from(count).unwrap()]);
            }
        }
    }
}

/// The second batch's metadata did not come, the third batch did: a plain loss of power.
#[test]
fn damage_behind_what_is_confirmed_is_a_tear() {
    for (kind, (whole, confirmed, batches)) in kinds() {
        let start = usize::try_from(confirmed[0]).unwrap();
        for fill in [0, 0xff, 7] {
            let mut bytes = whole.clone();
            bytes[start..start + 64].fill(fill);
            let refused = recover(&bytes, &RecoverOptions::default()).unwrap_err();
            assert!(matches!(refused, Error::DamagedBeforeTail { .. }), "{refused}");
            let (output, report) = recover(&bytes, &floor(confirmed[0])).unwrap();
            assert_eq!(report.condition, Condition::Torn);
            let kept = read(kind, &output);
            assert_eq!(kept[0], batches[0]);
            assert!(kept.iter().all(|batch| batches.contains(batch)));
            let (output, _) = recover(&bytes, &ceiling(confirmed[0])).unwrap();
            assert_eq!(read(kind, &output), batches[..1]);
        }
    }
}

#[test]
fn nothing_but_what_is_confirmed_is_kept_on_request() {
    for (kind, (whole, confirmed, batches)) in kinds() {
        for (&position, count) in confirmed.iter().zip(1..) {
            let (output, report) = recover(&whole, &ceiling(position)).unwrap();
            assert_eq!(read(kind, &output), batches[..count], "{kind:?}");
            let cut = report.cuts.last().unwrap();
            assert!(matches!(cut.fault, Fault::Unconfirmed), "{}", cut.fault);
            assert_eq!((cut.offset, cut.length), (position, whole.len() as u64 - position));
            // As a floor it changes nothing about an input that is complete.
            let (output, report) = recover(&whole, &floor(position)).unwrap();
            assert_eq!((report.condition, output), (Condition::Complete, whole.clone()));
        }
    }
}

#[test]
fn what_was_confirmed_and_is_wrong_is_refused() {
    for (kind, (whole, confirmed, _)) in kinds() {
        let start = if kind == Kind::File { 8 } else { 0 };
        let messages = messages(&whole, start).messages;
        let ends: Vec<_> = messages.iter().map(Framed::end).collect();
        let mut bytes = whole.clone();
        bytes[ends[0]..ends[0] + 64].fill(7);
        for options in [floor(confirmed[1]), ceiling(confirmed[1])] {
            let refused = recover(&bytes, &options).unwrap_err();
            let Error::ConfirmedDamaged { damage, confirmed: told } = refused else { panic!("{refused}") };
            assert_eq!((damage.offset, told), (ends[0] as u64, confirmed[1]));
            assert!(recover(&bytes, &options.with_salvage()).is_ok(), "on request, what can be");
        }
        for options in [floor(confirmed[2]), ceiling(confirmed[2])] {
            let cut = &whole[..usize::try_from(confirmed[1]).unwrap()];
            let refused = recover(cut, &options).unwrap_err();
            assert!(
                matches!(refused, Error::ConfirmedMissing { confirmed: c, length } if c == confirmed[2] && length == confirmed[1]),
                "{refused}"
            );
        }
        // A position that no sync has returned: the start of the output in its file has been forgotten, most likely.
        for wrong in [confirmed[0] - 8, confirmed[0] + 8, confirmed[0] + 300] {
            for options in [floor(wrong), ceiling(wrong)] {
                let refused = recover(&whole, &options).unwrap_err();
                assert!(matches!(refused, Error::NoConfirmedPosition { confirmed: c, .. } if c == wrong), "{refused}");
            }
        }
    }
}

/// The lists of the footer did not come, nor did the last batch: what is left of the footer verifies, and names nothing.
#[test]
fn a_footer_that_lost_its_lists_hides_nothing() {
    let (whole, confirmed, batches) = synced::<FileFormat>();
    let mut bytes = with_footer(&whole, &[], &[]);
    let last = messages(&whole, 8).messages.pop().unwrap();
    bytes[last.offset..last.offset + 64].fill(0xff);
    let refused = recover(&bytes, &RecoverOptions::default()).unwrap_err();
    assert!(matches!(refused, Error::DamagedBeforeTail { .. }), "{refused}");
    for options in [RecoverOptions::default().with_salvage(), floor(confirmed[1]), ceiling(confirmed[1])] {
        let (output, report) = recover(&bytes, &options).unwrap();
        assert_ne!(report.condition, Condition::Complete);
        assert_eq!(read(Kind::File, &output), batches[..2]);
    }
}
