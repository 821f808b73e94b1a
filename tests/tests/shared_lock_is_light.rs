//! Under the lock of a shared writer nothing is compressed, compared by value, or allocated with the size of a body.
//!
//! An allocator asks at each allocation whether its thread holds the lock. Encoding, compression and the copies they
//! make allocate as much as a body has; comparing dictionaries by value allocates too, if only a little, since it turns
//! arrays into the form that arrow compares. So: no large allocation ever, and, once a writer is warm, none at all, not
//! even where every batch comes with a dictionary of its own that has to be compared.
//!
//! Fails where an encoded message is copied, where a stale plan is made anew, or where a compressed buffer is made,
//! while the lock is held.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{self, IoSlice, Write};
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};
use ipc_shared::{Compression, DictionaryHandling, Error, FileFormat, Options, SharedWriter, StreamFormat, Unify};
use ipc_tests::shared::{Output, unstaged_with};
use ipc_tests::threads::{at_every_width, together};

/// What counts as an allocation of the size of a body; the bodies of this test are several times as large.
const LARGE: usize = 4 << 10;

/// Says whether this thread holds the lock of the writer that it tests.
type Probe = &'static (dyn Fn() -> bool + Sync);

thread_local! {
    // None of these has a destructor or allocates, so that the allocator may use them at any time.
    static PROBE: Cell<Option<Probe>> = const { Cell::new(None) };
    static ALL: Cell<u64> = const { Cell::new(0) };
    static LARGE_ONES: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, with counts of the allocations under the lock.
struct Probing;

#[global_allocator]
static ALLOCATOR: Probing = Probing;

fn note(size: usize) {
    if PROBE.get().is_some_and(|is_held| is_held()) {
        ALL.set(ALL.get() + 1);
        LARGE_ONES.set(LARGE_ONES.get() + u64::from(size >= LARGE));
    }
}

// SAFETY: every call goes to `System` with the arguments it came with; counting touches none of the memory, and neither
// the counters nor the probe allocates.
unsafe impl GlobalAlloc for Probing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Takes everything, keeps nothing, and takes long enough for others to wait.
struct Slow {
    /// How much it allocates in each call, to see whether the probe sees it.
    allocates: usize,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        std::thread::sleep(std::time::Duration::from_micros(50));
        if self.allocates > 0 {
            std::hint::black_box(vec![1u8; self.allocates]);
        }
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns how many allocations, and how many large ones, `work` makes on this many threads while they hold the lock.
fn under_the_lock<F: Output>(
    writer: &SharedWriter<Slow, F>,
    threads: usize,
    work: impl Fn(usize) + Sync,
) -> (u64, u64) {
    // Leaked, with one handle on the writer, since threads end whenever they like; a few bytes per test.
    let probe: Probe = {
        let writer = writer.clone();
        Box::leak(Box::new(move || writer.is_held_by_current_thread()))
    };
    let counts = together(threads, |thread| {
        ALL.set(0);
        LARGE_ONES.set(0);
        PROBE.set(Some(probe));
        work(thread);
        PROBE.set(None);
        (ALL.get(), LARGE_ONES.get())
    });
    counts.into_iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
}

/// A batch of about 100 KB, half of it a dictionary with values that follow from `values`.
fn batch(thread: usize, values: usize) -> RecordBatch {
    let words = StringArray::from_iter_values((0..2000).map(|word| format!("the word {word} of {values:010}")));
    let keys = Int32Array::from_iter_values((0..12_000).map(|row| (row * 7 + i32::try_from(thread).unwrap()) % 2000));
    let column = Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(words)));
    let field = Field::new("word", column.data_type().clone(), false);
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap()
}

/// A batch of about 50 KB, which is staged where anything is.
fn numbers() -> RecordBatch {
    let column = Arc::new(Int32Array::from_iter_values(0..12_000));
    let field = Field::new("number", column.data_type().clone(), false);
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap()
}

const COMPRESSIONS: [Compression; 3] = [Compression::None, Compression::Lz4, Compression::Zstd(1)];

#[test]
fn the_probe_sees_what_the_sink_allocates() {
    let writer = StreamFormat::to(Slow { allocates: LARGE }).build().unwrap();
    let (all, large) = under_the_lock(&writer, 2, |thread| _ = writer.write(&batch(thread, 0)).unwrap());
    assert!(all >= 2);
    assert_eq!(large, 2);
}

/// By all ways in, with dictionaries that are new, equal, and (in a stream) replaced.
fn nothing_large<F: Output>(threads: usize) {
    for compression in COMPRESSIONS {
        let options = unstaged_with(compression, DictionaryHandling::Resend);
        let writer = F::to(Slow { allocates: 0 }).options(options).window(2 * threads).build().unwrap();
        let values = |thread: usize| if F::HAS_FOOTER { 0 } else { thread % 2 };
        let batches: Vec<_> = (0..threads).map(|thread| batch(thread, values(thread))).collect();
        let (_, large) = under_the_lock(&writer, threads, |thread| {
            let batch = &batches[thread];
            writer.write(batch).unwrap();
            writer.producer().write(batch).unwrap();
            let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
            second.write(batch).unwrap();
            first.write(batch).unwrap();
            writer.flush().unwrap();
        });
        assert_eq!(large, 0, "{compression:?}: allocations of {LARGE} bytes and more under the lock");
        assert_eq!(writer.stats().record_batches, 4 * threads as u64);
    }
}

#[test]
fn a_stream_allocates_nothing_large_under_the_lock() {
    at_every_width(nothing_large::<StreamFormat>);
}

#[test]
fn a_file_allocates_nothing_large_under_the_lock() {
    at_every_width(nothing_large::<FileFormat>);
}

/// Each batch has a dictionary with equal values in its own buffers: pointers do not show that they are equal.
#[test]
fn equal_dictionaries_are_not_compared_under_the_lock() {
    at_every_width(|threads| {
        for compression in COMPRESSIONS {
            let options = unstaged_with(compression, DictionaryHandling::Resend);
            let writer = StreamFormat::to(Slow { allocates: 0 }).options(options).window(4 * threads).build().unwrap();
            writer.write(&batch(0, 0)).unwrap();
            let batches: Vec<_> = (0..threads).map(|thread| [batch(thread, 0), batch(thread, 0)]).collect();
            let (all, _) = under_the_lock(&writer, threads, |thread| {
                let [one, other] = &batches[thread];
                writer.write(one).unwrap();
                writer.producer().write(other).unwrap();
                let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
                second.write(one).unwrap();
                first.write(other).unwrap();
            });
            assert_eq!(all, 0, "{compression:?}: allocations of any size under the lock");
            assert_eq!(writer.close().unwrap().stats.dictionary_batches, 1, "they were compared, and found equal");
        }
    });
}

/// Memory for staged bytes is allocated before the lock is taken, also by the first write, which sets the schema.
#[test]
fn a_staged_file_allocates_nothing_large_under_the_lock() {
    at_every_width(|threads| {
        for compression in COMPRESSIONS {
            let options = Options::builder().compression(compression).build().unwrap();
            let writer = FileFormat::to(Slow { allocates: 0 }).options(options).build().unwrap();
            let batches: Vec<_> = (0..threads).map(|_| numbers()).collect();
            let (_, large) = under_the_lock(&writer, threads, |thread| {
                for _ in 0..8 {
                    writer.write(&batches[thread]).unwrap();
                }
            });
            assert_eq!(large, 0, "{compression:?}: allocations of {LARGE} bytes and more under the lock");
        }
    });
}

/// The messages after all batches are also encoded, and compressed, outside the lock.
#[test]
fn dictionaries_at_close_are_encoded_outside_the_lock() {
    at_every_width(|threads| {
        for compression in COMPRESSIONS {
            let options =
                Options::builder().compression(compression).dictionaries(Unify::new().at_close(true)).build().unwrap();
            let writer = FileFormat::to(Slow { allocates: 0 }).options(options).build().unwrap();
            let batches: Vec<_> = (0..threads).map(|thread| batch(thread, thread)).collect();
            let (_, large) = under_the_lock(&writer, threads, |thread| {
                // One of them closes; the others may come too late.
                let written = writer.write(&batches[thread]);
                if thread == 0 {
                    assert_eq!(writer.close().unwrap().stats.dictionary_batches, 1);
                } else {
                    assert!(matches!(written, Ok(_) | Err(Error::Closed)), "{written:?}");
                }
            });
            assert_eq!(large, 0, "{compression:?}: allocations of {LARGE} bytes and more under the lock");
        }
    });
}
