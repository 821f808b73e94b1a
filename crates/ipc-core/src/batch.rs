//! The batch encoder: record batch in, message out.
//!
//! It holds reusable memory and nothing about the stream, so any number of them can work side by side: what they make
//! does not depend on what was written before. The one decision that does, which dictionaries must be sent, is given
//! what was sent as an argument.

use std::fmt;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::convert::metadata_to_fb;
use arrow_ipc::{BodyCompressionBuilder, BodyCompressionMethod, DictionaryBatchBuilder, MessageBuilder, MessageHeader};
use arrow_schema::Metadata;
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};

use crate::body::{Body, Layout, signed};
use crate::compress::Codec;
use crate::dictionary::{self, Dictionaries, Due, Sending, Update, Updates};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::message::{Message, frame};
use crate::options::Options;
use crate::schema::StreamSchema;
use crate::segment::{Arena, Segment, Slice, recycle};
use crate::walk::walk;

/// Turns record batches, and the dictionaries they need, into [`Message`]s.
///
/// Once it has seen its largest batch it allocates no more: hand each message back through
/// [`recycle`](Self::recycle) when it has been written.
///
/// ```
/// # use arrow_array::record_batch;
/// # use ipc_core::{BatchEncoder, Options};
/// let batch = record_batch!(("a", Int32, [1, 2, 3])).unwrap();
/// let mut encoder = BatchEncoder::new(&Options::default());
/// let message = encoder.encode(&batch)?;
/// assert_eq!(message.body_length(), 64);
/// encoder.recycle(message);
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub struct BatchEncoder {
    options: Options,
    codec: Option<Codec>,
    flatbuffer: FlatBufferBuilder<'static>,
    layout: Layout,
    scratch: Arena,
    spare: Spare,
}

/// The memory of the next message.
#[derive(Debug, Default)]
struct Spare {
    metadata: Vec<u8>,
    segments: Vec<Segment<Slice<'static>>>,
    arena: Arena,
}

impl BatchEncoder {
    /// An encoder for messages as `options` ask for them.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            options: options.clone(),
            codec: Codec::new(options.compression),
            flatbuffer: FlatBufferBuilder::new(),
            layout: Layout::default(),
            scratch: Arena::default(),
            spare: Spare::default(),
        }
    }

    /// Encodes a record batch, without its dictionaries.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArray`] where an array contradicts itself or has nulls that its field denies,
    /// [`Error::TooLarge`] where a length does not fit the format, [`Error::Compression`] where a codec fails.
    pub fn encode<'a>(&mut self, batch: &'a RecordBatch) -> Result<Message<Slice<'a>>> {
        self.encode_with_metadata(batch, &Metadata::new())
    }

    /// Encodes a record batch and attaches `metadata` to its message.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn encode_with_metadata<'a>(
        &mut self,
        batch: &'a RecordBatch,
        metadata: &Metadata,
    ) -> Result<Message<Slice<'a>>> {
        let rows = batch.num_rows();
        self.message(rows, Header::RecordBatch, metadata, true, |body| {
            for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
                walk(body, column.as_ref(), 0..rows).map_err(|e| e.within(field.name()))?;
                let null_count = column.nulls().map_or(0, arrow_buffer::NullBuffer::null_count);
                if !field.is_nullable() && null_count > 0 {
                    return Err(Error::invalid("no nulls", format!("{null_count}")).within(field.name()));
                }
            }
            Ok(())
        })
    }

    /// Encodes the dictionaries of `batch` that have to be sent before it, given what has been `sent`.
    ///
    /// # Errors
    ///
    /// [`Error::DictionaryReplacement`] where `F` allows no replacement but the batch needs one; else as
    /// [`encode`](Self::encode).
    pub fn encode_dictionaries<F: Format>(
        &mut self,
        schema: &StreamSchema,
        batch: &RecordBatch,
        sent: &Dictionaries,
        sending: Sending,
    ) -> Result<Updates> {
        let mut updates = Updates::new(sent);
        dictionary::visit(schema, batch, &mut |id, values| {
            let decision =
                dictionary::decide::<F>(schema, id, values, sent, &updates, sending, self.options.dictionaries)
                    .map_err(|e| e.within(schema.dictionary(id).path()))?;
            if let Some(due) = decision {
                let update = self.encode_dictionary(id, values, due);
                updates.push(update.map_err(|e| e.within(schema.dictionary(id).path()))?);
            }
            Ok(())
        })?;
        Ok(updates)
    }

    /// Takes a message's memory back for the next one.
    pub fn recycle(&mut self, message: Message<Slice<'_>>) {
        self.spare = Spare { metadata: message.metadata, segments: recycle(message.segments), arena: message.arena };
    }

    /// Takes back what an owned message can give back: all but the segments that shared a batch's memory.
    pub fn recycle_owned(&mut self, message: Message<Buffer>) {
        self.spare.metadata = message.metadata;
        self.spare.arena = message.arena;
    }

    fn encode_dictionary(&mut self, id: usize, values: &ArrayRef, due: Due) -> Result<Update> {
        let Due { rows, is_delta } = due;
        let header = Header::DictionaryBatch { id: signed("dictionary id", id)?, is_delta };
        let compress = self.options.compress_dictionaries;
        let message =
            self.message(rows.len(), header, &Metadata::new(), compress, |body| walk(body, values.as_ref(), rows))?;
        Ok(Update::new(id, is_delta, values.clone(), message.into_owned()))
    }

    /// A message whose body is what `write` writes.
    fn message<'a>(
        &mut self,
        rows: usize,
        header: Header,
        metadata: &Metadata,
        compress: bool,
        write: impl FnOnce(&mut Body<'_, 'a>) -> Result<()>,
    ) -> Result<Message<Slice<'a>>> {
        let spare = std::mem::take(&mut self.spare);
        self.layout.clear();
        let mut body = Body {
            options: &self.options,
            layout: &mut self.layout,
            segments: recycle(spare.segments),
            arena: spare.arena,
            scratch: &mut self.scratch,
            codec: self.codec.as_mut().filter(|_| compress),
            length: 0,
            raw_length: 0,
        };
        body.arena.clear();
        let written = write(&mut body);
        let codec = body.codec.as_deref().map(Codec::kind);
        let mut message = Message {
            metadata: spare.metadata,
            rows: rows as u64,
            body_length: body.length,
            raw_body_length: body.raw_length,
            segments: body.segments,
            arena: body.arena,
        };
        message.metadata.clear();
        let framed = written.and_then(|()| self.frame_metadata(&mut message, header, codec, metadata));
        match framed {
            Ok(()) => Ok(message),
            Err(error) => {
                self.recycle(message);
                Err(error)
            }
        }
    }

    /// Builds the flatbuffer that describes the layout, and frames it.
    fn frame_metadata(
        &mut self,
        message: &mut Message<Slice<'_>>,
        header: Header,
        codec: Option<arrow_ipc::CompressionType>,
        metadata: &Metadata,
    ) -> Result<()> {
        let rows = i64::try_from(message.rows).map_err(|_| Error::TooLarge {
            what: "record batch length",
            length: message.rows,
            limit: i64::MAX.unsigned_abs(),
        })?;
        let body_length = i64::try_from(message.body_length).map_err(|_| Error::TooLarge {
            what: "message body",
            length: message.body_length,
            limit: i64::MAX.unsigned_abs(),
        })?;
        let fbb = &mut self.flatbuffer;
        fbb.reset();
        let custom_metadata = (!metadata.is_empty()).then(|| metadata_to_fb(fbb, metadata));
        let (header_type, header) = header.build(fbb, &self.layout, rows, codec);
        let mut builder = MessageBuilder::new(fbb);
        builder.add_version(self.options.metadata_version.to_flatbuffer());
        builder.add_header_type(header_type);
        builder.add_bodyLength(body_length);
        builder.add_header(header);
        if let Some(custom_metadata) = custom_metadata {
            builder.add_custom_metadata(custom_metadata);
        }
        let root = builder.finish();
        fbb.finish(root, None);
        let options = &self.options;
        frame(&mut message.metadata, fbb.finished_data(), 0, options.metadata_version, options.alignment)
    }
}

impl fmt::Debug for BatchEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchEncoder").field("options", &self.options).finish_non_exhaustive()
    }
}

/// What kind of batch a message holds.
#[derive(Clone, Copy)]
enum Header {
    RecordBatch,
    DictionaryBatch { id: i64, is_delta: bool },
}

impl Header {
    fn build(
        self,
        fbb: &mut FlatBufferBuilder<'static>,
        layout: &Layout,
        rows: i64,
        codec: Option<arrow_ipc::CompressionType>,
    ) -> (MessageHeader, WIPOffset<UnionWIPOffset>) {
        let compression = codec.map(|codec| {
            let mut builder = BodyCompressionBuilder::new(fbb);
            builder.add_method(BodyCompressionMethod::BUFFER);
            builder.add_codec(codec);
            builder.finish()
        });
        let buffers = fbb.create_vector(&layout.buffers);
        let nodes = fbb.create_vector(&layout.nodes);
        let variadic_counts = (!layout.variadic_counts.is_empty()).then(|| fbb.create_vector(&layout.variadic_counts));
        let mut builder = arrow_ipc::RecordBatchBuilder::new(fbb);
        builder.add_length(rows);
        builder.add_nodes(nodes);
        builder.add_buffers(buffers);
        if let Some(compression) = compression {
            builder.add_compression(compression);
        }
        if let Some(variadic_counts) = variadic_counts {
            builder.add_variadicBufferCounts(variadic_counts);
        }
        let batch = builder.finish();
        match self {
            Self::RecordBatch => (MessageHeader::RecordBatch, batch.as_union_value()),
            Self::DictionaryBatch { id, is_delta } => {
                let mut builder = DictionaryBatchBuilder::new(fbb);
                builder.add_id(id);
                builder.add_data(batch);
                builder.add_isDelta(is_delta);
                (MessageHeader::DictionaryBatch, builder.finish().as_union_value())
            }
        }
    }
}
