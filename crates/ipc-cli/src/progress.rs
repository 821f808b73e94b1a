//! A progress bar on standard error, if that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// The progress of a merge, in bytes of its inputs. Cheap to clone; all clones are one bar.
#[derive(Debug, Clone)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Returns a bar up to `total` bytes, or a spinner if the total is not known. It is invisible without a terminal.
    pub(crate) fn new(total: Option<u64>, quiet: bool) -> Self {
        if quiet {
            return Self(ProgressBar::hidden());
        }
        // indicatif draws nothing if standard error is not a terminal.
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), "{bar:40} {percent:>3} %  {bytes_per_sec}  {eta} left"),
            None => (ProgressBar::no_length(), "{spinner} {bytes}  {bytes_per_sec}"),
        };
        let style = ProgressStyle::with_template(template).expect("the templates above are valid");
        Self(bar.with_style(style))
    }

    pub(crate) fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// Removes the bar.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
