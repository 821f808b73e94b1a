//! Models of unified dictionaries: the section in which they grow, the snapshot they are read from, and the plan that says
//! which values go out with a batch.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "the code of tests")]

use std::io::Write;

use arrow_array::RecordBatch;
use ipc_core::{Options, Unify};
use ipc_shared::internals::model;
use ipc_shared::{SharedWriter, StreamFormat};
use loom::thread;
use loom_tests::{Coverage, Shared, Tearing, dictionary_batch, explore, sent_values, values, words, words_batch};

type Writer = SharedWriter<Shared, StreamFormat>;

fn writer(sink: &Shared) -> Writer {
    writer_to(sink.clone())
}

fn writer_to<W: Write + Send>(sink: W) -> SharedWriter<W, StreamFormat> {
    let options = Options::builder().dictionaries(Unify::new()).build().unwrap();
    SharedWriter::stream(sink).options(options).schema(words_batch(&[]).schema()).build().unwrap()
}

/// What was read is what was written, in any order, and the values of all dictionary batches together are `expected`.
fn check(sink: &Shared, written: &[&[&str]], expected: &[&str]) {
    let mut read: Vec<Vec<String>> = sink.read().iter().map(words).collect();
    read.sort_unstable();
    let mut written: Vec<Vec<String>> =
        written.iter().map(|words| words.iter().map(|w| (*w).to_owned()).collect()).collect();
    written.sort_unstable();
    assert_eq!(read, written, "each batch reads with its own values, which stand before it");
    let mut sent = sent_values(&sink.bytes());
    sent.sort_unstable();
    assert_eq!(sent, expected, "each value is sent once");
}

fn spawn(writer: &Writer, batch: &RecordBatch) -> thread::JoinHandle<()> {
    let (writer, batch) = (writer.clone(), batch.clone());
    thread::spawn(move || writer.write(&batch).map(drop).unwrap())
}

#[test]
fn unify_overlapping_values() {
    explore("a producer that another had overtaken", |coverage: &Coverage| {
        let replans = model::replans();
        let sink = Shared::default();
        let writer = writer(&sink);
        let other = spawn(&writer, &words_batch(&["b", "c"]));
        writer.write(&words_batch(&["a", "b"])).unwrap();
        other.join().unwrap();
        let stats = writer.close().unwrap().stats;
        assert_eq!(stats.replacements, 0, "a unified dictionary is never replaced");
        check(&sink, &[&["a", "b"], &["b", "c"]], &["a", "b", "c"]);
        coverage.met_if(model::replans() > replans);
    });
}

#[test]
fn unify_same_values() {
    explore("a producer whose value another one sent while it was writing", |coverage: &Coverage| {
        let sink = Shared::default();
        let writer = writer(&sink);
        let other = spawn(&writer, &words_batch(&["a"]));
        let before = writer.stats().record_batches;
        let receipt = writer.write(&words_batch(&["a"])).unwrap();
        other.join().unwrap();
        let stats = writer.close().unwrap().stats;
        check(&sink, &[&["a"], &["a"]], &["a"]);
        assert_eq!(stats.dictionary_batches, 1);
        coverage.met_if(before == 0 && receipt.sequence == 1);
    });
}

#[test]
fn unify_in_slots() {
    explore("a slot whose values went out before its turn came", |coverage: &Coverage| {
        let sink = Shared::default();
        let writer = writer(&sink);
        let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
        let other = thread::spawn(move || second.write(&words_batch(&["b", "a"])).unwrap());
        first.write(&words_batch(&["a"])).unwrap();
        let left = writer.stats().record_batches;
        other.join().unwrap();
        writer.close().unwrap();
        check(&sink, &[&["a"], &["b", "a"]], &["a", "b"]);
        coverage.met_if(left == 2);
    });
}

#[test]
fn unify_in_a_slot_that_is_refused() {
    explore("a batch that was encoded, and refused since another had torn the output", |coverage: &Coverage| {
        let sink = Shared::default();
        let writer = writer_to(Tearing::new(&sink));
        let slot = writer.reserve().unwrap();
        let batch = dictionary_batch(&values(&["a", "unused"]));
        let other = {
            let batch = batch.clone();
            thread::spawn(move || slot.write(&batch).is_err())
        };
        // With an encoder of its own, so that the pool's is the slot's.
        let tore = writer.producer().write(&words_batch(&["b"])).is_err();
        assert!(other.join().unwrap() && tore, "whoever comes first tears the output for both");
        writer.rollback().unwrap();
        writer.write(&words_batch(&["b"])).unwrap();
        coverage.met_if(writer.stats().unused_values == 1);
        writer.write(&batch).unwrap();
        assert_eq!(writer.close().unwrap().stats.unused_values, 1, "what no key uses is counted once");
        check(&sink, &[&["b"], &["a"]], &["a", "b"]);
    });
}
