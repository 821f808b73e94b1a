//! Signals that would end the program with its output half done.
//!
//! - *Told to stop*, by Ctrl-C or `kill`: the output in the making goes first, then the program ends as it would have.
//! - *A file may not grow*: the system sends a signal with the error of the write that meets the limit. Taking notice of it
//!   is all it takes for the write to return its error.
//!
//! What nobody can catch leaves a temporary file behind. Where there are no signals, everything does.

#[cfg(not(unix))]
use std::path::Path;

#[cfg(unix)]
pub(crate) use self::unix::{let_writes_fail, remove_when_told_to_stop};

/// Does nothing here.
#[cfg(not(unix))]
pub(crate) fn let_writes_fail() {}

/// Does nothing here.
#[cfg(not(unix))]
pub(crate) fn remove_when_told_to_stop(_: &Path) {}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::path::Path;
    use std::thread;

    use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
    use signal_hook::iterator::Signals;
    use signal_hook::{flag, low_level};

    /// Lets writes beyond the limit fail instead of ending the program. Where that is impossible, they end it.
    pub(crate) fn let_writes_fail() {
        let _ = flag::register(SIGXFSZ, std::sync::Arc::default());
    }

    /// From now on the file at `temporary` goes before the program does. Once it has another name, nothing is there to go.
    /// Where signals cannot be caught, it stays.
    pub(crate) fn remove_when_told_to_stop(temporary: &Path) {
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return };
        let temporary = temporary.to_owned();
        thread::spawn(move || {
            for signal in &mut signals {
                let _ = fs::remove_file(&temporary);
                let _ = low_level::emulate_default_handler(signal);
            }
        });
    }
}
