//! Signals that would end the program with its output half done.
//!
//! - *Told to stop*, by Ctrl-C or `kill`: a file in the making is removed and a stream is given up first, so that nobody takes
//!   either for whole; then the program ends as it would have. A stream whose reader takes nothing is not waited for.
//! - *A file may not grow*: the system sends a signal with the error of the write that meets the limit. Taking notice of it
//!   is all it takes for the write to return its error.
//!
//! What nobody can catch leaves a temporary file behind. Where there are no signals, everything does.

#[cfg(unix)]
pub(crate) use self::unix::{before_stopping, let_the_signal_end_it, let_writes_fail};

/// Does nothing here.
#[cfg(not(unix))]
pub(crate) fn let_writes_fail() {}

/// Does nothing here.
#[cfg(not(unix))]
pub(crate) fn before_stopping(_: impl FnOnce(&str) + Send + 'static) {}

/// Does nothing here.
#[cfg(not(unix))]
pub(crate) fn let_the_signal_end_it() {}

#[cfg(unix)]
mod unix {
    use std::ffi::c_int;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::sync::{Mutex, Once, PoisonError};
    use std::time::Duration;
    use std::{fs, mem, thread};

    use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
    use signal_hook::iterator::Signals;
    use signal_hook::{flag, low_level};

    type Task = Box<dyn FnOnce(&str) + Send>;

    /// What is to be done before the program ends.
    static TASKS: Mutex<Vec<Task>> = Mutex::new(Vec::new());

    /// Whether a signal is about to end the program. Relaxed: it tells of nothing else.
    static IS_STOPPING: AtomicBool = AtomicBool::new(false);

    /// Lets writes beyond the limit fail instead of ending the program. Where that is impossible, they end it.
    pub(crate) fn let_writes_fail() {
        let _ = flag::register(SIGXFSZ, std::sync::Arc::default());
    }

    /// Does this before the program ends because it was told to, if it takes no longer than [`PATIENCE`]. It is given the
    /// reason in words. Where signals cannot be caught, it is not done.
    pub(crate) fn before_stopping(task: impl FnOnce(&str) + Send + 'static) {
        static WATCH: Once = Once::new();

        TASKS.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(task));
        WATCH.call_once(|| {
            let watched = [SIGINT, SIGTERM].into_iter().filter(|signal| !is_ignored(*signal));
            let Ok(mut signals) = Signals::new(watched) else { return };
            thread::spawn(move || {
                for signal in &mut signals {
                    IS_STOPPING.store(true, Ordering::Relaxed);
                    finish(if signal == SIGINT { "told to stop by SIGINT" } else { "told to stop by SIGTERM" });
                    let _ = low_level::emulate_default_handler(signal);
                }
            });
        });
    }

    /// Waits for the end, if a signal is about to end the program: its exit status is to be the signal's, and not that of the
    /// error that the others meet meanwhile.
    pub(crate) fn let_the_signal_end_it() {
        if IS_STOPPING.load(Ordering::Relaxed) {
            thread::sleep(PATIENCE * 2);
        }
    }

    /// Whether whoever started the program has it ignore this signal, as shells do with commands in the background. Only
    /// Linux tells.
    fn is_ignored(signal: c_int) -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        mask >> (signal - 1) & 1 == 1
    }

    /// Does all tasks, each on a thread of its own, and waits a while for them.
    fn finish(reason: &'static str) {
        let tasks = mem::take(&mut *TASKS.lock().unwrap_or_else(PoisonError::into_inner));
        let (running, all_done) = mpsc::channel::<()>();
        for task in tasks {
            let running = running.clone();
            // Without another thread it is left undone: here, it might never come back.
            let _ = thread::Builder::new().spawn(move || {
                task(reason);
                drop(running);
            });
        }
        drop(running);
        // Nobody sends anything: it fails once the last has ended, or in the end.
        let _ = all_done.recv_timeout(PATIENCE);
    }

    /// How long an output may take to be given up.
    const PATIENCE: Duration = Duration::from_secs(1);
}
