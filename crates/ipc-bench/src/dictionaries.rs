//! Unified dictionaries: what they cost while nothing is new, what growing costs, and what they save.
//!
//! Producers have dictionaries of their own: the same words, each in another order. Their batches are written in turn, by
//! one thread or by more. More than a quarter of the bytes of the batches that are made here are keys; a data set has fewer.

use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::StreamWriter;
use ipc_core::Encoder;
use ipc_shared::{Compression, DictionaryHandling, Options, SharedWriter, Unify};

use crate::batches::Shape;
use crate::figure::{Line, Metric};
use crate::measure::Bench;
use crate::sinks::{Counting, Rewinding};

/// How many producers take turns.
const PRODUCERS: usize = 4;
/// Rows of their batches.
const ROWS: usize = 8192;
/// Words in their dictionaries: few, of which it is the rows that matter, and many, which take more bytes than the rows.
const FEW: usize = 1000;
const MANY: [usize; 2] = [20_000, 100_000];

/// Measures them.
pub fn run(bench: &mut Bench) {
    let name = "5 columns x 8k rows, 2 of them dictionaries of 1,000 by 4 producers";
    let line = |case: String, peer: &str, target| Line::new(case, Metric::Time, peer).at_least(target);
    let (own, one) = (producers(FEW, true), producers(FEW, false));

    let steady = line(format!("{name}, file"), "one dictionary", 0.8);
    let folder = bench.folder().to_owned();
    let unified = || in_turn(&own, Unify::new().into(), &folder);
    bench.compare(steady, unified(), in_turn(&one, DictionaryHandling::Resend, &folder));

    let steady = line("trips.arrow, 3 of 14 columns dictionaries by 4 producers, file".into(), "one dictionary", 0.8);
    if bench.wants(&steady)
        && let Some(one) = Shape::Data("trips").batches()
    {
        let one = &one[..PRODUCERS];
        let own: Vec<_> = (0..).zip(one).map(|(producer, batch)| reordered(batch, producer)).collect();
        let unified = in_turn(&own, Unify::new().into(), &folder);
        bench.compare(steady, unified, in_turn(one, DictionaryHandling::Resend, &folder));
    }

    let steady = line(format!("{name}, file, stream, 2 threads"), "one dictionary", 0.8);
    let shared = |batches, handling| on_threads(batches, Rewinding::new(&folder), dictionaries(handling), 2);
    bench.compare(steady, shared(&own, Unify::new().into()), shared(&one, DictionaryHandling::Resend));

    for count in MANY {
        let thousands = count / 1000;
        let case =
            format!("5 columns x 8k rows, 2 of them dictionaries of {thousands},000 by 4 producers, file, stream");
        let resent = line(case, "StreamWriter + BufWriter", 3.0);
        if bench.wants(&resent) {
            let own = producers(count, true);
            bench.compare(resent, stream_in_turn(&own, &folder), resent_in_turn(&own, &folder));
        }
    }

    for (codec, compression) in [("raw", Compression::None), ("lz4", Compression::Lz4)] {
        let two = line(format!("{name}, {codec}, no I/O, 2 threads"), "1 thread", 1.6);
        let on = |threads| on_threads(&own, Counting::default(), compressed(compression), threads);
        bench.compare(two, on(2), on(1));
    }

    let grows = line(
        "1,000 batches of 8k rows and 1,000 words, 100 of them new, 100,000 there".into(),
        "nothing new",
        1.0 / 3.0,
    );
    if bench.wants(&grows) {
        let growth = Growth::new();
        let [without, with] = &growth.before;
        bench.compare_samples(grows, || growth.after(without), || growth.after(with));
    }
}

fn dictionaries(handling: DictionaryHandling) -> Options {
    Options::builder().dictionaries(handling).build().expect("these go together")
}

fn compressed(compression: Compression) -> Options {
    let options = Options::builder().dictionaries(Unify::new()).compression(compression);
    options.build().expect("these go together")
}

/// One batch of each producer, with dictionaries of `count` words, of its own or the same for all.
fn producers(count: usize, own: bool) -> Vec<RecordBatch> {
    let words: Vec<ArrayRef> = (0..PRODUCERS)
        .map(|producer| {
            let step = if own { [7, 11, 13, 17][producer] } else { 1 };
            let words = (0..count).map(|word| format!("the word {:06}", word * step % count));
            Arc::new(StringArray::from_iter_values(words)) as ArrayRef
        })
        .collect();
    let column = |producer: usize, salt: usize| {
        let keys = (0..ROWS).map(|row| number((row * 31 + salt * row / 5 + producer) % count));
        let values = if own { &words[producer] } else { &words[0] };
        let array = DictionaryArray::<Int32Type>::new(Int32Array::from_iter_values(keys), Arc::clone(values));
        Arc::new(array) as ArrayRef
    };
    let batch = |producer: usize| {
        let ids = Int64Array::from_iter_values((0..).take(ROWS));
        let values = Float64Array::from_iter_values((0..ROWS).map(|row| (f64::from(number(row)) * 0.37).sin()));
        let counts = Int32Array::from_iter_values((0..ROWS).map(|row| number(row % 1000)));
        let columns = [
            ("id", Arc::new(ids) as ArrayRef),
            ("value", Arc::new(values)),
            ("count", Arc::new(counts)),
            ("from", column(producer, 1)),
            ("to", column(producer, 2)),
        ];
        RecordBatch::try_from_iter(columns).expect("the columns are equally long")
    };
    (0..PRODUCERS).map(batch).collect()
}

/// A batch whose dictionaries have their words in another order, and its rows with them.
fn reordered(batch: &RecordBatch, places: usize) -> RecordBatch {
    let columns = batch.columns().iter().map(|column| {
        let Some(dictionary) = column.as_any_dictionary_opt() else { return Arc::clone(column) };
        let words = dictionary.values().as_string::<i32>();
        let turned: StringArray = words.iter().cycle().skip(places).take(words.len()).collect();
        dictionary.with_values(Arc::new(turned))
    });
    RecordBatch::try_new(batch.schema(), columns.collect()).expect("the types are the same")
}

fn in_turn(batches: &[RecordBatch], handling: DictionaryHandling, folder: &Path) -> impl FnMut(usize) {
    let encoder = Encoder::file(Rewinding::new(folder)).with_options(dictionaries(handling));
    let mut encoder = encoder.start(batches[0].schema()).expect("the disk has room");
    let mut turns = batches.iter().cycle();
    move |times| turns.by_ref().take(times).for_each(|batch| _ = encoder.write(batch).expect("the disk has room"))
}

fn stream_in_turn(batches: &[RecordBatch], folder: &Path) -> impl FnMut(usize) {
    let encoder = Encoder::stream(Rewinding::new(folder)).with_options(dictionaries(Unify::new().into()));
    let mut encoder = encoder.start(batches[0].schema()).expect("the disk has room");
    let mut turns = batches.iter().cycle();
    move |times| turns.by_ref().take(times).for_each(|batch| _ = encoder.write(batch).expect("the disk has room"))
}

/// The peer, which sends dictionaries again wherever they change.
fn resent_in_turn(batches: &[RecordBatch], folder: &Path) -> impl FnMut(usize) {
    let sink = BufWriter::with_capacity(256 << 10, Rewinding::new(folder));
    let mut writer = StreamWriter::try_new(sink, &batches[0].schema()).expect("the disk has room");
    let mut turns = batches.iter().cycle();
    move |times| turns.by_ref().take(times).for_each(|batch| writer.write(batch).expect("the disk has room"))
}

/// So many threads, each of which writes its share of the batches, those of all producers in turn: the keys of the first
/// producer are those of the unified dictionary, so that nothing has to be rewritten, and whoever wrote only those would
/// have less to do.
fn on_threads(batches: &[RecordBatch], sink: impl Write + Send, options: Options, threads: usize) -> impl FnMut(usize) {
    let writer = SharedWriter::stream(sink).options(options).build();
    let writer = writer.expect("nothing is written yet");
    let mut producers: Vec<_> = (0..threads).map(|_| writer.producer()).collect();
    move |times| {
        thread::scope(|scope| {
            for (index, producer) in producers.iter_mut().enumerate() {
                let share = times / threads + usize::from(index < times % threads);
                let turns = batches.iter().cycle().skip(index).take(share);
                scope.spawn(move || turns.for_each(|batch| _ = producer.write(batch).expect("it only counts")));
            }
        });
    }
}

/// Batches that bring words to a dictionary, each in an array of its own.
struct Growth {
    batches: Vec<RecordBatch>,
    /// Batches that bring all words of before, without those of `batches` and with them.
    before: [RecordBatch; 2],
}

impl Growth {
    const BATCHES: usize = 1000;
    /// Words that each brings, among those that it uses.
    const NEW: usize = 100;
    const USED: usize = 1000;
    /// Words that are there before.
    const THERE: usize = 100_000;

    fn new() -> Self {
        let end = |batch: usize| Self::THERE + Self::NEW * batch;
        let batches = (1..=Self::BATCHES).map(|n| words(end(n) - Self::USED..end(n), ROWS)).collect();
        let before = [end(0), end(Self::BATCHES)].map(|end| words(0..end, end));
        Self { batches, before }
    }

    /// Writes all batches to an output that has the words of `before`. Returns the seconds for one of them.
    fn after(&self, before: &RecordBatch) -> f64 {
        let encoder = Encoder::stream(Counting::default()).with_options(dictionaries(Unify::new().into()));
        let mut encoder = encoder.start(before.schema()).expect("counting never fails");
        encoder.write(before).expect("counting never fails");
        let start = Instant::now();
        self.batches.iter().for_each(|batch| _ = encoder.write(batch).expect("counting never fails"));
        start.elapsed().as_secs_f64() / f64::from(u16::try_from(Self::BATCHES).expect("few batches"))
    }
}

/// A batch of so many rows, which have one of `words` after the other.
fn words(words: Range<usize>, rows: usize) -> RecordBatch {
    let keys = Int32Array::from_iter_values((0..rows).map(|row| number(row % words.len())));
    let words = StringArray::from_iter_values(words.map(|word| format!("the word {word:06}")));
    let column = DictionaryArray::<Int32Type>::new(keys, Arc::new(words));
    RecordBatch::try_from_iter([("word", Arc::new(column) as ArrayRef)]).expect("one column")
}

fn number(n: usize) -> i32 {
    i32::try_from(n).expect("a small number")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Effort;

    #[test]
    fn every_line_runs_and_the_producers_differ_in_their_dictionaries_only() {
        let mut bench =
            Bench::new(Effort::Smoke, vec!["8k rows, 2 of them dictionaries".into()], &std::env::temp_dir());
        run(&mut bench);
        assert_eq!(bench.figures().len(), 6);
        let [own, one] = [true, false].map(|own| producers(FEW, own));
        assert_ne!(own[0].column(3), own[1].column(3));
        assert_eq!(own[0].column(2), own[1].column(2));
        assert_eq!(own[0].schema(), one[3].schema());
    }
}
