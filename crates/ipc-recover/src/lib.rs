//! Finds the whole messages of damaged Arrow IPC files and streams, and writes them to a valid file or stream.
//!
//! A program that is killed, or a full disk, leaves a file without a footer, or a stream that ends inside a message.
//! The messages before that are still whole, but many readers refuse all of them. [`recover()`] keeps the longest
//! prefix of whole messages, byte for byte, and ends it properly.
//!
//! ```
//! use ipc_recover::{Condition, RecoverOptions, Source, recover};
//!
//! # use arrow_ipc::{MessageHeader, MetadataVersion};
//! # let mut fbb = flatbuffers::FlatBufferBuilder::new();
//! # let fields = fbb.create_vector::<flatbuffers::ForwardsUOffset<arrow_ipc::Field<'_>>>(&[]);
//! # let mut schema = arrow_ipc::SchemaBuilder::new(&mut fbb);
//! # schema.add_fields(fields);
//! # let schema = schema.finish().as_union_value();
//! # let mut message = arrow_ipc::MessageBuilder::new(&mut fbb);
//! # message.add_version(MetadataVersion::V5);
//! # message.add_header_type(MessageHeader::Schema);
//! # message.add_header(schema);
//! # let message = message.finish();
//! # fbb.finish(message, None);
//! # let length = fbb.finished_data().len().next_multiple_of(8);
//! # let mut torn = [[0xff; 4], u32::try_from(length).unwrap().to_le_bytes()].concat();
//! # torn.extend_from_slice(fbb.finished_data());
//! # torn.resize(8 + length, 0);
//! let mut input = Source::from(torn.as_slice()); // a stream that was cut; see `Source::seekable` for files
//! let mut output = Vec::new();
//! let report = recover(&mut input, &mut output, &RecoverOptions::default())?;
//! assert_eq!(report.condition, Condition::Torn);
//! assert_eq!(report.kept.messages, 1);
//! assert!(output.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Parts
//!
//! Data flows one way: source, scan, survey, recovery.
//!
//! - [`Source`] provides the bytes. [`scan`] finds the messages in them, and [`Footer`] those of a file. Both can be
//!   used alone.
//! - [`Input`] reads an input from its start to its end: a file, or consecutive streams. It determines whether each
//!   ended, and what follows.
//! - The survey decides what is kept. It checks each message against its schema, makes sure that each batch has its
//!   dictionaries, and refuses an input that is damaged before its end.
//! - [`Plan`] is the result of the survey. [`Plan::write`] copies, and [`Report`] says what was kept and cut.
//!
//! # What is checked, and what is not
//!
//! Every flatbuffer is verified. Every length is compared with the bytes that are there, before memory is allocated for
//! it. A batch must have the arrays and buffers that its schema requires. Its buffers must start at multiples of 8, be
//! long enough, and lie within the body. The length of the body must be a multiple of 8, and the body must not start
//! with the header of another message. The dictionaries that its values refer to must be there, at any depth.
//! Compressed buffers must start as their codec requires.
//!
//! Values are not checked: the format has no checksums, so a flipped bit in a value is not noticed, unless the writer
//! added [`Checksums`], each of which is verified. If the footer of a file lists only whole messages, the file is read
//! by its footer, as by every reader.
//!
//! Bodies are never held in memory. Everything else takes at most twice the size of the input and 1 MiB. The time is
//! proportional to the size of the input, however wide its schema.

#![forbid(unsafe_code)]

mod appended;
mod check;
mod checksums;
mod collect;
mod confirmed;
mod contents;
mod dictionaries;
mod empty;
mod error;
mod file;
mod footer;
mod format;
mod input;
mod layout;
mod message;
mod named;
mod recover;
mod reframe;
mod report;
pub mod scan;
mod schema;
mod search;
mod source;
mod stream;
mod survey;
mod walk;
mod words;
mod wrap;

pub use check::claimed_length;
pub use checksums::Checksums;
pub use error::{Damage, Error, Fault, MessagePart};
pub use footer::Footer;
pub use format::Kind;
pub use input::{Ending, Input, Part};
pub use recover::{Plan, RecoverOptions, recover};
pub use report::{Condition, Cut, Report, Tally};
pub use source::Source;
pub use stream::Trailing;
