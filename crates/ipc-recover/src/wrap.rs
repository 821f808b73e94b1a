//! Wraps a schema's flatbuffer into a message or a footer, without taking it apart.
//!
//! Offsets in a flatbuffer are relative and point forward. So a verified flatbuffer can be placed after new tables as
//! it is, and the new tables can point into it. A schema that is copied this way keeps the dictionary ids that the kept
//! messages refer to, and takes no memory.
//!
//! A flatbuffer counts alignment from its own start, so it is placed at a multiple of 8.

use std::io::{self, Write};

use arrow_ipc::{MessageHeader, MetadataVersion};
use ipc_core::format::{CHECKSUMS, CHECKSUMS_KEY, FOOTER_MAGIC};

use crate::error::Error;
use crate::format::Place;

/// A flatbuffer, and the positions in it of the parts that new tables point to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wrapped<'b> {
    pub(crate) bytes: &'b [u8],
    pub(crate) schema: usize,
    /// The position of a footer's key-value pairs.
    pub(crate) metadata: Option<usize>,
    pub(crate) version: MetadataVersion,
    /// Whether the message announces checksums, which all batches after it have. A footer never does.
    pub(crate) has_checksums: bool,
}

impl Wrapped<'_> {
    /// Returns the flatbuffer of a schema message.
    pub(crate) fn message(&self) -> Result<Vec<u8>, Error> {
        let mut tables = Tables::default();
        let wrapped_at = if self.has_checksums { ANNOUNCED } else { MESSAGE };
        tables.u32(20); // the root: a Message
        // Its vtable: the sizes of both, then version, headerType, header, bodyLength (left out) and custom_metadata.
        for field in [14, 16, 8, 10, 4, 0, if self.has_checksums { 12 } else { 0 }] {
            tables.u16(field);
        }
        tables.pad(20);
        tables.u32(16); // how far back the vtable is
        tables.reference(wrapped_at, self.schema)?; // header
        tables.u16(self.version.0.cast_unsigned()); // version
        tables.bytes.extend_from_slice(&[MessageHeader::Schema.0, 0]); // headerType
        if self.has_checksums {
            tables.u32(4); // custom_metadata: how far ahead the list is
            tables.announcement();
        }
        tables.pad(wrapped_at);
        tables.bytes.extend_from_slice(self.bytes);
        Ok(tables.bytes)
    }

    /// Writes a footer that lists these positions, its length, and the magic at the end of a file.
    pub(crate) fn write_footer<D, R>(&self, output: &mut impl Write, dictionaries: D, batches: R) -> Result<u64, Error>
    where
        D: ExactSizeIterator<Item = Place>,
        R: ExactSizeIterator<Item = Place>,
    {
        let vector = |at: usize, count: usize| count.checked_mul(BLOCK).and_then(|length| length.checked_add(at));
        let dictionaries_at = FOOTER;
        let batches_at = vector(dictionaries_at + 8, dictionaries.len()).ok_or(TOO_LARGE)?;
        let wrapped_at = batches_at.checked_add(8).and_then(|at| vector(at, batches.len())).ok_or(TOO_LARGE)?;
        let length = wrapped_at.checked_add(self.bytes.len()).and_then(|length| i32::try_from(length).ok());
        let length = length.ok_or(TOO_LARGE)?;

        let mut tables = Tables::default();
        tables.u32(24); // the root: a Footer
        // Its vtable: the sizes of both, then version, schema, dictionaries, recordBatches and custom_metadata.
        for field in [14, 24, 20, 4, 8, 12, if self.metadata.is_some() { 16 } else { 0 }] {
            tables.u16(field);
        }
        tables.pad(24);
        tables.u32(20); // how far back the vtable is
        tables.reference(wrapped_at, self.schema)?; // schema
        tables.reference(dictionaries_at, 4)?; // dictionaries
        tables.reference(batches_at, 4)?; // recordBatches
        tables.reference(wrapped_at, self.metadata.unwrap_or(0))?; // custom_metadata
        tables.u16(self.version.0.cast_unsigned()); // version
        tables.pad(FOOTER);

        let write = |output: &mut dyn Write| {
            output.write_all(&tables.bytes)?;
            write_blocks(output, dictionaries)?;
            write_blocks(output, batches)?;
            output.write_all(self.bytes)?;
            output.write_all(&length.to_le_bytes())?;
            output.write_all(FOOTER_MAGIC)
        };
        write(output).map_err(Error::Write)?;
        Ok(u64::from(length.unsigned_abs()) + 4 + FOOTER_MAGIC.len() as u64)
    }
}

/// Tables, while they are built.
#[derive(Debug, Default)]
struct Tables {
    bytes: Vec<u8>,
}

impl Tables {
    fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Appends a reference to `start + offset`.
    fn reference(&mut self, start: usize, offset: usize) -> Result<(), Error> {
        let distance = start.checked_add(offset).and_then(|target| target.checked_sub(self.bytes.len()));
        self.u32(distance.and_then(|distance| u32::try_from(distance).ok()).ok_or(TOO_LARGE)?);
        Ok(())
    }

    /// Appends a list of one key-value pair, which announces checksums.
    fn announcement(&mut self) {
        self.u32(1); // how many pairs
        self.u32(12); // how far ahead the pair is
        // Its vtable: the sizes of both, then key and value.
        for field in [8, 12, 4, 8] {
            self.u16(field);
        }
        self.u32(8); // how far back the vtable is
        let strings = [CHECKSUMS_KEY, CHECKSUMS].map(str::as_bytes);
        let padded = |string: &[u8]| (4 + string.len() + 1).next_multiple_of(4);
        // The first string follows both references.
        for distance in [8, 4 + padded(strings[0])] {
            self.u32(u32::try_from(distance).expect("a few bytes"));
        }
        for string in strings {
            let end = self.bytes.len() + padded(string);
            self.u32(u32::try_from(string.len()).expect("a few bytes"));
            self.bytes.extend_from_slice(string);
            self.pad(end);
        }
    }

    fn pad(&mut self, length: usize) {
        self.bytes.resize(length, 0);
    }
}

/// Writes a vector of blocks, whose elements must start at a multiple of 8.
fn write_blocks(output: &mut dyn Write, places: impl ExactSizeIterator<Item = Place>) -> io::Result<()> {
    let too_large = |_| io::Error::from(io::ErrorKind::InvalidInput);
    output.write_all(&[0; 4])?;
    output.write_all(&u32::try_from(places.len()).map_err(too_large)?.to_le_bytes())?;
    for place in places {
        let mut block = [0; BLOCK];
        block[..8].copy_from_slice(&place.offset.to_le_bytes());
        block[8..12].copy_from_slice(&u32::try_from(place.metadata_length).map_err(too_large)?.to_le_bytes());
        block[16..].copy_from_slice(&place.body_length.to_le_bytes());
        output.write_all(&block)?;
    }
    Ok(())
}

const TOO_LARGE: Error = Error::TooLarge { what: "footer" };

/// The padded length of the tables of a message.
const MESSAGE: usize = 40;

/// The same for a message that announces checksums.
const ANNOUNCED: usize = 96;

/// The length of the tables of a footer.
const FOOTER: usize = 48;

/// The length of a block: offset, length of the metadata, padding, length of the body.
const BLOCK: usize = 24;

#[cfg(test)]
mod tests {
    use arrow_ipc::{root_as_footer, root_as_message};

    use super::*;

    const PLACE: Place = Place { offset: 8, metadata_length: 16, body_length: 24 };

    /// A schema's flatbuffer with one column, made by arrow.
    fn schema() -> Vec<u8> {
        use arrow_ipc::{FieldBuilder, NullBuilder, SchemaBuilder, Type};
        let mut fbb = flatbuffers::FlatBufferBuilder::new();
        let name = fbb.create_string("a");
        let null = NullBuilder::new(&mut fbb).finish().as_union_value();
        let mut field = FieldBuilder::new(&mut fbb);
        field.add_name(name);
        field.add_type_type(Type::Null);
        field.add_type_(null);
        let field = field.finish();
        let fields = fbb.create_vector(&[field]);
        let mut schema = SchemaBuilder::new(&mut fbb);
        schema.add_fields(fields);
        let schema = schema.finish();
        fbb.finish(schema, None);
        fbb.finished_data().to_vec()
    }

    fn wrapped(bytes: &[u8]) -> Wrapped<'_> {
        let schema = flatbuffers::root::<arrow_ipc::Schema<'_>>(bytes).unwrap()._tab.loc();
        Wrapped { bytes, schema, metadata: None, version: MetadataVersion::V5, has_checksums: false }
    }

    #[test]
    fn a_message_holds_the_schema() {
        let bytes = schema();
        for has_checksums in [false, true] {
            let message = Wrapped { has_checksums, ..wrapped(&bytes) }.message().unwrap();
            let message = root_as_message(&message).unwrap();
            assert_eq!((message.version(), message.bodyLength()), (MetadataVersion::V5, 0));
            assert_eq!(message.header_as_schema().unwrap().fields().unwrap().get(0).name(), Some("a"));
            let pairs = message.custom_metadata().into_iter().flatten();
            let announced: Vec<_> = pairs.map(|pair| (pair.key().unwrap(), pair.value().unwrap())).collect();
            let expected = [(CHECKSUMS_KEY, CHECKSUMS)];
            assert_eq!(announced, if has_checksums { &expected[..] } else { &[] });
        }
    }

    #[test]
    fn a_footer_holds_the_schema_and_the_places() {
        let bytes = schema();
        for (dictionaries, batches) in [(0, 0), (1, 2), (3, 1)] {
            let mut footer = Vec::new();
            let places = |count| vec![PLACE; count].into_iter();
            let length = wrapped(&bytes).write_footer(&mut footer, places(dictionaries), places(batches)).unwrap();
            assert_eq!(footer.len() as u64, length);
            let footer = root_as_footer(&footer[..footer.len() - 10]).unwrap();
            assert_eq!(
                (footer.dictionaries().unwrap().len(), footer.recordBatches().unwrap().len()),
                (dictionaries, batches)
            );
            for block in footer.recordBatches().unwrap() {
                assert_eq!((block.offset(), block.metaDataLength(), block.bodyLength()), (8, 16, 24));
            }
            assert_eq!(footer.schema().unwrap().fields().unwrap().get(0).name(), Some("a"));
            assert_eq!(footer.version(), MetadataVersion::V5);
        }
    }
}
