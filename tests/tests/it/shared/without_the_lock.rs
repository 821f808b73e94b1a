//! What only asks needs no lock: `stats`, `schema` and `is_closed` answer while a write hangs in the sink, and places
//! can be taken and given back.
//!
//! Fails, by the watchdog, where one of them waits for the lock.

use ipc_tests::gate::gate;
use ipc_tests::shared::{Output, Words, batch, schema, unstaged};
use ipc_tests::threads::together;

use super::in_both_formats;

in_both_formats!(questions_are_answered_while_the_sink_hangs);

fn questions_are_answered_while_the_sink_hangs<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(threads).build().unwrap();
    assert!(writer.schema().is_none());
    assert_eq!(writer.stats().messages, 0);
    let receipt = writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    gate.shut();
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| writer.write(&batch(Words::Plain, (0, 1))).unwrap());
        gate.wait_until_occupied();
        together(threads, |_| {
            let stats = writer.stats();
            assert_eq!((stats.messages, stats.record_batches), (2, 1));
            assert_eq!(stats.rows, batch(Words::Plain, (0, 0)).num_rows() as u64);
            assert_eq!(stats.written_bytes, receipt.offset + receipt.metadata_length + receipt.body_length);
            assert_eq!(writer.schema().unwrap(), schema(Words::Plain));
            assert!(!writer.is_closed());
            assert!(!writer.is_held_by_current_thread());
            drop((writer.clone(), writer.producer()));
            assert!(format!("{writer:?}").contains("SharedWriter"));
            drop(writer.reserve().unwrap());
        });
        assert!(!holder.is_finished());
        gate.open();
        holder.join().unwrap();
    });
    assert_eq!(writer.stats().record_batches, 2);
    let summary = writer.close().unwrap();
    assert_eq!(summary.schema, schema(Words::Plain));
    assert_eq!(writer.stats(), summary.stats);
    assert!(writer.is_closed());
}
