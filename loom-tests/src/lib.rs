//! What the models share: exploration with a claim to have met something, and tiny batches.
#![cfg(any(loom, shuttle))]
#![allow(clippy::unwrap_used, reason = "the code of tests")]

#[cfg(loom)]
mod explore;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray, types::Int8Type};

#[cfg(loom)]
pub use self::explore::{Coverage, explore, explore_unbounded};

/// One row, one column.
///
/// # Panics
///
/// Never.
#[must_use]
pub fn batch(value: i32) -> RecordBatch {
    RecordBatch::try_from_iter([("value", Arc::new(Int32Array::from(vec![value])) as ArrayRef)]).unwrap()
}

/// One row whose only column is dictionary-encoded.
///
/// # Panics
///
/// Never.
#[must_use]
pub fn dictionary_batch(values: &ArrayRef) -> RecordBatch {
    let keys = arrow_array::Int8Array::from(vec![0]);
    let array = DictionaryArray::<Int8Type>::try_new(keys, Arc::clone(values)).unwrap();
    RecordBatch::try_from_iter([("value", Arc::new(array) as ArrayRef)]).unwrap()
}

/// Dictionary values.
#[must_use]
pub fn values(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// A sink whose bytes can be looked at while, and after, it is written to.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    /// What has been written.
    ///
    /// # Panics
    ///
    /// Never.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes back all but the first `length` bytes.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn truncate(&self, length: u64) {
        let length = usize::try_from(length).unwrap();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).truncate(length);
    }

    /// The first column of each batch of a stream, which must be whole.
    ///
    /// # Panics
    ///
    /// Where the stream is not whole.
    #[must_use]
    pub fn read(&self) -> Vec<RecordBatch> {
        let bytes = self.bytes();
        assert!(bytes.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]), "the end-of-stream marker is missing");
        arrow_ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// The numbers in the first columns, in the order in which they stand.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    #[must_use]
    pub fn numbers(&self) -> Vec<i32> {
        let first = |batch: &RecordBatch| {
            batch.column(0).as_any().downcast_ref::<Int32Array>().expect("the column holds numbers").value(0)
        };
        self.read().iter().map(first).collect()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
