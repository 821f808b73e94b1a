//! What the models share: exploration with a claim to have met something, and tiny batches.
#![cfg(any(loom, shuttle))]
#![allow(clippy::unwrap_used, reason = "the code of tests")]

#[cfg(loom)]
mod explore;
#[cfg(loom)]
mod failing;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray, types::Int8Type};
use ipc_shared::Truncate;
use ipc_shared::internals::model;

#[cfg(loom)]
pub use self::explore::{Coverage, Event, explore, explore_unbounded, explore_within};
#[cfg(loom)]
pub use self::failing::{Act, Failing};

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

/// Rows that have these words, one after the other, from a dictionary of them.
///
/// # Panics
///
/// Never.
#[must_use]
pub fn words_batch(words: &[&str]) -> RecordBatch {
    let keys = arrow_array::Int8Array::from_iter_values((0..).take(words.len()));
    let array = DictionaryArray::<Int8Type>::try_new(keys, values(words)).unwrap();
    RecordBatch::try_from_iter([("value", Arc::new(array) as ArrayRef)]).unwrap()
}

/// The words of a batch.
///
/// # Panics
///
/// Where it is no batch of words.
#[must_use]
pub fn words(batch: &RecordBatch) -> Vec<String> {
    let column = batch.column(0).as_dictionary::<Int8Type>();
    let words = column.values().as_string::<i32>();
    column.keys().values().iter().map(|key| words.value(usize::try_from(*key).unwrap()).to_owned()).collect()
}

/// The values of all dictionary batches of a stream, in the order in which they stand.
///
/// # Panics
///
/// Where the stream is not whole.
#[must_use]
pub fn sent_values(mut stream: &[u8]) -> Vec<String> {
    let mut sent = Vec::new();
    let mut schema = None;
    while let Some(length) = stream.get(4..8).map(|length| u32::from_le_bytes(length.try_into().unwrap()))
        && length > 0
    {
        let body = 8 + usize::try_from(length).unwrap();
        let message = arrow_ipc::root_as_message(&stream[8..body]).unwrap();
        let end = body + usize::try_from(message.bodyLength()).unwrap();
        if let Some(fields) = message.header_as_schema() {
            schema = Some(arrow_ipc::convert::try_fb_to_schema(fields).unwrap());
        }
        if let Some(batch) = message.header_as_dictionary_batch() {
            let (schema, mut found) = (schema.as_ref().unwrap(), std::collections::HashMap::new());
            let body = (&stream[body..end]).into();
            // Each on its own, so that only what it sends is seen.
            found.insert(batch.id(), values(&[]));
            arrow_ipc::reader::read_dictionary(&body, batch, schema, &mut found, &message.version()).unwrap();
            sent.extend(found[&batch.id()].as_string::<i32>().iter().flatten().map(str::to_owned));
        }
        stream = &stream[end..];
    }
    sent
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

    /// The first column of each batch of a file, which must be whole.
    ///
    /// # Panics
    ///
    /// Where the file is not whole.
    #[must_use]
    pub fn read_file(&self) -> Vec<RecordBatch> {
        let reader = arrow_ipc::reader::FileReader::try_new(io::Cursor::new(self.bytes()), None);
        reader.expect("the file is whole").collect::<Result<_, _>>().expect("each batch finds its dictionary")
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

/// Takes the first write, the header, and some bytes of the second; then fails once.
#[derive(Debug)]
pub struct Tearing {
    sink: Shared,
    writes: usize,
}

impl Tearing {
    /// Tears what reaches `sink`.
    #[must_use]
    pub fn new(sink: &Shared) -> Self {
        Self { sink: sink.clone(), writes: 0 }
    }
}

impl Write for Tearing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        match self.writes {
            2 => self.sink.write(&bytes[..bytes.len().min(3)]),
            3 => Err(io::Error::other("torn")),
            _ => self.sink.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Truncate for Tearing {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.sink.truncate(length);
        Ok(())
    }
}

/// Whether this thread has waited for anything but the lock.
#[must_use]
pub fn has_waited() -> bool {
    model::waits_of_this_thread() > model::parks_of_this_thread()
}
