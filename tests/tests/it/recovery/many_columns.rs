//! Schemas of more columns than others' limits allow are read, and flatbuffers that only look as if they had as many cost
//! no more than their length.
//!
//! Fails where a bound on what is verified does not grow with what is there.

use std::time::{Duration, Instant};

use arrow_ipc::{
    Block, FieldBuilder, FooterBuilder, MessageBuilder, MessageHeader, MetadataVersion, NullBuilder,
    RecordBatchBuilder, SchemaBuilder, Type,
};
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};
use ipc_recover::{Condition, Input, Kind, Part, RecoverOptions, Source};
use ipc_tests::allocations::peak;

use super::support::recover;

/// Columns of nulls, with a table for the type of each, as writers make them.
fn schema<'f>(fbb: &mut FlatBufferBuilder<'f>, columns: usize) -> WIPOffset<arrow_ipc::Schema<'f>> {
    let name = fbb.create_string("n");
    let fields: Vec<_> = (0..columns)
        .map(|_| {
            let null = NullBuilder::new(fbb).finish().as_union_value();
            let mut field = FieldBuilder::new(fbb);
            field.add_name(name);
            field.add_type_type(Type::Null);
            field.add_type_(null);
            field.finish()
        })
        .collect();
    let fields = fbb.create_vector(&fields);
    let mut schema = SchemaBuilder::new(fbb);
    schema.add_fields(fields);
    schema.finish()
}

fn framed(
    kind: MessageHeader,
    header: impl FnOnce(&mut FlatBufferBuilder<'_>) -> WIPOffset<UnionWIPOffset>,
) -> Vec<u8> {
    let mut fbb = FlatBufferBuilder::new();
    let header = header(&mut fbb);
    let mut message = MessageBuilder::new(&mut fbb);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(kind);
    message.add_header(header);
    let message = message.finish();
    fbb.finish(message, None);
    let length = fbb.finished_data().len().next_multiple_of(8);
    let mut bytes = [&[0xff; 4], &u32::try_from(length).unwrap().to_le_bytes()[..], fbb.finished_data()].concat();
    bytes.resize(8 + length, 0);
    bytes
}

/// The schema message, and a record batch of three rows.
fn messages(columns: usize) -> [Vec<u8>; 2] {
    let batch = |fbb: &mut FlatBufferBuilder<'_>| {
        let nodes = fbb.create_vector(&vec![arrow_ipc::FieldNode::new(3, 3); columns]);
        let buffers = fbb.create_vector::<arrow_ipc::Buffer>(&[]);
        let mut batch = RecordBatchBuilder::new(fbb);
        batch.add_length(3);
        batch.add_nodes(nodes);
        batch.add_buffers(buffers);
        batch.finish().as_union_value()
    };
    let schema = framed(MessageHeader::Schema, |fbb| schema(fbb, columns).as_union_value());
    [schema, framed(MessageHeader::RecordBatch, batch)]
}

fn stream(columns: usize) -> Vec<u8> {
    [&messages(columns).concat()[..], &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]].concat()
}

fn file(columns: usize) -> Vec<u8> {
    let [first, batch] = messages(columns);
    let mut fbb = FlatBufferBuilder::new();
    let metadata_length = i32::try_from(batch.len()).unwrap();
    let batches = fbb.create_vector(&[Block::new(8 + i64::try_from(first.len()).unwrap(), metadata_length, 0)]);
    let schema = schema(&mut fbb, columns);
    let mut footer = FooterBuilder::new(&mut fbb);
    footer.add_version(MetadataVersion::V5);
    footer.add_schema(schema);
    footer.add_recordBatches(batches);
    let footer = footer.finish();
    fbb.finish(footer, None);
    let length = u32::try_from(fbb.finished_data().len()).unwrap().to_le_bytes();
    let marker = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    [b"ARROW1\0\0", &first[..], &batch, &marker, fbb.finished_data(), &length, b"ARROW1"].concat()
}

#[test]
fn six_hundred_thousand_columns_are_read() {
    const COLUMNS: usize = 600_000;
    for (bytes, kind) in [(stream(COLUMNS), Kind::Stream), (file(COLUMNS), Kind::File)] {
        let ((output, report), held) = peak(|| recover(&bytes, &RecoverOptions::default()).unwrap());
        assert!(report.condition == Condition::Complete && output == bytes, "{report:?}");
        assert_eq!(report.kept.rows, 3);
        // Twice the input, as promised, and twice more for the output, which is held here.
        assert!(held <= 4 * bytes.len() as u64 + (1 << 20), "{held} of {}", bytes.len());
        let mut input = Input::open(Source::from(&bytes[..])).unwrap();
        let mut messages = 0;
        while let Some(part) = input.next().unwrap() {
            messages += u32::from(matches!(part, Part::Message(_)));
        }
        assert!(input.kind() == kind && messages == 1);
    }
}

/// A vector of 200,000 references to one struct of a thousand references to one field looks like 200 million columns.
#[test]
fn what_only_looks_as_large_is_refused_in_no_time() {
    let bytes = framed(MessageHeader::Schema, |fbb| {
        let null = NullBuilder::new(fbb).finish().as_union_value();
        let mut field = FieldBuilder::new(fbb);
        field.add_type_type(Type::Null);
        field.add_type_(null);
        let field = field.finish();
        let children = fbb.create_vector(&vec![field; 1_000]);
        let nested = arrow_ipc::Struct_Builder::new(fbb).finish().as_union_value();
        let mut field = FieldBuilder::new(fbb);
        field.add_type_type(Type::Struct_);
        field.add_type_(nested);
        field.add_children(children);
        let field = field.finish();
        let fields = fbb.create_vector(&vec![field; 200_000]);
        let mut schema = SchemaBuilder::new(fbb);
        schema.add_fields(fields);
        schema.finish().as_union_value()
    });
    let begin = Instant::now();
    let (refused, held) = peak(|| recover(&bytes, &RecoverOptions::default()).is_err());
    assert!(refused);
    assert!(held <= 2 * bytes.len() as u64 + (1 << 20), "{held} of {}", bytes.len());
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}
