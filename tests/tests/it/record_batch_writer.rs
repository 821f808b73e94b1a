//! Code that is generic over arrow's `RecordBatchWriter` works with an encoder as with arrow's own writers.
//!
//! Fails where `close` of the trait leaves the end out, or where an error loses its kind on the way.

use arrow_array::{RecordBatch, RecordBatchWriter, record_batch};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::ArrowError;
use ipc_core::Encoder;
use ipc_tests::read;
use ipc_tests::sink::{Fault, Faulty};
use ipc_tests::value::assert_same_batches;

/// A function that was written for any writer.
fn write_all<W: RecordBatchWriter>(mut writer: W, batches: &[RecordBatch]) -> Result<(), ArrowError> {
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    writer.close()
}

fn batches() -> [RecordBatch; 2] {
    let batch = record_batch!(("a", Int32, [1, 2, 3]), ("b", Utf8, ["x", "y", "z"])).unwrap();
    [batch.clone(), batch.slice(1, 2)]
}

#[test]
fn a_stream_moves_over_by_its_constructor() {
    let (batches, mut theirs, mut ours) = (batches(), Vec::new(), Vec::new());
    write_all(StreamWriter::try_new(&mut theirs, &batches[0].schema()).unwrap(), &batches).unwrap();
    write_all(Encoder::stream(&mut ours).start(batches[0].schema()).unwrap(), &batches).unwrap();
    for bytes in [theirs, ours] {
        assert_same_batches(&batches, &read::stream(&bytes).unwrap().batches);
        assert!(bytes.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]));
    }
}

#[test]
fn a_file_moves_over_by_its_constructor() {
    let (batches, mut theirs, mut ours) = (batches(), Vec::new(), Vec::new());
    write_all(FileWriter::try_new(&mut theirs, &batches[0].schema()).unwrap(), &batches).unwrap();
    write_all(Encoder::file(&mut ours).start(batches[0].schema()).unwrap(), &batches).unwrap();
    for bytes in [theirs, ours] {
        assert_same_batches(&batches, &read::file(&bytes).unwrap().batches);
    }
}

#[test]
fn a_mismatch_is_a_schema_error() {
    let [batch, _] = batches();
    let other = record_batch!(("a", Float32, [1.0])).unwrap();
    let error = write_all(Encoder::stream(Vec::new()).start(batch.schema()).unwrap(), &[batch, other]).unwrap_err();
    assert!(matches!(&error, ArrowError::SchemaError(message) if message.contains("`a`")), "{error:?}");
}

#[test]
fn an_error_of_the_sink_is_an_io_error() {
    let batches = batches();
    let mut sink = Faulty::new(Fault::Error, 1);
    let error = write_all(Encoder::stream(&mut sink).start(batches[0].schema()).unwrap(), &batches).unwrap_err();
    assert!(matches!(error, ArrowError::IoError(..)), "{error:?}");
}
