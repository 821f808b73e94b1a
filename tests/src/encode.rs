//! Batches to bytes, with the encoder of `ipc-core`.

use std::io::Write;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use ipc_core::{Encoder, Error, Format, Options, Receipt, Unstarted};

/// Writes a whole stream.
///
/// # Errors
///
/// The encoder's first.
pub fn stream(schema: &SchemaRef, batches: &[RecordBatch], options: &Options) -> Result<Vec<u8>, Error> {
    Ok(looked_at(whole(Encoder::stream(Vec::new()).with_options(options.clone()), schema, batches)?.0))
}

/// Writes a whole file.
///
/// # Errors
///
/// The encoder's first.
pub fn file(schema: &SchemaRef, batches: &[RecordBatch], options: &Options) -> Result<Vec<u8>, Error> {
    Ok(looked_at(whole(Encoder::file(Vec::new()).with_options(options.clone()), schema, batches)?.0))
}

/// The same bytes, after a decision that depends on each of them: valgrind speaks up at one that was never written.
#[must_use]
pub fn looked_at(bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().filter(|byte| **byte == 0).count();
    assert!(std::hint::black_box(zeros) <= bytes.len());
    bytes
}

/// Starts `encoder`, writes all of `batches`, closes it, and returns the sink with the receipts.
///
/// # Errors
///
/// The encoder's first.
pub fn whole<W: Write, F: Format>(
    encoder: Encoder<W, F, Unstarted>,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<(W, Vec<Receipt>), Error> {
    let mut encoder = encoder.start(schema.clone())?;
    let receipts = batches.iter().map(|batch| encoder.write(batch)).collect::<Result<_, _>>()?;
    Ok((encoder.close()?.into_inner(), receipts))
}
