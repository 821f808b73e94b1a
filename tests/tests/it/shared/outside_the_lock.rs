//! Encoding, compression and the comparison of dictionaries are done outside the lock.
//!
//! Shown by holding the lock: one thread is kept inside the sink's `write`, and with it inside the lock, while others
//! fill places. That must return, batch encoded, compressed and compared, although the lock is not free; nothing that
//! is done under it could. Fails where any of these steps takes the lock.
//!
//! That no *further* comparison, and no encoding, follows under the lock is shown in `shared_lock_is_light.rs`: they
//! would allocate there.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};
use ipc_shared::{Compression, DictionaryHandling, SharedWriter, StreamFormat};
use ipc_tests::gate::{Gated, gate};
use ipc_tests::random::Random;
use ipc_tests::shared::{Output, Words, batch, marks, schema, unstaged_with};
use ipc_tests::threads::{at_every_width, together};

use super::in_both_formats;

in_both_formats!(many_threads_compress_while_the_lock_is_held);

/// Fills a slot after an unfilled one with the batch of each thread, while the lock is held by a thread that writes
/// `first`. All have come back before the lock is given back.
fn fill_while_the_lock_is_held<F: Output>(
    writer: &SharedWriter<Gated, F>,
    gate: &ipc_tests::gate::Gate,
    threads: usize,
    first: &RecordBatch,
    of: impl Fn(usize) -> RecordBatch + Sync,
) {
    let front = writer.reserve().unwrap();
    let places: Vec<_> = (1..threads).map(|_| std::sync::Mutex::new(writer.reserve().ok())).collect();
    gate.shut();
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| writer.write(first).unwrap());
        gate.wait_until_occupied();
        let before = gate.len();
        together(threads - 1, |thread| places[thread].lock().unwrap().take().unwrap().write(&of(thread)).unwrap());
        assert!(!holder.is_finished(), "the lock has been held all the time");
        assert_eq!(gate.len(), before);
        gate.open();
        holder.join().unwrap();
    });
    drop(front);
    writer.flush().unwrap();
}

fn many_threads_compress_while_the_lock_is_held<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let options = unstaged_with(Compression::Zstd(15), DictionaryHandling::Resend);
    let words = schema(Words::Plain);
    let writer = F::to(sink).options(options).schema(words.clone()).window(threads).build().unwrap();
    let rows = 4000;
    let of = |thread: usize| {
        let mut random = Random::labelled(11, thread);
        let numbers = arrow_array::UInt32Array::from_iter_values(0..rows);
        let text = StringArray::from_iter_values((0..rows).map(|_| format!("{:x}", random.below(1 << 20))));
        RecordBatch::try_new(words.clone(), vec![Arc::new(numbers.clone()), Arc::new(numbers), Arc::new(text)]).unwrap()
    };
    fill_while_the_lock_is_held(&writer, &gate, threads, &batch(Words::Plain, (0, 0)), of);
    writer.close().unwrap();
    let found = F::whole(&gate.taken());
    assert_eq!(marks(Words::Plain, &found[..1]), [(0, 0)]);
    assert_eq!(found[1..], (0..threads - 1).map(of).collect::<Vec<_>>());
}

/// A large dictionary with the same values in an array, and in buffers, of its own. That it is the same, only looking
/// at every value can tell.
fn large(thread: usize) -> RecordBatch {
    let words = StringArray::from_iter_values((0..50_000).map(|word| format!("a word with the number {word}")));
    let keys = Int32Array::from(vec![i32::try_from(thread).unwrap(); 3]);
    let column = Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(words)));
    let field = Field::new("word", column.data_type().clone(), false);
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap()
}

#[test]
fn dictionaries_are_compared_while_the_lock_is_held() {
    at_every_width(|threads| {
        let threads = threads.min(4); // each compares a large dictionary, in a build without optimisation
        let (sink, gate) = gate();
        let writer = StreamFormat::to(sink).window(threads).build().unwrap();
        let first = large(0);
        writer.write(&first).unwrap();
        fill_while_the_lock_is_held(&writer, &gate, threads, &first, large);
        let stats = writer.close().unwrap().stats;
        assert_eq!(stats.dictionary_batches, 1, "all were found equal, by value");
        assert_eq!(StreamFormat::whole(&gate.taken()).len(), 1 + threads);
    });
}
