//! The lock of the shared writer by itself, against `std`'s mutex and parking_lot's.
//!
//! - Uncontended: one thread takes it and gives it back.
//! - Throughput: threads that do nothing but take it, work for a while under it, and give it back. That is the worst case;
//!   a writer's threads encode in between.
//! - Waits: 16 threads, far more than most machines have cores, with sections as long as the write of a large batch. A
//!   lock that lets anybody barge in starves somebody here; one that strictly queues loses its throughput above. The
//!   longest wait is compared with what the lock's patience allows: each of those in front of a waiter has the lock for
//!   twice the patience and the section in which that ends, and then it is handed on.
//!
//! Sections are counted work, not watched time: a look at the clock takes as long as the shortest of them.

use std::fmt;
use std::hint::black_box;
use std::sync::{Barrier, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use ipc_shared::internals::Lock;

use crate::figure::{Line, Metric};
use crate::measure::{Bench, Effort};

/// The lines of the lock.
pub fn run(bench: &mut Bench) {
    compare_peers(bench, &Case { threads: 1, section: Duration::ZERO }, 1.0 / 1.2);
    for threads in [2, 4] {
        for section in [50, 1_000, 20_000].map(Duration::from_nanos) {
            compare_peers(bench, &Case { threads, section }, 0.9);
        }
    }
    let long = Case { threads: 16, section: Duration::from_micros(300) };
    let turns = if bench.effort() == Effort::Smoke { 1 } else { 125 };
    let ours = || waits::<Lock<()>>(&long, turns);
    let tail = Line::new(long.to_string(), Metric::Wait, "std").at_least(4.0);
    bench.compare_samples(tail, || ours().tail, || waits::<Mutex<()>>(&long, turns).tail);
    let tail = Line::new(long.to_string(), Metric::Wait, "parking_lot");
    bench.compare_samples(tail, || ours().tail, || waits::<parking_lot::Mutex<()>>(&long, turns).tail);
    let longest = Line::new(long.to_string(), Metric::LongestWait, "what patience allows").at_least(1.0);
    bench.compare_samples(longest, || ours().longest, || long.longest_wait().as_secs_f64());
}

/// Threads that take a lock, and how long each has it.
#[derive(Debug)]
struct Case {
    threads: usize,
    section: Duration,
}

impl Case {
    /// How long a waiter waits at most, while every thread runs that has the lock.
    fn longest_wait(&self) -> Duration {
        let others = u32::try_from(self.threads - 1).expect("threads are few");
        others * (2 * PATIENCE + self.section)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.threads {
            1 => f.write_str("lock, uncontended"),
            threads => write!(f, "lock, {threads} threads, sections of {:?}", self.section),
        }
    }
}

/// What a lock is asked for here.
trait Exclusive: Sync {
    fn open() -> Self;

    fn exclusively(&self, work: impl FnOnce());
}

impl Exclusive for Lock<()> {
    fn open() -> Self {
        Self::new(())
    }

    fn exclusively(&self, work: impl FnOnce()) {
        let _guard = self.lock().expect("nobody ends it");
        work();
    }
}

impl Exclusive for Mutex<()> {
    fn open() -> Self {
        Self::new(())
    }

    fn exclusively(&self, work: impl FnOnce()) {
        let _guard = self.lock().expect("nobody panics");
        work();
    }
}

impl Exclusive for parking_lot::Mutex<()> {
    fn open() -> Self {
        Self::new(())
    }

    fn exclusively(&self, work: impl FnOnce()) {
        let _guard = self.lock();
        work();
    }
}

fn compare_peers(bench: &mut Bench, case: &Case, target: f64) {
    let line = |peer| Line::new(case.to_string(), Metric::Section, peer).at_least(target);
    bench.compare(line("std"), sections::<Lock<()>>(case), sections::<Mutex<()>>(case));
    bench.compare(line("parking_lot"), sections::<Lock<()>>(case), sections::<parking_lot::Mutex<()>>(case));
}

/// So many sections, shared out among the threads.
fn sections<L: Exclusive>(case: &Case) -> impl FnMut(usize) {
    let (lock, threads, turns) = (L::open(), case.threads, turns_of(case.section));
    move |times| {
        let share = |thread| times / threads + usize::from(thread < times % threads);
        let run = |times| (0..times).for_each(|_| lock.exclusively(|| work(turns)));
        match threads {
            1 => run(times),
            _ => thread::scope(|scope| (0..threads).for_each(|thread| _ = scope.spawn(move || run(share(thread))))),
        }
    }
}

/// How long threads waited, in seconds.
struct Waits {
    /// The wait that one of a thousand exceeds.
    tail: f64,
    longest: f64,
}

/// The waits of threads that each take the lock so many times, together.
fn waits<L: Exclusive>(case: &Case, times: usize) -> Waits {
    let (lock, start, turns) = (L::open(), Barrier::new(case.threads), turns_of(case.section));
    let wait = || {
        let asked = Instant::now();
        let mut waited = Duration::ZERO;
        lock.exclusively(|| {
            waited = asked.elapsed();
            work(turns);
        });
        waited
    };
    let one_thread = || {
        start.wait();
        (0..times).map(|_| wait()).collect::<Vec<_>>()
    };
    let mut all: Vec<Duration> = thread::scope(|scope| {
        let threads: Vec<_> = (0..case.threads).map(|_| scope.spawn(one_thread)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("nothing panics")).collect()
    });
    all.sort_unstable();
    let [tail, longest] = [all.len() / 1000, 0].map(|from_behind| all[all.len() - 1 - from_behind].as_secs_f64());
    Waits { tail, longest }
}

/// Work of so many turns, which the compiler cannot leave out.
fn work(turns: u64) {
    (0..turns).for_each(|turn| _ = black_box(turn));
}

/// How many turns of work take so long.
fn turns_of(section: Duration) -> u64 {
    const TURNS: u64 = 1_000_000;
    static TIME: OnceLock<Duration> = OnceLock::new();
    let time = TIME.get_or_init(|| {
        let run = || {
            let start = Instant::now();
            work(TURNS);
            start.elapsed()
        };
        // The quickest of some: others may be using the machine.
        (0..20).map(|_| run()).min().expect("there are twenty")
    });
    let turns = u128::from(TURNS) * section.as_nanos() / time.as_nanos().max(1);
    u64::try_from(turns).expect("sections are short")
}

/// How long the lock lets others barge in before it is handed to the head of its queue, as `ipc-shared`'s lock documents.
const PATIENCE: Duration = Duration::from_micros(500);
