//! What the format's 32-bit lengths and offsets cannot reach, refused before anybody tries to build it.
//!
//! Bodies are counted in 64 bits. Metadata is not: a schema, a batch's list of buffers, a footer and the key-value pairs
//! in them have to fit 2 GiB each. The builders of flatbuffers panic beyond that, so lengths are estimated first: never
//! too small, and too large by what matters only for metadata that nobody could use.

use arrow_schema::{DataType, Field, Metadata, Schema};

use crate::error::{Error, Result};

/// No less than what a table takes beside the strings and lists in it.
const TABLE: u64 = 512;
/// What the footer has for each message.
const BLOCK: u64 = 24;

/// Refuses metadata that may be of so many bytes.
pub(crate) fn check(what: &'static str, length: u64) -> Result<()> {
    let limit = i32::MAX.unsigned_abs().into();
    if length > limit { Err(Error::TooLarge { what, length, limit }) } else { Ok(()) }
}

/// No less than the bytes of key-value pairs.
pub(crate) fn key_values(metadata: &Metadata) -> u64 {
    metadata.iter().map(|(key, value)| 64 + key.len() as u64 + value.len() as u64).sum()
}

/// No less than the bytes of a batch's metadata, with a list of so many bytes.
pub(crate) fn batch(lists: u64, metadata: &Metadata) -> u64 {
    2 * TABLE + lists + key_values(metadata)
}

/// No less than the bytes of a schema.
pub(crate) fn schema(schema: &Schema) -> u64 {
    TABLE + key_values(schema.metadata()) + schema.fields().iter().map(|child| field(child)).sum::<u64>()
}

/// No less than the bytes of a footer with a schema of so many bytes, and so many blocks.
pub(crate) fn footer(schema: u64, blocks: usize, metadata: &Metadata) -> u64 {
    TABLE + schema + BLOCK * blocks as u64 + key_values(metadata)
}

fn field(field: &Field) -> u64 {
    TABLE + field.name().len() as u64 + key_values(field.metadata()) + data_type(field.data_type())
}

fn data_type(of: &DataType) -> u64 {
    match of {
        DataType::Timestamp(_, Some(zone)) => zone.len() as u64,
        DataType::Dictionary(_, values) => data_type(values),
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::ListView(child)
        | DataType::LargeListView(child)
        | DataType::FixedSizeList(child, _)
        | DataType::Map(child, _) => field(child),
        DataType::RunEndEncoded(run_ends, values) => field(run_ends) + field(values),
        DataType::Struct(fields) => fields.iter().map(|child| field(child)).sum(),
        DataType::Union(fields, _) => fields.iter().map(|(_, child)| field(child)).sum(),
        _ => 0,
    }
}
