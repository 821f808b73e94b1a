//! The metadata of batch messages, written directly.
//!
//! A batch's metadata always has the same tables; only the lists and a few numbers differ from message to message. So
//! the tables are laid out once, as a [`Template`], and a message is a copy of it with the numbers patched in and the
//! lists appended. Most messages even have lists as long as those of the message before: then all but the numbers and
//! what the lists hold is the same, and is kept ready as a [`Head`]. Schema and footer, written once, are built with the
//! generated code.
//!
//! Offsets in a flatbuffer point forward, to what stands behind them, except a table's to its vtable, which points back;
//! numbers are little-endian and aligned to their size, counted from the start of the buffer. See the
//! [FlatBuffers internals](https://flatbuffers.dev/internals/) and
//! [`Message.fbs`](https://github.com/apache/arrow/blob/main/format/Message.fbs).

use arrow_buffer::ToByteSlice;
use arrow_ipc::{CompressionType, MessageHeader};
use arrow_schema::Metadata;

use crate::error::Result;
use crate::limits;
use crate::message::{PREFIX, frame};
use crate::options::{Alignment, MetadataVersion, Options};

/// A pair of 64-bit numbers, as the format's structs `FieldNode` and `Buffer` are. The format's are signed; lengths that
/// would not fit are refused before they come here.
pub(crate) type Pair = [u64; 2];

/// The lists that describe a body, kept from message to message.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// `FieldNode`s: length and null count.
    pub(crate) nodes: Vec<Pair>,
    /// `Buffer`s: offset in the body and length.
    pub(crate) buffers: Vec<Pair>,
    pub(crate) variadic_counts: Vec<u64>,
}

impl Layout {
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.buffers.clear();
        self.variadic_counts.clear();
    }

    /// How many entries the lists have that messages share from one to the next.
    fn lengths(&self) -> [usize; 2] {
        [self.nodes.len(), self.buffers.len()]
    }
}

/// What kind of batch a message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    RecordBatch,
    DictionaryBatch,
}

/// The numbers of one message.
pub(crate) struct Numbers {
    pub(crate) rows: i64,
    pub(crate) body_length: i64,
    /// The dictionary's id and whether the batch is a delta, for a dictionary batch.
    pub(crate) dictionary: Option<(i64, bool)>,
}

/// The tables of one kind of message, and where in them the numbers and the offsets of the lists stand.
#[derive(Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    version: MetadataVersion,
    alignment: Alignment,
    head: Head,
    /// `Message`
    body_length: Field,
    custom_metadata: Field,
    /// `DictionaryBatch`: id and isDelta
    dictionary: Option<[Field; 2]>,
    /// `RecordBatch`
    rows: Field,
    nodes: Field,
    buffers: Field,
    variadic_counts: Field,
}

/// What stands before the nodes in a framed message whose lists have these lengths: the prefix, which tells the length
/// of the whole, and the tables, which point to the lists.
#[derive(Debug, Default)]
struct Head {
    /// Empty as long as there is none; so it stays with legacy framing, which moves the tables.
    bytes: Vec<u8>,
    /// How many nodes and buffers there are, and there is nothing else.
    lengths: [usize; 2],
    /// How many zero bytes stand behind the buffers.
    padding: usize,
}

impl Template {
    /// The tables of a message of this kind, whose body is compressed with `codec`.
    pub(crate) fn new(kind: Kind, codec: Option<CompressionType>, options: &Options) -> Self {
        let Options { metadata_version: version, alignment, .. } = *options;
        let mut bytes = vec![0; PREFIX + 4];
        // Message: version, header_type, header, bodyLength, custom_metadata
        let [version_field, header_type, header, body_length, custom_metadata] =
            table(&mut bytes, PREFIX, [2, 1, 4, 8, 4]);
        version_field.set(&mut bytes, version.to_flatbuffer().0.to_le_bytes());
        let (batch, dictionary) = match kind {
            Kind::RecordBatch => {
                header_type.set(&mut bytes, [MessageHeader::RecordBatch.0]);
                (header, None)
            }
            Kind::DictionaryBatch => {
                header_type.set(&mut bytes, [MessageHeader::DictionaryBatch.0]);
                // DictionaryBatch: id, data, isDelta
                let [id, data, is_delta] = table(&mut bytes, header.at, [8, 4, 1]);
                (data, Some([id, is_delta]))
            }
        };
        // RecordBatch: length, nodes, buffers, compression, variadicBufferCounts
        let [rows, nodes, buffers, compression, variadic_counts] = table(&mut bytes, batch.at, [8, 4, 4, 4, 4]);
        match codec {
            Some(codec) => {
                // BodyCompression: codec, method (which is BUFFER, 0)
                let [codec_field, _method] = table(&mut bytes, compression.at, [1, 1]);
                codec_field.set(&mut bytes, codec.0.to_le_bytes());
            }
            None => compression.leave_out(&mut bytes),
        }
        custom_metadata.leave_out(&mut bytes);
        variadic_counts.leave_out(&mut bytes);
        align(&mut bytes, 8);
        let head = Head::default();
        Self {
            bytes,
            version,
            alignment,
            head,
            body_length,
            custom_metadata,
            dictionary,
            rows,
            nodes,
            buffers,
            variadic_counts,
        }
    }

    /// Writes a message's metadata over `out`, framed.
    #[inline]
    pub(crate) fn write(
        &mut self,
        out: &mut Vec<u8>,
        numbers: &Numbers,
        layout: &Layout,
        metadata: &Metadata,
    ) -> Result<()> {
        if self.head.lengths != layout.lengths()
            || self.head.bytes.is_empty()
            || !layout.variadic_counts.is_empty()
            || !metadata.is_empty()
        {
            return self.write_anew(out, numbers, layout, metadata);
        }
        let Head { bytes, lengths: [_, buffers], padding } = &self.head;
        out.clear();
        out.extend_from_slice(bytes);
        self.set_numbers(out, numbers);
        out.extend_from_slice(layout.nodes.as_flattened().to_byte_slice());
        out.extend_from_slice(&vector_header(*buffers));
        out.extend_from_slice(layout.buffers.as_flattened().to_byte_slice());
        if *padding > 0 {
            out.resize(out.len() + padding, 0);
        }
        Ok(())
    }

    /// As [`write`](Self::write), for a message that may have any lists, and keeps what the next may share with it.
    #[cold]
    fn write_anew(&mut self, out: &mut Vec<u8>, numbers: &Numbers, layout: &Layout, metadata: &Metadata) -> Result<()> {
        check_size(layout, metadata)?;
        out.clear();
        out.extend_from_slice(&self.bytes);
        self.set_numbers(out, numbers);
        vector(out, self.nodes.at, layout.nodes.len(), layout.nodes.as_flattened().to_byte_slice());
        vector(out, self.buffers.at, layout.buffers.len(), layout.buffers.as_flattened().to_byte_slice());
        let end_of_lists = out.len();
        if !layout.variadic_counts.is_empty() {
            self.variadic_counts.put_in(out);
            let counts = &layout.variadic_counts;
            vector(out, self.variadic_counts.at, counts.len(), counts.to_byte_slice());
        }
        if !metadata.is_empty() {
            self.custom_metadata.put_in(out);
            key_values(out, self.custom_metadata.at, metadata);
        }
        let is_plain = out.len() == end_of_lists && !self.version.is_legacy_framing();
        frame(out, 0, self.version, self.alignment)?;
        if is_plain {
            self.head.bytes.clear();
            self.head.bytes.extend_from_slice(&out[..self.bytes.len() + VECTOR_HEADER]);
            self.head.lengths = layout.lengths();
            self.head.padding = out.len() - end_of_lists;
        }
        Ok(())
    }

    #[inline]
    fn set_numbers(&self, out: &mut [u8], numbers: &Numbers) {
        self.body_length.set(out, numbers.body_length.to_le_bytes());
        self.rows.set(out, numbers.rows.to_le_bytes());
        if let (Some([id_field, delta_field]), Some((id, is_delta))) = (&self.dictionary, numbers.dictionary) {
            id_field.set(out, id.to_le_bytes());
            delta_field.set(out, [u8::from(is_delta)]);
        }
    }
}

/// A field of a table in the template.
#[derive(Debug)]
struct Field {
    /// Where the field stands.
    at: usize,
    /// Where the vtable says so, or says 0 if the field is left out.
    entry: usize,
    /// What the vtable says: where the field stands in its table.
    in_table: u16,
}

impl Field {
    fn set<const N: usize>(&self, bytes: &mut [u8], value: [u8; N]) {
        bytes[self.at..][..N].copy_from_slice(&value);
    }

    fn put_in(&self, bytes: &mut [u8]) {
        bytes[self.entry..][..2].copy_from_slice(&self.in_table.to_le_bytes());
    }

    fn leave_out(&self, bytes: &mut [u8]) {
        bytes[self.entry..][..2].fill(0);
    }
}

/// Appends a vtable and its table, and points the offset at `reference` to it. The fields, of these sizes in bytes,
/// are all there, and 0.
fn table<const N: usize>(bytes: &mut Vec<u8>, reference: usize, sizes: [usize; N]) -> [Field; N] {
    align(bytes, 4);
    let vtable = bytes.len();
    let start = (vtable + 4 + 2 * N).next_multiple_of(8);
    let mut end = start + 4;
    let mut positions = [0; N];
    for size in [4, 8, 2, 1] {
        for (position, _) in positions.iter_mut().zip(sizes).filter(|(_, s)| *s == size) {
            *position = end.next_multiple_of(size);
            end = *position + size;
        }
    }
    bytes.resize(end, 0);
    put_u16(bytes, vtable, 4 + 2 * N);
    put_u16(bytes, vtable + 2, end - start);
    put_offset(bytes, start, start - vtable);
    put_offset(bytes, reference, start - reference);
    let mut entry = vtable + 2;
    positions.map(|at| {
        entry += 2;
        Field { at, entry, in_table: put_u16(bytes, entry, at - start) }
    })
}

/// Appends a vector of `count` elements, aligned to 8, and points the offset at `reference` to it.
fn vector(out: &mut Vec<u8>, reference: usize, count: usize, elements: &[u8]) {
    // What stands before ends on a multiple of 8, and so does the header.
    debug_assert_eq!(out.len() % 8, 0, "tables and vectors of structs end on a multiple of 8");
    let length_field = out.len() + VECTOR_HEADER - 4;
    put_offset(out, reference, length_field - reference);
    out.extend_from_slice(&vector_header(count));
    out.extend_from_slice(elements);
}

/// What stands before a vector's elements where these are aligned to 8: four bytes of padding, and how many they are.
#[inline]
fn vector_header(count: usize) -> [u8; VECTOR_HEADER] {
    let count = u32::try_from(count).expect("the size has been checked");
    (u64::from(count) << 32).to_le_bytes()
}

const VECTOR_HEADER: usize = 8;

/// Appends key-value pairs, and points the offset at `reference` to them.
fn key_values(out: &mut Vec<u8>, reference: usize, metadata: &Metadata) {
    align(out, 8);
    vector(out, reference, metadata.len(), &vec![0; 4 * metadata.len()]);
    let mut element = out.len() - 4 * metadata.len();
    for (key, value) in metadata {
        // KeyValue: key, value
        let fields = table(out, element, [4, 4]);
        for (field, string) in fields.iter().zip([key, value]) {
            align(out, 4);
            let at = out.len();
            put_offset(out, field.at, at - field.at);
            out.extend_from_slice(&[0; 4]);
            put_offset(out, at, string.len());
            out.extend_from_slice(string.as_bytes());
            out.push(0);
        }
        element += 4;
    }
    align(out, 8);
}

fn align(bytes: &mut Vec<u8>, boundary: usize) {
    bytes.resize(bytes.len().next_multiple_of(boundary), 0);
}

/// Stores a 32-bit offset or count.
#[inline]
fn put_offset(bytes: &mut [u8], at: usize, offset: usize) {
    let offset = u32::try_from(offset).expect("the size has been checked");
    bytes[at..][..4].copy_from_slice(&offset.to_le_bytes());
}

fn put_u16(bytes: &mut [u8], at: usize, number: usize) -> u16 {
    let number = u16::try_from(number).expect("a table is some 30 bytes long");
    bytes[at..][..2].copy_from_slice(&number.to_le_bytes());
    number
}

/// Refuses what would not fit the format's 32-bit offsets; generously, so that nothing else need be checked.
fn check_size(layout: &Layout, metadata: &Metadata) -> Result<()> {
    let structs = (layout.nodes.len() + layout.buffers.len() + layout.variadic_counts.len()) as u64 * 16;
    limits::check("message metadata", limits::batch(structs, metadata))
}

#[cfg(test)]
mod tests {
    use arrow_ipc::root_as_message;

    use super::*;

    fn pair(a: i64, b: i64) -> Pair {
        [a.cast_unsigned(), b.cast_unsigned()]
    }

    #[test]
    fn what_is_written_is_what_the_generated_code_reads() {
        let codecs = [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)];
        let dictionaries = [None, Some((7, false)), Some((8, true))];
        for (codec, dictionary) in codecs.into_iter().flat_map(|c| dictionaries.map(|d| (c, d))) {
            let kind = if dictionary.is_some() { Kind::DictionaryBatch } else { Kind::RecordBatch };
            let mut template = Template::new(kind, codec, &Options::default());
            // Lists of each length twice, with other contents, so that the second time all that can be kept is kept;
            // and with more than nodes and buffers in between, which is not to be kept.
            for (length, more, seed) in
                [(0, false, 1), (0, true, 2), (0, false, 3), (1, false, 4), (1, true, 5), (5, false, 6), (5, false, 7)]
            {
                let numbers = Numbers { rows: 11 + seed, body_length: 640 * seed, dictionary };
                check(&mut template, codec, &numbers, length, more, seed);
            }
        }
    }

    fn check(
        template: &mut Template,
        codec: Option<CompressionType>,
        numbers: &Numbers,
        length: i64,
        more: bool,
        seed: i64,
    ) {
        let list = |factor| (0..length).map(|i| pair(i * factor + seed, -i)).collect::<Vec<_>>();
        let extra = if more { 3 } else { 0 };
        let layout =
            Layout { nodes: list(3), buffers: list(5), variadic_counts: (0..extra).map(i64::cast_unsigned).collect() };
        let metadata: Metadata =
            (0..extra).map(|i| (format!("key {i}"), "x".repeat(usize::try_from(3 * i).unwrap()))).collect();
        let mut bytes = vec![1, 2, 3];
        template.write(&mut bytes, numbers, &layout, &metadata).unwrap();
        assert_eq!(bytes.len() % 64, 0);
        assert_eq!(bytes[..4], [0xff; 4]);
        assert_eq!(bytes[4..8], i32::try_from(bytes.len() - PREFIX).unwrap().to_le_bytes());

        let message = root_as_message(&bytes[PREFIX..]).unwrap();
        assert_eq!(message.version(), arrow_ipc::MetadataVersion::V5);
        assert_eq!(message.bodyLength(), numbers.body_length);
        let read = message.custom_metadata().into_iter().flatten();
        let read: Metadata = read.map(|kv| (kv.key().unwrap().to_owned(), kv.value().unwrap().to_owned())).collect();
        assert_eq!(read, metadata);
        assert_eq!(message.custom_metadata().is_some(), more);
        let batch = match numbers.dictionary {
            None => message.header_as_record_batch().unwrap(),
            Some((id, is_delta)) => {
                let batch = message.header_as_dictionary_batch().unwrap();
                assert_eq!((batch.id(), batch.isDelta()), (id, is_delta));
                batch.data().unwrap()
            }
        };
        assert_eq!(batch.length(), numbers.rows);
        assert_eq!(batch.compression().map(|c| c.codec()), codec);
        let nodes = batch.nodes().unwrap().iter().map(|n| pair(n.length(), n.null_count()));
        assert_eq!(nodes.collect::<Vec<_>>(), layout.nodes);
        let buffers = batch.buffers().unwrap().iter().map(|b| pair(b.offset(), b.length()));
        assert_eq!(buffers.collect::<Vec<_>>(), layout.buffers);
        let counts = batch.variadicBufferCounts().into_iter().flatten().map(i64::cast_unsigned);
        assert_eq!(counts.collect::<Vec<_>>(), layout.variadic_counts);
        assert_eq!(batch.variadicBufferCounts().is_some(), more);
    }
}
