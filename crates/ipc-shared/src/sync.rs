//! The one place that names the primitives of concurrency: `std`, `crossbeam` and `arc-swap`, or `loom` under
//! `cfg(loom)`.
//!
//! Everything else in this crate reaches atomics, cells, parkers, the published snapshot, the clock and the spin hint
//! through here, so that the models explore the very code that ships. Where loom has no counterpart, or one that would
//! hide faults, its side has a stand-in that allows *more* than the real thing: parks that return early, snapshots that
//! are stale.

#[cfg(loom)]
mod loom;
#[cfg(not(loom))]
mod real;

#[cfg(loom)]
pub(crate) use self::loom::*;
#[cfg(not(loom))]
pub(crate) use self::real::*;

#[cfg(loom)]
pub use self::loom::model;

pub(crate) use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A figure that anybody may read. It takes part in no protocol, so the models need not see it.
pub(crate) type Figure = std::sync::atomic::AtomicU64;
