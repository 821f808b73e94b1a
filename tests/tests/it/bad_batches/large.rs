//! Sizes. Bodies are counted in 64 bits, and may be larger than 2 GiB. Metadata may not, and is refused before it is
//! built: a schema, a batch's key-value pairs, a footer.
//!
//! None of this takes the memory that it is about: columns and metadata are shared, zeros are not paid for until they
//! are read, and the sink keeps only short slices.

use std::io::{self, IoSlice, Write};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, LargeBinaryArray, RecordBatch};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_ipc::{root_as_footer, root_as_message};
use arrow_schema::{DataType, Field, Metadata, Schema};
use ipc_core::{Encoder, Error};
use ipc_shared::SharedWriter;

const MIB: usize = 1 << 20;
const GIB: u64 = 1 << 30;

/// Keeps what comes in slices of less than 1 MiB, and counts all.
#[derive(Debug, Default)]
struct Short {
    kept: Vec<u8>,
    taken: u64,
}

impl Write for Short {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.taken += bytes.len() as u64;
        if bytes.len() < MIB {
            self.kept.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        slices.iter().try_fold(0, |sum, slice| Ok(sum + self.write(slice)?))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// 40 columns that share 64 MiB.
fn wide() -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![0; 8 * MIB]));
    RecordBatch::try_from_iter((0..40).map(|i| (format!("c{i}"), Arc::clone(&column)))).unwrap()
}

/// One value of a little more than 2 GiB.
fn long() -> RecordBatch {
    let length = 2 * GIB + 8;
    let offsets = OffsetBuffer::new(vec![0, i64::try_from(length).unwrap()].into());
    let zeros = Buffer::from_vec(vec![0u8; usize::try_from(length).unwrap()]);
    RecordBatch::try_from_iter([("long", Arc::new(LargeBinaryArray::new(offsets, zeros, None)) as ArrayRef)]).unwrap()
}

/// A file with one batch, whose long slices are missing, has a body of this length at the end of its one block.
fn assert_body(file: &Short, body: u64) {
    let kept = &file.kept;
    let length_at = kept.len() - 10;
    let length = u32::from_le_bytes(kept[length_at..length_at + 4].try_into().unwrap());
    let footer = root_as_footer(&kept[length_at - usize::try_from(length).unwrap()..length_at]).unwrap();
    let block = footer.recordBatches().unwrap().get(0);
    assert_eq!(block.bodyLength().cast_unsigned(), body);
    let start = usize::try_from(block.offset()).unwrap();
    let message = root_as_message(&kept[start + 8..]).unwrap();
    assert_eq!(message.bodyLength().cast_unsigned(), body);
    let last = message.header_as_record_batch().unwrap().buffers().unwrap().iter().next_back().unwrap();
    assert_eq!((last.offset() + last.length()).cast_unsigned().next_multiple_of(64), body);
}

#[test]
fn a_body_of_more_than_2_gib_is_written() {
    for (batch, body) in [(wide(), 40 * 64 * MIB as u64), (long(), 2 * GIB + 128)] {
        let mut encoder = Encoder::file(Short::default()).start(batch.schema()).unwrap();
        let receipt = encoder.write(&batch).unwrap();
        assert!(receipt.body_length == body && body > 2 * GIB);
        let stats = encoder.stats();
        let file = encoder.close().unwrap().into_inner();
        assert!(file.taken > stats.written_bytes && stats.written_bytes > body);
        assert_body(&file, body);

        let writer = SharedWriter::file(Short::default()).build().unwrap();
        let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
        // Kept by the writer until its turn comes.
        second.write(&batch).unwrap();
        drop(first);
        writer.close().unwrap();
        assert_body(&writer.into_inner().unwrap(), body);
    }
}

/// Returns key-value pairs of a little more than 4 GiB. Building a flatbuffer with them would panic.
fn too_long() -> Metadata {
    let zeros = vec![0u8; usize::try_from(4 * GIB).unwrap()];
    // SAFETY: zeros are UTF-8; looking at them would take the memory that they are worth.
    Metadata::from([("key".to_owned(), unsafe { String::from_utf8_unchecked(zeros) })])
}

#[track_caller]
fn assert_too_large<T: std::fmt::Debug>(what: &str, result: Result<T, impl Into<Error>>) {
    match result.map_err(Into::into) {
        Err(Error::TooLarge { what: found, length, limit }) => {
            assert!(found == what && length > limit && limit == 2 * GIB - 1, "{found}: {length} of {limit}");
        }
        other => panic!("{what}: {other:?}"),
    }
}

fn core<T: std::fmt::Debug>(result: Result<T, ipc_shared::Error>) -> Result<T, Error> {
    result.map_err(|error| match error {
        ipc_shared::Error::Core(error) => error,
        error => panic!("{error:?}"),
    })
}

fn small() -> RecordBatch {
    RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]).unwrap()
}

#[test]
fn a_schema_of_more_than_2_gib_is_refused_before_it_is_built() {
    let shared = Metadata::from([("key".to_owned(), "v".repeat(64 * MIB))]);
    let field = |i: usize| Field::new(format!("c{i}"), DataType::Int8, true).with_metadata(shared.clone());
    let of_fields = Schema::new((0..40).map(field).collect::<Vec<_>>());
    let of_itself = Schema::new(vec![field(0).with_metadata(Metadata::new())]).with_metadata(too_long());
    for schema in [of_fields, of_itself].map(Arc::new) {
        let failed = Encoder::stream(Vec::new()).start(Arc::clone(&schema)).unwrap_err();
        let (error, encoder) = failed.into_parts();
        assert_too_large::<()>("schema", Err(error));
        let sink = encoder.start(small().schema()).unwrap().close().unwrap().into_inner();
        assert!(!sink.is_empty(), "the encoder comes back");

        let failed = SharedWriter::file(Vec::new()).schema(Arc::clone(&schema)).build().unwrap_err();
        assert_too_large::<()>("schema", Err(failed.into_parts().0));
        let writer = SharedWriter::file(Vec::new()).build().unwrap();
        assert_too_large("schema", core(writer.write(&RecordBatch::new_empty(schema))));
        writer.write(&small()).unwrap();
        writer.close().unwrap();
    }
}

#[test]
fn metadata_of_a_batch_of_more_than_2_gib_is_refused_before_it_is_built() {
    let (batch, metadata) = (small(), too_long().into_iter().collect::<ipc_core::Metadata>());
    let mut encoder = Encoder::stream(Vec::new()).start(batch.schema()).unwrap();
    let before = encoder.get_ref().len();
    assert_too_large("message metadata", encoder.write_with_metadata(&batch, &metadata));
    assert_eq!(encoder.get_ref().len(), before, "nothing of it is written");
    encoder.write(&batch).unwrap();
    assert_eq!(encoder.close().unwrap().stats().record_batches, 1);

    let writer = SharedWriter::file(Vec::new()).build().unwrap();
    assert_too_large("message metadata", core(writer.write_with_metadata(&batch, &metadata)));
    assert_too_large(
        "message metadata",
        core(writer.reserve().unwrap().write_with_metadata(&batch, &metadata).map_err(ipc_shared::Error::from)),
    );
    writer.write(&batch).unwrap();
    assert_eq!(writer.close().unwrap().stats.record_batches, 1);
}

/// Not at the close, when batches may have been accepted that wait for it.
#[test]
fn a_footer_of_more_than_2_gib_is_refused_when_its_metadata_is_set() {
    let batch = small();
    let mut encoder = Encoder::file(Vec::new()).start(batch.schema()).unwrap();
    encoder.write_metadata("key", "value").unwrap();
    let pair = || too_long().into_iter().next().unwrap();
    let (key, value) = pair();
    assert_too_large("footer", encoder.write_metadata(key, value));
    encoder.write(&batch).unwrap();
    let file = encoder.close().unwrap().into_inner();
    let footer = ipc_tests::framing::footer(&file);
    assert_eq!(footer.custom_metadata, [("key".to_owned(), "value".to_owned())], "what was there is kept");

    let (key, value) = pair();
    let failed = SharedWriter::file(Vec::new()).schema(batch.schema()).metadata(key, value).build().unwrap_err();
    assert_too_large::<()>("footer", Err(failed.into_parts().0));
    let (key, value) = pair();
    let writer = SharedWriter::file(Vec::new()).metadata(key, value).build().unwrap();
    assert_too_large("footer", core(writer.write(&batch)));
    let refused = writer.reserve().unwrap().write(&batch).unwrap_err();
    assert!(refused.to_string().contains("footer"), "{refused}");
    drop(refused);
    assert!(writer.into_inner().unwrap().is_empty());
}
