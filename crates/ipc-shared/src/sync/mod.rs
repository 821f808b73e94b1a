//! The primitives of concurrency: those of `std`, `crossbeam` and `arc-swap`, or those of a model checker, `loom` under
//! `cfg(loom)` and `shuttle` under `cfg(shuttle)`. No other module names them, which clippy's lists of disallowed types
//! and methods check, so the models explore the code that ships.
//!
//! If a checker has no counterpart, or one that would hide faults, `modelled` has a stand-in that allows *more* than
//! the real primitive: parks that return early, snapshots that are stale.

#[cfg(not(loom))]
mod cell;
mod duty;
#[cfg(any(loom, shuttle))]
#[expect(clippy::disallowed_types, reason = "counts for the models, out of their sight")]
pub mod model;
#[cfg(any(loom, shuttle))]
#[expect(clippy::disallowed_types, reason = "counts for the models, out of their sight")]
mod modelled;
#[cfg(not(any(loom, shuttle)))]
#[expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "this is the place that names them")]
mod real;

#[cfg(any(loom, shuttle))]
pub(crate) use self::modelled::*;
#[cfg(not(any(loom, shuttle)))]
pub(crate) use self::real::*;

pub(crate) use self::duty::LockDuty;

#[cfg(not(loom))]
pub(crate) use self::cell::UnsafeCell;

pub(crate) use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A count that any thread may read. It takes part in no protocol, so the models need not see it.
#[expect(clippy::disallowed_types, reason = "this is the place that names them")]
pub(crate) type Counter = std::sync::atomic::AtomicU64;
