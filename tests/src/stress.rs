//! Uses every call at the same time, round after round: 16 threads write to one output, flush, reserve slots, fill
//! them, hold them and drop them, while one or two of them close. The sink is slow, takes fewer bytes than given and is
//! interrupted. Each output is read back: every batch whose call returned `Ok` is in it once, and the slots of one
//! thread are in order.
//!
//! It is there to find a race that no other test provokes. Each round follows from a seed, which a failure names; the
//! interleaving does not. The caller chooses how long it runs: a test takes seconds, `cargo xtask stress` and
//! `cargo xtask tsan` more.

use std::io::{self, ErrorKind, IoSlice, Write};
use std::thread;
use std::time::{Duration, Instant};

use ipc_shared::{Compression, DictionaryHandling, Error, FileFormat, Options, SharedWriter, StreamFormat};

use crate::random::Random;
use crate::shared::{Mark, Output, Words, batch, marks, schema};
use crate::threads::{together, within};

/// The number of threads that write to one output.
pub const THREADS: usize = 16;

/// The time limit of one round: many times what a round takes under the slowest tool.
const ROUND: Duration = Duration::from_secs(60);

/// Runs rounds for this long, at least one of a stream and one of a file. Returns the number of rounds and of batches
/// written.
///
/// # Panics
///
/// If an output does not hold exactly the accepted batches, or a round does not end.
pub fn rounds(duration: Duration) -> (u64, usize) {
    let start = Instant::now();
    let (mut rounds, mut batches) = (0, 0);
    while rounds < 2 || start.elapsed() < duration {
        let seed = rounds;
        batches += within(ROUND, move || {
            let name_the_seed = NameOnPanic(seed);
            let batches = if seed % 2 == 0 { round::<StreamFormat>(seed) } else { round::<FileFormat>(seed) };
            std::mem::forget(name_the_seed);
            batches
        });
        rounds += 1;
    }
    (rounds, batches)
}

/// A sink as slow as a busy pipe, which takes few bytes at a time.
struct Fickle {
    taken: Vec<u8>,
    random: Random,
    /// One call in this many is short, late or interrupted.
    oddity: usize,
}

impl Write for Fickle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut length = offered;
        if self.random.one_in(self.oddity) {
            match self.random.below(4) {
                0 => return Err(ErrorKind::Interrupted.into()),
                1 => length = 1 + self.random.below(offered),
                2 => thread::sleep(Duration::from_micros(300)),
                _ => thread::yield_now(),
            }
        }
        self.taken.extend(slices.iter().flat_map(|slice| slice.iter().copied()).take(length));
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        thread::yield_now();
        Ok(())
    }
}

fn options(random: &mut Random) -> Options {
    let compression = *random.pick(&[Compression::None, Compression::None, Compression::Lz4, Compression::Zstd(1)]);
    let handling = *random.pick(&[DictionaryHandling::Resend, DictionaryHandling::Delta]);
    let staging = random.one_in(2);
    Options::builder().compression(compression).dictionaries(handling).staging(staging).build().unwrap()
}

/// Returns whether the batch was written. The only error allowed is `Closed`.
#[track_caller]
fn is_open<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(Error::Closed) => None,
        Err(error) => panic!("{error:?}"),
    }
}

/// Runs one thread's part of a round. Slots have even numbers, in the order of their reservation; other writes odd
/// ones.
fn produce<F: Output>(writer: &SharedWriter<Fickle, F>, words: Words, thread: usize, seed: u64) -> Vec<Mark> {
    let mut random = Random::labelled(seed, thread);
    let mut producer = writer.producer();
    let mut written = Vec::new();
    let mut attempt = || -> Option<()> {
        for turn in 0.. {
            let number = 4 * turn;
            let of = |number: usize| batch(words, (thread, number));
            match random.below(8) {
                0 => is_open(writer.flush())?,
                1 => drop(is_open(writer.reserve())?),
                2 | 3 => {
                    is_open(is_open(writer.reserve())?.write(&of(number)).map_err(Error::from))?;
                    written.push((thread, number));
                }
                4 => {
                    // A thread that waits for a second slot while it holds one would wait for itself.
                    let first = is_open(writer.reserve())?;
                    if let Some(second) = is_open(writer.try_reserve())? {
                        is_open(second.write(&of(number + 2)).map_err(Error::from))?;
                        written.push((thread, number + 2));
                    }
                    is_open(first.write(&of(number)).map_err(Error::from))?;
                    written.push((thread, number));
                }
                5 => {
                    is_open(producer.write(&of(number + 1)))?;
                    written.push((thread, number + 1));
                }
                6 => _ = (writer.stats(), writer.schema(), writer.is_closed()),
                _ => {
                    is_open(writer.write(&of(number + 1)))?;
                    written.push((thread, number + 1));
                }
            }
        }
        None
    };
    attempt();
    written
}

/// Writes and checks one output. Returns its number of batches.
fn round<F: Output>(seed: u64) -> usize {
    let mut random = Random::new(seed);
    let words = *random.pick(&[Words::Plain, Words::Equal, if F::HAS_FOOTER { Words::Equal } else { Words::Own }]);
    let sink = Fickle { taken: Vec::new(), random: Random::labelled(seed, "sink"), oddity: 1 + random.below(8) };
    let window = 1 + random.below(2 * THREADS);
    let writer = F::to(sink).options(options(&mut random)).schema(schema(words)).window(window).build().unwrap();
    let (closers, enough) = (1 + random.below(2), random.below(100) as u64);
    let done = together(THREADS, |thread| {
        if thread >= closers {
            return (false, produce(&writer, words, thread, seed));
        }
        while writer.stats().record_batches < enough && !writer.is_closed() {
            thread::sleep(Duration::from_micros(100));
        }
        (is_open(writer.close()).is_some(), Vec::new())
    });
    let (closed, written): (Vec<bool>, Vec<Vec<Mark>>) = done.into_iter().unzip();
    assert_eq!(closed.into_iter().filter(|closed| *closed).count(), 1, "exactly one closes");
    let stats = writer.stats();
    let bytes = writer.into_inner().map_err(drop).expect("all threads are done").taken;
    let found = marks(words, &F::whole(&bytes));
    assert_eq!(stats.record_batches, found.len() as u64);
    assert_eq!(stats.written_bytes, bytes.len() as u64);
    for thread in 0..THREADS {
        let places: Vec<_> = found.iter().filter(|(by, number)| *by == thread && number % 2 == 0).collect();
        assert!(places.is_sorted(), "places in the order of reservation");
    }
    let (mut found, mut written) = (found, written.concat());
    found.sort_unstable();
    written.sort_unstable();
    assert_eq!(found, written, "what returned Ok is there, once, and nothing else");
    found.len()
}

/// Names the round that failed.
struct NameOnPanic(u64);

impl Drop for NameOnPanic {
    fn drop(&mut self) {
        eprintln!("in the round of seed {}", self.0);
    }
}
