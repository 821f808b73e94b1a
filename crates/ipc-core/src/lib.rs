//! An Arrow IPC encoder for one thread. Its types rule out a second header and a write after the close.
//!
//! ```
//! use arrow_array::record_batch;
//! use ipc_core::{Compression, Encoder, Options};
//!
//! let batch = record_batch!(("city", Utf8, ["Lima", "Oslo"]), ("height", Int32, [154, 23])).unwrap();
//! let options = Options::builder().compression(Compression::None).build()?;
//! let mut encoder = Encoder::stream(Vec::new()).with_options(options).start(batch.schema())?;
//! encoder.write(&batch)?;
//! encoder.write(&batch.slice(1, 1))?;
//! let closed = encoder.close()?;
//! assert_eq!(closed.stats().rows, 3);
//! let bytes: Vec<u8> = closed.into_inner();
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # Parts
//!
//! [`Encoder`] puts the parts of an output together for one thread. To put them together in another way, use [`parts`]: encode
//! on many threads and append under a lock, as `ipc-shared` does, or keep messages and write them elsewhere than to an
//! [`io::Write`](std::io::Write).
//!
//! # Guarantees
//!
//! - A batch is refused before any byte of it is written, with the path of the column at fault.
//! - Nothing is recorded before it is written: a batch that failed leaves no trace. The one exception are
//!   [unified](Unify) dictionaries, in which its values keep their positions.
//! - A call that failed because the sink failed between two messages may be repeated. If the sink fails inside a
//!   message, nothing follows the torn bytes, unless the sink can [cut them off](Encoder::rollback).
//! - A stream that is dropped or [aborted](Encoder::abort) ends in a mark that makes readers fail. A file that was not
//!   closed has no footer.
//! - A file is also a stream, from byte 8 to its end-of-stream marker, and every body starts at an aligned offset.
//! - No unsafe code, no locks, no threads.
//!
//! # Features
//!
//! `lz4` and `zstd` build in the codecs. Both are on by default.

#![forbid(unsafe_code)]

#[cfg(target_endian = "big")]
compile_error!("ipc-core writes arrays as they are in memory, and its schemas say little-endian");

mod arrays;
mod body;
mod dictionary;
mod encode;
mod encoder;
mod error;
mod failed;
pub mod format;
mod key_values;
mod limits;
mod message;
mod options;
mod output;
pub mod parts;
mod schema;

/// The arrow crates whose types occur in this interface, in the versions that it was built with.
///
/// ```
/// use ipc_core::arrow_array::RecordBatch;
/// use ipc_core::arrow_schema::Schema;
/// use ipc_core::{Encoder, Result};
///
/// fn nothing_of(schema: Schema) -> Result<Vec<u8>> {
///     let batch = RecordBatch::new_empty(schema.into());
///     let mut encoder = Encoder::stream(Vec::new()).start(batch.schema())?;
///     encoder.write(&batch)?;
///     Ok(encoder.close()?.into_inner())
/// }
/// # nothing_of(Schema::empty()).unwrap();
/// ```
pub use {arrow_array, arrow_buffer, arrow_schema};

pub use encoder::Encoder;
pub use encoder::state::{Closed, Started, State, Unstarted};
pub use error::{Error, Remedy, Result};
pub use failed::Failed;
pub use format::{Alignment, FileFormat, Format, MetadataVersion, StreamFormat};
pub use key_values::Metadata;
pub use options::compression::{Compression, RawBuffers};
pub use options::dictionaries::{DictionaryHandling, Unify};
pub use options::{Options, OptionsBuilder, Validation};
pub use output::receipt::{Receipt, Stats};
pub use output::storage::{Durable, FileTail, ForeignEnd, Truncate};
pub use schema::given::IntoSchema;
