//! Limits of the format's 32-bit lengths: schema, batch metadata and footer have at most 2 GiB each. Bodies have 64-bit
//! lengths.
//!
//! The builders of flatbuffers panic beyond that, so lengths are estimated first. An estimate is never too small; it
//! exceeds the real length by a factor that only matters for metadata of nearly 2 GiB.

use arrow_schema::{DataType, Field, Schema};

use crate::error::{Error, Result};
use crate::key_values::Metadata;

/// At least what a table takes besides the strings and lists in it.
const TABLE: u64 = 512;
/// The bytes of a footer for each message.
const BLOCK: u64 = 24;

/// Refuses metadata that may have more than 2 GiB.
pub(crate) fn check(what: &'static str, length: u64) -> Result<()> {
    let limit = i32::MAX.unsigned_abs().into();
    if length > limit { Err(Error::TooLarge { what, length, limit }) } else { Ok(()) }
}

/// Refuses an output whose length does not fit 63 bits: a footer stores positions as signed 64-bit numbers.
pub(crate) fn check_output(length: u64) -> Result<()> {
    let limit = i64::MAX.unsigned_abs();
    if length > limit { Err(Error::TooLarge { what: "output", length, limit }) } else { Ok(()) }
}

/// Returns at least the bytes of key-value pairs.
pub(crate) fn key_values<'m>(pairs: impl IntoIterator<Item = (&'m String, &'m String)>) -> u64 {
    pairs.into_iter().map(|(key, value)| key_value(key, value)).sum()
}

/// Returns at least the bytes of a key-value pair.
pub(crate) fn key_value(key: &str, value: &str) -> u64 {
    64 + key.len() as u64 + value.len() as u64
}

/// Returns at least the bytes of a batch's metadata, with lists of `lists` bytes.
pub(crate) fn batch(lists: u64, metadata: &Metadata) -> u64 {
    2 * TABLE + lists + key_values(metadata)
}

/// Returns at least the bytes of a schema.
pub(crate) fn schema(schema: &Schema) -> u64 {
    TABLE + key_values(schema.metadata()) + schema.fields().iter().map(|child| field(child)).sum::<u64>()
}

/// Returns at least the bytes of a footer with a schema and key-value pairs of these lengths, and `blocks` blocks.
pub(crate) fn footer(schema: u64, blocks: usize, key_values: u64) -> u64 {
    TABLE + schema + BLOCK * blocks as u64 + key_values
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_ipc::convert::metadata_to_fb;
    use arrow_ipc::{Buffer, FieldNode, MessageBuilder, MessageHeader, RecordBatchBuilder};
    use arrow_schema::{Metadata, TimeUnit, UnionFields, UnionMode};
    use flatbuffers::FlatBufferBuilder;

    use super::*;
    use crate::message::Message;
    use crate::options::Options;
    use crate::output::footer::{Footer, block};
    use crate::schema::StreamSchema;

    /// Whether `taken_for` is no less than `length`, and not out of all proportion either.
    fn assert_fair(taken_for: u64, length: usize, what: &str) {
        let length = length as u64;
        assert!((length..=16 * (length + TABLE)).contains(&taken_for), "{what}: {length} bytes, taken for {taken_for}");
    }

    #[test]
    fn outputs_end_where_63_bits_do() {
        assert!(check_output(1 << 62).is_ok() && check_output((1 << 63) - 1).is_ok());
        for beyond in [1 << 63, u64::MAX] {
            assert!(
                matches!(check_output(beyond), Err(Error::TooLarge { what: "output", length, .. }) if length == beyond)
            );
        }
    }

    fn long(of: &str) -> String {
        of.repeat(20_000)
    }

    fn pairs() -> Vec<Metadata> {
        let many = (0..2000).map(|n| (n.to_string(), String::new())).collect::<Vec<_>>();
        let many = many.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        vec![
            Metadata::new(),
            Metadata::from([("key", "value"), ("", "")]),
            Metadata::from([(long("k").as_str(), "")]),
            Metadata::from([("", long("v").as_str())]),
            many.collect(),
        ]
    }

    #[test]
    fn what_just_fits_is_not_refused() {
        let most = i32::MAX.unsigned_abs().into();
        check("schema", most).unwrap();
        let refused = check("schema", most + 1).unwrap_err();
        assert!(matches!(refused, Error::TooLarge { what: "schema", .. }), "{refused:?}");
    }

    #[test]
    fn a_schema_is_no_longer_than_it_is_taken_for() {
        let field = |data_type| Field::new("field", data_type, true);
        let child = |data_type| Arc::new(field(data_type));
        let named = || Field::new(long("n"), DataType::Int8, true);
        let zoned = || DataType::Timestamp(TimeUnit::Second, Some(long("z").into()));
        let dictionary = |values| DataType::Dictionary(Box::new(DataType::Int64), Box::new(values));
        let entries = |value| DataType::Struct(vec![Field::new("key", DataType::Utf8, false), value].into());
        let union = |of: Field| UnionFields::try_new([5, 7], [field(DataType::Null), of]).unwrap();
        let run_ends = || Field::new(long("r"), DataType::Int16, false);
        let types = [
            DataType::Null,
            DataType::Decimal256(76, 0),
            zoned(),
            dictionary(zoned()),
            dictionary(DataType::LargeUtf8),
            DataType::List(named().into()),
            DataType::LargeList(named().into()),
            DataType::ListView(named().into()),
            DataType::LargeListView(named().into()),
            DataType::FixedSizeList(named().into(), 3),
            DataType::FixedSizeList(child(dictionary(DataType::Utf8)), 3),
            DataType::Map(child(entries(named())), false),
            entries(named()),
            DataType::Union(union(named()), UnionMode::Dense),
            DataType::RunEndEncoded(run_ends().into(), child(dictionary(DataType::Utf8))),
            DataType::RunEndEncoded(child(DataType::Int16), named().into()),
        ];
        let alone = types.iter().map(|data_type| vec![field(data_type.clone())]);
        let fields =
            alone.chain([vec![], vec![named()], types.clone().map(field).into(), vec![field(DataType::Null); 100]]);
        let check = |schema: Schema, what: &str| {
            let taken_for = super::schema(&schema);
            let schema = StreamSchema::try_new(Arc::new(schema), &Options::default()).unwrap();
            assert_fair(taken_for, schema.flatbuffer().len(), what);
        };
        for fields in fields {
            check(Schema::new(fields.clone()), &format!("{:.200}", format!("{fields:?}")));
        }
        for pairs in pairs() {
            check(Schema::empty().with_metadata(pairs.clone()), "metadata of the schema");
            check(Schema::new([field(DataType::Null).with_metadata(pairs)].to_vec()), "metadata of a field");
        }
    }

    #[test]
    fn a_batch_is_no_longer_than_it_is_taken_for() {
        for (count, pairs) in
            [0, 1, 5000].into_iter().flat_map(|count| pairs().into_iter().map(move |pairs| (count, pairs)))
        {
            let mut fbb = FlatBufferBuilder::new();
            let nodes = fbb.create_vector(&vec![FieldNode::new(1, 0); count]);
            let buffers = fbb.create_vector(&vec![Buffer::new(0, 8); 3 * count]);
            let metadata = metadata_to_fb(&mut fbb, &pairs);
            let mut builder = RecordBatchBuilder::new(&mut fbb);
            builder.add_length(1);
            builder.add_nodes(nodes);
            builder.add_buffers(buffers);
            let header = builder.finish().as_union_value();
            let mut builder = MessageBuilder::new(&mut fbb);
            builder.add_version(arrow_ipc::MetadataVersion::V5);
            builder.add_header_type(MessageHeader::RecordBatch);
            builder.add_bodyLength(8);
            builder.add_header(header);
            builder.add_custom_metadata(metadata);
            let root = builder.finish();
            fbb.finish(root, None);
            let own = pairs.into_iter().collect();
            assert_fair(batch(4 * count as u64 * 16, &own), fbb.finished_data().len(), "a batch");
        }
    }

    #[test]
    fn a_footer_is_no_longer_than_it_is_taken_for() {
        let options = Options::default();
        let columns = Schema::new(vec![Field::new(long("n"), DataType::Int8, true)]);
        for schema in [Schema::empty(), columns] {
            let schema = StreamSchema::try_new(Arc::new(schema), &options).unwrap();
            for (dictionaries, record_batches) in [(0, 0), (0, 3000), (2000, 1), (1000, 1000)] {
                for pairs in pairs() {
                    let mut made = Footer::new(&schema, &options);
                    let block = block(8, &Message::<&[u8]>::default());
                    made.dictionaries = vec![block; dictionaries];
                    made.record_batches = vec![block; record_batches];
                    pairs.iter().for_each(|(key, value)| made.insert(key.clone(), value.clone()).unwrap());
                    let taken_for = footer(made.schema_length, dictionaries + record_batches, key_values(&pairs));
                    let [flatbuffer, ..] = made.finish(&schema, &options, &[]).unwrap().pieces().map(<[u8]>::len);
                    assert_fair(taken_for, flatbuffer, "a footer");
                }
            }
        }
    }
}
