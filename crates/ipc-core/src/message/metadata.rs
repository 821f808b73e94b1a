//! The metadata of batch messages, written directly.
//!
//! The tables of a batch's metadata are always the same, so they are laid out once, as a [`Template`], and copied. Most
//! messages also have lists as long as the message before: each starts as a copy of that one ([`Previous`]), and its
//! lists are written in place ([`Draft`]). A message with lists of other lengths is written anew.
//!
//! Schema and footer, which are written once, are built with the generated code. The tables are those of
//! [`Message.fbs`](https://github.com/apache/arrow/blob/main/format/Message.fbs).

use std::ops::Range;
use std::slice;

use arrow_buffer::ToByteSlice;
use arrow_ipc::{CompressionType, MessageHeader};

use crate::error::Result;
use crate::format::{Alignment, CHECKSUM_KEY, Checksum, MetadataVersion};
use crate::key_values::Metadata;
use crate::limits;
use crate::message::flatbuffer::{TableField, VECTOR_HEADER, align, key_values, table, vector, vector_header};
use crate::message::frame::{PREFIX, frame};
use crate::options::Options;

/// A pair of 64-bit numbers, the layout of the format's structs `FieldNode` and `Buffer`. The format's numbers are
/// signed; lengths that would not fit are refused before.
type Pair = [[u8; 8]; 2];

const PAIR: usize = size_of::<Pair>();

/// Entries for which a draft has no place. The memory is kept from message to message.
#[derive(Debug, Default)]
pub(crate) struct Overflow {
    nodes: Vec<Pair>,
    buffers: Vec<Pair>,
    variadic_counts: Vec<u64>,
}

impl Overflow {
    fn clear(&mut self) {
        self.nodes.clear();
        self.buffers.clear();
        self.variadic_counts.clear();
    }

    fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.buffers.is_empty() && self.variadic_counts.is_empty()
    }
}

/// The lists that describe a body while it is encoded. Entries go to the places they had in the previous message; those
/// beyond go to the overflow.
#[derive(Debug)]
pub(crate) struct Draft<'m> {
    nodes: slice::IterMut<'m, Pair>,
    buffers: slice::IterMut<'m, Pair>,
    overflow: &'m mut Overflow,
}

impl Draft<'_> {
    /// Adds a `FieldNode`.
    #[inline(always)]
    pub(crate) fn node(&mut self, length: u64, null_count: u64) {
        put(&mut self.nodes, &mut self.overflow.nodes, length, null_count);
    }

    /// Adds a `Buffer`.
    #[inline(always)]
    pub(crate) fn buffer(&mut self, offset: u64, length: u64) {
        put(&mut self.buffers, &mut self.overflow.buffers, offset, length);
    }

    /// Adds the number of a view array's data buffers.
    pub(crate) fn variadic_count(&mut self, count: u64) {
        self.overflow.variadic_counts.push(count);
    }

    /// Returns the number of places that are not filled yet.
    #[inline(always)]
    pub(crate) fn remaining(&self) -> Remaining {
        Remaining { nodes: self.nodes.len(), buffers: self.buffers.len() }
    }
}

#[inline(always)]
fn put(list: &mut slice::IterMut<'_, Pair>, overflow: &mut Vec<Pair>, first: u64, second: u64) {
    match list.next() {
        // Two stores. A pair that is put together first is loaded again before the stores have completed.
        Some([one, other]) => (*one, *other) = (first.to_le_bytes(), second.to_le_bytes()),
        None => put_in_overflow(overflow, first, second),
    }
}

#[inline(never)]
fn put_in_overflow(overflow: &mut Vec<Pair>, first: u64, second: u64) {
    overflow.push([first.to_le_bytes(), second.to_le_bytes()]);
}

/// The number of places in a draft that are not filled: entries of the previous message that this one does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remaining {
    nodes: usize,
    buffers: usize,
}

/// The kind of a batch message.
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
    /// The body's checksum, if the output has checksums.
    pub(crate) checksum: Option<Checksum>,
}

/// The tables of one kind of message, and the positions of the numbers and list offsets in them.
#[derive(Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    version: MetadataVersion,
    alignment: Alignment,
    previous: Previous,
    /// `Message`
    body_length: TableField,
    custom_metadata: TableField,
    /// `DictionaryBatch`: id and isDelta
    dictionary: Option<[TableField; 2]>,
    /// `RecordBatch`
    rows: TableField,
    nodes: TableField,
    buffers: TableField,
    variadic_counts: TableField,
}

/// The last framed message that had tables, nodes, buffers and perhaps a checksum, but no other metadata.
#[derive(Debug, Default)]
struct Previous {
    /// Empty if there is none yet, and with legacy framing, which moves the tables.
    bytes: Vec<u8>,
    /// The positions of the nodes, and after them the buffers.
    nodes: Range<usize>,
    buffers: Range<usize>,
    /// The position of the checksum's digits; empty without checksums.
    checksum: Range<usize>,
}

impl Template {
    /// Lays out the tables of a message of this kind, whose body is compressed with `codec`.
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
        let previous = Previous::default();
        Self {
            bytes,
            version,
            alignment,
            previous,
            body_length,
            custom_metadata,
            dictionary,
            rows,
            nodes,
            buffers,
            variadic_counts,
        }
    }

    /// Begins a message's metadata over `out`.
    #[inline]
    pub(crate) fn begin<'m>(&self, out: &'m mut Vec<u8>, overflow: &'m mut Overflow) -> Draft<'m> {
        let Previous { bytes, nodes, buffers, .. } = &self.previous;
        overflow.clear();
        if !bytes.is_empty() && out.len() == bytes.len() {
            // The memory most likely held a message like this one. Everything but the lists is copied; `finish` makes
            // sure that all of the lists has been written.
            out[..nodes.start].copy_from_slice(&bytes[..nodes.start]);
            out[buffers.start - VECTOR_HEADER..buffers.start].copy_from_slice(&vector_header(buffers.len() / PAIR));
            if buffers.end < bytes.len() {
                // Padding, and after it the checksum's pair, if there is one.
                out[buffers.end..].copy_from_slice(&bytes[buffers.end..]);
            }
        } else {
            out.clone_from(bytes);
        }
        let (before, after) = out.split_at_mut(buffers.start);
        let pairs = |bytes| <[u8]>::as_chunks_mut(bytes).0.as_chunks_mut().0.iter_mut();
        Draft { nodes: pairs(&mut before[nodes.clone()]), buffers: pairs(&mut after[..buffers.len()]), overflow }
    }

    /// Turns the draft in `out` and `overflow`, with `remaining` places not filled, into a framed message.
    #[inline]
    pub(crate) fn finish(
        &mut self,
        out: &mut Vec<u8>,
        overflow: &mut Overflow,
        remaining: Remaining,
        numbers: &Numbers,
        metadata: &Metadata,
    ) -> Result<()> {
        let has_the_same_lists =
            remaining == Remaining { nodes: 0, buffers: 0 } && overflow.is_empty() && metadata.is_empty();
        if !has_the_same_lists || self.previous.bytes.is_empty() {
            return self.write_anew(out, overflow, remaining, numbers, metadata);
        }
        self.set_numbers(out, numbers);
        if let Some(checksum) = numbers.checksum {
            out[self.previous.checksum.clone()].copy_from_slice(&checksum.digits());
        }
        Ok(())
    }

    /// Writes a message with lists of any length, and keeps it for the next one.
    #[cold]
    fn write_anew(
        &mut self,
        out: &mut Vec<u8>,
        overflow: &mut Overflow,
        remaining: Remaining,
        numbers: &Numbers,
        metadata: &Metadata,
    ) -> Result<()> {
        let Previous { nodes, buffers, .. } = &self.previous;
        overflow.nodes.splice(..0, drafted(&out[nodes.clone()], remaining.nodes));
        overflow.buffers.splice(..0, drafted(&out[buffers.clone()], remaining.buffers));
        check_size(overflow, metadata)?;
        out.clear();
        out.extend_from_slice(&self.bytes);
        self.set_numbers(out, numbers);
        let nodes = vector(out, self.nodes.at, overflow.nodes.len(), overflow.nodes.as_flattened().as_flattened());
        let buffers =
            vector(out, self.buffers.at, overflow.buffers.len(), overflow.buffers.as_flattened().as_flattened());
        let end_of_lists = out.len();
        if !overflow.variadic_counts.is_empty() {
            self.variadic_counts.put_in(out);
            let counts = &overflow.variadic_counts;
            vector(out, self.variadic_counts.at, counts.len(), counts.to_byte_slice());
        }
        let is_plain = out.len() == end_of_lists && metadata.is_empty() && !self.version.is_legacy_framing();
        let checksum = match numbers.checksum {
            None if metadata.is_empty() => 0..0,
            None => {
                self.custom_metadata.put_in(out);
                key_values(out, self.custom_metadata.at, metadata.len(), pairs(metadata))
            }
            Some(checksum) => {
                self.custom_metadata.put_in(out);
                let digits = checksum.digits();
                let pairs = pairs(metadata).chain([(CHECKSUM_KEY, digits.as_slice())]);
                key_values(out, self.custom_metadata.at, metadata.len() + 1, pairs)
            }
        };
        frame(out, 0, self.version, self.alignment)?;
        if is_plain {
            self.previous.bytes.clone_from(out);
            (self.previous.nodes, self.previous.buffers, self.previous.checksum) = (nodes, buffers, checksum);
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

/// Returns the entries of a list in a draft, of which the last `remaining` are not filled.
fn drafted(list: &[u8], remaining: usize) -> impl Iterator<Item = Pair> {
    let pairs = list.as_chunks().0.as_chunks().0;
    pairs[..pairs.len() - remaining].iter().copied()
}

/// Returns the pairs with their values as bytes.
fn pairs(metadata: &Metadata) -> impl Iterator<Item = (&str, &[u8])> {
    metadata.iter().map(|(key, value)| (key.as_str(), value.as_bytes()))
}

/// Refuses metadata that would not fit the format's 32-bit offsets. The estimate is generous, so that nothing else
/// needs a check.
fn check_size(lists: &Overflow, metadata: &Metadata) -> Result<()> {
    // The allowance around the lists covers the checksum's pair.
    let structs = (lists.nodes.len() + lists.buffers.len() + lists.variadic_counts.len()) as u64 * 16;
    limits::check("message metadata", limits::batch(structs, metadata))
}

#[cfg(test)]
mod tests {
    use arrow_ipc::root_as_message;

    use super::*;

    type Numbered = [i64; 2];

    #[test]
    fn what_is_written_is_what_the_generated_code_reads() {
        let codecs = [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)];
        let dictionaries = [None, Some((7, false)), Some((8, true))];
        let kinds = codecs.into_iter().flat_map(|c| dictionaries.map(|d| (c, d)));
        for ((codec, dictionary), has_checksums) in kinds.flat_map(|kind| [(kind, false), (kind, true)]) {
            let kind = if dictionary.is_some() { Kind::DictionaryBatch } else { Kind::RecordBatch };
            let mut template = Template::new(kind, codec, &Options::default());
            // Lists of each length twice, with other contents, so that the second time all that can be kept is kept;
            // with more than nodes and buffers in between, which is not to be kept; and shorter than those before.
            let lengths = [(0, false), (0, true), (0, false), (1, false), (1, true), (5, false), (5, false), (5, true)];
            let shorter = [(5, false), (4, false), (4, false), (0, true), (4, false), (1, false), (0, false)];
            // Stale contents must not matter.
            let mut bytes = vec![1, 2, 3];
            for ((length, more), seed) in lengths.into_iter().chain(shorter).zip(1i64..) {
                let mut checksum = Checksum::default();
                checksum.update(&seed.to_le_bytes());
                let checksum = has_checksums.then_some(checksum);
                let numbers = Numbers { rows: 11 + seed, body_length: 640 * seed, dictionary, checksum };
                check(&mut template, &mut bytes, codec, &numbers, length, more, seed);
                let mut anew = Vec::new();
                let mut template = Template::new(kind, codec, &Options::default());
                check(&mut template, &mut anew, codec, &numbers, length, more, seed);
                assert_eq!(bytes, anew);
                bytes.fill(0xaa);
            }
        }
    }

    fn check(
        template: &mut Template,
        bytes: &mut Vec<u8>,
        codec: Option<CompressionType>,
        numbers: &Numbers,
        length: i64,
        more: bool,
        seed: i64,
    ) {
        let list = |factor: i64| (0..length).map(|i| [i * factor + seed, -i]).collect::<Vec<Numbered>>();
        let (nodes, buffers) = (list(3), list(5));
        let extra: i64 = if more { 3 } else { 0 };
        let mut metadata: Metadata =
            (0..extra).map(|i| (format!("key {i}"), "x".repeat(usize::try_from(3 * i).unwrap()))).collect();
        let mut overflow = Overflow::default();
        let mut draft = template.begin(bytes, &mut overflow);
        nodes.iter().for_each(|node| draft.node(node[0].cast_unsigned(), node[1].cast_unsigned()));
        buffers.iter().for_each(|buffer| draft.buffer(buffer[0].cast_unsigned(), buffer[1].cast_unsigned()));
        (0..extra).for_each(|count| draft.variadic_count(count.cast_unsigned()));
        let remaining = draft.remaining();
        template.finish(bytes, &mut overflow, remaining, numbers, &metadata).unwrap();
        assert_eq!(bytes.len() % 64, 0);
        assert_eq!(bytes[..4], [0xff; 4]);
        assert_eq!(bytes[4..8], i32::try_from(bytes.len() - PREFIX).unwrap().to_le_bytes());

        let message = root_as_message(&bytes[PREFIX..]).unwrap();
        assert_eq!(message.version(), arrow_ipc::MetadataVersion::V5);
        assert_eq!(message.bodyLength(), numbers.body_length);
        let read = message.custom_metadata().into_iter().flatten();
        let read: Metadata = read.map(|kv| (kv.key().unwrap().to_owned(), kv.value().unwrap().to_owned())).collect();
        if let Some(checksum) = numbers.checksum {
            metadata.insert(CHECKSUM_KEY, String::from_utf8(checksum.digits().to_vec()).unwrap());
        }
        assert_eq!(read, metadata);
        assert_eq!(message.custom_metadata().is_some(), !metadata.is_empty());
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
        let read: Vec<Numbered> = batch.nodes().unwrap().iter().map(|n| [n.length(), n.null_count()]).collect();
        assert_eq!(read, nodes);
        let read: Vec<Numbered> = batch.buffers().unwrap().iter().map(|b| [b.offset(), b.length()]).collect();
        assert_eq!(read, buffers);
        let counts = batch.variadicBufferCounts().into_iter().flatten();
        assert!(counts.eq(0..extra));
        assert_eq!(batch.variadicBufferCounts().is_some(), more);
    }
}
