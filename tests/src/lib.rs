//! What the tests share: generated batches, readers, sinks that count or fail, an allocator that counts, and the way to
//! test data and to a judge outside Rust.
//!
//! The tests themselves are in `tests/`, one file per promise. Nothing here tests anything, but [`stress`], which a
//! test has for seconds and a chore for as long as it likes.
//!
//! - [`batches`]: proptest strategies for schemas and batches of every Arrow type; [`arrays`] fills them with values.
//! - [`options`]: strategies for the options of an encoder; [`cases`](mod@cases): how many a property gets.
//! - [`by_hand`]: fields, schemas and batches that a test spells out.
//! - [`dictionaries`]: batches with dictionaries, in short, and what an output sends of them.
//! - [`encode`]: batches to bytes, in one call.
//! - [`read`]: bytes to batches with `arrow-ipc`'s readers; [`framing`]: bytes to messages, by the format's text alone.
//! - [`value`]: cell by cell comparison that is blind to layout and not to anything else.
//! - [`sink`]: sinks that count or fail.
//! - [`faults`]: every fault of a sink at every call, under every writer.
//! - [`gate`]: a sink that a test can hold, watch and make fail while others write to it.
//! - [`shared`]: both formats of a shared writer, batches that tell who wrote them, and the check of a whole output.
//! - [`stress`]: everything at once, by 16 threads, read back.
//! - [`crash`]: losses of power, replayed, and what is recovered.
//! - [`threads`]: threads that start together, at every width, under a watchdog.
//! - [`allocations`]: a global allocator that counts, by thread.
//! - [`outside`]: test data beside the workspace, and a Python with pyarrow.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a helper that fails fails its test")]

pub mod allocations;
pub mod arrays;
pub mod batches;
pub mod by_hand;
pub mod byte_faults;
pub mod cases;
pub mod crash;
pub mod dictionaries;
pub mod encode;
pub mod faults;
pub mod framing;
pub mod gate;
pub mod options;
pub mod outside;
pub mod random;
pub mod read;
pub mod shared;
pub mod sink;
pub mod stress;
pub mod threads;
pub mod value;
