//! Runs one thread that produces jobs, many that do them, and a bounded queue between them.
//!
//! The first error ends everything. [`run`] returns it at once and does not wait for other threads, since the producing
//! thread may be blocked in a read that never returns. Threads that are left behind find no more jobs, or end with the
//! process.
//!
//! A thread that panics reports that while it unwinds, like any other error, so nothing waits for it forever.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::error::{Error, Result};

/// The producer's end of the queue.
pub(crate) struct Jobs<J> {
    queue: SyncSender<J>,
    stopped: Arc<AtomicBool>,
}

impl<J> Jobs<J> {
    /// Waits for room, and queues a job. Returns `false` if no more jobs are wanted.
    #[must_use]
    pub(crate) fn put(&self, job: J) -> bool {
        !self.stopped.load(Ordering::Relaxed) && self.queue.send(job).is_ok()
    }
}

/// Runs `make` on one thread. On `threads` other threads, runs the function that `worker` returns, once for each job.
/// At most `capacity` jobs wait in the queue.
///
/// `Ok` means that all jobs were made and done.
pub(crate) fn run<J, D>(
    threads: usize,
    capacity: usize,
    make: impl FnOnce(&Jobs<J>) -> Result<()> + Send + 'static,
    mut worker: impl FnMut() -> D,
) -> Result<()>
where
    J: Send + 'static,
    D: FnMut(J) -> Result<()> + Send + 'static,
{
    // Relaxed: the flag only saves work. Outcomes travel through the channel.
    let stopped = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = mpsc::sync_channel(capacity);
    let (outcomes, outcome) = mpsc::channel();
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..threads {
        let (mut work, receiver, stopped) = (worker(), Arc::clone(&receiver), Arc::clone(&stopped));
        spawn("worker", &outcomes, move || {
            while let Some(job) = take(&receiver)
                && !stopped.load(Ordering::Relaxed)
            {
                work(job)?;
            }
            Ok(())
        })?;
    }
    let jobs = Jobs { queue: sender, stopped: Arc::clone(&stopped) };
    spawn("reader", &outcomes, move || make(&jobs))?;
    drop((receiver, outcomes));
    let first_error = outcome.iter().find_map(Result::err);
    stopped.store(true, Ordering::Relaxed);
    first_error.map_or(Ok(()), Err)
}

/// Returns the next job, or `None` once all have been made.
fn take<J>(queue: &Mutex<Receiver<J>>) -> Option<J> {
    // No code panics while it holds this lock, and a receiver is always valid.
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// Starts a thread that reports how it ended, even if it panics.
fn spawn(name: &str, outcomes: &Sender<Result<()>>, work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    let outcomes = outcomes.clone();
    let body = move || {
        let outcome = panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Error::Panicked));
        // After another error, the report is no longer received.
        let _ = outcomes.send(outcome);
    };
    thread::Builder::new().name(name.to_owned()).spawn(body).map(drop).map_err(Error::Thread)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    fn endless(jobs: &Jobs<u32>) -> Result<()> {
        (0..).take_while(|&job| jobs.put(job)).for_each(drop);
        Ok(())
    }

    #[test]
    fn all_jobs_are_done() {
        let done = Arc::new(AtomicUsize::new(0));
        let make = |jobs: &Jobs<u32>| {
            assert!((0..1000).all(|job| jobs.put(job)));
            Ok(())
        };
        let worker = || {
            let done = Arc::clone(&done);
            move |_| {
                done.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        };
        run(4, 2, make, worker).unwrap();
        assert_eq!(done.load(Ordering::Relaxed), 1000);
    }

    #[test]
    fn a_panic_in_a_worker_ends_everything() {
        let outcome = run(3, 2, endless, || |job| if job == 50 { panic!("on purpose") } else { Ok(()) });
        assert!(matches!(outcome, Err(Error::Panicked)));
    }

    #[test]
    fn a_panic_in_the_reader_ends_everything() {
        let outcome = run(3, 2, |_: &Jobs<u32>| panic!("on purpose"), || |_| Ok(()));
        assert!(matches!(outcome, Err(Error::Panicked)));
    }

    #[test]
    fn an_error_does_not_wait_for_a_reader_that_sleeps() {
        let make = |jobs: &Jobs<u32>| {
            assert!(jobs.put(1));
            thread::sleep(Duration::from_secs(3600));
            Ok(())
        };
        let outcome = run(2, 2, make, || |_| Err(Error::BrokenPipe));
        assert!(matches!(outcome, Err(Error::BrokenPipe)));
    }

    #[test]
    fn no_more_jobs_wait_than_may() {
        let (made, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, behind) = (Arc::clone(&made), Arc::clone(&done));
        let make = move |jobs: &Jobs<u32>| {
            for job in 0..500 {
                let ahead = counted.fetch_add(1, Ordering::SeqCst) - behind.load(Ordering::SeqCst);
                // Two in work, three in the queue, one in hand.
                assert!(ahead <= 6, "{ahead} jobs in flight");
                assert!(jobs.put(job));
            }
            Ok(())
        };
        let worker = || {
            let done = Arc::clone(&done);
            move |_| {
                thread::sleep(Duration::from_micros(50));
                done.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
        };
        run(2, 3, make, worker).unwrap();
    }
}
