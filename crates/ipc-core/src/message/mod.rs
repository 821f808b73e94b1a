//! An encoded message: its metadata, and its body as a list of segments.
//!
//! A [`Message<Slice>`](Slice) borrows its batch, for writing right away. A [`Message<Buffer>`](Buffer) shares the
//! batch's memory, and can be kept or sent to another thread.
//!
//! See [Encapsulated message format](https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format).

mod flatbuffer;
pub(crate) mod frame;
pub(crate) mod metadata;
pub(crate) mod segment;

use std::{fmt, iter};

use arrow_buffer::Buffer;

use crate::format::{Alignment, MetadataVersion};
use crate::message::segment::{Arena, Segment, Slice};
use crate::options::Options;

/// An encapsulated message, ready to be written: a record batch, a dictionary batch or a schema.
///
/// Its bytes depend neither on its position in the output nor on what was written before.
#[derive(Debug)]
pub struct Message<B> {
    pub(crate) parts: Box<MessageParts>,
    pub(crate) segments: Vec<Segment<B>>,
}

/// The parts of a message that do not borrow its batch. Boxed, because messages are moved often.
#[derive(Debug, Default)]
pub(crate) struct MessageParts {
    pub(crate) metadata: Vec<u8>,
    pub(crate) arena: Arena,
    pub(crate) rows: u64,
    pub(crate) body_length: u64,
    pub(crate) raw_body_length: u64,
    /// The number of values of each unified dictionary, by dictionary id, that readers need; empty for a message with
    /// its batch's own keys.
    pub(crate) required: Vec<usize>,
    /// The number of values of the batch's dictionaries that are left out because no key uses them.
    pub(crate) unused_values: u64,
    /// The options it was encoded with; `None` if nothing has been encoded yet.
    pub(crate) layout: Option<Layout>,
}

/// The options that must be the same for all messages of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    version: MetadataVersion,
    alignment: Alignment,
    checksums: bool,
}

impl Layout {
    pub(crate) fn of(options: &Options) -> Self {
        let Options { metadata_version: version, alignment, checksums, .. } = *options;
        Self { version, alignment, checksums }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, alignment, checksums } = self;
        write!(f, "metadata of {version:?} and alignment {alignment:?}")?;
        if *checksums { f.write_str(" with checksums") } else { Ok(()) }
    }
}

impl<B> Default for Message<B> {
    /// No message: the memory for one. A [`Ledger`](crate::parts::Ledger) refuses it.
    fn default() -> Self {
        Self { parts: Box::default(), segments: Vec::new() }
    }
}

impl<B> Message<B> {
    /// The length of the metadata in bytes, with prefix and padding.
    #[must_use]
    pub fn metadata_length(&self) -> u64 {
        self.parts.metadata.len() as u64
    }

    /// The length of the body in bytes, with padding.
    #[must_use]
    pub fn body_length(&self) -> u64 {
        self.parts.body_length
    }

    /// How many values of each unified dictionary, by dictionary id, a reader must have before it; empty for a message
    /// that has its batch's own keys.
    pub(crate) fn required(&self) -> &[usize] {
        &self.parts.required
    }

    /// The length of the whole message in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.metadata_length() + self.parts.body_length
    }
}

impl<B: AsRef<[u8]>> Message<B> {
    /// The message's bytes, piece by piece: the metadata, then the body.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let MessageParts { metadata, arena, .. } = &*self.parts;
        iter::once(metadata.as_slice()).chain(self.segments.iter().map(|segment| segment.bytes(arena)))
    }
}

impl Message<Slice<'_>> {
    /// The same message, sharing the memory of its batch instead of borrowing it; no array is copied.
    #[must_use]
    pub fn into_owned(self) -> Message<Buffer> {
        let segments = self.segments.into_iter().map(|segment| match segment {
            Segment::Array(slice) => Segment::Array(slice.to_buffer()),
            Segment::Arena(range) => Segment::Arena(range),
        });
        Message { segments: segments.collect(), parts: self.parts }
    }
}

impl Message<Buffer> {
    /// The message as buffers, in order, for those that write elsewhere than to an [`io::Write`](std::io::Write).
    #[must_use]
    pub fn into_buffers(self) -> Vec<Buffer> {
        let MessageParts { metadata, arena, .. } = *self.parts;
        let arena = arena.into_buffer();
        let body = self.segments.into_iter().map(|segment| match segment {
            Segment::Array(buffer) => buffer,
            Segment::Arena(range) => arena.slice_with_length(range.start, range.len()),
        });
        iter::once(Buffer::from_vec(metadata)).chain(body).collect()
    }
}
