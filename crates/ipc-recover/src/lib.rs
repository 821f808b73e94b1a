//! Finds the whole messages of damaged Arrow IPC files and streams, and makes a sound file or stream of them.
//!
//! A program that is killed, or a disk that is full, leaves a file without a footer, or a stream that ends inside a
//! message. What was whole before is still there, but many readers refuse all of it. [`recover()`] keeps the longest
//! prefix of whole messages, byte for byte, and ends it as it should.
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
//! - [`Source`] is where bytes come from. [`scan`] finds the messages in them, and [`Footer`] those of a file; both can
//!   be used alone, to read what is there.
//! - [`Input`] is the one account of what an input is, for all who read one from its start to its end: a file, or streams
//!   one behind the other; whether each ended, and what stands behind.
//! - The survey decides what is kept: each message is checked against its schema, each batch has its dictionaries, and
//!   what is damaged elsewhere than at its end is refused.
//! - [`Plan`] is what comes of it. [`Plan::write`] copies, and [`Report`] tells.
//!
//! # What is checked, and what is not
//!
//! Every flatbuffer is verified. Every length is checked against what is there, before memory is taken for it. A batch
//! has the arrays and buffers that its schema asks for, on multiples of 8, as long as they have to be, inside its own
//! body, whose length is a multiple of 8 and which does not start with the header of another message. The dictionaries
//! are there to which its values refer, at any depth. Compressed buffers start as their codec has it.
//!
//! Values are not looked at: the format has no checksums, and a flipped bit among them is not noticed, unless the writer
//! was asked for [`Checksums`]: then each is verified. A file whose footer names nothing but whole messages is what its
//! footer says, as it is for every reader.
//!
//! Bodies are never held in memory, and all that is takes no more than twice the input and a MiB. The time is in
//! proportion to the input, however wide its schema.

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
