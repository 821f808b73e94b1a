//! Decodes an encoded record batch: decompresses its buffers and builds its arrays.
//!
//! Workers do this before they encode. An encoded batch holds everything that is needed: its metadata, its body, its
//! schema, and the dictionaries at its position in the input.
//!
//! Input is not trusted. Cheap checks come before arrow's reader: buffers must lie within the body, and no buffer may
//! claim to decompress to more than its codec can produce. Arrow's reader validates the arrays; a panic in it is caught
//! and reported as damage, and [`blame`](crate::blame) finds the column. Types that arrow does not know, and text that
//! is not UTF-8, are reported as not supported.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::KeyValue;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::{RecordBatchDecoder, read_dictionary};
use arrow_schema::{Field, Schema, SchemaRef};
use flatbuffers::{ForwardsUOffset, Vector};
use ipc_core::{Metadata, format::RESERVED_KEYS};
use ipc_recover::scan::Head;
use ipc_recover::{Checksums, Damage, Fault, claimed_length};

use crate::blame::{Blame, RefusedBatch, Values, dictionary_field};
use crate::catch_panic::catch_panic;

/// A record batch as encoded in its input.
pub(crate) struct Encoded {
    /// The name of the input.
    pub(crate) input: Arc<str>,
    pub(crate) head: Head,
    pub(crate) body: Buffer,
    /// Whether its body has a checksum to verify.
    pub(crate) checksums: Checksums,
    pub(crate) schema: SchemaRef,
    /// The dictionaries at the batch's position.
    pub(crate) dictionaries: Arc<Values>,
}

impl Encoded {
    /// Returns the record batch and its message's metadata. Leaves out the [`RESERVED_KEYS`]: a checksum is of the old
    /// body, not of the new one.
    pub(crate) fn decode(&self) -> Result<(RecordBatch, Metadata), Damage> {
        let Self { head, body, schema, dictionaries, checksums, .. } = self;
        checksums.verify(head, body)?;
        let message = head.message();
        let damaged = |reason: &str| damaged(head, "record batch", reason);
        let batch = message.header_as_record_batch().ok_or_else(|| damaged("the metadata is of another kind"))?;
        check(&batch, body).map_err(damaged)?;
        let decoded = catch_panic(|| {
            RecordBatchDecoder::try_new(body, batch, Arc::clone(schema), dictionaries, &message.version())?
                .read_record_batch()
        });
        let batch = decoded.map_err(|reason| {
            let refused = RefusedBatch { batch, body, dictionaries, version: message.version() };
            let reason = refused.first_column(schema.fields()).unwrap_or_else(|| Blame { path: String::new(), reason });
            refusal(head, "record batch", reason)
        })?;
        let mut metadata = metadata(message.custom_metadata());
        RESERVED_KEYS.iter().for_each(|key| drop(metadata.remove(key)));
        Ok((batch, metadata))
    }
}

/// Reads a dictionary batch into `values`. `own` is a schema with the dictionary's field alone; the field's path in
/// `schema` is looked up only for an error.
pub(crate) fn dictionary(
    head: &Head,
    body: &Buffer,
    schema: &Schema,
    own: &Schema,
    values: &mut Values,
) -> Result<(), Damage> {
    let message = head.message();
    let damaged = |reason: &str| damaged(head, "dictionary batch", reason);
    let dictionary = message.header_as_dictionary_batch().ok_or_else(|| damaged("the metadata is of another kind"))?;
    let batch = dictionary.data().ok_or_else(|| damaged("it has no values"))?;
    check(&batch, body).map_err(damaged)?;
    let read = catch_panic(|| read_dictionary(body, dictionary, own, values, &message.version()));
    read.map_err(|reason| {
        let Some((path, value_type)) = dictionary_field(schema.fields(), dictionary.id()) else {
            return damaged(&reason);
        };
        let refused = RefusedBatch { batch, body, dictionaries: values, version: message.version() };
        let inside = refused.first_column(&[Arc::new(Field::new(path.as_str(), value_type, true))]);
        refusal(head, "dictionary batch", inside.unwrap_or(Blame { path, reason }))
    })
}

/// Why the values of a column are refused.
fn refusal(head: &Head, what: &'static str, Blame { path, reason }: Blame) -> Damage {
    let reason = plain(&reason);
    let column = if path.is_empty() { String::new() } else { format!("column `{path}`: ") };
    let is_text = ["UTF-8", "UTF8", "utf-8"].iter().any(|name| reason.contains(name));
    let fault = if is_text {
        Fault::Unsupported { what: format!("text that is not UTF-8, in a {what}: {column}{reason}") }
    } else {
        Fault::Undecodable { what, reason: format!("{column}{reason}") }
    };
    Damage::new(head.place().offset, fault)
}

/// Returns arrow's message without the kind of its error.
fn plain(reason: &str) -> &str {
    let kinds = ["Invalid argument error: ", "Parser error: ", "Schema error: ", "Ipc error: "];
    kinds.iter().find_map(|kind| reason.strip_prefix(kind)).unwrap_or(reason)
}

/// Decodes the schema in a message or a footer, if this machine can read its byte order.
pub(crate) fn schema(schema: arrow_ipc::Schema<'_>) -> Result<SchemaRef, Fault> {
    if !schema.endianness().equals_to_target_endianness() {
        return Err(Fault::OtherByteOrder);
    }
    let decoded = catch_panic(|| try_fb_to_schema(schema));
    decoded.map(Arc::new).map_err(|reason| {
        let unknown = schema.fields().into_iter().flatten().find_map(unknown_type);
        let (path, reason) = unknown.unwrap_or((String::new(), reason));
        let reason = plain(&reason);
        match reason.split_once(" not supported").or_else(|| reason.split_once(" unsupported")) {
            Some((what, _)) if !path.is_empty() => {
                Fault::Unsupported { what: format!("the type of column `{path}`: {what}") }
            }
            _ if path.is_empty() => Fault::Undecodable { what: "schema", reason: reason.to_owned() },
            _ => Fault::Undecodable { what: "schema", reason: format!("column `{path}`: {reason}") },
        }
    })
}

/// Returns the path of the first field, this one or inside it, whose type arrow does not know, and arrow's message.
fn unknown_type(field: arrow_ipc::Field<'_>) -> Option<(String, String)> {
    let reason = catch_panic(|| Ok::<_, String>(Field::from(field))).err()?;
    let name = field.name().unwrap_or_default();
    let inside = field.children().into_iter().flatten().find_map(unknown_type);
    Some(match inside {
        Some((path, reason)) => (format!("{name}.{path}"), reason),
        // The message is the debug form of an error.
        None => (name.to_owned(), reason.split('"').nth(1).unwrap_or(&reason).to_owned()),
    })
}

/// Returns the key-value pairs of a message or a footer.
pub(crate) fn metadata(pairs: Option<Vector<'_, ForwardsUOffset<KeyValue<'_>>>>) -> Metadata {
    let mut metadata = Metadata::new();
    for pair in pairs.into_iter().flatten() {
        if let (Some(key), Some(value)) = (pair.key(), pair.value()) {
            metadata.insert(key, value);
        }
    }
    metadata
}

/// Checks what a batch claims about its rows, its arrays and its buffers.
fn check(batch: &arrow_ipc::RecordBatch<'_>, body: &[u8]) -> Result<(), &'static str> {
    if batch.length() < 0 {
        return Err("a negative number of rows");
    }
    for node in batch.nodes().into_iter().flatten() {
        if node.length() < 0 || !(0..=node.length()).contains(&node.null_count()) {
            return Err("an array with an impossible number of values or nulls");
        }
    }
    let codec = batch.compression().map(|compression| compression.codec());
    for buffer in batch.buffers().into_iter().flatten() {
        let bounds = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let bytes = bounds
            .and_then(|(start, length)| body.get(start..start.checked_add(length)?))
            .ok_or("a buffer beyond the end of the body")?;
        let Some(codec) = codec.filter(|_| !bytes.is_empty()) else { continue };
        let Some(claimed) = claimed_length(codec, bytes, bytes.len() as u64) else {
            return Err("a buffer that cannot decompress to what it claims");
        };
        if !has_room(claimed) {
            return Err("a buffer that claims to decompress to more than memory can hold");
        }
    }
    Ok(())
}

/// Returns whether this many bytes can be allocated. Arrow's reader allocates what a buffer claims, and a failed
/// allocation ends the program, which cannot be caught. A successful one touches only the memory that is filled.
fn has_room(length: u64) -> bool {
    usize::try_from(length).is_ok_and(|length| Vec::<u8>::new().try_reserve_exact(length).is_ok())
}

fn damaged(head: &Head, what: &'static str, reason: &str) -> Damage {
    Damage::new(head.place().offset, Fault::Undecodable { what, reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use arrow_ipc::{
        BodyCompressionBuilder, FieldNode, MessageBuilder, MessageHeader, MetadataVersion, RecordBatchBuilder,
    };
    use arrow_schema::{DataType, Field, UnionFields, UnionMode};
    use flatbuffers::FlatBufferBuilder;
    use ipc_recover::Source;
    use ipc_recover::scan::{self, Next};

    use super::*;

    /// A batch with one column, and a message that says what it likes about it.
    fn encoded(data_type: DataType, nodes: &[FieldNode], buffers: &[arrow_ipc::Buffer], body: &[u8]) -> Encoded {
        let mut fbb = FlatBufferBuilder::new();
        let compression = (!body.is_empty()).then(|| BodyCompressionBuilder::new(&mut fbb).finish());
        let (nodes, buffers) = (fbb.create_vector(nodes), fbb.create_vector(buffers));
        let mut batch = RecordBatchBuilder::new(&mut fbb);
        batch.add_length(5);
        batch.add_nodes(nodes);
        batch.add_buffers(buffers);
        if let Some(compression) = compression {
            batch.add_compression(compression);
        }
        let header = batch.finish().as_union_value();
        let mut message = MessageBuilder::new(&mut fbb);
        message.add_version(MetadataVersion::V5);
        message.add_header_type(MessageHeader::RecordBatch);
        message.add_header(header);
        let root = message.finish();
        fbb.finish(root, None);
        let length = u32::try_from(fbb.finished_data().len()).unwrap();
        let framed = [&length.to_le_bytes()[..], fbb.finished_data()].concat();
        let Next::Message(head) = scan::next(&mut Source::sequential(framed.as_slice())).unwrap() else {
            panic!("a message was framed")
        };
        Encoded {
            checksums: Checksums::None,
            input: "input".into(),
            head,
            body: Buffer::from(body),
            schema: Arc::new(Schema::new(vec![Field::new("a", data_type, true)])),
            dictionaries: Arc::default(),
        }
    }

    #[test]
    fn a_message_that_makes_the_reader_panic_is_damaged() {
        let children = UnionFields::from_fields(vec![Field::new("child", DataType::Null, true)]);
        let union = DataType::Union(children, UnionMode::Sparse);
        let batch = encoded(union, &[FieldNode::new(5, 0), FieldNode::new(5, 5)], &[arrow_ipc::Buffer::new(0, 0)], &[]);
        let damage = batch.decode().unwrap_err();
        assert!(damage.to_string().starts_with("damaged record batch"), "{damage}");
    }

    #[test]
    fn what_a_message_claims_is_checked_first() {
        let reason = |nodes: &[FieldNode], buffers: &[arrow_ipc::Buffer], body: &[u8]| {
            encoded(DataType::Int64, nodes, buffers, body).decode().unwrap_err().to_string()
        };
        let (node, none) = (FieldNode::new(5, 0), arrow_ipc::Buffer::new(0, 0));
        assert!(reason(&[FieldNode::new(5, 6)], &[none, none], &[]).contains("impossible number"));
        assert!(reason(&[node], &[none, arrow_ipc::Buffer::new(8, 40)], &[0; 40]).contains("beyond the end"));
        let petabyte = [&(1_i64 << 50).to_le_bytes()[..], &[0; 8]].concat();
        assert!(reason(&[node], &[none, arrow_ipc::Buffer::new(0, 16)], &petabyte).contains("cannot decompress"));
    }
}
