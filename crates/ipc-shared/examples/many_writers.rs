//! Sixteen threads write one file: `cargo run --release --example many_writers`.
//!
//! Needs no input. Writes the same LZ4-compressed batches to a temporary file twice: through a [`SharedWriter`], and
//! through a mutex around arrow-rs's `FileWriter`. Reads the first file back with arrow-rs's reader, checks every row,
//! and prints how long each took.

#![expect(clippy::disallowed_types, reason = "only the library must use its own primitives")]

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::File;
use std::io::{BufReader, IsTerminal, Seek};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use arrow_array::builder::{Float64Builder, Int64Builder, StringDictionaryBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int64Type};
use arrow_array::{ArrayRef, DictionaryArray, RecordBatch};
use arrow_ipc::CompressionType;
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ipc_shared::{Compression, Options, SharedWriter, Summary};

const THREADS: usize = 16;
const BATCHES_PER_THREAD: usize = 64;
const ROWS_PER_BATCH: usize = 8192;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    // Built first, so that only writing is timed.
    let stations = stations();
    let work: Vec<Vec<RecordBatch>> = (0..THREADS)
        .map(|thread| (0..BATCHES_PER_THREAD).map(|i| batch(thread * BATCHES_PER_THREAD + i, &stations)).collect())
        .collect();
    println!("{THREADS} threads, {BATCHES_PER_THREAD} batches of {ROWS_PER_BATCH} rows each, LZ4, one file");

    let mut file = tempfile::tempfile()?;
    let (shared, summary) = write_shared(file.try_clone()?, &work)?;
    check(&mut file, &summary)?;
    let mutex = write_behind_mutex(tempfile::tempfile()?, &work)?;

    let megabytes = |took: Duration| work_bytes(&work) / 1e6 / took.as_secs_f64();
    println!("SharedWriter:       {shared:>8.1?}  {:>7.0} MB/s of arrays", megabytes(shared));
    println!("Mutex<FileWriter>:  {mutex:>8.1?}  {:>7.0} MB/s of arrays", megabytes(mutex));
    println!(
        "on {} cores: {:.2} times as fast",
        thread::available_parallelism()?,
        mutex.as_secs_f64() / shared.as_secs_f64()
    );
    Ok(())
}

/// Writes from all threads at once, each with a producer of its own.
fn write_shared(file: File, work: &[Vec<RecordBatch>]) -> Result<(Duration, Summary), Failure> {
    let options = Options::builder().compression(Compression::Lz4).build()?;
    let writer = SharedWriter::file(file).options(options).build()?;
    let progress = progress();
    let start = Instant::now();
    thread::scope(|scope| -> Result<(), Failure> {
        let threads: Vec<_> = work
            .iter()
            .map(|batches| {
                let (mut producer, progress) = (writer.producer(), &progress);
                scope.spawn(move || {
                    batches.iter().try_for_each(|batch| {
                        producer.write(batch)?;
                        progress.inc(1);
                        Ok::<(), ipc_shared::Error>(())
                    })
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| Ok(thread.join().map_err(|_| "a thread panicked")??))
    })?;
    let summary = writer.close()?;
    let took = start.elapsed();
    progress.finish_and_clear();
    Ok((took, summary))
}

/// Does the same as most programs do today.
fn write_behind_mutex(file: File, work: &[Vec<RecordBatch>]) -> Result<Duration, Failure> {
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
    let writer = Mutex::new(FileWriter::try_new_with_options(file, &work[0][0].schema(), options)?);
    let start = Instant::now();
    thread::scope(|scope| -> Result<(), Failure> {
        let write = |batch| writer.lock().expect("no thread panics").write(batch);
        let threads: Vec<_> =
            work.iter().map(|batches| scope.spawn(move || batches.iter().try_for_each(write))).collect();
        threads.into_iter().try_for_each(|thread| Ok(thread.join().map_err(|_| "a thread panicked")??))
    })?;
    writer.into_inner().expect("no thread panics").finish()?;
    Ok(start.elapsed())
}

/// Reads the file back and checks that every row is there exactly once.
fn check(file: &mut File, summary: &Summary) -> Result<(), Failure> {
    file.rewind()?;
    let reader = FileReader::try_new(BufReader::new(&*file), None)?;
    let batches = reader.num_batches();
    let mut rows = BTreeSet::new();
    for batch in reader {
        let batch = batch?;
        rows.extend(batch.column(0).as_primitive::<Int64Type>().values().iter().copied());
    }
    let expected = THREADS * BATCHES_PER_THREAD;
    let all = i64::try_from(expected * ROWS_PER_BATCH)?;
    if batches != expected || rows.len() != expected * ROWS_PER_BATCH || rows != (0..all).collect() {
        return Err(format!("{batches} batches, {} different rows, of {expected} and {all}", rows.len()).into());
    }
    let stats = &summary.stats;
    println!("checked with arrow-rs's reader: {batches} batches, {} rows, each of them once", rows.len());
    println!(
        "{} dictionary batch, {} bytes for {} bytes of bodies",
        stats.dictionary_batches, stats.written_bytes, stats.raw_bytes
    );
    Ok(())
}

fn progress() -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} batches, {eta}").expect("the template is right");
    ProgressBar::with_draw_target(Some((THREADS * BATCHES_PER_THREAD) as u64), target).with_style(style)
}

/// Returns the dictionary values that all batches share.
fn stations() -> ArrayRef {
    let mut names = StringDictionaryBuilder::<Int8Type>::new();
    (0..100).for_each(|i| names.append_value(format!("station {i}")));
    Arc::clone(names.finish().values())
}

/// Returns batch `index`: the numbers of its rows, measurements, and stations.
fn batch(index: usize, stations: &ArrayRef) -> RecordBatch {
    let (mut ids, mut values) = (Int64Builder::new(), Float64Builder::new());
    let first = index * ROWS_PER_BATCH;
    for row in first..first + ROWS_PER_BATCH {
        ids.append_value(i64::try_from(row).expect("rows are few"));
        let hundredths = u32::try_from(row * 7919 % 10_000).expect("less than 10,000");
        values.append_option((row % 13 != 0).then_some(f64::from(hundredths) / 100.0));
    }
    let keys = (first..first + ROWS_PER_BATCH).map(|row| i8::try_from(row * 31 % 100).expect("less than 100"));
    let names = DictionaryArray::<Int8Type>::try_new(keys.collect(), Arc::clone(stations)).expect("keys are in range");
    RecordBatch::try_from_iter([
        ("id", Arc::new(ids.finish()) as ArrayRef),
        ("value", Arc::new(values.finish())),
        ("station", Arc::new(names)),
    ])
    .expect("the columns are equally long")
}

#[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
fn work_bytes(work: &[Vec<RecordBatch>]) -> f64 {
    work.iter().flatten().map(RecordBatch::get_array_memory_size).sum::<usize>() as f64
}
