//! Whatever a sink does, at whichever call: a batch that was confirmed is in the output once, none is there twice, and
//! nothing ever follows torn bytes.
//!
//! Fails where an error is taken for the end although no byte was written, where state changes before the bytes are
//! out, where a retry repeats bytes, or where a marker or a footer is put behind half a message.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use std::any::Any;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use arrow_array::types::Int8Type;
use arrow_array::{ArrayRef, DictionaryArray, Int8Array, Int64Array, RecordBatch, StringArray};
use arrow_ipc::MessageHeader;
use ipc_core::{DictionaryHandling, Encoder, Error, Format, Options, Started, Unstarted};
use ipc_tests::framing::{MAGIC, messages};
use ipc_tests::read;
use ipc_tests::sink::{Fault, Faulty};
use ipc_tests::value::assert_same_batches;

/// Batches that differ, two of them too large to be staged, with a dictionary that grows.
fn batches() -> Vec<RecordBatch> {
    let words: ArrayRef = Arc::new(StringArray::from_iter_values((0..10).map(|i| format!("word {i}"))));
    let batch = |(i, rows): (i64, i64)| {
        let values = words.slice(0, 2 + usize::try_from(i).unwrap() / 2);
        let keys = Int8Array::from_iter_values((0..rows).map(|row| i8::from(row % 2 == 0)));
        let numbers = Arc::new(Int64Array::from_iter_values((0..rows).map(|row| 1000 * i + row))) as ArrayRef;
        let dictionary = Arc::new(DictionaryArray::<Int8Type>::new(keys, values)) as ArrayRef;
        RecordBatch::try_from_iter([("number", numbers), ("word", dictionary)]).unwrap()
    };
    (0..).zip([3, 0, 3000, 70, 1, 2500, 5]).map(batch).collect()
}

/// What a call returned: its value, its error, or its panic.
type Outcome<T> = Result<Result<T, Error>, Box<dyn Any + Send>>;

fn outcome<T>(call: impl FnOnce() -> Result<T, Error>) -> Outcome<T> {
    panic::catch_unwind(AssertUnwindSafe(call))
}

/// Whether the call may be repeated. A signal is no error that a caller should hear of.
fn is_repeatable(error: &Error) -> bool {
    let Error::Io(source) = error else { return false };
    assert_ne!(source.kind(), io::ErrorKind::Interrupted);
    true
}

/// How an output ended.
#[derive(Debug, Clone, PartialEq)]
enum End {
    Closed,
    /// Up to where the bytes are good, and how many accepted batches were lost.
    Torn {
        offset: u64,
        lost: u64,
    },
}

/// Writes everything into `sink`, repeating each call once that failed without harm. Returns which batches were
/// accepted, how many of them had been confirmed, and the end.
fn write_all<F: Format>(
    encoder: Encoder<&mut Faulty, F, Unstarted>,
    batches: &[RecordBatch],
    confirms_at_once: bool,
) -> (usize, usize, End) {
    let started = outcome(|| match encoder.start(batches[0].schema()) {
        Err(failed) if is_repeatable(failed.error()) => Ok(failed.into_inner().start(batches[0].schema())?),
        started => Ok(started?),
    });
    let mut encoder = match started {
        Ok(Ok(encoder)) => encoder,
        Ok(Err(Error::Poisoned { offset, lost, .. })) => return (0, 0, End::Torn { offset, lost }),
        Ok(Err(error)) => panic!("{error:?}"),
        // The encoder went with the panic: nobody is left who could write behind the torn header.
        Err(_) => return (0, 0, End::Torn { offset: 0, lost: 0 }),
    };
    let (mut accepted, mut confirmed) = (0, 0);
    for (i, batch) in batches.iter().enumerate() {
        let written = outcome(|| match encoder.write(batch) {
            Err(error) if is_repeatable(&error) => encoder.write(batch),
            written => written,
        });
        match written {
            Ok(Ok(receipt)) => assert_eq!(receipt.sequence, accepted as u64),
            torn => return (accepted, confirmed, poisoned(encoder, torn, batches)),
        }
        accepted += 1;
        if confirms_at_once {
            confirmed = accepted;
        }
        if i == 3 {
            let flushed = outcome(|| match encoder.flush() {
                Err(error) if is_repeatable(&error) => encoder.flush(),
                flushed => flushed,
            });
            match flushed {
                Ok(Ok(())) => confirmed = accepted,
                torn => return (accepted, confirmed, poisoned(encoder, torn, batches)),
            }
        }
    }
    let closed = outcome(|| match encoder.close() {
        Err(failed) if is_repeatable(failed.error()) => Ok(failed.into_inner().close()?),
        closed => Ok(closed?),
    });
    match closed {
        Ok(Ok(closed)) => {
            assert_eq!(closed.stats().record_batches, accepted as u64);
            (accepted, accepted, End::Closed)
        }
        Ok(Err(Error::Poisoned { offset, lost, .. })) => (accepted, confirmed, End::Torn { offset, lost }),
        Ok(Err(error)) => panic!("{error:?}"),
        // Gone with the panic, as above; so is what it knew.
        Err(_) => (accepted, confirmed, End::Torn { offset: u64::MAX, lost: u64::MAX }),
    }
}

/// Makes sure that an encoder whose output is torn says so from now on, and writes nothing.
fn poisoned<T: std::fmt::Debug, F: Format>(
    mut encoder: Encoder<&mut Faulty, F, Started>,
    torn: Outcome<T>,
    batches: &[RecordBatch],
) -> End {
    let length = encoder.get_ref().taken.len();
    let mut ends = Vec::new();
    let mut note = |error| {
        let Error::Poisoned { offset, lost, .. } = error else { panic!("{error:?}") };
        ends.push(End::Torn { offset, lost });
    };
    match torn {
        Ok(returned) => note(returned.unwrap_err()),
        Err(_) => note(encoder.write(&batches[0]).unwrap_err()),
    }
    note(encoder.write(&batches[0]).unwrap_err());
    note(encoder.flush().unwrap_err());
    let (error, encoder) = encoder.close().unwrap_err().into_parts();
    note(error);
    assert_eq!(encoder.abandon().taken.len(), length, "nothing follows torn bytes");
    assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{ends:?}");
    ends.remove(0)
}

/// Checks the bytes against what was accepted. `start` is where messages begin.
fn check(sink: &Faulty, start: usize, batches: &[RecordBatch], (accepted, confirmed, end): (usize, usize, End)) {
    let bytes = &sink.taken;
    let (found, stopped) = read::readable_prefix(bytes.get(start..).unwrap_or_default());
    assert!(found.len() >= confirmed, "{} of {confirmed} confirmed batches are readable", found.len());
    match end {
        End::Closed => {
            assert!(stopped.is_none(), "{stopped:?}");
            assert_same_batches(&batches[..accepted], &found);
            assert!(messages(bytes, start).end.is_some());
            if start > 0 {
                assert_same_batches(&batches[..accepted], &read::file(bytes).unwrap().batches);
            }
        }
        End::Torn { offset, lost } => {
            // The batch at which it tore may be whole in the bytes, but the one behind it cannot.
            assert!(found.len() <= accepted + 1);
            assert_same_batches(&batches[..found.len()], &found);
            // A sink that claims too much has taken what it was given, the footer perhaps.
            let has_footer = bytes[start.min(bytes.len())..].ends_with(MAGIC);
            assert!(sink.fault() == Fault::TooMany || start == 0 || !has_footer, "a torn file has no footer");
            if let Ok(offset) = usize::try_from(offset)
                && offset <= bytes.len()
                && offset > start
            {
                let whole = messages(&bytes[..offset], start);
                assert!(whole.end.is_none(), "no end-of-stream marker");
                assert_eq!(whole.record_batches().len() as u64, accepted as u64 - lost);
            }
        }
    }
}

fn options(staging: bool) -> Options {
    Options::builder().staging(staging).dictionaries(DictionaryHandling::Delta).build().unwrap()
}

/// Whether nobody need hear of this fault.
fn is_silent(fault: Fault) -> bool {
    matches!(fault, Fault::Interrupted | Fault::HalfThenInterrupted | Fault::OneByte)
}

/// Whether the call fails, without harm.
fn is_reported(fault: Fault) -> bool {
    matches!(fault, Fault::Error | Fault::Nothing | Fault::Flush)
}

/// Every fault at every call, until one run is clean; of `flush`, from call `first_flush` on.
fn for_every_call(first_flush: usize, mut run: impl FnMut(&mut Faulty) -> End) {
    for fault in Fault::ALL {
        let mut tears = 0;
        for calls in if fault == Fault::Flush { first_flush } else { 0 }.. {
            let mut sink = Faulty::new(fault, calls);
            let end = run(&mut sink);
            tears += usize::from(end != End::Closed);
            if !sink.has_failed {
                assert_eq!(end, End::Closed);
                assert!(calls > 1, "{fault:?} never happened");
                break;
            }
        }
        assert_eq!(tears == 0, is_silent(fault) || is_reported(fault), "{fault:?} tore {tears} outputs");
    }
}

/// [`End`] for the run, once it has been checked.
fn run<F: Format>(
    sink: &mut Faulty,
    start: usize,
    staging: bool,
    open: impl FnOnce(&mut Faulty) -> Encoder<&mut Faulty, F, Unstarted>,
) -> End {
    let batches = batches();
    let (accepted, confirmed, end) = write_all(open(sink).with_options(options(staging)), &batches, !staging);
    check(sink, start, &batches, (accepted, confirmed, end.clone()));
    end
}

#[test]
fn a_stream_survives_or_ends_at_every_call() {
    for_every_call(0, |sink| run(sink, 0, false, |sink| Encoder::stream(sink)));
}

#[test]
fn a_staged_stream_survives_or_ends_at_every_call() {
    for_every_call(0, |sink| run(sink, 0, true, |sink| Encoder::stream(sink)));
}

#[test]
fn a_file_survives_or_ends_at_every_call() {
    for_every_call(0, |sink| run(sink, 8, false, |sink| Encoder::file(sink)));
}

#[test]
fn a_staged_file_survives_or_ends_at_every_call() {
    for_every_call(0, |sink| run(sink, 8, true, |sink| Encoder::file(sink)));
}

/// Starting a stream writes its header and does not flush: a flush that fails cannot come between header and state.
#[test]
fn a_stream_starts_without_a_flush() {
    let batches = batches();
    let mut sink = Faulty::new(Fault::Flush, 0);
    let mut encoder = Encoder::stream(&mut sink).start(batches[0].schema()).unwrap();
    encoder.write(&batches[0]).unwrap();
    assert!(matches!(encoder.flush(), Err(Error::Io(_))));
    encoder.close().unwrap();
    assert_eq!(messages(&sink.taken, 0).of_kind(MessageHeader::Schema).count(), 1);
    assert_same_batches(&batches[..1], &read::stream(&sink.taken).unwrap().batches);
}

/// The sink takes the header, which goes out with the first batch, and fails before that.
#[test]
fn an_output_whose_first_batch_failed_behind_the_header_has_one_schema() {
    /// Takes so many bytes, and fails once.
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

    let batches = batches();
    let dictionary_free = batches[0].project(&[0]).unwrap();
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

#[test]
fn an_encoder_that_is_dropped_writes_no_end() {
    let batches = batches();
    let mut sink = Vec::new();
    let mut encoder = Encoder::stream(&mut sink).with_options(options(false)).start(batches[0].schema()).unwrap();
    encoder.write(&batches[0]).unwrap();
    drop(encoder);
    assert_eq!(messages(&sink, 0).end, None);
    let mut sink = Vec::new();
    let mut encoder = Encoder::file(&mut sink).with_options(options(true)).start(batches[0].schema()).unwrap();
    encoder.write(&batches[0]).unwrap();
    drop(encoder);
    assert!(sink.is_empty(), "what is staged is not written either");
}
