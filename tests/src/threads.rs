//! Threads that start together, at every width, under a watchdog.
//!
//! A test of many threads fails in two ways: by a wrong result, or by never ending. [`within`] turns the second into
//! the first, with a message that says so.

use std::panic;
use std::sync::Barrier;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How many threads a promise is tested with.
pub const WIDTHS: [usize; 3] = [2, 4, 16];

/// Long enough for any test on a busy machine, and short enough to wait for.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `body` on a thread of its own. Panics as it does, or when it has not ended after `limit`.
///
/// # Panics
///
/// Where `body` does, or does not end. The threads that hang are left behind: nothing can end them.
pub fn within<R: Send + 'static>(limit: Duration, body: impl FnOnce() -> R + Send + 'static) -> R {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let (done, is_done) = channel();
    let body = move || {
        let result = body();
        // Nobody listens where the watchdog has barked already.
        let _ = done.send(());
        result
    };
    let thread = thread::Builder::new().name(name.clone()).spawn(body).expect("a thread can be started");
    if is_done.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
        panic!("{name} hangs: it has not ended after {} s", limit.as_secs());
    }
    thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
}

/// Runs `body` with 2, 4 and 16 threads to use, each under the watchdog.
pub fn at_every_width(body: impl Fn(usize) + Send + Copy + 'static) {
    WIDTHS.into_iter().for_each(|threads| within(PATIENCE, move || body(threads)));
}

/// Runs `work` on so many threads, which start together, and returns what each made, in order.
///
/// # Panics
///
/// Where `work` does.
pub fn together<R: Send>(threads: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let start = Barrier::new(threads);
    let (start, work) = (&start, &work);
    thread::scope(|scope| {
        let run = |i| {
            scope.spawn(move || {
                start.wait();
                work(i)
            })
        };
        let threads: Vec<_> = (0..threads).map(run).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload)))
            .collect()
    })
}

/// Gives other threads the time to fall asleep where they wait. No test depends on it: on a slow machine fewer of them
/// sleep, and the test shows less.
pub fn let_others_park() {
    thread::sleep(Duration::from_millis(30));
}
