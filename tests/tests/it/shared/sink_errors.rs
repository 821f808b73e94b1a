//! When the sink fails before it took a byte of a message, that call says so, nothing of its batch is in the output,
//! and the writer goes on.
//!
//! Fails where the header counts as written although the sink refused it (then it is missing), or as not written
//! although it was taken (then it comes twice), where a failure poisons a sound output, where the dictionaries of a
//! batch that failed count as sent, or where `close` cannot be repeated or repeats the end.

use ipc_shared::{Compression, DictionaryHandling, Error};
use ipc_tests::gate::{Act, Gate, KIND, gate};
use ipc_tests::shared::{Mark, Output, Words, batch, sorted_marks, unstaged, unstaged_with};
use ipc_tests::threads::together;

use super::in_both_formats;

in_both_formats!(
    the_very_first_write_fails,
    every_third_write_fails,
    dictionaries_that_failed_are_sent_again,
    close_is_repeated,
    a_failed_batch_settles_no_schema,
    the_header_is_taken_and_the_batch_is_not,
    a_failed_stage_is_kept,
);

/// Whether it was written. The sink may have failed; nothing else may have.
#[track_caller]
fn is_written<T>(result: Result<T, Error>) -> bool {
    match result {
        Ok(_) => true,
        Err(Error::Core(ipc_core::Error::Io(source))) if source.kind() == KIND => false,
        Err(error) => panic!("neither written nor failed in the sink: {error:?}"),
    }
}

fn assert_output<F: Output>(gate: &Gate, words: Words, mut written: Vec<Mark>) {
    written.sort_unstable();
    assert_eq!(sorted_marks(words, &F::whole(&gate.taken())), written);
}

fn the_very_first_write_fails<F: Output>(threads: usize) {
    for failures in 1..=threads {
        let (sink, gate) = gate();
        let writer = F::to(sink).options(unstaged()).build().unwrap();
        gate.plan(vec![Act::Fail; failures]);
        let is_written = together(threads, |thread| is_written(writer.write(&batch(Words::Plain, (thread, 0)))));
        let mut written: Vec<Mark> = (0..threads).filter(|thread| is_written[*thread]).map(|t| (t, 0)).collect();
        assert_eq!(written.len(), threads - failures);
        writer.write(&batch(Words::Plain, (99, 0))).unwrap();
        written.push((99, 0));
        writer.close().unwrap();
        assert_output::<F>(&gate, Words::Plain, written);
    }
}

fn every_third_write_fails<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).build().unwrap();
    gate.plan((0..threads * 6).map(|call| if call % 3 == 0 { Act::Fail } else { Act::Take }));
    let written = together(threads, |thread| {
        let write = |number: &usize| is_written(writer.write(&batch(Words::Plain, (thread, *number))));
        (0..6).filter(write).map(|number| (thread, number)).collect::<Vec<_>>()
    });
    let written = written.concat();
    assert_eq!(written.len(), threads * 4);
    assert_eq!(writer.stats().record_batches, written.len() as u64);
    writer.close().unwrap();
    assert_output::<F>(&gate, Words::Plain, written);
}

fn dictionaries_that_failed_are_sent_again<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let options = unstaged_with(Compression::None, DictionaryHandling::Resend);
    let writer = F::to(sink).options(options).build().unwrap();
    gate.plan([Act::Fail, Act::Fail]);
    let is_written = together(threads, |thread| is_written(writer.write(&batch(Words::Equal, (thread, 0)))));
    let mut written: Vec<Mark> = (0..threads).filter(|thread| is_written[*thread]).map(|t| (t, 0)).collect();
    assert_eq!(written.len(), threads - 2);
    writer.write(&batch(Words::Equal, (99, 0))).unwrap();
    written.push((99, 0));
    assert_eq!(writer.close().unwrap().stats.dictionary_batches, 1);
    assert_output::<F>(&gate, Words::Equal, written);
}

fn close_is_repeated<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).build().unwrap();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    gate.plan([Act::Fail, Act::Fail]);
    for _ in 0..2 {
        assert!(!is_written(writer.close()), "the end is refused");
    }
    gate.plan_flushes([Act::Fail]);
    assert!(!is_written(writer.close()), "the end is written, but not flushed");
    let closed = together(threads, |_| writer.close().is_ok());
    assert_eq!(closed.into_iter().filter(|won| *won).count(), 1);
    assert!(matches!(writer.close(), Err(Error::Closed)));
    assert_output::<F>(&gate, Words::Plain, vec![(0, 0)]);
}

fn a_failed_batch_settles_no_schema<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).build().unwrap();
    gate.plan(vec![Act::Fail; threads]);
    let all_failed = together(threads, |thread| !is_written(writer.write(&batch(Words::Plain, (thread, 0)))));
    assert!(all_failed.into_iter().all(|failed| failed));
    assert!(writer.schema().is_none(), "nothing was written with it");
    // So another thread may still set it.
    writer.write(&batch(Words::Equal, (0, 0))).unwrap();
    assert_eq!(writer.schema().unwrap(), ipc_tests::shared::schema(Words::Equal));
    writer.close().unwrap();
    assert_output::<F>(&gate, Words::Equal, vec![(0, 0)]);
}

/// The header is out, so the schema is settled, and the header must not come again.
fn the_header_is_taken_and_the_batch_is_not<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).build().unwrap();
    gate.plan([Act::Split]);
    assert!(!is_written(writer.write(&batch(Words::Plain, (0, 0)))));
    assert!(!gate.is_empty());
    assert_eq!(writer.schema().unwrap(), ipc_tests::shared::schema(Words::Plain));
    let other = writer.write(&batch(Words::Equal, (0, 0)));
    assert!(matches!(other, Err(Error::Core(ipc_core::Error::SchemaMismatch { .. }))), "{other:?}");
    together(threads, |thread| writer.write(&batch(Words::Plain, (thread, 1))).unwrap());
    writer.close().unwrap();
    assert_output::<F>(&gate, Words::Plain, (0..threads).map(|thread| (thread, 1)).collect());
}

fn a_failed_stage_is_kept<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let options = ipc_shared::Options::builder().staging(true).build().unwrap();
    let writer = F::to(sink).options(options).build().unwrap();
    together(threads, |thread| writer.write(&batch(Words::Plain, (thread, 0))).unwrap());
    gate.plan([Act::Fail]);
    assert!(!is_written(writer.flush()));
    assert!(gate.is_empty());
    writer.flush().unwrap();
    assert!(!gate.is_empty());
    writer.close().unwrap();
    assert_output::<F>(&gate, Words::Plain, (0..threads).map(|thread| (thread, 0)).collect());
}
