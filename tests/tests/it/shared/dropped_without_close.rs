//! What is dropped without `close` never passes for whole: a file has no footer, and a stream has the mark at which its
//! readers fail.
//!
//! Fails where some `Drop` writes a stage, an end or a footer, or leaves a stream that ends like a whole one.

use ipc_tests::framing::MAGIC;
use ipc_tests::gate::gate;
use ipc_tests::read;
use ipc_tests::shared::{Output, Words, batch, unstaged};
use ipc_tests::threads::together;

use super::in_both_formats;

in_both_formats!(what_was_written_stays_without_an_end, what_was_only_accepted_is_gone);

fn what_was_written_stays_without_an_end<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(2).build().unwrap();
    together(threads, |thread| {
        let mut producer = writer.clone().producer();
        producer.write(&batch(Words::Plain, (thread, 0))).unwrap();
    });
    let slot = writer.reserve().unwrap();
    writer.reserve().unwrap().write(&batch(Words::Plain, (99, 0))).unwrap();
    let before = gate.taken();
    drop(writer);
    // The last handle. It drops its slot, so the batches parked after that slot are appended, and then the mark.
    drop(slot);
    let taken = gate.taken();
    assert!(taken.starts_with(&before));
    assert_eq!(F::framing(&taken).mark.is_some(), !F::HAS_FOOTER);
    let framing = F::framing(&taken);
    assert!(framing.end.is_none(), "no end-of-stream marker");
    assert_eq!(framing.record_batches().len(), threads + 1);
    assert!(!taken.ends_with(MAGIC), "no footer");
    assert!(!F::HAS_FOOTER || read::file(&taken).is_err());
}

fn what_was_only_accepted_is_gone<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let options = ipc_shared::Options::builder().staging(true).build().unwrap();
    let writer = F::to(sink).options(options).build().unwrap();
    together(threads, |thread| writer.write(&batch(Words::Plain, (thread, 0))).unwrap());
    drop(writer);
    assert!(gate.is_empty(), "what was staged was not confirmed, and is not written");
}
