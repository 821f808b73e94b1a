//! The output has exactly one schema message, first, every message is whole and none interleaves with another, however
//! many threads write.
//!
//! Fails where the decision to write the header and the header itself are two steps, where two threads take their
//! offset before either writes, or where bytes reach the sink in more than one turn. The check of the whole output in
//! [`Output::whole`] follows the format's text message by message.

use ipc_shared::{Compression, DictionaryHandling, Options};
use ipc_tests::shared::{Output, Words, batch, schema, sorted_marks, unstaged_with};
use ipc_tests::threads::together;

use super::in_both_formats;

in_both_formats!(
    one_batch_from_each_thread,
    many_batches_from_each_thread,
    compressed_batches_with_dictionaries,
    a_schema_without_batches,
    receipts_tell_the_places,
);

fn one_batch_from_each_thread<F: Output>(threads: usize) {
    for round in 0..20 {
        let writer = F::to(Vec::new()).build().unwrap();
        together(threads, |thread| writer.write(&batch(Words::Plain, (thread, round))).unwrap());
        let stats = writer.close().unwrap().stats;
        let batches = F::whole(&writer.into_inner().unwrap());
        let expected: Vec<_> = (0..threads).map(|thread| (thread, round)).collect();
        assert_eq!(sorted_marks(Words::Plain, &batches), expected, "every row once");
        assert_eq!((stats.messages, stats.record_batches), (1 + threads as u64, threads as u64));
    }
}

/// Writes `each` batches from each thread and returns how many dictionary batches that took.
fn many<F: Output>(threads: usize, each: usize, words: Words, options: Options) -> u64 {
    let writer = F::to(Vec::new()).options(options).build().unwrap();
    together(threads, |thread| {
        let mut producer = writer.producer();
        for number in 0..each {
            // Both ways in, side by side.
            if number % 2 == 0 {
                producer.write(&batch(words, (thread, number))).unwrap();
            } else {
                writer.write(&batch(words, (thread, number))).unwrap();
            }
        }
    });
    let stats = writer.close().unwrap().stats;
    let bytes = writer.into_inner().unwrap();
    let batches = F::whole(&bytes);
    let expected: Vec<_> = (0..threads).flat_map(|thread| (0..each).map(move |number| (thread, number))).collect();
    assert_eq!(sorted_marks(words, &batches), expected, "every row once");
    assert_eq!(stats.record_batches, expected.len() as u64);
    assert_eq!(stats.written_bytes, bytes.len() as u64);
    stats.dictionary_batches
}

fn many_batches_from_each_thread<F: Output>(threads: usize) {
    many::<F>(threads, 30, Words::Plain, Options::default());
    many::<F>(threads, 30, Words::Plain, unstaged_with(Compression::None, DictionaryHandling::Resend));
}

fn compressed_batches_with_dictionaries<F: Output>(threads: usize) {
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd(1)] {
        for handling in [DictionaryHandling::Resend, DictionaryHandling::Delta] {
            let sent = many::<F>(threads, 6, Words::Equal, unstaged_with(compression, handling));
            assert_eq!(sent, 1, "equal dictionaries are sent once");
        }
    }
}

fn a_schema_without_batches<F: Output>(threads: usize) {
    let writer = F::to(Vec::new()).schema(schema(Words::Equal)).build().unwrap();
    let closed = together(threads, |_| writer.close().is_ok());
    assert_eq!(closed.iter().filter(|is_closed| **is_closed).count(), 1);
    assert!(F::whole(&writer.into_inner().unwrap()).is_empty());
}

fn receipts_tell_the_places<F: Output>(threads: usize) {
    let writer = F::to(Vec::new()).build().unwrap();
    let receipts = together(threads, |thread| {
        [0, 1, 2].map(|number| ((thread, number), writer.write(&batch(Words::Own, (thread, number)))))
    });
    if F::HAS_FOOTER {
        // A file holds one dictionary: batches with other dictionaries are refused, and take no slot.
        assert!(receipts.iter().flatten().filter(|(_, receipt)| receipt.is_ok()).count() == 1);
    }
    writer.close().unwrap();
    let bytes = writer.into_inner().unwrap();
    let (framing, batches) = (F::framing(&bytes), F::whole(&bytes));
    let placed = framing.record_batches();
    let marks = ipc_tests::shared::marks(Words::Own, &batches);
    for (mark, receipt) in receipts.into_iter().flatten() {
        let Ok(receipt) = receipt else { continue };
        let place = usize::try_from(receipt.sequence).unwrap();
        assert_eq!(marks[place], mark);
        assert_eq!(placed[place].offset as u64, receipt.offset);
        assert_eq!(placed[place].metadata_length as u64, receipt.metadata_length);
        assert_eq!(placed[place].body.len() as u64, receipt.body_length);
    }
}
