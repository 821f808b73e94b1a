//! Encoders give back memory that was for batches far larger than those that come now: those of the pool, which also drops
//! the ones that nobody needs any more, and that of a producer. At the close, and where the output is given up, the pool
//! gives everything back, also if the sink panics meanwhile.
//!
//! Fails where an encoder keeps the memory of its largest batch for ever, or the pool keeps as many encoders as calls were
//! ever made at once.
//!
//! One test, since what all threads hold is counted.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Barrier};

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use ipc_shared::{Compression, Options, SharedWriter};
use ipc_tests::allocations::{Counting, held_by_all};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const THREADS: usize = 16;
const MIB: i64 = 1 << 20;

fn batch(mib: usize) -> RecordBatch {
    let column = Int64Array::from(vec![7; mib.max(1) << 17]);
    RecordBatch::try_from_iter([("number", Arc::new(column) as ArrayRef)]).unwrap()
}

#[test]
fn memory_for_large_batches_is_given_back() {
    let (large, small) = (batch(4), batch(1).slice(0, 100));
    let options = Options::builder().compression(Compression::Lz4).build().unwrap();
    let writer = SharedWriter::stream(io::sink()).options(options).build().unwrap();
    let start = held_by_all();
    let grown = |what: &str| {
        let grown = (held_by_all() - start) / MIB;
        println!("{grown:4} MiB {what}");
        grown
    };

    let together = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                together.wait();
                writer.write(&large).unwrap()
            });
        }
    });
    assert!(grown("after a large batch from each thread") >= 12, "several encoders are in use at once");
    for _ in 0..4_096 {
        writer.write(&small).unwrap();
    }
    assert!(grown("after small ones") <= 2, "the pool gives memory back");

    let mut producer = writer.producer();
    producer.write(&large).unwrap();
    assert!(grown("after a large batch from a producer") >= 4);
    for _ in 0..128 {
        producer.write(&small).unwrap();
    }
    assert!(grown("after small ones") <= 2, "a producer gives memory back");

    writer.write(&large).unwrap();
    assert!(grown("after a large batch before the close") >= 4);
    writer.close().unwrap();
    assert!(grown("after the close") <= 2, "the close gives everything back");

    for panics in [false, true] {
        let is_due = AtomicBool::new(false);
        let options = Options::builder().compression(Compression::Lz4).build().unwrap();
        let writer = SharedWriter::stream(Panicking(&is_due)).options(options).build().unwrap();
        writer.write(&large).unwrap();
        assert!(grown("after a large batch before an abort") >= 4);
        is_due.store(panics, Relaxed);
        assert_eq!(catch_unwind(AssertUnwindSafe(|| writer.abort("no room").unwrap())).is_err(), panics);
        assert!(grown("after the abort") <= 2, "an abort gives everything back, also if the sink panics: {panics}");
    }
}

/// Panics once that is due.
struct Panicking<'p>(&'p AtomicBool);

impl Write for Panicking<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.load(Relaxed) {
            resume_unwind(Box::new("the sink panics, as it was asked to"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
