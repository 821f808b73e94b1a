//! What a batch of many changed dictionaries takes grows with their number: to encode, and under the lock of a shared
//! writer.
//!
//! Fails where a list of dictionaries is searched for each of them: four times the columns take up to sixteen times as
//! long then.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::{Metadata, SchemaRef};
use ipc_core::DictionaryHandling::{self, Delta, Resend, Unify};
use ipc_core::{BatchEncoder, Ledger, Message, Options, Sending, Stream, StreamSchema, UnifiedDictionaries, Updates};
use ipc_tests::dictionaries::{dictionary, words};

/// So many columns, and four times as many.
const COLUMNS: usize = 2_000;

/// How much longer four times the columns may take.
const AT_MOST: f64 = 7.0;

/// Rounds, of which the fastest counts: whatever else runs makes none faster.
const ROUNDS: usize = 5;

/// A batch of so many columns with a dictionary each, of these values, all of which it uses.
fn batch(columns: usize, values: &[&str]) -> RecordBatch {
    let keys: Vec<i32> = (0..i32::try_from(values.len()).unwrap()).cycle().take(4).collect();
    let column = || dictionary(&keys, words(values));
    RecordBatch::try_from_iter((0..columns).map(|number| (number.to_string(), column()))).unwrap()
}

/// The parts of an encoder.
struct Parts {
    schema: Arc<StreamSchema>,
    batches: BatchEncoder,
    unified: UnifiedDictionaries,
    ledger: Ledger,
}

impl Parts {
    fn new(schema: SchemaRef, handling: DictionaryHandling) -> Self {
        let options = Options::builder().dictionaries(handling).build().unwrap();
        let schema = Arc::new(StreamSchema::try_new(schema, &options).unwrap());
        Self {
            batches: BatchEncoder::new(&options),
            unified: UnifiedDictionaries::new(Arc::clone(&schema)),
            ledger: Ledger::new::<Stream>(Arc::clone(&schema), &options).unwrap(),
            schema,
        }
    }

    fn encode(&mut self, batch: &RecordBatch, sending: Sending) -> (Message<arrow_buffer::Buffer>, Updates) {
        let Self { schema, batches, unified, ledger } = self;
        let none = Metadata::new();
        let message = loop {
            match batches.encode_unified(batch, &none, unified.snapshot()).unwrap() {
                Ok(message) => break message,
                Err(new) => batches.learn(unified.grow(new).unwrap()),
            }
        };
        let (uses, sent) = (message.uses().to_vec(), ledger.dictionaries());
        let updates = if schema.has_unified_dictionaries() {
            batches.encode_unified_dictionaries::<Stream>(batch, &uses, unified.snapshot(), sent, sending)
        } else {
            batches.encode_dictionaries::<Stream>(schema, batch, sent, sending)
        };
        (message.into_owned(), updates.unwrap())
    }
}

/// How long it takes to encode a batch whose dictionaries have all changed, to see whether that is right after another one
/// was written, and to append it.
fn times(columns: usize, handling: DictionaryHandling) -> [Duration; 3] {
    let [first, second, third] = [&["a"][..], &["a", "b"], &["a", "b", "c"]].map(|values| batch(columns, values));
    let mut parts = Parts::new(first.schema(), handling);
    let mut sink = Vec::new();
    let (message, updates) = parts.encode(&first, Sending::Changes);
    parts.ledger.append(&mut sink, updates, &message).unwrap();

    let begin = Instant::now();
    let (message, updates) = parts.encode(&second, Sending::Changes);
    let encoded = begin.elapsed();
    let begin = Instant::now();
    parts.ledger.append(&mut sink, updates, &message).unwrap();
    let appended = begin.elapsed();

    // What is sent in full holds, and what others have sent in between.
    let compared = parts.ledger.dictionaries().clone();
    let (message, updates) = parts.encode(&third, Sending::Everything);
    let (other, others) = parts.encode(&third, Sending::Everything);
    parts.ledger.append(&mut sink, others, &other).unwrap();
    let begin = Instant::now();
    assert!((0..10).all(|_| updates.hold_for::<Stream>(&compared, parts.ledger.dictionaries())));
    let looked = begin.elapsed();
    parts.ledger.append(&mut sink, updates, &message).unwrap();
    [encoded, looked, appended]
}

#[test]
fn what_many_dictionaries_take_grows_with_their_number() {
    for handling in [Resend, Delta, Unify] {
        let mut fastest = [[Duration::MAX; 3]; 2];
        for _ in 0..ROUNDS {
            for (fastest, columns) in fastest.iter_mut().zip([COLUMNS, 4 * COLUMNS]) {
                for (fastest, time) in fastest.iter_mut().zip(times(columns, handling)) {
                    *fastest = time.min(*fastest);
                }
            }
        }
        let [few, many] = fastest;
        for (what, (few, many)) in ["encode", "hold_for", "append"].into_iter().zip(few.into_iter().zip(many)) {
            let ratio = many.as_secs_f64() / few.as_secs_f64();
            eprintln!("{handling:?}, {what}: {few:?}, {many:?}: {ratio:.1}");
            assert!(
                ratio < AT_MOST,
                "{handling:?}, {what}: {few:?} for {COLUMNS} columns, {ratio:.1} times that for four"
            );
        }
    }
}
