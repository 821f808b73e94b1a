//! A slot whose write failed comes back with its place: a caller that writes to it again loses nothing, and the output
//! is in the order of reservation. Dropped instead, it gives its place up.
//!
//! Fails where a refused batch, a sink that fails or tears, or a neighbour's tear takes the place away, where others
//! are appended past a place that came back, or where a place that was dropped holds others up.

use std::io::{self, ErrorKind, IoSlice, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use ipc_shared::{CoreError, Error, Failed, SharedWriter, Slot, StreamFormat, Truncate};
use ipc_tests::gate::{Act, Gated, gate};
use ipc_tests::shared::{Mark, Output, Words, batch, marks, schema, unstaged};
use ipc_tests::threads::together;

use super::in_both_formats;

in_both_formats!(
    a_tear_at_the_front_gives_the_slot_back,
    a_neighbours_tear_gives_the_slot_back,
    a_refused_batch_gives_the_slot_back,
    a_sink_that_fails_gives_the_slot_back,
    nobody_overtakes_a_place_that_came_back,
    a_failed_slot_that_is_dropped_holds_nobody_up,
    a_payload_that_panics_when_dropped_stays_contained,
);

fn writer<F: Output>(threads: usize) -> (SharedWriter<Gated, F>, ipc_tests::gate::Gate) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(threads + 2).schema(schema(Words::Plain)).build().unwrap();
    (writer, gate)
}

fn numbered(count: usize) -> Vec<Mark> {
    (0..count).map(|number| (0, number)).collect()
}

/// The slot that came back with a poisoned writer.
#[track_caller]
fn poisoned<F: Output>(written: Result<(), Failed<Slot<Gated, F>, Error>>) -> Slot<Gated, F> {
    let (error, slot) = written.unwrap_err().into_parts();
    assert!(matches!(error, Error::Poisoned { .. }), "{error:?}");
    slot
}

/// Today's loss: 0..5, 7..11.
fn a_tear_at_the_front_gives_the_slot_back<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>(threads);
    let front = writer.reserve().unwrap();
    let behind: Vec<_> = (1..threads).map(|number| (number, writer.reserve().unwrap())).collect();
    gate.plan([Act::Tear]);
    let front = poisoned(front.write(&batch(Words::Plain, (0, 0))));
    writer.rollback().unwrap();
    std::thread::scope(|scope| {
        for (number, slot) in behind {
            scope.spawn(move || slot.write(&batch(Words::Plain, (0, number))).unwrap());
        }
    });
    assert_eq!(writer.stats().record_batches, 0, "all wait for the place that came back");
    front.write(&batch(Words::Plain, (0, 0))).unwrap();
    let summary = writer.close().unwrap();
    assert_eq!(summary.given_up, 0);
    assert_eq!(marks(Words::Plain, &F::whole(&gate.taken())), numbered(threads));
}

fn a_neighbours_tear_gives_the_slot_back<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>(threads);
    let slots: Vec<_> = (0..threads).map(|_| Mutex::new(writer.reserve().ok())).collect();
    gate.plan([Act::Tear]);
    assert!(matches!(writer.write(&batch(Words::Plain, (9, 9))), Err(Error::Poisoned { .. })));
    // Each comes back to each thread; one of them rolls back.
    let held = together(threads, |thread| {
        let slot = slots[thread].lock().unwrap().take().unwrap();
        Mutex::new(Some(poisoned(slot.write(&batch(Words::Plain, (0, thread))))))
    });
    writer.rollback().unwrap();
    together(threads, |thread| {
        let slot = held[thread].lock().unwrap().take().unwrap();
        slot.write(&batch(Words::Plain, (0, thread))).unwrap();
    });
    writer.close().unwrap();
    assert_eq!(marks(Words::Plain, &F::whole(&gate.taken())), numbered(threads));
}

fn a_refused_batch_gives_the_slot_back<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>(threads);
    let slots: Vec<_> = (0..threads).map(|_| Mutex::new(writer.reserve().ok())).collect();
    together(threads, |thread| {
        let slot = slots[thread].lock().unwrap().take().unwrap();
        let (error, slot) = slot.write(&batch(Words::Equal, (0, thread))).unwrap_err().into_parts();
        assert!(matches!(error, Error::Core(CoreError::SchemaMismatch { .. })), "{error:?}");
        slot.write(&batch(Words::Plain, (0, thread))).unwrap();
    });
    writer.close().unwrap();
    assert_eq!(marks(Words::Plain, &F::whole(&gate.taken())), numbered(threads));
}

fn a_sink_that_fails_gives_the_slot_back<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>(threads);
    for number in 0..threads {
        let slot = writer.reserve().unwrap();
        gate.plan([Act::Fail, Act::Fail]);
        let slot = slot.write(&batch(Words::Plain, (0, number))).unwrap_err().into_inner();
        let (error, slot) = slot.write(&batch(Words::Plain, (0, number))).unwrap_err().into_parts();
        assert!(matches!(error, Error::Core(CoreError::Io(_))), "{error:?}");
        slot.write(&batch(Words::Plain, (0, number))).unwrap();
    }
    writer.close().unwrap();
    assert_eq!(marks(Words::Plain, &F::whole(&gate.taken())), numbered(threads));
}

fn nobody_overtakes_a_place_that_came_back<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>(threads);
    let front = writer.reserve().unwrap();
    for number in 1..threads {
        writer.reserve().unwrap().write(&batch(Words::Plain, (0, number))).unwrap();
    }
    gate.plan([Act::Fail]);
    let front = front.write(&batch(Words::Plain, (0, 0))).unwrap_err().into_inner();
    writer.flush().unwrap();
    writer.reserve().unwrap().write(&batch(Words::Plain, (0, threads))).unwrap();
    assert_eq!(writer.stats().record_batches, 0);
    front.write(&batch(Words::Plain, (0, 0))).unwrap();
    assert_eq!(writer.stats().record_batches, threads as u64 + 1);
    writer.close().unwrap();
    assert_eq!(marks(Words::Plain, &F::whole(&gate.taken())), numbered(threads + 1));
}

fn a_failed_slot_that_is_dropped_holds_nobody_up<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>(threads);
    let front = writer.reserve().unwrap();
    for number in 0..threads {
        writer.reserve().unwrap().write(&batch(Words::Plain, (0, number))).unwrap();
    }
    gate.plan([Act::Fail]);
    let write = || -> Result<(), Error> { Ok(front.write(&batch(Words::Plain, (9, 9)))?) };
    assert!(matches!(write(), Err(Error::Core(CoreError::Io(_)))));
    assert_eq!(writer.stats().record_batches, threads as u64, "appended once the place was given up");
    assert_eq!(writer.close().unwrap().given_up, 1);
    assert_eq!(marks(Words::Plain, &F::whole(&gate.taken())), numbered(threads));
}

/// What a panic brings along, and panics itself.
struct Payload;

impl Drop for Payload {
    fn drop(&mut self) {
        resume_unwind(Box::new("the payload panics, as it was made to"));
    }
}

/// The thread that drops a slot appends the batches parked after it, and the sink panics in that call.
fn a_payload_that_panics_when_dropped_stays_contained<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>(threads);
    let front = writer.reserve().unwrap();
    for number in 0..threads {
        writer.reserve().unwrap().write(&batch(Words::Plain, (0, number))).unwrap();
    }
    gate.call_back(Some(Arc::new(|| resume_unwind(Box::new(Payload)))));
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(front)));
    assert!(dropped.is_ok(), "what was accepted is others' to report");
    gate.call_back(None);
    assert!(matches!(writer.flush(), Err(Error::Poisoned { .. })));
    writer.rollback().unwrap();
    writer.close().unwrap();
    assert_eq!(marks(Words::Plain, &F::whole(&gate.taken())), numbered(threads));
}

/// A disk that becomes full repeatedly: it takes a limited number of bytes until a caller frees space.
#[derive(Debug)]
struct Disk {
    taken: Arc<Mutex<Vec<u8>>>,
    room: Arc<AtomicUsize>,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let room = self.room.load(SeqCst).min(bytes.len());
        if room == 0 && !bytes.is_empty() {
            return Err(ErrorKind::StorageFull.into());
        }
        self.taken.lock().unwrap().extend_from_slice(&bytes[..room]);
        self.room.fetch_sub(room, SeqCst);
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Truncate for Disk {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut taken = self.taken.lock().unwrap();
        self.room.fetch_add(taken.len() - usize::try_from(length).unwrap(), SeqCst);
        taken.truncate(usize::try_from(length).unwrap());
        Ok(())
    }
}

/// The loop of `rollback`'s example, for slots: eight threads, one of which frees room whenever the disk is full.
#[test]
fn eight_threads_at_a_full_disk_free_its_room_once_and_lose_nothing() {
    const THREADS: usize = 8;
    const EACH: usize = 40;
    const ROOM: usize = 5_000;
    let (taken, room) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(ROOM)));
    let sink = Disk { taken: Arc::clone(&taken), room: Arc::clone(&room) };
    let writer = SharedWriter::<_, StreamFormat>::stream(sink).options(unstaged()).window(THREADS).build().unwrap();
    let freed = Mutex::new(0_usize);
    let next = Mutex::new(0);
    let is_full = |error: &Error| match error {
        Error::Poisoned { source, .. } => source.kind() == ErrorKind::StorageFull,
        Error::Core(CoreError::Io(source)) => source.kind() == ErrorKind::StorageFull,
        _ => false,
    };
    together(THREADS, |_| {
        for _ in 0..EACH {
            let (mut slot, number) = loop {
                let seen = *freed.lock().unwrap();
                let mut next = next.lock().unwrap();
                // Without waiting, so that no thread holds the numbers while it waits for a slot.
                match writer.try_reserve() {
                    Ok(Some(slot)) => {
                        *next += 1;
                        break (slot, *next - 1);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        drop(next);
                        assert!(is_full(&error), "{error:?}");
                        free(&writer, &room, &freed, seen);
                        continue;
                    }
                }
                drop(next);
                std::thread::yield_now();
            };
            loop {
                let seen = *freed.lock().unwrap();
                let Err(failed) = slot.write(&batch(Words::Plain, (0, number))) else { break };
                let (error, back) = failed.into_parts();
                assert!(is_full(&error), "{error:?}");
                slot = back;
                free(&writer, &room, &freed, seen);
            }
        }
    });
    while let Err(error) = writer.close() {
        assert!(is_full(&error), "{error:?}");
        let seen = *freed.lock().unwrap();
        free(&writer, &room, &freed, seen);
    }
    let taken = taken.lock().unwrap().clone();
    assert_eq!(marks(Words::Plain, &StreamFormat::whole(&taken)), numbered(THREADS * EACH), "in order, and complete");
    let freed = *freed.lock().unwrap();
    assert!(freed > 10 && freed <= taken.len() / (ROOM / 2), "{freed} times for {} bytes", taken.len());

    fn free(writer: &SharedWriter<Disk, StreamFormat>, room: &AtomicUsize, freed: &Mutex<usize>, seen: usize) {
        let mut freed = freed.lock().unwrap();
        if *freed == seen {
            room.fetch_add(ROOM, SeqCst);
            writer.rollback().unwrap();
            *freed += 1;
        }
    }
}
