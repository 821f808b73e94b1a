//! An output has one header, however often its first write fails, and no end but by `close`.
//!
//! Fails where a header that was taken is written again, or where an encoder that is dropped writes what is staged, a
//! marker or a footer. What happens at every other call of a sink is in `faults`.

use std::io::{self, Write};

use arrow_ipc::MessageHeader;
use ipc_core::{Encoder, Error, Options};
use ipc_tests::framing::messages;
use ipc_tests::read;
use ipc_tests::shared::{Words, batch};
use ipc_tests::sink::{Fault, Faulty};
use ipc_tests::value::assert_same_batches;

fn options(staging: bool) -> Options {
    Options::builder().staging(staging).build().unwrap()
}

/// Starting a stream writes its header and does not flush: a flush that fails cannot come between header and state.
#[test]
fn a_stream_starts_without_a_flush() {
    let batch = batch(Words::Equal, (0, 0));
    let mut sink = Faulty::new(Fault::Flush, 0);
    let mut encoder = Encoder::stream(&mut sink).start(batch.schema()).unwrap();
    encoder.write(&batch).unwrap();
    assert!(matches!(encoder.flush(), Err(Error::Io(_))));
    encoder.close().unwrap();
    assert_eq!(messages(&sink.taken, 0).of_kind(MessageHeader::Schema).count(), 1);
    assert_same_batches(&[batch], &read::stream(&sink.taken).unwrap().batches);
}

/// The sink takes the header, which goes out with the first batch, and fails before that.
#[test]
fn an_output_whose_first_batch_failed_behind_the_header_has_one_schema() {
    let batch = batch(Words::Equal, (0, 0));
    let dictionary_free = batch.project(&[0]).unwrap();
    let (_, receipt) = Encoder::stream(Vec::new()).start_with(&dictionary_free).unwrap();
    let room = usize::try_from(receipt.offset).unwrap();
    let mut bytes = Vec::new();
    let failed = Encoder::stream(Full { taken: &mut bytes, room }).start_with(&dictionary_free).unwrap_err();
    assert!(matches!(failed.error(), Error::Io(_)), "{failed:?}");
    let (encoder, _) = failed.into_inner().start_with(&dictionary_free).unwrap();
    encoder.close().unwrap();
    assert_eq!(messages(&bytes, 0).of_kind(MessageHeader::Schema).count(), 1);
    assert_same_batches(&[dictionary_free], &read::stream(&bytes).unwrap().batches);
}

/// The sink refuses the first bytes of an output, so another schema may still be set.
#[test]
fn an_output_that_failed_before_its_header_may_have_another_schema() {
    let batch = batch(Words::Equal, (0, 0));
    let other = batch.project(&[0]).unwrap();
    let mut bytes = Vec::new();
    let failed = Encoder::stream(Full { taken: &mut bytes, room: 0 }).start_with(&batch).unwrap_err();
    assert!(matches!(failed.error(), Error::Io(_)), "{failed:?}");
    let (encoder, _) = failed.into_inner().start_with(&other).unwrap();
    encoder.close().unwrap();
    assert_same_batches(&[other], &read::stream(&bytes).unwrap().batches);
}

/// Takes a limited number of bytes, and fails once.
struct Full<'b> {
    taken: &'b mut Vec<u8>,
    room: usize,
}

impl Write for Full<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            self.room = usize::MAX;
            return Err(io::ErrorKind::StorageFull.into());
        }
        let length = bytes.len().min(self.room);
        self.room -= length;
        self.taken.extend_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_encoder_that_is_dropped_writes_no_end() {
    let batch = batch(Words::Equal, (0, 0));
    let mut sink = Vec::new();
    let mut encoder = Encoder::stream(&mut sink).with_options(options(false)).start(batch.schema()).unwrap();
    encoder.write(&batch).unwrap();
    drop(encoder);
    let framing = messages(&sink, 0);
    assert_eq!((framing.end, framing.record_batches().len()), (None, 1));
    assert!(framing.mark.is_some(), "readers are told");
    let mut sink = Vec::new();
    let mut encoder = Encoder::file(&mut sink).with_options(options(true)).start(batch.schema()).unwrap();
    encoder.write(&batch).unwrap();
    drop(encoder);
    assert!(sink.is_empty(), "what is staged is not written either");
}
