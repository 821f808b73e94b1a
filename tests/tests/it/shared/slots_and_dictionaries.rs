//! Places and dictionaries: what was accepted in a place is never refused later, and reads back with its own values,
//! although what readers have by its turn was not known when it was accepted.
//!
//! Fails where a plan made at acceptance is carried out as it is, where in a file the dictionary of an earlier place
//! goes first and makes an accepted one unwritable, or where the schema of an accepted batch is not settled with it.

use std::sync::Mutex;

use arrow_array::RecordBatch;
use ipc_shared::{Compression, DictionaryHandling, Error, FileFormat, SharedWriter, StreamFormat};
use ipc_tests::shared::{Output, Words, batch, encoded, marks, schema, unstaged, unstaged_with};
use ipc_tests::threads::{at_every_width, together};

use super::in_both_formats;

in_both_formats!(an_accepted_place_settles_the_schema, equal_dictionaries_are_sent_once);

/// Fills the places from the last to the first, the last few at once.
fn fill_backwards<F: Output>(
    writer: &SharedWriter<Vec<u8>, F>,
    threads: usize,
    of: impl Fn(usize) -> RecordBatch + Sync,
) -> Vec<Result<(), Error>> {
    let places: Vec<_> = (0..threads).map(|_| Mutex::new(Some(writer.reserve().unwrap()))).collect();
    let fill = |place: usize| places[place].lock().unwrap().take().unwrap().write(&of(place)).map_err(Error::from);
    let mut results = together(threads - 1, |thread| fill(threads - 1 - thread));
    results.push(fill(0));
    results.reverse();
    results
}

#[test]
fn a_stream_replaces_dictionaries_in_the_order_of_the_places() {
    at_every_width(|threads| {
        for handling in [DictionaryHandling::Resend, DictionaryHandling::Delta] {
            let options = unstaged_with(Compression::None, handling);
            let writer = StreamFormat::to(Vec::new()).options(options).window(threads).build().unwrap();
            let results = fill_backwards(&writer, threads, |place| batch(Words::Own, (0, place)));
            assert!(results.iter().all(Result::is_ok), "{results:?}");
            let stats = writer.close().unwrap().stats;
            assert_eq!((stats.dictionary_batches, stats.replacements), (threads as u64, threads as u64 - 1));
            let found = marks(Words::Own, &StreamFormat::whole(&writer.into_inner().unwrap()));
            assert_eq!(found, (0..threads).map(|place| (0, place)).collect::<Vec<_>>());
        }
    });
}

/// The batch of a place: each place knows one word more than the place before it.
fn growing(place: usize) -> RecordBatch {
    let plain = batch(Words::Equal, (0, place));
    let words = encoded(plain.num_rows(), (0..=place).map(|word| format!("word {word}")));
    RecordBatch::try_new(plain.schema(), vec![plain.column(0).clone(), plain.column(1).clone(), words]).unwrap()
}

/// Filled backwards, the longest dictionary goes first, and all others are within it.
fn growing_dictionaries<F: Output>(threads: usize) {
    let options = unstaged_with(Compression::None, DictionaryHandling::Delta);
    let writer = F::to(Vec::new()).options(options).window(threads).build().unwrap();
    let results = fill_backwards(&writer, threads, growing);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(writer.close().unwrap().stats.replacements, 0);
    let found = F::whole(&writer.into_inner().unwrap());
    assert_eq!(found, (0..threads).map(growing).collect::<Vec<_>>());
}

#[test]
fn a_file_with_deltas_takes_growing_dictionaries() {
    at_every_width(growing_dictionaries::<FileFormat>);
}

#[test]
fn a_stream_with_deltas_takes_growing_dictionaries() {
    at_every_width(growing_dictionaries::<StreamFormat>);
}

#[test]
fn a_file_refuses_a_second_dictionary_when_the_place_is_filled() {
    at_every_width(|threads| {
        for round in 0..10 {
            let mut builder = FileFormat::to(Vec::new()).options(unstaged()).window(threads);
            // Where no place has to settle the schema, one still has to settle the dictionary.
            if round % 2 == 0 {
                builder = builder.schema(schema(Words::Own));
            }
            let writer = builder.build().unwrap();
            let results = fill_backwards(&writer, threads, |place| batch(Words::Own, (0, place)));
            let accepted: Vec<_> = (0..threads).filter(|place| results[*place].is_ok()).collect();
            assert_eq!(accepted.len(), 1, "{results:?}");
            for error in results.into_iter().filter_map(Result::err) {
                let Error::Core(ipc_core::Error::DictionaryReplacement { path, .. }) = &error else {
                    panic!("{error:?}");
                };
                assert_eq!(path, "word");
            }
            assert_eq!(writer.close().unwrap().stats.record_batches, 1);
            let found = marks(Words::Own, &FileFormat::whole(&writer.into_inner().unwrap()));
            assert_eq!(found, [(0, accepted[0])], "what was accepted is written");
        }
    });
}

/// A parked batch has set the schema. Every later batch must have it, even if its slot comes earlier.
fn an_accepted_place_settles_the_schema<F: Output>(threads: usize) {
    let writer = F::to(Vec::new()).options(unstaged()).window(threads).build().unwrap();
    let front = writer.reserve().unwrap();
    writer.reserve().unwrap().write(&batch(Words::Plain, (0, 1))).unwrap();
    assert_eq!(writer.schema().unwrap(), schema(Words::Plain));
    together(threads, |thread| {
        let refused = writer.write(&batch(Words::Equal, (thread, 0)));
        let Err(Error::Core(ipc_core::Error::SchemaMismatch { path, .. })) = &refused else { panic!("{refused:?}") };
        assert_eq!(path, "word");
    });
    let refused = front.write(&batch(Words::Equal, (0, 0))).map_err(Error::from);
    assert!(matches!(refused, Err(Error::Core(ipc_core::Error::SchemaMismatch { .. }))), "{refused:?}");
    writer.close().unwrap();
    assert_eq!(marks(Words::Plain, &F::whole(&writer.into_inner().unwrap())), [(0, 1)]);
}

fn equal_dictionaries_are_sent_once<F: Output>(threads: usize) {
    let writer = F::to(Vec::new()).options(unstaged()).window(threads).build().unwrap();
    let results = fill_backwards(&writer, threads, |place| batch(Words::Equal, (0, place)));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(writer.close().unwrap().stats.dictionary_batches, 1);
    let found = marks(Words::Equal, &F::whole(&writer.into_inner().unwrap()));
    assert_eq!(found, (0..threads).map(|place| (0, place)).collect::<Vec<_>>());
}
