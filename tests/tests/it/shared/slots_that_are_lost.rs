//! A slot that a thread drops while it unwinds from a panic has lost its batch: no output is closed as if nothing were
//! missing, unless that is asked for. Places that are given up on purpose are counted, and nothing else.
//!
//! Fails where a `close` does not see a lost slot, where it writes a byte of the end before it fails, where it cannot be
//! repeated as `close_with_gaps`, or where a place is counted that is not missing.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use ipc_shared::{CoreError, Error};
use ipc_tests::gate::{Act, gate};
use ipc_tests::shared::{Output, Words, batch, marks, unstaged};
use ipc_tests::threads::together;

use super::in_both_formats;

in_both_formats!(
    a_slot_that_unwinding_drops_fails_the_close,
    places_given_up_are_counted_and_fail_nothing,
    a_refused_batch_that_is_unwrapped_is_a_lost_slot,
    a_close_that_failed_for_the_sink_still_tells_of_lost_slots,
    nothing_but_lost_slots_is_an_output_without_schema,
);

fn unwind<T>(drops: T) {
    let died = catch_unwind(AssertUnwindSafe(|| {
        let _dropped = drops;
        resume_unwind(Box::new("on purpose"));
    }));
    assert!(died.is_err());
}

fn a_slot_that_unwinding_drops_fails_the_close<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(2 * threads).build().unwrap();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    let front = writer.reserve().unwrap();
    writer.reserve().unwrap().write(&batch(Words::Plain, (0, 1))).unwrap();
    unwind(front);
    together(threads, |_| unwind(writer.reserve().unwrap()));
    let lost = threads as u64 + 1;
    let accepted = gate.taken();
    for _ in 0..3 {
        let closed = writer.close();
        assert!(matches!(closed, Err(Error::Gaps { places }) if places == lost), "{closed:?}");
        assert_eq!(gate.taken(), accepted, "not a byte of the end");
        assert!(writer.is_closed(), "only a close goes on");
        assert!(matches!(writer.write(&batch(Words::Plain, (9, 9))), Err(Error::Closed)));
    }
    assert_eq!(writer.close_with_gaps().unwrap().given_up, lost);
    assert!(matches!(writer.close_with_gaps(), Err(Error::Closed)));
    assert_eq!(marks(Words::Plain, &F::whole(&gate.taken())), [(0, 0), (0, 1)], "what was accepted is there");
}

fn places_given_up_are_counted_and_fail_nothing<F: Output>(threads: usize) {
    let writer = F::to(Vec::new()).window(6 * threads).build().unwrap();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    let out = together(threads, |thread| {
        let [dropped, given_up, unwinding, refused, out] = [(); 5].map(|()| writer.reserve().unwrap());
        drop(dropped);
        given_up.give_up();
        // Whoever means it is believed, also while it unwinds.
        struct GivesUp<T: FnOnce()>(Option<T>);
        impl<T: FnOnce()> Drop for GivesUp<T> {
            fn drop(&mut self) {
                self.0.take().unwrap()();
            }
        }
        unwind(GivesUp(Some(|| unwinding.give_up())));
        let refuse = || -> Result<(), Error> { Ok(refused.write(&batch(Words::Equal, (0, 1)))?) };
        assert!(matches!(refuse(), Err(Error::Core(CoreError::SchemaMismatch { .. }))));
        writer.reserve().unwrap().write(&batch(Words::Plain, (1, thread))).unwrap();
        out
    });
    let summary = writer.close().unwrap();
    assert_eq!(summary.given_up, 5 * threads as u64, "those still out at the close among them");
    assert_eq!(summary.stats.record_batches, threads as u64 + 1);
    unwind(out);
    F::whole(&writer.into_inner().unwrap());
}

fn a_refused_batch_that_is_unwrapped_is_a_lost_slot<F: Output>(threads: usize) {
    let writer = F::to(Vec::new()).window(threads).build().unwrap();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    together(threads, |thread| {
        let slot = writer.reserve().unwrap();
        let died = catch_unwind(AssertUnwindSafe(|| {
            if let Err(failed) = slot.write(&batch(Words::Equal, (0, thread))) {
                let _failed = failed;
                resume_unwind(Box::new("on purpose"));
            }
        }));
        assert!(died.is_err());
    });
    assert!(matches!(writer.close(), Err(Error::Gaps { places }) if places == threads as u64));
    writer.close_with_gaps().unwrap();
    assert_eq!(F::whole(&writer.into_inner().unwrap()).len(), 1);
}

fn a_close_that_failed_for_the_sink_still_tells_of_lost_slots<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(threads + 1).build().unwrap();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    let out = writer.reserve().unwrap();
    for number in 1..threads {
        writer.reserve().unwrap().write(&batch(Words::Plain, (0, number))).unwrap();
    }
    // The first close meets a sink that fails, and gives up the place that is out: that is lost no more.
    unwind(writer.reserve().unwrap());
    gate.plan([Act::Fail]);
    assert!(matches!(writer.close(), Err(Error::Core(CoreError::Io(_)))));
    unwind(out);
    assert!(matches!(writer.close(), Err(Error::Gaps { places: 1 })));
    gate.plan([Act::Tear]);
    assert!(matches!(writer.close_with_gaps(), Err(Error::Poisoned { .. })));
    writer.rollback().unwrap();
    assert!(matches!(writer.close(), Err(Error::Gaps { places: 1 })));
    assert_eq!(writer.close_with_gaps().unwrap().given_up, 2);
    assert_eq!(marks(Words::Plain, &F::whole(&gate.taken())).len(), threads);
}

fn nothing_but_lost_slots_is_an_output_without_schema<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).window(threads).build().unwrap();
    together(threads, |_| unwind(writer.reserve().unwrap()));
    assert!(matches!(writer.close(), Err(Error::Gaps { places }) if places == threads as u64));
    assert!(matches!(writer.close_with_gaps(), Err(Error::NoSchema)));
    assert!(gate.is_empty());
}
