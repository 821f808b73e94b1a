//! `close` before the schema is known returns `NoSchema`, writes no byte, and closes the writer.
//!
//! Fails where `close` writes an end behind no beginning, where it panics for want of a schema, or where the writer
//! stays open and a late batch starts an output that everybody believes closed.

use ipc_shared::Error;
use ipc_tests::gate::{Act, gate};
use ipc_tests::shared::{Output, Words, batch, unstaged};
use ipc_tests::threads::together;

use super::in_both_formats;

in_both_formats!(one_close_says_no_schema, a_batch_that_failed_tells_no_schema, reserved_places_tell_no_schema);

fn one_close_says_no_schema<F: Output>(threads: usize) {
    for _ in 0..10 {
        let (sink, gate) = gate();
        let writer = F::to(sink).build().unwrap();
        let without = together(threads, |thread| match writer.close() {
            Err(Error::NoSchema) => true,
            Err(Error::Closed) => {
                assert!(matches!(writer.write(&batch(Words::Plain, (thread, 0))), Err(Error::Closed)));
                false
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(without.into_iter().filter(|first| *first).count(), 1, "the others come to a closed writer");
        assert!(writer.is_closed());
        assert!(writer.schema().is_none());
        assert!(matches!(writer.close(), Err(Error::Closed)));
        drop(writer);
        assert!(gate.is_empty(), "no byte");
    }
}

fn a_batch_that_failed_tells_no_schema<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    gate.from_now_on(Act::Fail);
    let writer = F::to(sink).options(unstaged()).build().unwrap();
    together(threads, |thread| {
        let failed = writer.write(&batch(Words::Plain, (thread, 0)));
        assert!(matches!(failed, Err(Error::Core(_))), "{failed:?}");
    });
    assert!(writer.schema().is_none());
    let closed = writer.close();
    assert!(matches!(closed, Err(Error::NoSchema)), "{closed:?}");
    assert!(gate.is_empty());
}

fn reserved_places_tell_no_schema<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).window(threads).build().unwrap();
    let slots = together(threads, |_| writer.reserve().unwrap());
    assert!(matches!(writer.close(), Err(Error::NoSchema)));
    let slots: Vec<_> = slots.into_iter().map(|slot| std::sync::Mutex::new(Some(slot))).collect();
    together(threads, |thread| {
        let slot = slots[thread].lock().unwrap().take().unwrap();
        assert!(matches!(slot.write(&batch(Words::Plain, (thread, 0))).map_err(Error::from), Err(Error::Closed)));
    });
    drop((slots, writer));
    assert!(gate.is_empty());
}
