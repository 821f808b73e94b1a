//! Checks the bytes of an output against the results of the calls.

use std::collections::BTreeSet;
use std::fs;

use crate::framing::{Framing, messages};
use crate::outside::{Pair, aloud, judge};
use crate::read::readable_prefix;
use crate::shared::{Mark, Output, Words, batch, marks, schema};
use crate::sink::{Fault, Faulty};
use arrow_ipc::writer::StreamWriter;

use super::sweep::{Case, End, Told};

/// The whole part of an output, and the batches that a reader must find in it.
#[derive(Debug)]
pub struct Sample {
    /// Whether the output is complete.
    pub is_closed: bool,
    bytes: Vec<u8>,
    words: Words,
    expected: Vec<Mark>,
}

/// Checks the bytes in `sink` against the results of the calls.
#[must_use]
pub fn check<F: Output>(sink: &Faulty, threads: usize, told: &Told, case: &Case, context: &str) -> Sample {
    let bytes = without_mark::<F>(sink, told);
    let start = F::MAGIC.len();
    let whole = match &told.end {
        End::Closed => {
            let found = marks(case.words, &F::whole(bytes));
            check_found(&found, threads, told, context);
            if case.has_dictionaries_at_close {
                check_closing_dictionaries(&F::framing(bytes), context);
            }
            return Sample { is_closed: true, bytes: bytes.to_vec(), words: case.words, expected: found };
        }
        End::Torn(poison) => {
            assert_eq!(bytes.len(), sink.taken_at_fault, "nothing follows torn bytes: {context}");
            let whole = bytes.get(start..usize::try_from(poison.offset).unwrap()).unwrap_or_default();
            let found = count_whole(whole, sink.fault(), context);
            assert_eq!(found + to_count(poison.unconfirmed), told.accepted.len(), "what is lost is told: {context}");
            whole
        }
        End::Gone => {
            assert_eq!(bytes.len(), sink.taken_at_fault, "nothing follows torn bytes: {context}");
            bytes.get(start..).unwrap_or_default()
        }
    };
    // No batch can be read before its dictionaries are written.
    if case.has_dictionaries_at_close {
        return Sample { is_closed: false, bytes: Vec::new(), words: case.words, expected: Vec::new() };
    }
    // Beyond it, no reader finds anything wrong either, except a batch that the sink took whole and that is not
    // confirmed.
    distinct(&marks(case.words, &readable_prefix(bytes.get(start..).unwrap_or_default()).0), context);
    let (found, error) = readable_prefix(whole);
    let found = marks(case.words, &found);
    if told.end != End::Gone {
        assert!(error.is_none() || whole.is_empty(), "{error:?}: {context}");
        assert_eq!(found.len(), count_whole(whole, sink.fault(), context), "all of them can be read: {context}");
        check_found(&found, threads, told, context);
    }
    let is_confirmed = |mark: &Mark| found.contains(mark);
    assert!(
        told.confirmed.iter().all(is_confirmed),
        "{:?} were confirmed, {found:?} are there: {context}",
        told.confirmed
    );
    // A destroyed writer reports no whole part, so there is nothing to read.
    let bytes = if told.end == End::Gone { Vec::new() } else { whole.to_vec() };
    Sample { is_closed: false, bytes, words: case.words, expected: found }
}

/// Returns the bytes without the abort mark that a stream has if a flush panicked and the writer was then dropped. They
/// end with a whole message.
fn without_mark<'s, F: Output>(sink: &'s Faulty, told: &Told) -> &'s [u8] {
    let bytes = sink.taken.as_slice();
    if F::HAS_FOOTER || sink.fault() != Fault::PanicInFlush || told.end == End::Closed {
        return bytes;
    }
    let framing = messages(bytes, 0);
    assert!(
        framing.mark.is_some() != framing.end.is_some(),
        "readers are told, unless only the flush of the end panicked"
    );
    framing.mark.map_or(bytes, |(start, _)| &bytes[..start])
}

/// Checks that a reader finds all confirmed batches, no batch that was not accepted, no batch twice, and the batches of
/// each thread in order.
fn check_found(found: &[Mark], threads: usize, told: &Told, context: &str) {
    let distinct = distinct(found, context);
    let accepted: BTreeSet<Mark> = told.accepted.iter().copied().collect();
    let confirmed: BTreeSet<Mark> = told.confirmed.iter().copied().collect();
    assert!(distinct.is_superset(&confirmed), "{confirmed:?} were confirmed, {found:?} are there: {context}");
    assert!(distinct.is_subset(&accepted), "{accepted:?} were accepted, {found:?} are there: {context}");
    for thread in 0..threads {
        let own = |marks: &[Mark]| marks.iter().copied().filter(|mark| mark.0 == thread).collect::<Vec<_>>();
        let (found, accepted) = (own(found), own(&told.accepted));
        assert!(accepted.starts_with(&found), "{accepted:?} in order, {found:?} are there: {context}");
    }
}

/// Counts the batches in bytes that hold whole messages. They must have no end, unless only the flush after the end
/// failed.
fn count_whole(bytes: &[u8], fault: Fault, context: &str) -> usize {
    if bytes.is_empty() {
        return 0;
    }
    let framing = messages(bytes, 0);
    assert!(framing.end.is_none() || fault == Fault::PanicInFlush, "no end: {context}");
    framing.record_batches().len()
}

fn distinct(found: &[Mark], context: &str) -> BTreeSet<Mark> {
    let distinct: BTreeSet<Mark> = found.iter().copied().collect();
    assert_eq!(distinct.len(), found.len(), "none is there twice: {context}");
    distinct
}

/// Checks that each dictionary is one message, as readers without support for deltas need it.
fn check_closing_dictionaries(framing: &Framing, context: &str) {
    let found = framing.dictionary_batches();
    let ids: BTreeSet<i64> = found.iter().map(|(id, _)| *id).collect();
    assert!(found.len() == ids.len() && found.iter().all(|(_, is_delta)| !is_delta), "{found:?}: {context}");
}

fn to_count(lost: u64) -> usize {
    usize::try_from(lost).unwrap()
}

/// Has pyarrow compare the whole parts with the same batches written by arrow's writer.
pub fn judge_with_pyarrow(samples: &[Sample]) {
    let folder = tempfile::tempdir().unwrap();
    let pairs: Vec<Pair> = samples
        .iter()
        .filter(|sample| !sample.bytes.is_empty())
        .enumerate()
        .map(|(i, sample)| {
            let [read, written] = ["expected", "output"].map(|name| folder.path().join(format!("{i}-{name}")));
            let mut stream = StreamWriter::try_new(Vec::new(), &schema(sample.words)).unwrap();
            sample.expected.iter().for_each(|mark| stream.write(&batch(sample.words, *mark)).unwrap());
            fs::write(&read, stream.into_inner().unwrap()).unwrap();
            fs::write(&written, &sample.bytes).unwrap();
            Pair::by_batches(&read, written)
        })
        .collect();
    assert!(pairs.len() > samples.len() / 2, "{} of {} samples hold anything", pairs.len(), samples.len());
    let Some(verdicts) = judge(&pairs) else { return };
    for (verdict, pair) in verdicts.iter().zip(&pairs) {
        assert_eq!(verdict, "equal", "{}", pair.written.display());
    }
    aloud(format_args!("{} outputs read by pyarrow", pairs.len()));
}
