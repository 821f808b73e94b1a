//! Reading back with `arrow-ipc`.

use std::io::Cursor;

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, SchemaRef};

/// What was in a stream or a file.
#[derive(Debug)]
pub struct Contents {
    /// The schema.
    pub schema: SchemaRef,
    /// The record batches.
    pub batches: Vec<RecordBatch>,
}

/// Reads a stream.
pub fn stream(bytes: &[u8]) -> Result<Contents, ArrowError> {
    let reader = StreamReader::try_new(Cursor::new(bytes), None)?;
    Ok(Contents { schema: reader.schema(), batches: reader.collect::<Result<_, _>>()? })
}

/// Reads a file.
pub fn file(bytes: &[u8]) -> Result<Contents, ArrowError> {
    let reader = FileReader::try_new(Cursor::new(bytes), None)?;
    Ok(Contents { schema: reader.schema(), batches: reader.collect::<Result<_, _>>()? })
}

/// Reads what whole batches a stream that may be cut off still has, and says why it stopped, if not at its end.
pub fn readable_prefix(bytes: &[u8]) -> (Vec<RecordBatch>, Option<ArrowError>) {
    let reader = match StreamReader::try_new(Cursor::new(bytes), None) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut batches = Vec::new();
    for batch in reader {
        match batch {
            Ok(batch) => batches.push(batch),
            Err(error) => return (batches, Some(error)),
        }
    }
    (batches, None)
}
