//! Models of reserved places: of the window, and of the one thread at a time that appends what is ready in it.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "the code of tests")]

use std::io::{self, IoSlice, Write};

use ipc_shared::{Error, SharedWriter, Slot, StreamFormat};
use loom::sync::{Arc, Notify};
use loom::thread;
use loom_tests::{Coverage, Shared, Tearing, batch, explore, has_waited};

/// A writer whose schema is known, with so many places.
fn writer(sink: &Shared, places: usize) -> SharedWriter<Shared, StreamFormat> {
    SharedWriter::stream(sink.clone()).schema(batch(0).schema()).window(places).build().unwrap()
}

#[test]
fn reserved_order() {
    explore("a slot that was left for another thread to append", |coverage| {
        let sink = Shared::default();
        let writer = writer(&sink, 2);
        let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
        let other = thread::spawn(move || second.write(&batch(2)).unwrap());
        first.write(&batch(1)).unwrap();
        let left = writer.stats().record_batches;
        other.join().unwrap();
        writer.close().unwrap();
        coverage.met_if(left == 2);
        assert_eq!(sink.numbers(), [1, 2]);
    });
}

#[test]
fn slot_dropped() {
    explore("a place given up in front of one that is ready", |coverage| {
        let sink = Shared::default();
        let writer = writer(&sink, 2);
        let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
        let other = thread::spawn(move || second.write(&batch(2)).unwrap());
        drop(first);
        let appended = writer.stats().record_batches;
        other.join().unwrap();
        assert_eq!(writer.stats().record_batches, 1, "it does not wait for the close");
        coverage.met_if(appended == 1);
        writer.close().unwrap();
        assert_eq!(sink.numbers(), [2]);
    });
}

#[test]
fn close_vs_slot() {
    explore("a slot that came too late", |coverage| {
        let sink = Shared::default();
        let writer = writer(&sink, 2);
        let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
        let other = thread::spawn(move || second.write(&batch(2)).map_err(Error::from));
        writer.close().unwrap();
        drop(first);
        match other.join().unwrap() {
            Ok(()) => assert_eq!(sink.numbers(), [2], "what was accepted is there"),
            Err(Error::Closed) => {
                assert!(sink.numbers().is_empty());
                coverage.met();
            }
            Err(error) => panic!("{error}"),
        }
    });
}

/// Takes one message only once it is told to.
struct Waiting {
    sink: Shared,
    /// How many messages it has been given, and which of them waits.
    messages: usize,
    waits: usize,
    told: Arc<Notify>,
}

impl Write for Waiting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.messages += 1;
        if self.messages == self.waits {
            self.told.wait();
        }
        slices.iter().map(|slice| self.sink.write(slice)).sum()
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Two places, the second of which is ready; `pass` appends or gives up the first, and appends the second into a sink
/// that waits until somebody has got the room of the first.
fn reserve_against(coverage: &Coverage, waits: usize, pass: impl FnOnce(Slot<Waiting, StreamFormat>), numbers: &[i32]) {
    let sink = Shared::default();
    let told = Arc::new(Notify::new());
    let waiting = Waiting { sink: sink.clone(), messages: 0, waits, told: Arc::clone(&told) };
    let writer = SharedWriter::stream(waiting).schema(batch(0).schema()).window(2).build().unwrap();
    let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
    second.write(&batch(2)).unwrap();
    let other = {
        let writer = writer.clone();
        thread::spawn(move || {
            let third = writer.reserve().unwrap();
            told.notify();
            third.write(&batch(3)).unwrap();
            has_waited()
        })
    };
    pass(first);
    coverage.met_if(other.join().unwrap());
    writer.close().unwrap();
    assert_eq!(sink.numbers(), numbers);
}

#[test]
fn reserve_vs_write() {
    explore("a thread that waited until a batch had been appended, and no longer", |coverage| {
        reserve_against(coverage, 3, |first| first.write(&batch(1)).unwrap(), &[1, 2, 3]);
    });
}

#[test]
fn reserve_vs_drop() {
    explore("a thread that waited until a place was given up, and no longer", |coverage| {
        reserve_against(coverage, 2, drop, &[2, 3]);
    });
}

#[test]
fn close_vs_reserve() {
    explore("a thread that waited for a place when the writer was closed", |coverage| {
        let sink = Shared::default();
        let writer = writer(&sink, 1);
        let first = writer.reserve().unwrap();
        let other = {
            let writer = writer.clone();
            thread::spawn(move || (writer.reserve().map(drop), has_waited()))
        };
        writer.close().unwrap();
        let (reserved, has_waited) = other.join().unwrap();
        assert!(matches!(reserved, Err(Error::Closed)), "a closed writer has no places: {reserved:?}");
        coverage.met_if(has_waited);
        drop(first);
        assert!(sink.read().is_empty());
    });
}

#[test]
fn io_error_vs_reserve() {
    explore("a thread that waited for a place when the output was torn", |coverage| {
        let writer = SharedWriter::stream(Tearing::new(&Shared::default())).schema(batch(0).schema());
        let writer = writer.window(1).build().unwrap();
        let _first = writer.reserve().unwrap();
        let other = {
            let writer = writer.clone();
            thread::spawn(move || (writer.reserve().map(drop), has_waited()))
        };
        assert!(matches!(writer.write(&batch(1)), Err(Error::Poisoned { .. })));
        let (reserved, has_waited) = other.join().unwrap();
        assert!(matches!(reserved, Err(Error::Poisoned { .. })), "{reserved:?}");
        coverage.met_if(has_waited);
    });
}

/// Takes the header and one message, and some bytes of the next; then fails.
struct TearsTheSecond {
    sink: Shared,
    calls: usize,
}

impl Write for TearsTheSecond {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.calls += 1;
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        match self.calls {
            1 | 2 => self.sink.write(&bytes),
            3 => self.sink.write(&bytes[..3]),
            _ => Err(io::Error::other("torn")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn tear_vs_drainer() {
    explore("an output that was torn behind what a thread had just appended from its place", |coverage| {
        let sink = TearsTheSecond { sink: Shared::default(), calls: 0 };
        let writer = SharedWriter::stream(sink).schema(batch(0).schema()).window(2).build().unwrap();
        let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
        second.write(&batch(2)).unwrap();
        let other = thread::spawn(move || drop(first));
        let written = writer.write(&batch(1));
        other.join().unwrap();
        // One of the two messages is in the output, and the other is torn. What was accepted, and is torn, is lost.
        let expected = u64::from(written.is_ok());
        let told = [written.map(drop), writer.flush(), writer.close().map(drop)];
        for error in told.into_iter().filter_map(Result::err) {
            let Error::Poisoned { unconfirmed, .. } = error else { panic!("{error:?}") };
            assert_eq!(unconfirmed, expected, "what is in the output is confirmed");
        }
        coverage.met_if(expected == 0);
    });
}

#[test]
fn close_vs_drainer() {
    explore("a close that waited for the thread that was appending", |coverage| {
        let sink = Shared::default();
        let writer = writer(&sink, 2);
        let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
        second.write(&batch(2)).unwrap();
        let other = thread::spawn(move || first.write(&batch(1)).map_err(Error::from));
        writer.close().unwrap();
        coverage.met_if(has_waited());
        match other.join().unwrap() {
            Ok(()) => assert_eq!(sink.numbers(), [1, 2], "in order, and complete"),
            Err(Error::Closed) => assert_eq!(sink.numbers(), [2], "what was accepted is there"),
            Err(error) => panic!("{error}"),
        }
    });
}

#[test]
fn flush_vs_drainer() {
    explore("a flush that waited for the thread that was appending", |coverage| {
        let sink = Shared::default();
        let writer = writer(&sink, 2);
        let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
        second.write(&batch(2)).unwrap();
        let other = thread::spawn(move || first.write(&batch(1)).unwrap());
        thread::yield_now();
        let is_first_in = writer.stats().record_batches > 0;
        writer.flush().unwrap();
        let appended = writer.stats().record_batches;
        assert!(!is_first_in || appended == 2, "a flush confirms what was accepted and has its turn");
        coverage.met_if(has_waited());
        other.join().unwrap();
        writer.close().unwrap();
        assert_eq!(sink.numbers(), [1, 2]);
    });
}

#[test]
fn turn_vs_drainer() {
    explore("a slot whose turn came while another thread was appending", |coverage| {
        let sink = Shared::default();
        let writer = writer(&sink, 3);
        let [first, second, third] = [(); 3].map(|()| writer.reserve().unwrap());
        third.write(&batch(3)).unwrap();
        let other = {
            let writer = writer.clone();
            thread::spawn(move || {
                first.write(&batch(1)).unwrap();
                writer.close().unwrap();
            })
        };
        let written = second.write(&batch(2)).map_err(Error::from);
        other.join().unwrap();
        match written {
            Ok(()) => assert_eq!(sink.numbers(), [1, 2, 3], "in order, and complete"),
            Err(Error::Closed) => {
                assert_eq!(sink.numbers(), [1, 3]);
                coverage.met();
            }
            Err(error) => panic!("{error}"),
        }
    });
}
