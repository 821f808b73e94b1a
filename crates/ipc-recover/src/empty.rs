//! Builds empty dictionaries, for dictionaries that the schema has but no value refers to.
//!
//! The format lets a writer omit a dictionary if all keys are null, or send it when the first batch needs it. Many
//! readers do not support that: they expect one for each field, and in a stream before the first record batch. An empty
//! dictionary satisfies them and adds no information.

use arrow_ipc::{
    Buffer, DictionaryBatchBuilder, FieldNode, KeyValue, KeyValueArgs, MessageBuilder, MessageHeader, MetadataVersion,
    RecordBatchBuilder,
};
use flatbuffers::FlatBufferBuilder;
use ipc_core::format::{CHECKSUM_KEY, CONTINUATION, Checksum};

use crate::error::Error;
use crate::format::{Framing, Place};
use crate::layout::{Array, ArrayKind};

/// A dictionary batch message without values.
pub(crate) struct EmptyDictionary {
    pub(crate) bytes: Vec<u8>,
    metadata_length: usize,
}

impl EmptyDictionary {
    /// Builds the message for the dictionary with this id, with a checksum or without. Its length is a multiple of 64,
    /// so that messages after it keep their alignment.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`].
    pub(crate) fn new(
        id: i64,
        values: &Array,
        version: MetadataVersion,
        framing: Framing,
        has_checksum: bool,
    ) -> Result<Self, Error> {
        let mut lists = Lists { version, ..Lists::default() };
        lists.add(values);
        let body_length = OFFSET * lists.offsets;
        let too_large = |_| Error::TooLarge { what: "dictionary batch" };
        let checksum = has_checksum.then(|| {
            let mut checksum = Checksum::default();
            checksum.update(&vec![0; body_length]);
            checksum
        });
        let flatbuffer = lists.message(id, i64::try_from(body_length).map_err(too_large)?, checksum);

        let prefix = match framing {
            Framing::Marked => &CONTINUATION[..],
            Framing::Legacy => &[],
        };
        let start = prefix.len() + 4;
        let metadata_length = (start + flatbuffer.len() + body_length).next_multiple_of(ALIGNED_TO) - body_length;
        let length = i32::try_from(metadata_length - start).map_err(too_large)?;
        let mut bytes = [prefix, &length.to_le_bytes(), &flatbuffer].concat();
        bytes.resize(metadata_length + body_length, 0);
        Ok(Self { bytes, metadata_length })
    }

    /// Returns its position, if it starts at this offset.
    pub(crate) fn place(&self, offset: u64) -> Place {
        let metadata_length = self.metadata_length as u64;
        Place { offset, metadata_length, body_length: self.bytes.len() as u64 - metadata_length }
    }
}

/// The lists of a batch, while they are built.
#[derive(Default)]
struct Lists {
    version: MetadataVersion,
    nodes: usize,
    buffers: Vec<Buffer>,
    /// The number of buffers with offsets so far. An array without values has one offset, which is 0.
    offsets: usize,
    /// The number of view arrays so far. They have no data buffers.
    views: usize,
}

impl Lists {
    fn add(&mut self, array: &Array) {
        self.nodes += 1;
        match array.kind {
            ArrayKind::Null | ArrayKind::RunEndEncoded => {}
            ArrayKind::SparseUnion => self.add_empty(if self.version < MetadataVersion::V5 { 2 } else { 1 }),
            ArrayKind::DenseUnion => self.add_empty(if self.version < MetadataVersion::V5 { 3 } else { 2 }),
            ArrayKind::FixedSizeList(_) | ArrayKind::Struct => self.add_empty(1),
            ArrayKind::Bits | ArrayKind::Fixed(_) | ArrayKind::Dictionary { .. } => self.add_empty(2),
            ArrayKind::ListView(_) => self.add_empty(3),
            ArrayKind::Views => {
                self.add_empty(2);
                self.views += 1;
            }
            ArrayKind::List(width) => {
                self.add_empty(1);
                self.add_offset(width);
            }
            ArrayKind::Bytes(width) => {
                self.add_empty(1);
                self.add_offset(width);
                self.add_empty(1);
            }
        }
        array.children.iter().for_each(|child| self.add(child));
    }

    fn add_empty(&mut self, count: usize) {
        let end = i64::try_from(OFFSET * self.offsets).unwrap_or(i64::MAX);
        self.buffers.resize(self.buffers.len() + count, Buffer::new(end, 0));
    }

    fn add_offset(&mut self, width: u32) {
        let end = i64::try_from(OFFSET * self.offsets).unwrap_or(i64::MAX);
        self.buffers.push(Buffer::new(end, i64::from(width)));
        self.offsets += 1;
    }

    fn message(&self, id: i64, body_length: i64, checksum: Option<Checksum>) -> Vec<u8> {
        let mut fbb = FlatBufferBuilder::new();
        let metadata = checksum.map(|checksum| {
            let value = str::from_utf8(&checksum.digits()).map(|digits| fbb.create_string(digits)).ok();
            let key = Some(fbb.create_string(CHECKSUM_KEY));
            let pair = KeyValue::create(&mut fbb, &KeyValueArgs { key, value });
            fbb.create_vector(&[pair])
        });
        let nodes = fbb.create_vector(&vec![FieldNode::new(0, 0); self.nodes]);
        let buffers = fbb.create_vector(&self.buffers);
        let counts = (self.views > 0).then(|| fbb.create_vector(&vec![0_i64; self.views]));
        let mut batch = RecordBatchBuilder::new(&mut fbb);
        batch.add_length(0);
        batch.add_nodes(nodes);
        batch.add_buffers(buffers);
        if let Some(counts) = counts {
            batch.add_variadicBufferCounts(counts);
        }
        let batch = batch.finish();
        let mut dictionary = DictionaryBatchBuilder::new(&mut fbb);
        dictionary.add_id(id);
        dictionary.add_data(batch);
        let dictionary = dictionary.finish().as_union_value();
        let mut message = MessageBuilder::new(&mut fbb);
        message.add_version(self.version);
        message.add_header_type(MessageHeader::DictionaryBatch);
        message.add_header(dictionary);
        message.add_bodyLength(body_length);
        if let Some(metadata) = metadata {
            message.add_custom_metadata(metadata);
        }
        let message = message.finish();
        fbb.finish(message, None);
        fbb.finished_data().to_vec()
    }
}

/// The number of bytes that an offset takes in a body, with padding.
const OFFSET: usize = 8;

/// The lengths of these messages are multiples of this: no body has a larger alignment.
const ALIGNED_TO: usize = 64;
