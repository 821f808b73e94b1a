//! The runs during which power is lost: both formats, both writers, every way to send dictionaries, every codec, with
//! and without staging, torn and rolled back, and appended to a stream that another writer left torn.

use std::io::Write;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use ipc_core::{Compression, DictionaryHandling, Durable, MetadataVersion, Options, OptionsBuilder, Unify};
use ipc_recover::Kind;
use ipc_shared::{Error, FileFormat, StreamFormat};

use crate::crash::device::{Call, Device, states};
use crate::crash::judge::{Cells, cells};
use crate::random::Random;
use crate::shared::Output;
use crate::{encode, framing};

/// A run of a writer.
#[derive(Debug)]
pub struct Scenario {
    /// The name in the table.
    pub name: &'static str,
    kind: Kind,
    /// Whether the writer for many threads writes it.
    is_shared: bool,
    options: fn(OptionsBuilder) -> OptionsBuilder,
    words: Words,
    tears: &'static [usize],
    /// Whether it follows a stream that was torn inside its last message.
    is_appended: bool,
}

/// The kind of the dictionary column, if there is one.
#[derive(Debug, Clone, Copy)]
enum Words {
    None,
    /// Each batch has the words of the batches before it, and more.
    Growing,
    /// Each batch has its own words.
    Own,
}

/// Returns all scenarios.
pub const SCENARIOS: [Scenario; 16] = [
    scenario("stream", Kind::Stream, |options| options),
    scenario("stream, staged", Kind::Stream, |options| options.staging(true)),
    scenario("stream, Zstandard", Kind::Stream, |options| options.compression(Compression::Zstd(1))),
    scenario("stream, framing of before 0.15", Kind::Stream, |options| {
        options.metadata_version(MetadataVersion::V4Legacy)
    }),
    scenario("file", Kind::File, |options| options),
    scenario("file, not staged", Kind::File, |options| options.staging(false)),
    scenario("file, LZ4", Kind::File, |options| options.compression(Compression::Lz4)),
    Scenario { words: Words::Own, ..scenario("stream, dictionaries sent again", Kind::Stream, |options| options) },
    Scenario {
        words: Words::Growing,
        ..scenario("stream, deltas", Kind::Stream, |options| options.dictionaries(DictionaryHandling::Delta))
    },
    Scenario {
        words: Words::Growing,
        ..scenario("file, deltas, LZ4", Kind::File, |options| {
            options.dictionaries(DictionaryHandling::Delta).compression(Compression::Lz4).staging(false)
        })
    },
    Scenario {
        words: Words::Own,
        is_shared: true,
        ..scenario("stream, unified, shared writer", Kind::Stream, |options| options.dictionaries(Unify::new()))
    },
    Scenario {
        words: Words::Own,
        is_shared: true,
        ..scenario("file, unified, shared writer", Kind::File, |options| options.dictionaries(Unify::new()))
    },
    Scenario { tears: &[3, 6], ..scenario("stream, torn and rolled back", Kind::Stream, |options| options) },
    Scenario { is_appended: true, ..scenario("stream, behind a torn one", Kind::Stream, |options| options) },
    Scenario {
        is_appended: true,
        words: Words::Growing,
        is_shared: true,
        ..scenario("stream, deltas, behind a torn one, shared writer", Kind::Stream, |options| {
            options.dictionaries(DictionaryHandling::Delta)
        })
    },
    Scenario {
        tears: &[1, 4],
        words: Words::Growing,
        is_shared: true,
        ..scenario("file, torn and rolled back, shared writer", Kind::File, |options| {
            options.dictionaries(DictionaryHandling::Delta).staging(false)
        })
    },
];

const fn scenario(name: &'static str, kind: Kind, options: fn(OptionsBuilder) -> OptionsBuilder) -> Scenario {
    Scenario { name, kind, is_shared: false, options, words: Words::None, tears: &[], is_appended: false }
}

/// The calls and batches of a run.
#[derive(Debug)]
pub struct Run {
    /// The format.
    pub kind: Kind,
    /// The batches written, in order.
    pub batches: Vec<Cells>,
    calls: Vec<Call>,
    confirmed: Vec<Confirmed>,
}

/// The state that a successful sync confirmed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Confirmed {
    /// The number of calls of the device by then.
    calls: usize,
    /// The position that the sync returned.
    pub bytes: u64,
    /// The number of batches written before the sync.
    pub batches: usize,
}

impl Run {
    /// Returns up to `limit` states of the device after losses of power, each with what had been confirmed by then.
    #[must_use]
    pub fn states(&self, limit: usize) -> Vec<(Vec<u8>, Confirmed)> {
        let confirmed = |count: usize| {
            let before = self.confirmed.iter().rev().find(|confirmed| confirmed.calls <= count);
            before.copied().unwrap_or_default()
        };
        states(&self.calls, limit).into_iter().map(|(state, count)| (state, confirmed(count))).collect()
    }
}

impl Scenario {
    /// Writes the batches of this scenario.
    #[must_use]
    pub fn run(&self, checksums: bool) -> Run {
        let options = (self.options)(Options::builder()).checksums(checksums).build().unwrap();
        match self.kind {
            Kind::Stream => self.run_to::<StreamFormat>(options),
            Kind::File => self.run_to::<FileFormat>(options),
        }
    }

    fn run_to<F: Output>(&self, options: Options) -> Run {
        let mut device = Device::tearing(self.tears);
        let (mut before, start) = if self.is_appended { self.torn(&options, &mut device) } else { (Vec::new(), 0) };
        let batches: Vec<_> = (0..BATCHES).map(|number| batch(self.words, number)).collect();
        let mut confirmed = Vec::new();
        let mut confirm = |bytes: u64, batches: usize| {
            let (bytes, batches) = (start + bytes, before.len() + batches);
            confirmed.push(Confirmed { calls: device.count(), bytes, batches });
        };
        if self.is_shared {
            let writer = F::to(device.clone()).options(options).build().unwrap();
            for (batch, count) in batches.iter().zip(1..) {
                again(|| writer.write(batch).map(drop), || writer.rollback().unwrap());
                if is_synced(count) {
                    confirm(again(|| writer.sync(), || writer.rollback().unwrap()), count);
                }
            }
            writer.close().unwrap();
        } else {
            let encoder = F::encoder(device.clone()).with_options(options).start(batches[0].schema()).unwrap();
            let encoder = std::cell::RefCell::new(encoder);
            let rollback = || encoder.borrow_mut().rollback().unwrap();
            for (batch, count) in batches.iter().zip(1..) {
                again(|| Ok(encoder.borrow_mut().write(batch).map(drop)?), rollback);
                if is_synced(count) {
                    confirm(again(|| Ok(encoder.borrow_mut().sync()?), rollback), count);
                }
            }
            encoder.into_inner().close().unwrap();
        }
        before.extend(batches);
        let batches = before.iter().map(cells).collect();
        Run { kind: self.kind, batches, calls: device.calls(), confirmed }
    }

    /// Writes a stream that is torn inside its last message. Returns the batches before that message, and where the
    /// next stream starts.
    fn torn(&self, options: &Options, device: &mut Device) -> (Vec<RecordBatch>, u64) {
        let mut batches: Vec<_> = (BATCHES..BATCHES + 3).map(|number| batch(self.words, number)).collect();
        let stream = encode::stream(&batches[0].schema(), &batches, options).unwrap();
        let last = framing::messages(&stream, 0).messages.pop().unwrap();
        let torn = &stream[..last.body.start + last.body.len() / 2];
        device.write_all(torn).and_then(|()| device.sync()).unwrap();
        batches.pop();
        (batches, torn.len() as u64)
    }
}

/// The number of batches written.
const BATCHES: usize = 9;

/// Returns whether a sync follows the first `count` batches.
fn is_synced(count: usize) -> bool {
    matches!(count, 2 | 3 | 6)
}

/// Repeats `call` until it succeeds, with a `rollback` after each tear.
fn again<T>(call: impl Fn() -> Result<T, Error>, rollback: impl Fn()) -> T {
    loop {
        match call() {
            Ok(done) => return done,
            Err(Error::Poisoned { .. } | Error::Core(ipc_core::Error::Poisoned { .. })) => rollback(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Returns a batch of some KiB. Each of its cells differs from those of all other batches, except the zeros at its end.
fn batch(words: Words, number: usize) -> RecordBatch {
    let rows = 30 + number * 23 % 70;
    let mut random = Random::new(number as u64);
    let mut text = |row: usize| format!("{number}/{row}: {:016x}", random.draw());
    let text: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(&mut text)));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(
        (0..rows).map(|row| i64::try_from(1 + number * 1000 + row).expect("a small number")),
    ));
    let zeros: ArrayRef = Arc::new(Int64Array::from(vec![0; rows]));
    let dictionary = |first: usize, count: usize| -> ArrayRef {
        let values = StringArray::from_iter_values((first..first + count).map(|word| format!("word number {word}")));
        let key = |row: usize| i32::try_from(row % count).expect("a small number");
        let keys = Int32Array::from_iter_values((0..rows).map(key));
        Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(values)))
    };
    let columns = [("number", numbers), ("text", text)];
    let dictionary = match words {
        Words::None => None,
        Words::Growing => Some(("word", dictionary(0, 10 + 20 * number))),
        Words::Own => Some(("word", dictionary(number * 100, 30))),
    };
    RecordBatch::try_from_iter(columns.into_iter().chain(dictionary).chain([("zeros", zeros)])).unwrap()
}
