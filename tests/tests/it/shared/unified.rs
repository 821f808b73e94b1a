//! Unified dictionaries of many threads: each value is sent once, before the first batch that needs it, and nobody is
//! refused for having a dictionary of his own.
//!
//! Fails where two threads give one value two ids, or one id to two values; where a delta is sent twice, not at all, or
//! behind its batch; where a value counts as sent although the sink refused it; where a batch that waits in a place is
//! refused for its dictionary; or where growing takes the writer's lock.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::MessageHeader;
use arrow_schema::{Field, Schema};
use ipc_shared::{Compression, Error, FileFormat, Options, SharedWriter, StreamFormat, Unify};
use ipc_tests::dictionaries::{dictionary, words};
use ipc_tests::framing::Framing;
use ipc_tests::gate::{Act, gate};
use ipc_tests::read;
use ipc_tests::shared::{Mark, Output, Words, batch, encoded, marks, sorted_marks, unstaged_with};
use ipc_tests::threads::{at_every_width, together};

use super::in_both_formats;

in_both_formats!(
    every_value_is_sent_once_and_in_time,
    overlapping_dictionaries_become_one,
    places_are_filled_in_any_order,
    what_the_sink_refused_is_sent_with_the_next,
    what_is_left_out_is_counted_once_it_is_accepted,
    one_that_outgrows_its_keys_is_refused_and_the_others_go_on,
    growing_does_not_take_the_lock,
);

fn unify() -> Options {
    unstaged_with(Compression::None, Unify::new().into())
}

/// How many values all dictionary batches have together.
fn values_sent(framing: &Framing) -> usize {
    let rows = framing.of_kind(MessageHeader::DictionaryBatch).map(|message| message.rows).sum::<i64>();
    usize::try_from(rows).unwrap()
}

/// The distinct words that rows of `batches` have.
fn words_used(batches: &[RecordBatch]) -> usize {
    let words = batches.iter().flat_map(|batch| {
        let words = batch.column(2).as_any_dictionary();
        let (keys, values) = (words.normalized_keys(), words.values().as_string::<i32>().clone());
        keys.into_iter().map(move |key| values.value(key).to_owned())
    });
    words.collect::<HashSet<_>>().len()
}

/// All batches of an output, of which the values are sent once, and all but the first as deltas. What is sent too late
/// cannot be read.
fn read_unified<F: Output>(bytes: &[u8]) -> Vec<RecordBatch> {
    let found = F::whole(bytes);
    let from = if F::HAS_FOOTER { 8 } else { 0 };
    assert_eq!(read::stream(&bytes[from..]).unwrap().batches, found, "a file is a stream, too");
    let framing = F::framing(bytes);
    assert_eq!(values_sent(&framing), words_used(&found), "values sent, and values used");
    let deltas: Vec<_> = framing.dictionary_batches().into_iter().map(|(_, is_delta)| is_delta).collect();
    assert!(deltas.iter().skip(1).all(|is_delta| *is_delta), "{deltas:?}");
    found
}

fn all_marks(threads: usize, numbers: usize) -> Vec<Mark> {
    (0..threads).flat_map(|thread| (0..numbers).map(move |number| (thread, number))).collect()
}

fn every_value_is_sent_once_and_in_time<F: Output>(threads: usize) {
    for has_schema in [false, true] {
        let mut builder = F::to(Vec::new()).options(unify());
        if has_schema {
            builder = builder.schema(ipc_tests::shared::schema(Words::Own));
        }
        let writer = builder.build().unwrap();
        together(threads, |thread| {
            let mut producer = writer.producer();
            (0..12).for_each(|number| _ = producer.write(&batch(Words::Own, (thread, number))).unwrap());
        });
        let stats = writer.close().unwrap().stats;
        assert_eq!((stats.replacements, stats.deltas + 1), (0, stats.dictionary_batches));
        let found = read_unified::<F>(&writer.into_inner().unwrap());
        assert_eq!(sorted_marks(Words::Own, &found), all_marks(threads, 12));
        let unused: usize = found.iter().map(|batch| 20 - batch.num_rows()).sum();
        assert_eq!(stats.unused_values, unused as u64);
    }
}

/// All threads bring the same words, each in its own order.
fn overlapping_dictionaries_become_one<F: Output>(threads: usize) {
    for round in 0..20 {
        let writer = F::to(Vec::new()).options(unify()).build().unwrap();
        let of = |thread: usize| {
            let plain = batch(Words::Equal, (thread, round));
            let words = (0..12).map(|word| format!("word {}", (word * 5 + thread) % 12));
            let words = encoded(plain.num_rows(), words);
            RecordBatch::try_new(plain.schema(), vec![plain.column(0).clone(), plain.column(1).clone(), words]).unwrap()
        };
        together(threads, |thread| writer.write(&of(thread)).unwrap());
        writer.close().unwrap();
        let found = read_unified::<F>(&writer.into_inner().unwrap());
        assert!(words_used(&found) <= 12);
        for thread in 0..threads {
            assert_eq!(found.iter().filter(|found| **found == of(thread)).count(), 1);
        }
    }
}

/// The last place is filled first. In a file, other handlings would refuse all but one of them.
fn places_are_filled_in_any_order<F: Output>(threads: usize) {
    let writer = F::to(Vec::new()).options(unify()).window(threads).build().unwrap();
    let places: Vec<_> = (0..threads).map(|_| std::sync::Mutex::new(writer.reserve().ok())).collect();
    let fill = |place: usize| places[place].lock().unwrap().take().unwrap().write(&batch(Words::Own, (0, place)));
    together(threads - 1, |thread| fill(threads - 1 - thread).unwrap());
    fill(0).unwrap();
    writer.close().unwrap();
    let found = read_unified::<F>(&writer.into_inner().unwrap());
    assert_eq!(marks(Words::Own, &found), (0..threads).map(|place| (0, place)).collect::<Vec<_>>());
}

fn what_the_sink_refused_is_sent_with_the_next<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unify()).build().unwrap();
    gate.plan((0..threads * 6).map(|call| if call % 3 == 0 { Act::Fail } else { Act::Take }));
    let written = together(threads, |thread| {
        let write = |number: &usize| match writer.write(&batch(Words::Own, (thread, *number))) {
            Ok(_) => true,
            Err(Error::Core(ipc_core::Error::Io(_))) => false,
            Err(error) => panic!("{error:?}"),
        };
        (0..6).filter(write).map(|number| (thread, number)).collect::<Vec<_>>()
    });
    writer.close().unwrap();
    let bytes = gate.taken();
    let found = F::whole(&bytes);
    assert_eq!(sorted_marks(Words::Own, &found), written.concat());
    let framing = F::framing(&bytes);
    // Values of a batch that was never written may precede values of other batches, but no value is sent twice.
    let brought: usize = (0..threads).flat_map(|t| (0..6).map(move |n| batch(Words::Own, (t, n)).num_rows())).sum();
    assert!((words_used(&found)..=brought).contains(&values_sent(&framing)));
    assert!(framing.dictionary_batches().iter().skip(1).all(|(_, is_delta)| *is_delta));
}

/// Whether it was refused as a write, or in a place, or in one that has another in front; by a sink that goes on, or by
/// one that is rolled back.
fn what_is_left_out_is_counted_once_it_is_accepted<F: Output>(_: usize) {
    // In a stream, a batch parked in a slot is never refused.
    let most_places = if F::HAS_FOOTER { 2 } else { 1 };
    for act in [Act::Fail, Act::Tear] {
        for places in 0..=most_places {
            let (sink, gate) = gate();
            let writer = F::to(sink).options(unify()).build().unwrap();
            gate.plan([act]);
            let batch = batch(Words::Own, (0, 0));
            let write = || {
                let mut places: Vec<_> = (0..places).map(|_| writer.reserve().unwrap()).collect();
                match places.pop() {
                    None => writer.write(&batch).map(drop),
                    Some(last) => last.write(&batch).map_err(Error::from),
                }
            };
            write().unwrap_err();
            writer.rollback().unwrap();
            write().unwrap();
            let unused = writer.close().unwrap().stats.unused_values;
            assert_eq!(unused, 20 - batch.num_rows() as u64, "{act:?}, {places} places");
        }
    }
}

/// With 8-bit keys there is room for 128 words. Who comes first gets in; the others are refused, and what they brought
/// is in no dictionary.
fn one_that_outgrows_its_keys_is_refused_and_the_others_go_on<F: Output>(threads: usize) {
    use arrow_array::{DictionaryArray, Int8Array, StringArray, types::Int8Type};
    let of = |thread: usize| {
        let words = StringArray::from_iter_values((0..50).map(|word| format!("word {word} of {thread}")));
        let array = DictionaryArray::<Int8Type>::new(Int8Array::from_iter_values(0..50), Arc::new(words));
        RecordBatch::try_from_iter([("word", Arc::new(array) as ArrayRef)]).unwrap()
    };
    let writer = F::to(Vec::new()).options(unify()).build().unwrap();
    let results = together(threads, |thread| writer.write(&of(thread)).map(|_| thread));
    let (written, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(written.len(), 2.min(threads));
    for result in refused {
        let Err(Error::Core(ipc_core::Error::DictionaryOverflow { path, count, limit })) = result else {
            panic!("{result:?}");
        };
        assert_eq!((path.as_str(), count, limit), ("word", 150, 128));
    }
    writer.write(&of(written[0].as_ref().copied().unwrap())).unwrap();
    writer.close().unwrap();
    let bytes = writer.into_inner().unwrap();
    assert_eq!(F::whole(&bytes).len(), 3);
    assert_eq!(values_sent(&F::framing(&bytes)), 100);
}

/// While a thread is kept inside the sink, and so inside the lock, others fill slots with new words.
fn growing_does_not_take_the_lock<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let words = ipc_tests::shared::schema(Words::Own);
    let writer = F::to(sink).options(unify()).schema(words).window(threads).build().unwrap();
    let front = writer.reserve().unwrap();
    let places: Vec<_> = (1..threads).map(|_| std::sync::Mutex::new(writer.reserve().ok())).collect();
    gate.shut();
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| writer.write(&batch(Words::Own, (0, 0))).unwrap());
        gate.wait_until_occupied();
        together(threads - 1, |thread| {
            let place = places[thread].lock().unwrap().take().unwrap();
            place.write(&batch(Words::Own, (1, thread))).unwrap();
        });
        assert!(!holder.is_finished(), "the lock has been held all the time");
        gate.open();
        holder.join().unwrap();
    });
    drop(front);
    writer.close().unwrap();
    let found = read_unified::<F>(&gate.taken());
    let expected: Vec<Mark> = [(0, 0)].into_iter().chain((0..threads - 1).map(|thread| (1, thread))).collect();
    assert_eq!(marks(Words::Own, &found), expected);
}

/// An ordered dictionary is not unified, and a file allows no other in its place.
#[test]
fn what_a_batch_leaves_out_that_is_refused_is_counted_with_the_next() {
    let values = words(&["used", "left out"]);
    let of = |size: &str, values: ArrayRef| {
        let columns = vec![dictionary(&[0], words(&[size])), dictionary(&[0], values)];
        let field = |name: &str| Field::new(name, columns[0].data_type().clone(), true);
        let fields = vec![field("size").with_dict_is_ordered(true), field("word")];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    };
    let writer = FileFormat::to(Vec::new()).options(unify()).build().unwrap();
    writer.write(&of("small", words(&["used"]))).unwrap();
    let refused = writer.write(&of("large", values.clone()));
    assert!(matches!(refused, Err(Error::Core(ipc_core::Error::DictionaryReplacement { .. }))), "{refused:?}");
    writer.write(&of("small", values)).unwrap();
    assert_eq!(writer.close().unwrap().stats.unused_values, 1);
}

#[test]
fn at_close_each_field_has_one_dictionary_behind_all_batches() {
    at_every_width(|threads| {
        let options = Options::builder().dictionaries(Unify::new().at_close(true));
        let writer = FileFormat::to(Vec::new()).options(options.build().unwrap()).build().unwrap();
        together(threads, |thread| {
            (0..6).for_each(|number| _ = writer.write(&batch(Words::Own, (thread, number))).unwrap());
            writer.reserve().unwrap().write(&batch(Words::Own, (thread, 6))).unwrap();
        });
        let stats = writer.close().unwrap().stats;
        assert_eq!((stats.dictionary_batches, stats.deltas), (1, 0));
        let bytes = writer.into_inner().unwrap();
        let found = FileFormat::whole(&bytes);
        assert_eq!(sorted_marks(Words::Own, &found), all_marks(threads, 7));
        let framing = FileFormat::framing(&bytes);
        assert_eq!(framing.messages.last().unwrap().kind, MessageHeader::DictionaryBatch);
        assert_eq!(values_sent(&framing), words_used(&found));
        assert!(read::stream(&bytes[8..]).is_err(), "such a file is no stream");
    });
}

#[test]
fn a_close_that_the_sink_refused_can_be_repeated_with_its_dictionaries() {
    let options = Options::builder().dictionaries(Unify::new().at_close(true));
    for failing in 0..4 {
        let (sink, gate) = gate();
        let options = options.clone().staging(false).build().unwrap();
        let writer: SharedWriter<_, FileFormat> = FileFormat::to(sink).options(options).build().unwrap();
        gate.plan((0..4).map(|call| if call == failing { Act::Fail } else { Act::Take }));
        let written = writer.write(&batch(Words::Own, (0, 0))).is_ok();
        assert_eq!(written, failing != 0);
        if !written {
            writer.write(&batch(Words::Own, (0, 0))).unwrap();
        }
        while let Err(error) = writer.close() {
            assert!(matches!(error, Error::Core(ipc_core::Error::Io(_))), "{error:?}");
        }
        let found = FileFormat::whole(&gate.taken());
        assert_eq!(marks(Words::Own, &found), [(0, 0)]);
        assert_eq!(FileFormat::framing(&gate.taken()).dictionary_batches().len(), 1);
    }
}

#[test]
fn a_stream_cannot_have_its_dictionaries_at_close() {
    let options = Options::builder().dictionaries(Unify::new().at_close(true));
    let writer = StreamFormat::to(Vec::new()).options(options.build().unwrap()).build().unwrap();
    let refused = writer.write(&batch(Words::Own, (0, 0)));
    assert!(matches!(refused, Err(Error::Core(ipc_core::Error::InvalidOptions(_)))), "{refused:?}");
}
