//! However busy others keep the window, a flush, a sync and a close return after the batches that had a place when they
//! were called, one `Slot::write` appends a bounded number of others' batches, and places are given first come, first
//! served.
//!
//! Fails where the thread that appends for others goes on as long as something is ready, where those who settle compete
//! with it by luck, where a place is given once a close has begun, or where who comes later gets a place first.

use std::cell::Cell;
use std::io::{self, IoSlice, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ipc_shared::{Durable, Error, SharedWriter, StreamFormat};
use ipc_tests::gate::gate;
use ipc_tests::shared::{Output, Words, batch, marks, schema, unstaged};
use ipc_tests::threads::{let_others_park, together, within};

use super::in_both_formats;

in_both_formats!(once_a_close_has_begun_no_place_is_given);

/// How many threads loop over `reserve().write()`, and for how many places.
const LOOPING: usize = 4;
const PLACES: usize = 8;

/// A sink that takes one message for each permit, and lets the test wait until a thread needs one.
#[derive(Debug, Default, Clone)]
struct Stepped(Arc<(Mutex<Steps>, Condvar)>);

#[derive(Debug, Default)]
struct Steps {
    permits: usize,
    taken: usize,
    is_asked: bool,
    is_free: bool,
}

impl Stepped {
    fn with<R>(&self, mut f: impl FnMut(&mut Steps) -> Option<R>) -> R {
        let (steps, changed) = &*self.0;
        let mut steps = steps.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(result) = f(&mut steps) {
                changed.notify_all();
                return result;
            }
            steps = changed.wait(steps).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets one message pass, and counts it.
    fn step(&self) {
        self.with(|steps| {
            steps.permits += 1;
            Some(())
        });
    }

    /// Waits until a message asks to pass, or `is_over`.
    fn wait_until_asked(&self, is_over: impl Fn() -> bool) {
        while !is_over() && !self.with(|steps| Some(steps.is_asked && steps.permits == 0)) {
            thread::sleep(Duration::from_micros(50));
        }
    }

    fn taken(&self) -> usize {
        self.with(|steps| Some(steps.taken))
    }

    fn free(&self) {
        self.with(|steps| {
            steps.is_free = true;
            Some(())
        });
    }
}

impl Write for Stepped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.with(|steps| {
            steps.is_asked = true;
            if !steps.is_free {
                steps.permits = steps.permits.checked_sub(1)?;
            }
            steps.is_asked = false;
            steps.taken += 1;
            Some(())
        });
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Durable for Stepped {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_until_closed<W: Write + Send>(writer: &SharedWriter<W, StreamFormat>, thread: usize) {
    for number in 0.. {
        let written = match writer.reserve() {
            Ok(slot) => slot.write(&batch(Words::Plain, (thread, number))).map_err(Error::from),
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => {}
            Err(Error::Closed) => return,
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Steps the sink from the moment in which `settle` waits, until it has returned; returns how many messages that took.
fn steps_until(settle: impl Fn(&SharedWriter<Stepped, StreamFormat>) + Send + Sync) -> usize {
    let sink = Stepped::default();
    let writer = StreamFormat::to(sink.clone()).options(unstaged()).window(PLACES).build().unwrap();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for thread in 0..LOOPING {
            let writer = &writer;
            scope.spawn(move || write_until_closed(writer, thread));
        }
        // Some rounds, until the window is full and a thread is inside the sink.
        for _ in 0..5 * PLACES {
            sink.wait_until_asked(|| false);
            sink.step();
        }
        sink.wait_until_asked(|| false);
        let_others_park();
        let before = sink.taken();
        let (writer, settle, done) = (&writer, &settle, &is_done);
        scope.spawn(move || {
            settle(writer);
            done.store(true, SeqCst);
        });
        let_others_park();
        // Where it starves, that is seen soon.
        while !is_done.load(SeqCst) && sink.taken() < before + 20 * PLACES {
            sink.step();
            sink.wait_until_asked(|| is_done.load(SeqCst));
            let_others_run();
        }
        let taken = sink.taken() - before;
        sink.free();
        let _ = writer.close();
        taken
    })
}

/// Long enough for a thread that has been woken to return.
fn let_others_run() {
    thread::sleep(Duration::from_millis(2));
}

#[test]
fn a_flush_is_overtaken_by_a_window_at_most() {
    let taken = within(Duration::from_secs(60), || steps_until(|writer| writer.flush().unwrap()));
    assert!(taken <= PLACES + 2, "{taken} messages");
}

#[test]
fn a_sync_is_overtaken_by_a_window_at_most() {
    let taken = within(Duration::from_secs(60), || steps_until(|writer| _ = writer.sync().unwrap()));
    assert!(taken <= PLACES + 2, "{taken} messages");
}

#[test]
fn a_close_is_overtaken_by_a_window_at_most() {
    let taken = within(Duration::from_secs(60), || steps_until(|writer| _ = writer.close().unwrap()));
    assert!(taken <= PLACES + 2, "{taken} messages, the end among them");
}

/// A sink that takes its time, and counts what each thread brings.
#[derive(Debug)]
struct Slow {
    pause: Duration,
    taken: Arc<AtomicUsize>,
}

thread_local!(static BROUGHT: Cell<usize> = const { Cell::new(0) });

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        thread::sleep(self.pause);
        self.taken.fetch_add(1, SeqCst);
        BROUGHT.set(BROUGHT.get() + 1);
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Durable for Slow {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Four threads loop; a fifth flushes, syncs and closes. Returns the median of what the sink took during a flush and a
/// sync, what it took during the close, and the most that one `Slot::write` brought.
fn against_a_slow_sink(pause: Duration) -> (usize, usize, usize) {
    let taken = Arc::new(AtomicUsize::new(0));
    let sink = Slow { pause, taken: Arc::clone(&taken) };
    let writer = StreamFormat::to(sink).options(unstaged()).window(PLACES).build().unwrap();
    let most = AtomicUsize::new(0);
    let count = |call: &dyn Fn()| {
        let before = taken.load(SeqCst);
        call();
        taken.load(SeqCst) - before
    };
    thread::scope(|scope| {
        for thread in 0..LOOPING {
            let (writer, most) = (&writer, &most);
            scope.spawn(move || {
                for number in 0.. {
                    let Ok(slot) = writer.reserve() else { return };
                    BROUGHT.set(0);
                    let written = slot.write(&batch(Words::Plain, (thread, number)));
                    most.fetch_max(BROUGHT.get(), SeqCst);
                    if written.is_err() {
                        return;
                    }
                }
            });
        }
        while taken.load(SeqCst) < 3 * PLACES {
            thread::yield_now();
        }
        let mut settled: Vec<usize> =
            (0..9).flat_map(|_| [count(&|| writer.flush().unwrap()), count(&|| _ = writer.sync().unwrap())]).collect();
        settled.sort_unstable();
        let closed = count(&|| _ = writer.close().unwrap());
        (settled[settled.len() / 2], closed, most.load(SeqCst))
    })
}

#[test]
fn nobody_starves_at_a_slow_sink() {
    for pause in [200, 2_000].map(Duration::from_micros) {
        let (settled, closed, most) = within(Duration::from_secs(60), move || against_a_slow_sink(pause));
        // Between the count and the call, a thread may be kept from running: hence a median.
        assert!(settled <= PLACES + 2, "{settled} messages during a flush or a sync at {pause:?} a call");
        assert!(closed <= 3 * PLACES, "{closed} messages during a close at {pause:?} a call");
        assert!(most <= 2 * PLACES, "{most} messages in one write of a slot at {pause:?} a call");
    }
}

fn once_a_close_has_begun_no_place_is_given<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).schema(schema(Words::Plain)).window(3).build().unwrap();
    let [first, second, third] = [(); 3].map(|()| writer.reserve().unwrap());
    gate.shut();
    thread::scope(|scope| {
        // One appends, and keeps the close from going on; others wait for a place.
        let appending = scope.spawn(|| first.write(&batch(Words::Plain, (0, 0))).unwrap());
        gate.wait_until_occupied();
        let waiting: Vec<_> = (0..threads).map(|_| scope.spawn(|| writer.reserve().map(drop))).collect();
        let_others_park();
        let closing = scope.spawn(|| writer.close().unwrap());
        for waiting in waiting {
            assert!(matches!(waiting.join().unwrap(), Err(Error::Closed)), "no place, though the close waits");
        }
        assert!(matches!(writer.reserve(), Err(Error::Closed)));
        assert!(matches!(writer.try_reserve(), Err(Error::Closed)));
        second.write(&batch(Words::Plain, (0, 1))).unwrap();
        gate.open();
        appending.join().unwrap();
        assert_eq!(closing.join().unwrap().given_up, 1, "the place that is still out");
    });
    drop(third);
    let found = marks(Words::Plain, &F::whole(&gate.taken()));
    assert_eq!(found, [(0, 0), (0, 1)], "a place that was out stays good until the close goes on");
}

/// All threads get on at the same pace, since none waits longer than for the others' turn. The exact order is checked
/// in the window's own tests.
#[test]
fn places_are_given_in_turn() {
    const THREADS: usize = 64;
    const RESERVATIONS: u64 = 100_000;
    let taken = Arc::new(AtomicUsize::new(0));
    let sink = Slow { pause: Duration::ZERO, taken };
    let writer = StreamFormat::to(sink).window(PLACES).schema(schema(Words::Plain)).build().unwrap();
    let given = AtomicU64::new(0);
    let shares = within(Duration::from_secs(120), move || {
        together(THREADS, |_| {
            let mut share = 0_u64;
            loop {
                if given.fetch_add(1, SeqCst) >= RESERVATIONS {
                    return share;
                }
                writer.reserve().unwrap().give_up();
                share += 1;
            }
        })
    });
    let least = *shares.iter().min().unwrap();
    assert!(4 * least * THREADS as u64 > RESERVATIONS, "one thread had {least} of {RESERVATIONS} places: {shares:?}");
}
