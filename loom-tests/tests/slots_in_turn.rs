//! Models of who comes next: who appends, and who gets a place.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "the code of tests")]

use std::cell::Cell;
use std::io::{self, IoSlice, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ipc_shared::internals::model;
use ipc_shared::{CoreError, Error, SharedWriter, StreamFormat};
use loom::thread;
use loom_tests::{Shared, batch, explore, has_waited};

loom::thread_local! {
    /// How many messages this thread has brought to the sink.
    static BROUGHT: Cell<usize> = Cell::new(0);
}

/// What the sink does with one message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Take,
    /// Takes it once some thread waits, or has no need to.
    Hold,
    /// Fails before it took a byte.
    Fail,
}

/// A sink that does as it was told with each message; the first is the header.
struct Acting {
    sink: Shared,
    acts: Vec<Act>,
    waits: usize,
    has_no_need: Arc<AtomicBool>,
}

impl Acting {
    fn new(sink: &Shared, acts: &[Act]) -> Self {
        let acts = acts.iter().rev().copied().collect();
        Self { sink: sink.clone(), acts, waits: model::waits(), has_no_need: Arc::default() }
    }
}

impl Write for Acting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        BROUGHT.with(|brought| brought.set(brought.get() + 1));
        let act = self.acts.pop().unwrap_or(Act::Take);
        if act == Act::Fail {
            return Err(io::Error::other("as it was told"));
        }
        while act == Act::Hold && model::waits() == self.waits && !self.has_no_need.load(Relaxed) {
            thread::yield_now();
        }
        slices.iter().map(|slice| self.sink.write(slice)).sum()
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn writer(sink: Acting, places: usize) -> SharedWriter<Acting, StreamFormat> {
    SharedWriter::stream(sink).schema(batch(0).schema()).window(places).build().unwrap()
}

#[test]
fn flush_is_next() {
    explore("a flush that waited while another thread appended", |coverage| {
        let sink = Shared::default();
        let acting = Acting::new(&sink, &[Act::Take, Act::Hold]);
        let has_no_need = Arc::clone(&acting.has_no_need);
        let writer = writer(acting, 3);
        let [first, second, third] = [(); 3].map(|()| writer.reserve().unwrap());
        second.write(&batch(2)).unwrap();
        third.write(&batch(3)).unwrap();
        let other = thread::spawn(move || {
            first.write(&batch(1)).unwrap();
            BROUGHT.with(Cell::get)
        });
        writer.flush().unwrap();
        has_no_need.store(true, Relaxed);
        let has_waited = has_waited();
        let brought = other.join().unwrap();
        coverage.met_if(has_waited);
        assert!(!has_waited || brought == 1, "a drainer hands over after the append in hand, not after {brought}");
        assert_eq!(writer.stats().record_batches, 3, "whoever flushes, or whoever it overtook, appends the rest");
        writer.close().unwrap();
        assert_eq!(sink.numbers(), [1, 2, 3]);
    });
}

#[test]
fn flush_goes_on() {
    explore("a place given up while a flush was under way, in front of one that was ready", |coverage| {
        let sink = Shared::default();
        let acting = Acting::new(&sink, &[]);
        let writer = writer(acting, 2);
        let [first, second] = [(); 2].map(|()| writer.reserve().unwrap());
        second.write(&batch(2)).unwrap();
        let other = thread::spawn(move || first.give_up());
        writer.flush().unwrap();
        let is_there = writer.stats().record_batches == 1;
        other.join().unwrap();
        coverage.met_if(is_there && BROUGHT.with(Cell::get) > 0);
        assert_eq!(writer.stats().record_batches, 1, "it does not wait for the close");
        writer.close().unwrap();
        assert_eq!(sink.numbers(), [2]);
    });
}

#[test]
fn writes_of_slots_are_bounded() {
    explore("a write that waited to take over from a thread that had done its part", |coverage| {
        let sink = Shared::default();
        let writer = writer(Acting::new(&sink, &[]), 1);
        let looping = |writer: SharedWriter<Acting, StreamFormat>, numbers: &'static [i32]| {
            let mut most = 0;
            let mut took_over = false;
            for number in numbers {
                let slot = writer.reserve().unwrap();
                let (before, waits) = (BROUGHT.with(Cell::get), model::waits_of_this_thread());
                let parks = model::parks_of_this_thread();
                slot.write(&batch(*number)).unwrap();
                most = most.max(BROUGHT.with(Cell::get) - before);
                took_over |= model::waits_of_this_thread() - waits > model::parks_of_this_thread() - parks;
            }
            (most, took_over)
        };
        let other = {
            let writer = writer.clone();
            thread::spawn(move || looping(writer, &[1, 2]))
        };
        let (most, _) = looping(writer.clone(), &[3]);
        let (others_most, took_over) = other.join().unwrap();
        coverage.met_if(took_over);
        // A window's worth after its own, and what was ready by then.
        assert!(most.max(others_most) <= 2, "{most} or {others_most} messages in one write of a slot");
        assert_eq!(writer.stats().record_batches, 3, "nothing is left behind");
        writer.close().unwrap();
        let numbers = sink.numbers();
        assert!(numbers.iter().filter(|n| **n < 3).is_sorted() && numbers.len() == 3, "{numbers:?}");
    });
}

#[test]
fn reserve_in_turn() {
    explore("two threads that waited for the same place", |coverage| {
        let sink = Shared::default();
        let writer = writer(Acting::new(&sink, &[]), 1);
        let first = writer.reserve().unwrap();
        let before = model::waits();
        let others = [1, 2].map(|number| {
            let writer = writer.clone();
            // The second comes once the first waits.
            while model::waits() < before + usize::try_from(number).unwrap() - 1 {
                thread::yield_now();
            }
            thread::spawn(move || writer.reserve().unwrap().write(&batch(number)).unwrap())
        });
        while model::waits() < before + 2 {
            thread::yield_now();
        }
        coverage.met();
        first.give_up();
        assert!(writer.try_reserve().unwrap().is_none() || writer.stats().record_batches > 0, "nobody is overtaken");
        others.into_iter().for_each(|other| other.join().unwrap());
        writer.close().unwrap();
        assert_eq!(sink.numbers(), [1, 2], "first come, first served");
    });
}

#[test]
fn failed_drainer_vs_reserve() {
    explore("a thread that slept until what had failed was its to append", |coverage| {
        let sink = Shared::default();
        let writer = writer(Acting::new(&sink, &[Act::Take, Act::Fail]), 2);
        let [first, second] = [(); 2].map(|()| writer.reserve().unwrap());
        second.write(&batch(2)).unwrap();
        let others = [(); 2].map(|()| {
            let writer = writer.clone();
            thread::spawn(move || match writer.reserve() {
                Ok(slot) => (Some(slot), has_waited()),
                // It came in time to make the attempt that fails.
                Err(Error::Core(CoreError::Io(_))) => (Some(writer.reserve().unwrap()), false),
                Err(error) => panic!("{error:?}"),
            })
        });
        // Makes room for one, and fails to make room for the other.
        first.give_up();
        let slots = others.map(|other| other.join().unwrap());
        coverage.met_if(slots.iter().all(|(_, has_waited)| *has_waited));
        drop(slots);
        writer.close().unwrap();
        assert_eq!(sink.numbers(), [2]);
    });
}

#[test]
fn room_vs_failed_reserve() {
    explore("a thread that failed to append, and was given a place meanwhile", |coverage| {
        let sink = Shared::default();
        let writer = writer(Acting::new(&sink, &[Act::Take, Act::Fail, Act::Fail]), 2);
        let [first, second] = [(); 2].map(|()| writer.reserve().unwrap());
        second.write(&batch(2)).unwrap();
        // Fails to append the second batch, which stays at the front.
        first.give_up();
        let third = writer.reserve().unwrap();
        let other = {
            let writer = writer.clone();
            thread::spawn(move || {
                let reserved = writer.reserve();
                (BROUGHT.with(Cell::get), reserved)
            })
        };
        // Makes room. If this thread meets the second failure, it tries again.
        let makes_room_at_once = writer.flush().is_ok();
        if !makes_room_at_once {
            writer.flush().unwrap();
        }
        let (brought, reserved) = other.join().unwrap();
        coverage.met_if(makes_room_at_once && brought == 1 && reserved.is_ok());
        let mut expected = vec![2, 3];
        third.write(&batch(3)).unwrap();
        if let Ok(slot) = reserved {
            slot.write(&batch(4)).unwrap();
            expected.push(4);
        }
        assert_eq!(writer.close().unwrap().given_up, 1, "the place given up is the one that had an owner");
        assert_eq!(sink.numbers(), expected);
    });
}
