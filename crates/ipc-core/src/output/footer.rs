//! The footer of a file: its schema, and the positions of its dictionary batches and record batches.
//!
//! It grows by a block with each message, and its length has 32 bits. A message for which it has no space is refused,
//! so that a file can always be closed.

use arrow_buffer::ArrowNativeType;
use arrow_ipc::convert::{IpcSchemaEncoder, metadata_to_fb};
use arrow_ipc::writer::DictionaryTracker;
use arrow_ipc::{Block, FooterBuilder};
use arrow_schema::Metadata;
use flatbuffers::FlatBufferBuilder;

use crate::error::{Error, Result};
use crate::format::FOOTER_MAGIC;
use crate::limits;
use crate::message::Message;
use crate::options::Options;
use crate::schema::StreamSchema;

/// The footer while messages are appended.
#[derive(Debug)]
pub(crate) struct Footer {
    /// The most bytes that its schema takes.
    pub(crate) schema_length: u64,
    /// The most dictionary batches that are written at the close.
    closing: usize,
    pub(crate) dictionaries: Vec<Block>,
    pub(crate) record_batches: Vec<Block>,
    metadata: Metadata,
    /// The most bytes that the metadata takes.
    metadata_length: u64,
}

impl Footer {
    pub(crate) fn new(schema: &StreamSchema, options: &Options) -> Self {
        Self {
            schema_length: limits::schema(schema.schema()),
            // At the close, each dictionary is one message.
            closing: if options.dictionaries_at_close() { schema.dictionary_count() } else { 0 },
            dictionaries: Vec::new(),
            record_batches: Vec::new(),
            metadata: Metadata::new(),
            metadata_length: 0,
        }
    }

    /// Refuses more messages than a footer can list besides its metadata: about 89 million.
    pub(crate) fn check_room(&self, record_batches: usize, dictionaries: usize) -> Result<()> {
        let dictionaries = (self.dictionaries.len() + dictionaries).max(self.closing);
        let blocks = self.record_batches.len() + record_batches + dictionaries;
        limits::check("footer", limits::footer(self.schema_length, blocks, self.metadata_length))
    }

    /// Adds a key-value pair, in place of one with the same key, unless there is no space for it.
    pub(crate) fn insert(&mut self, key: String, value: String) -> Result<()> {
        let replaced = self.metadata.get(&key).map_or(0, |value| limits::key_value(&key, value));
        let length = self.metadata_length - replaced + limits::key_value(&key, &value);
        let blocks = self.record_batches.len() + self.dictionaries.len().max(self.closing);
        limits::check("footer", limits::footer(self.schema_length, blocks, length))?;
        self.metadata.insert(key, value);
        self.metadata_length = length;
        Ok(())
    }

    /// Builds the footer. `closing` are the blocks of dictionaries that are written together with it.
    ///
    /// Its memory is allocated once: with a million blocks, growing it would be most of a close.
    pub(crate) fn finish(&self, schema: &StreamSchema, options: &Options, closing: &[Block]) -> Result<Finished> {
        let blocks = self.dictionaries.len() + closing.len() + self.record_batches.len();
        let room = limits::footer(self.schema_length, blocks, self.metadata_length);
        limits::check("footer", room)?;
        let mut fbb = FlatBufferBuilder::with_capacity(room.as_usize());
        let dictionaries = match closing {
            [] => fbb.create_vector(&self.dictionaries),
            closing => fbb.create_vector(&[&self.dictionaries, closing].concat()),
        };
        let record_batches = fbb.create_vector(&self.record_batches);
        let mut tracker = DictionaryTracker::new(false);
        let schema = IpcSchemaEncoder::new()
            .with_dictionary_tracker(&mut tracker)
            .schema_to_fb_offset(&mut fbb, schema.schema());
        let metadata = (!self.metadata.is_empty()).then(|| metadata_to_fb(&mut fbb, &self.metadata));
        let mut builder = FooterBuilder::new(&mut fbb);
        builder.add_version(options.metadata_version.to_flatbuffer());
        builder.add_schema(schema);
        builder.add_dictionaries(dictionaries);
        builder.add_recordBatches(record_batches);
        if let Some(metadata) = metadata {
            builder.add_custom_metadata(metadata);
        }
        let root = builder.finish();
        fbb.finish(root, None);
        let (buffer, start) = fbb.collapse();
        let length = buffer.len() - start;
        let length = i32::try_from(length).map_err(|_| Error::TooLarge {
            what: "footer",
            length: length as u64,
            limit: i32::MAX.unsigned_abs().into(),
        })?;
        Ok(Finished { buffer, start, length: length.to_le_bytes() })
    }
}

/// A footer as it is written.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The flatbuffer is at its end.
    buffer: Vec<u8>,
    start: usize,
    length: [u8; 4],
}

impl Finished {
    /// Returns the footer, its length and the closing magic.
    pub(crate) fn pieces(&self) -> [&[u8]; 3] {
        [&self.buffer[self.start..], &self.length, FOOTER_MAGIC]
    }
}

/// Returns the block of the footer that describes a message.
pub(crate) fn block<B>(offset: u64, message: &Message<B>) -> Block {
    let signed = |length: u64| i64::try_from(length).expect("an output is shorter than 2^63 bytes");
    let metadata = i32::try_from(message.metadata_length()).expect("the metadata's length fits its own 32-bit field");
    Block::new(signed(offset), metadata, signed(message.body_length()))
}
