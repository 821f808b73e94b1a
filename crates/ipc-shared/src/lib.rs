//! Writes one Arrow IPC stream or file from any number of threads.
//!
//! Arrow IPC writers are single-threaded: a mutex or a queue around one leaves encoding and compression on one core.
//! [`SharedWriter`] splits the work. Each thread encodes and compresses outside the lock; inside it, the dictionaries
//! are compared by pointers, and the batch is appended with one vectored write.
//!
//! - [`SharedWriter::write`] from any thread: batches are in the output in the order in which calls take the lock.
//! - [`SharedWriter::producer`] for a thread that writes often: it owns its memory.
//! - [`SharedWriter::reserve`] if the order matters: reserve places in order, fill them in any order.
//!
//! ```
//! use arrow_array::record_batch;
//! use ipc_shared::{Compression, Options, SharedWriter};
//!
//! let writer = SharedWriter::file(Vec::new()).options(Options::default()).build()?;
//! std::thread::scope(|scope| {
//!     for city in ["Lima", "Oslo", "Pune"] {
//!         let mut producer = writer.producer();
//!         scope.spawn(move || producer.write(&record_batch!(("city", Utf8, [city])).unwrap()));
//!     }
//! });
//! writer.close()?;
//! let file: Vec<u8> = writer.into_inner()?;
//! # assert!(file.ends_with(b"ARROW1"));
//! # Ok::<(), ipc_shared::Error>(())
//! ```
//!
//! This crate is enough: it re-exports the parts of ipc-core that its users need, and the arrow crates, in the versions
//! of its interface, as [`arrow_array`], [`arrow_buffer`] and [`arrow_schema`].
//!
//! [`SharedWriter`] states the contract. The only unsafe code is in the lock, which is this crate's own; lock and writer are
//! model-checked with loom.

#![deny(unsafe_code)]

mod builder;
mod error;
mod lock;
mod producer;
mod shared;
mod slot;
mod sync;
mod writer;

pub use builder::Builder;
pub use error::{Error, Result, StillShared};
pub use ipc_core::Error as CoreError;
pub use ipc_core::parts::StreamSchema;
pub use ipc_core::{
    Alignment, Compression, DictionaryHandling, Durable, Failed, FileFormat, FileTail, ForeignEnd, Format, IntoSchema,
    Metadata, MetadataVersion, Options, OptionsBuilder, RawBuffers, Receipt, Remedy, Stats, StreamFormat, Truncate,
    Unify, Validation, arrow_array, arrow_buffer, arrow_schema, format,
};
pub use producer::Producer;
pub use shared::stats::Summary;
pub use slot::Slot;
pub use writer::{SharedFileWriter, SharedStreamWriter, SharedWriter};

/// The lock by itself, and the switches of the models: for models and benchmarks, and no part of the interface.
#[doc(hidden)]
pub mod internals {
    pub use crate::lock::{Guard, Lock, Refused};
    #[cfg(any(loom, shuttle))]
    pub use crate::sync::model;
}
