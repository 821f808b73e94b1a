//! `merge`: writes many inputs to one output, with any number of threads.
//!
//! All inputs are [surveyed](crate::survey) before anything is written. Then one thread reads the messages, and workers
//! decode, encode and compress:
//!
//! - In the order of the inputs, the reader reserves a [slot](ipc_shared::Slot) for each batch, and passes both to a
//!   worker, which fills the slot when the batch is ready. The reader waits while the window of slots is full.
//! - In the order of arrival, each worker has a [producer](ipc_shared::Producer), and the reader waits while the queue
//!   is full.
//!
//! Either way, at most a few batches for each thread are in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arrow_schema::SchemaRef;
use ipc_recover::Kind;
use ipc_shared::{Builder, Format, SharedWriter, Slot, Summary};

use crate::advice;
use crate::args::Job;
use crate::decode::Encoded;
use crate::dictionaries::Known;
use crate::error::{Error, Result, note};
use crate::input::{Rules, Told};
use crate::large;
use crate::output::{Failure, Output, Sink, is_same_file};
use crate::pipeline;
use crate::progress::Progress;
use crate::signals;
use crate::source::display_name;
use crate::summary::{MergeReport, tell};
use crate::survey::{MergeInputs, Pending, known_schema};

/// Runs the command. An error about dictionaries says which arguments to change.
pub(crate) fn run(job: &Job) -> Result<()> {
    merge(job).map_err(|error| match error {
        Error::Dictionaries { input, reason, too_large } => match advice::on_dictionaries(job, too_large) {
            Some(advice) => Error::input(&input, format_args!("{reason}; {advice}")),
            None => Error::input(&input, reason),
        },
        other => other,
    })
}

fn merge(job: &Job) -> Result<()> {
    let begin = Instant::now();
    if let Some(input) = job.inputs.iter().find(|input| is_same_file(input, &job.output)) {
        return Err(Error::input(&display_name(input), "is also the output"));
    }
    let survey = MergeInputs::of(job)?;
    let (output, sink) = Output::create(&job.output)?;
    let options = survey.options;
    let reading = Reading {
        inputs: survey.inputs,
        known: Known::new(job.format, known_schema(&survey.schema, &options)?),
        progress: Progress::new(survey.length, job.quiet),
        failure: sink.failure().clone(),
        read_bytes: Arc::default(),
        rules: job.rules.clone(),
    };
    let (progress, read_bytes) = (reading.progress.clone(), Arc::clone(&reading.read_bytes));
    let written = match job.format {
        Kind::File => {
            let empty = SharedWriter::file(sink);
            let builder = survey.metadata.iter().fold(empty, |builder, (key, value)| builder.metadata(key, value));
            write(builder.options(options), job, survey.schema, reading, output.name())
        }
        Kind::Stream => write(SharedWriter::stream(sink).options(options), job, survey.schema, reading, output.name()),
    };
    progress.clear();
    let stats = written?.stats;
    output.complete()?;
    if let Some(reason) = survey.unified.filter(|_| !job.quiet) {
        note(format_args!("{reason}: dictionaries are unified"));
    }
    let (told, mut dropped) = (job.rules.told.as_ref(), survey.dropped);
    dropped.note_differences(told.map(Told::take_differences).unwrap_or_default());
    if !dropped.is_empty() && !job.quiet {
        note(&dropped);
    }
    if let Some(large) = large::note(&job.output, stats.written_bytes).filter(|_| !job.quiet) {
        note(large);
    }
    let read_bytes = read_bytes.load(Ordering::Relaxed);
    let report = MergeReport { job, stats, read_bytes, dropped: &dropped, elapsed: begin.elapsed() };
    tell(&job.output, job.json, job.quiet, &report.json(), &report.text())?;
    if told.is_some_and(Told::leaves_out) { Err(Error::RowsLeftOut) } else { Ok(()) }
}

/// The state of the reading thread.
struct Reading {
    inputs: Vec<Pending>,
    known: Known,
    progress: Progress,
    read_bytes: Arc<AtomicU64>,
    failure: Failure,
    rules: Rules,
}

impl Reading {
    /// Passes all batches of all inputs to `take`, until `take` returns that no more are wanted.
    fn run(self, mut take: impl FnMut(Encoded) -> Result<bool>) -> Result<()> {
        let Self { inputs, mut known, progress, read_bytes, rules, .. } = self;
        for pending in inputs {
            let mut input = pending.open(&rules)?;
            loop {
                let next = input.next_batch(&mut known)?;
                let length = input.count_read();
                read_bytes.fetch_add(length, Ordering::Relaxed);
                progress.advance(length);
                let Some(encoded) = next else { break };
                if !take(encoded)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Writes all batches to the writer that `builder` builds, and closes it.
fn write<F: Format>(
    builder: Builder<Sink, F>,
    job: &Job,
    schema: SchemaRef,
    reading: Reading,
    output: &str,
) -> Result<Summary> {
    let output: Arc<str> = output.into();
    let builder = builder.schema(schema).window(WINDOW_PER_THREAD * job.threads);
    let writer = builder.build().map_err(|failed| Error::writer(&output, &output, &failed.into_parts().0.into()))?;
    let stopped = writer.clone();
    signals::before_stopping(move |reason| drop(stopped.abort(reason)));
    let written = if job.keeps_order {
        write_in_order(&writer, job.threads, reading, &output)
    } else {
        write_on_arrival(&writer, job.threads, reading, &output)
    };
    // Readers must not take the batches that are already in a stream for all of it. If the sink has failed, there is no
    // way to tell them.
    written
        .and_then(|()| writer.close().map_err(|error| Error::writer(&output, &output, &error)))
        .inspect_err(|error| drop(writer.abort(&error.to_string())))
}

fn write_in_order<F: Format>(
    writer: &SharedWriter<Sink, F>,
    threads: usize,
    reading: Reading,
    output: &Arc<str>,
) -> Result<()> {
    let (reserving, name, failure) = (writer.clone(), Arc::clone(output), reading.failure.clone());
    let make = move |jobs: &pipeline::Jobs<(Slot<Sink, F>, Encoded)>| {
        reading.run(|encoded| {
            let slot = reserving.reserve().map_err(|error| Error::writer(&encoded.input, &name, &error))?;
            Ok(jobs.put((slot, encoded)))
        })
    };
    let worker = || {
        let (output, failure) = (Arc::clone(output), failure.clone());
        move |(slot, encoded): (Slot<Sink, F>, Encoded)| {
            let (batch, metadata) = encoded.decode().map_err(|damage| Error::input(&encoded.input, damage))?;
            let written = slot.write_with_metadata(&batch, &metadata);
            written.map_err(|failed| Error::writer(&encoded.input, &output, failed.error()))?;
            // The batch that failed may be one of another thread that this thread was appending.
            failure.check(&output)
        }
    };
    pipeline::run(threads, threads, make, worker)
}

fn write_on_arrival<F: Format>(
    writer: &SharedWriter<Sink, F>,
    threads: usize,
    reading: Reading,
    output: &Arc<str>,
) -> Result<()> {
    let make = move |jobs: &pipeline::Jobs<Encoded>| reading.run(|encoded| Ok(jobs.put(encoded)));
    let worker = || {
        let (mut producer, output) = (writer.producer(), Arc::clone(output));
        move |encoded: Encoded| {
            let (batch, metadata) = encoded.decode().map_err(|damage| Error::input(&encoded.input, damage))?;
            let written = producer.write_with_metadata(&batch, &metadata);
            written.map(drop).map_err(|error| Error::writer(&encoded.input, &output, &error))
        }
    };
    pipeline::run(threads, threads, make, worker)
}

/// The number of places per thread: one in work, one in the queue, and one that waits for its turn.
const WINDOW_PER_THREAD: usize = 3;

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use arrow_array::record_batch;
    use ipc_core::Options;

    use super::*;

    /// A sink that takes two messages, then fails.
    struct Full(u8);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
            self.write(&[])?;
            Ok(slices.iter().map(|slice| slice.len()).sum())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The writer keeps a batch that its sink refused while another thread's call appended it, and goes on. A merge
    /// must stop.
    #[test]
    fn a_full_sink_ends_it_whoever_meets_it() {
        let batch = record_batch!(("a", Int32, [1, 2, 3])).unwrap();
        let mut encoder = ipc_core::Encoder::stream(Vec::new()).start(batch.schema()).unwrap();
        (0..100).for_each(|_| assert!(encoder.write(&batch).is_ok()));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.arrows");
        std::fs::write(&path, encoder.close().unwrap().into_inner()).unwrap();
        let (outcomes, outcome) = mpsc::channel();
        for _ in 0..100 {
            let (path, schema, outcomes) = (path.clone(), batch.schema(), outcomes.clone());
            thread::spawn(move || {
                let sink = Sink::new(Box::new(Full(2)));
                let reading = Reading {
                    inputs: vec![Pending::Closed(path)],
                    known: Known::new(Kind::Stream, known_schema(&schema, &Options::default()).unwrap()),
                    progress: Progress::new(None, true),
                    read_bytes: Arc::default(),
                    failure: sink.failure().clone(),
                    rules: Rules::default(),
                };
                let writer = SharedWriter::stream(sink).schema(schema).window(12).build().unwrap();
                outcomes.send(write_in_order(&writer, 4, reading, &"out".into())).unwrap();
            });
            let outcome = outcome.recv_timeout(Duration::from_secs(20)).expect("it ends");
            assert!(matches!(outcome, Err(Error::Output { .. })), "{outcome:?}");
        }
    }
}
