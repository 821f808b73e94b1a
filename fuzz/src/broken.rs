//! Arrays that contradict themselves are refused by a typed error, or written where nobody looks so closely; what full
//! validation lets pass can be read.

use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use arrow_array::RecordBatch;
use ipc_core::{Encoder, Error, Options, Validation};
use ipc_tests::{encode, read};

use crate::{input, tamper};

/// Writes batches of which one column each has been tampered with.
pub fn run(data: &[u8]) {
    let _ = parsed(data).map(|(batches, options)| {
        let Some(first) = batches.first() else { return };
        let mut encoder = Encoder::stream(Vec::new()).with_options(options.clone()).start(first.schema()).unwrap();
        let mut written = 0;
        for batch in &batches {
            let before = encoder.get_ref().len();
            match encoder.write(batch) {
                Ok(_) => written += 1,
                Err(
                    Error::InvalidArray { .. } | Error::DictionaryOverflow { .. } | Error::DictionaryTooLarge { .. },
                ) => {
                    assert_eq!(encoder.get_ref().len(), before, "a refusal writes nothing");
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        let stream = encode::looked_at(encoder.close().unwrap().into_inner());
        if options.validation() == Validation::Full {
            assert_eq!(read::stream(&stream).unwrap().batches.len(), written);
        }
    });
}

fn parsed(data: &[u8]) -> arbitrary::Result<(Vec<RecordBatch>, Options)> {
    let mut u = Unstructured::new(data);
    let options = input::options(&mut u)?;
    // What to break comes first, so that it does not change with the schema.
    let plan = u.bytes(24)?.to_vec();
    let batches = input::batches(&mut u)?;
    let mut plan = Unstructured::new(&plan);
    let batches = batches.batches.into_iter().map(|batch| broken(batch, &mut plan)).collect::<Result<_, _>>()?;
    Ok((batches, options))
}

/// The batch with one column tampered with, or as it was.
fn broken(batch: RecordBatch, plan: &mut Unstructured<'_>) -> arbitrary::Result<RecordBatch> {
    if batch.num_columns() == 0 || bool::arbitrary(plan)? {
        return Ok(batch);
    }
    let (schema, mut columns, rows) = batch.into_parts();
    let column = plan.choose_index(columns.len())?;
    columns[column] = tamper::tampered(&columns[column], plan)?;
    // SAFETY: none for who reads values; the encoder, the only one who sees the batch, has to do without.
    Ok(unsafe { RecordBatch::new_unchecked(Arc::clone(&schema), columns, rows) })
}
