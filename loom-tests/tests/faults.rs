//! Models of what a failing sink leaves behind: torn first writes, panics, rollbacks that fail, closes that fail.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "the code of tests")]

use std::sync::atomic::Ordering;

use ipc_shared::internals::model;
use ipc_shared::{CoreError, Error, SharedWriter};
use loom::thread;
use loom_tests::{Act, Failing, Shared, batch, explore};

#[test]
fn rollback_of_a_torn_first_write() {
    explore("a first write that tore its header, and one that came in after the rollback", |coverage| {
        let sink = Shared::default();
        let failing = Failing::new(&sink, Act::Tear, 1);
        let cuts = failing.cuts();
        let writer = SharedWriter::stream(failing).build().unwrap();
        let write = |writer: &SharedWriter<Failing, _>, number| {
            let written = writer.write(&batch(number));
            if let Err(error) = &written {
                assert!(matches!(error, Error::Poisoned { offset: 0, .. }), "{error}");
                writer.rollback().unwrap();
            }
            written.is_ok()
        };
        let other = {
            let writer = writer.clone();
            thread::spawn(move || write(&writer, 1))
        };
        let mine = write(&writer, 2);
        let theirs = other.join().unwrap();
        writer.write(&batch(3)).unwrap();
        assert_eq!(cuts.load(Ordering::Relaxed), 1, "the torn header is taken back");
        writer.close().unwrap();
        let mut numbers = sink.numbers();
        numbers.sort_unstable();
        let expected = [(theirs, 1), (mine, 2), (true, 3)].into_iter().filter_map(|(is, n)| is.then_some(n));
        assert_eq!(numbers, expected.collect::<Vec<_>>(), "one header, and what was accepted");
        coverage.met_if(mine != theirs);
    });
}

#[test]
fn panic_in_the_first_write() {
    explore("a first write that panicked, and one that came in after the rollback", |coverage| {
        let sink = Shared::default();
        let writer = SharedWriter::stream(Failing::new(&sink, Act::Panic, 1)).build().unwrap();
        let write = |writer: &SharedWriter<Failing, _>, number| {
            let written = model::catch(|| writer.write(&batch(number)).is_ok()) == Some(true);
            if !written {
                writer.rollback().unwrap();
            }
            written
        };
        let other = {
            let writer = writer.clone();
            thread::spawn(move || write(&writer, 1))
        };
        let mine = write(&writer, 2);
        let theirs = other.join().unwrap();
        // The panic came between what the output knows and what is known of it.
        writer.write(&batch(3)).unwrap();
        writer.close().unwrap();
        let mut numbers = sink.numbers();
        numbers.sort_unstable();
        let expected = [(theirs, 1), (mine, 2), (true, 3)].into_iter().filter_map(|(is, n)| is.then_some(n));
        assert_eq!(numbers, expected.collect::<Vec<_>>(), "what was accepted, and nothing else");
        coverage.met_if(mine != theirs);
    });
}

#[test]
fn panic_below_a_panic() {
    explore("a write that was refused after a thread had panicked while it was unwinding", |coverage| {
        let sink = Shared::default();
        let writer = SharedWriter::stream(Failing::new(&sink, Act::Panic, 2))
            .schema(batch(0).schema())
            .window(2)
            .build()
            .unwrap();
        let header = sink.bytes().len() as u64;
        let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
        second.write(&batch(2)).unwrap();
        // The first panic is the caller's. What it drops appends the second place, and meets the sink's.
        let unwinding = thread::spawn(move || {
            model::catch(move || {
                let _first = first;
                model::panic()
            })
        });
        let mine = model::catch(|| writer.write(&batch(3)));
        assert_eq!(unwinding.join().unwrap(), None);
        assert!(writer.is_closed(), "a panic poisons, also one below another");
        // One of the two messages tore the output.
        let was_refused = match &mine {
            None => false,
            Some(Err(Error::Poisoned { offset, .. })) => {
                assert_eq!(*offset, header, "whoever is refused is told why");
                true
            }
            Some(other) => panic!("{other:?}"),
        };
        writer.rollback().unwrap();
        assert!(matches!(writer.close(), Err(Error::Gaps { places: 1 })));
        writer.close_with_gaps().unwrap();
        assert_eq!(sink.numbers(), [2], "what was accepted, and nothing torn before it");
        coverage.met_if(was_refused);
    });
}

#[test]
fn panic_below_a_panic_alone() {
    explore("a sink that panicked in a thread that was unwinding", |coverage| {
        let sink = Shared::default();
        let writer = SharedWriter::stream(Failing::new(&sink, Act::Panic, 2)).schema(batch(0).schema());
        let writer = writer.window(2).build().unwrap();
        let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
        second.write(&batch(2)).unwrap();
        let caught = model::catch(move || {
            let _first = first;
            model::panic()
        });
        assert_eq!(caught, None);
        // Before anybody else comes to the lock, and to a ledger that knows.
        assert!(writer.is_closed(), "a panic poisons, also one below another");
        coverage.met();
    });
}

#[test]
fn rollback_that_fails() {
    explore("a write that was refused while the output could not be cut", |coverage| {
        let sink = Shared::default();
        let failing = Failing::new(&sink, Act::Tear, 2).and_to_cut(1);
        let writer = SharedWriter::stream(failing).schema(batch(0).schema()).build().unwrap();
        let header = sink.bytes().len() as u64;
        assert!(matches!(writer.write(&batch(1)), Err(Error::Poisoned { .. })));
        let other = {
            let writer = writer.clone();
            thread::spawn(move || writer.write(&batch(2)))
        };
        let failed = writer.rollback();
        assert!(matches!(failed, Err(Error::Core(CoreError::Rollback(_)))), "{failed:?}");
        for refused in [writer.write(&batch(3)), other.join().unwrap()] {
            let Err(Error::Poisoned { offset, .. }) = refused else {
                panic!("nothing follows torn bytes: {refused:?}")
            };
            assert_eq!(offset, header, "still the first error");
            coverage.met();
        }
        writer.rollback().unwrap();
        writer.write(&batch(4)).unwrap();
        writer.close().unwrap();
        assert_eq!(sink.numbers(), [4]);
    });
}

#[test]
fn close_that_fails() {
    explore("a write that was on its way when a close failed", |coverage| {
        let sink = Shared::default();
        let failing = Failing::new(&sink, Act::Fail, 2);
        let writer = SharedWriter::stream(failing).schema(batch(0).schema()).build().unwrap();
        let other = {
            let writer = writer.clone();
            thread::spawn(move || writer.write(&batch(1)))
        };
        let closed = writer.close();
        let refused = writer.write(&batch(2));
        assert!(matches!(refused, Err(Error::Closed)), "a close that failed takes no more: {refused:?}");
        let written = other.join().unwrap();
        let has_failed = match closed {
            Ok(_) => false,
            Err(Error::Core(CoreError::Io(_))) => {
                writer.close().unwrap();
                true
            }
            Err(error) => panic!("{error}"),
        };
        match &written {
            Ok(_) => assert_eq!(sink.numbers(), [1], "what was accepted is there, before the end"),
            // It came first and met the fault, or too late.
            Err(Error::Core(CoreError::Io(_)) | Error::Closed) => assert!(sink.numbers().is_empty()),
            Err(error) => panic!("{error}"),
        }
        assert!(matches!(writer.close(), Err(Error::Closed)));
        coverage.met_if(has_failed && written.is_ok());
    });
}

#[test]
fn two_closes_of_which_one_fails() {
    explore("a close that failed, and another that went on", |coverage| {
        let sink = Shared::default();
        let failing = Failing::new(&sink, Act::Fail, 2);
        let writer = SharedWriter::stream(failing).schema(batch(0).schema()).build().unwrap();
        let other = {
            let writer = writer.clone();
            thread::spawn(move || writer.close().map(drop))
        };
        let closed = [writer.close().map(drop), other.join().unwrap()];
        assert_eq!(closed.iter().filter(|closed| closed.is_ok()).count(), 1, "the other one closes: {closed:?}");
        let has_failed = |closed: &Result<(), Error>| matches!(closed, Err(Error::Core(CoreError::Io(_))));
        coverage.met_if(closed.iter().any(has_failed));
        assert!(sink.read().is_empty(), "one end, behind nothing");
    });
}
