//! Catches panics of code that decodes untrusted data.
//!
//! Arrow's reader panics on some damaged input. Such a panic is caught and becomes an error of the input. It is not
//! printed.

use std::cell::Cell;
use std::fmt::Display;
use std::panic::{self, AssertUnwindSafe};

/// Runs `work` on untrusted data. A panic in it is caught, and its message becomes the error.
pub(crate) fn catch_panic<T, E: Display>(work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    CATCHES.set(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    CATCHES.set(false);
    match done {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            Err(text.or_else(|| panic.downcast_ref().copied()).unwrap_or("the data is inconsistent").to_owned())
        }
    }
}

/// Keeps panics that [`catch_panic`] catches off standard error. Other panics are printed as usual.
pub(crate) fn silence_caught_panics() {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !CATCHES.get() {
            tell(panic);
        }
    }));
}

thread_local! {
    /// Whether this thread is inside [`catch_panic`].
    static CATCHES: Cell<bool> = const { Cell::new(false) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_reason() {
        let caught = catch_panic(|| -> Result<(), String> { panic!("index {} is out of range", 7) });
        assert_eq!(caught.unwrap_err(), "index 7 is out of range");
    }
}
