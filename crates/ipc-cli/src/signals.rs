//! Handles signals that would otherwise end the program with an unfinished output.
//!
//! - *Stop*, by Ctrl-C or `kill`: an unfinished file is removed, and a stream gets its abort mark, so that neither is
//!   taken for complete. Then the program ends by the signal. A stream whose reader does not read is not waited for.
//! - *File size limit*: the system sends a signal in addition to the error of the write that exceeds the limit. Once
//!   the signal is handled, the write returns its error.
//!
//! A signal that cannot be caught leaves a temporary file behind. So does any interruption on a system without signals.

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

    /// What must be done before the program ends.
    static TASKS: Mutex<Vec<Task>> = Mutex::new(Vec::new());

    /// Whether a signal is about to end the program. Relaxed: no other data depends on it.
    static IS_STOPPING: AtomicBool = AtomicBool::new(false);

    /// Makes writes beyond the limit fail instead of ending the program, if the signal can be handled.
    pub(crate) fn let_writes_fail() {
        let _ = flag::register(SIGXFSZ, std::sync::Arc::default());
    }

    /// Runs a task before a signal ends the program, if the task takes no longer than [`PATIENCE`]. The task gets the
    /// reason in words. If signals cannot be caught, it is not run.
    pub(crate) fn before_stopping(task: impl FnOnce(&str) + Send + 'static) {
        static WATCH: Once = Once::new();

        TASKS.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(task));
        WATCH.call_once(|| {
            let watched = [SIGINT, SIGTERM].into_iter().filter(|signal| !is_ignored(*signal));
            let Ok(mut signals) = Signals::new(watched) else { return };
            thread::spawn(move || {
                for signal in &mut signals {
                    IS_STOPPING.store(true, Ordering::Relaxed);
                    finish(if signal == SIGINT { "stopped by SIGINT" } else { "stopped by SIGTERM" });
                    let _ = low_level::emulate_default_handler(signal);
                }
            });
        });
    }

    /// If a signal is about to end the program, waits for that. The exit status must be that of the signal, not that of
    /// an error that other threads get meanwhile.
    pub(crate) fn let_the_signal_end_it() {
        if IS_STOPPING.load(Ordering::Relaxed) {
            thread::sleep(PATIENCE * 2);
        }
    }

    /// Returns whether the program was started with this signal ignored, as shells do for commands in the background.
    /// Known only on Linux.
    fn is_ignored(signal: c_int) -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        mask >> (signal - 1) & 1 == 1
    }

    /// Runs all tasks, each on its own thread, and waits for them up to a limit.
    fn finish(reason: &'static str) {
        let tasks = mem::take(&mut *TASKS.lock().unwrap_or_else(PoisonError::into_inner));
        let (running, all_done) = mpsc::channel::<()>();
        for task in tasks {
            let running = running.clone();
            // If no thread can be started, the task is not run: on this thread, it might never return.
            let _ = thread::Builder::new().spawn(move || {
                task(reason);
                drop(running);
            });
        }
        drop(running);
        // No message is ever sent: the receive fails once the last task has ended, or times out.
        let _ = all_done.recv_timeout(PATIENCE);
    }

    /// How long giving up an output may take.
    const PATIENCE: Duration = Duration::from_secs(1);
}
