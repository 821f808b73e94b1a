//! A buffer is compressed if that saves as much as the options require, and is otherwise stored as it is.
//!
//! Fails where nothing is compressed at all, where a buffer grows by being compressed, where one that is stored as it
//! is gets to readers that do not know that, or where dictionaries are compressed for readers that cannot have them so.

use std::io::Write;
use std::process::Command;
use std::slice;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, UInt8Array};
use arrow_buffer::{BooleanBuffer, Buffer};
use arrow_ipc::root_as_message;
use ipc_core::DictionaryHandling::Resend;
use ipc_core::{Compression, Options, OptionsBuilder, RawBuffers, Unify};
use ipc_tests::dictionaries::{dictionary, words};
use ipc_tests::framing::messages;
use ipc_tests::outside::python;
use ipc_tests::random::Random;
use ipc_tests::value::assert_same_batches;
use ipc_tests::{encode, read};
use tempfile::NamedTempFile;

const CODECS: [Compression; 2] = [Compression::Lz4, Compression::Zstd(1)];

fn of(column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([("a", column)]).unwrap()
}

/// Batches whose one buffer with bytes has so many of them, the first of which are noise: as they lie in the array, and
/// made for the message, since the array's bits are shifted.
fn batches(length: usize, noise: usize) -> [RecordBatch; 2] {
    let mut bytes = vec![0; length];
    Random::new(7).fill(&mut bytes[..noise]);
    let bits = BooleanBuffer::new(Buffer::from_slice_ref(&bytes), 1, 8 * length - 1);
    [of(Arc::new(UInt8Array::from(bytes))), of(Arc::new(BooleanArray::from(bits)))]
}

/// How that buffer is stored: the number in front of it, and how many bytes follow.
fn stored(batch: &RecordBatch, options: OptionsBuilder) -> (i64, usize) {
    let batch = slice::from_ref(batch);
    let stream = encode::stream(&batch[0].schema(), batch, &options.build().unwrap()).unwrap();
    assert_same_batches(batch, &read::stream(&stream).unwrap().batches);
    let framing = messages(&stream, 0);
    let message = framing.record_batches()[0];
    let with_bytes: Vec<_> = message.buffers.iter().filter(|(_, length)| *length > 0).collect();
    let [(offset, length)] = with_bytes[..] else { panic!("{:?}", message.buffers) };
    let at = message.body.start + usize::try_from(*offset).unwrap();
    (i64::from_le_bytes(stream[at..at + 8].try_into().unwrap()), usize::try_from(*length).unwrap() - 8)
}

fn options(codec: Compression) -> OptionsBuilder {
    Options::builder().compression(codec)
}

#[test]
fn a_buffer_that_shrinks_is_compressed() {
    for (codec, length) in CODECS.into_iter().flat_map(|codec| [50, 127, 128, 1000, 100_000].map(|n| (codec, n))) {
        for batch in batches(length, 0) {
            let (raw, bytes) = stored(&batch, options(codec));
            assert_eq!(raw, i64::try_from(length).unwrap());
            assert!(bytes < length, "{codec:?}: {bytes} of {length} bytes");
        }
    }
}

#[test]
fn a_buffer_that_does_not_shrink_is_stored_as_it_is_unless_readers_do_not_know_that() {
    for (codec, length) in CODECS.into_iter().flat_map(|codec| [1, 9, 15, 16, 127, 128, 1000].map(|n| (codec, n))) {
        for batch in batches(length, length) {
            assert_eq!(stored(&batch, options(codec)), (-1, length), "{codec:?}");
            let (raw, bytes) = stored(&batch, options(codec).raw_buffers(RawBuffers::Never));
            assert_eq!(raw, i64::try_from(length).unwrap());
            assert!(bytes > length, "{codec:?}: {bytes} of {length} bytes");
        }
    }
}

#[test]
fn a_buffer_that_shrinks_too_little_is_stored_as_it_is() {
    for codec in CODECS {
        for batch in batches(1000, 600) {
            for (share, is_enough) in [(0.0, true), (0.3, true), (0.5, false), (1.0, false)] {
                let (raw, bytes) = stored(&batch, options(codec).raw_buffers(RawBuffers::SavingLessThan(share)));
                assert_eq!((raw == 1000, bytes < 1000), (is_enough, is_enough), "{codec:?}, {share}");
            }
        }
    }
}

#[test]
fn dictionaries_are_raw_unless_they_are_to_be_compressed() {
    let batch = of(dictionary(&[0; 100], words(&["a word that is long"; 50])));
    let choices = [None, Some(false), Some(true)];
    for (codec, choice) in CODECS.into_iter().flat_map(|codec| choices.map(|choice| (codec, choice))) {
        let options = choice.map_or(options(codec), |yes| options(codec).compress_dictionaries(yes)).build().unwrap();
        let is_compressed = choice == Some(true);
        assert_eq!(options.compress_dictionaries(), is_compressed);
        let stream = encode::stream(&batch.schema(), slice::from_ref(&batch), &options).unwrap();
        assert_same_batches(slice::from_ref(&batch), &read::stream(&stream).unwrap().batches);
        let [_, dictionary, record_batch] = messages(&stream, 0).messages.try_into().unwrap();
        let message = root_as_message(&stream[dictionary.flatbuffer]).unwrap();
        let data = message.header_as_dictionary_batch().unwrap().data().unwrap();
        let found = (data.compression().is_some(), dictionary.body.len() < 1000);
        assert_eq!(found, (is_compressed, is_compressed), "{codec:?}");
        let message = root_as_message(&stream[record_batch.flatbuffer]).unwrap();
        assert!(message.header_as_record_batch().unwrap().compression().is_some());
        assert!(record_batch.body.len() < 400, "{codec:?}");
    }
}

/// nanoarrow takes the bytes of a compressed dictionary for its values, and says nothing.
#[test]
fn nanoarrow_reads_number_dictionaries_of_compressed_outputs() {
    let Some(python) = python("nanoarrow, pyarrow") else { return };
    // Compressed, the three stay as they are behind a length of -1; the hundred shrink.
    let cases = CODECS
        .into_iter()
        .flat_map(|codec| [(codec, 3, Resend), (codec, 100, Resend), (codec, 100, Unify::new().into())]);
    for (codec, count, handling) in cases {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((1..=count).map(|n| 10 * n)));
        let keys: Vec<i32> = (0..i32::try_from(count).unwrap()).cycle().take(300).collect();
        let batch = of(dictionary(&keys, numbers));
        let options = options(codec).dictionaries(handling).build().unwrap();
        let mut written = NamedTempFile::new().unwrap();
        let stream = encode::stream(&batch.schema(), slice::from_ref(&batch), &options).unwrap();
        written.write_all(&stream).unwrap();
        let script = "
import sys, nanoarrow as na, pyarrow as pa
with na.ArrayStream.from_path(sys.argv[1]) as stream:
    table = pa.RecordBatchReader.from_stream(stream).read_all()
expected = [row % int(sys.argv[2]) * 10 + 10 for row in range(300)]
print('equal' if table.column(0).to_pylist() == expected else table.column(0).to_pylist()[:5])";
        let arguments = ["-c", script, written.path().to_str().unwrap(), &count.to_string()];
        let read = Command::new(&python).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&read.stdout);
        assert_eq!(said.trim(), "equal", "{codec:?}, {count}: {}", String::from_utf8_lossy(&read.stderr));
    }
}
