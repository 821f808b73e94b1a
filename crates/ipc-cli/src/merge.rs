//! `merge`: many inputs, one output, any number of threads.
//!
//! All inputs are opened before anything is written, so that one that is missing, no Arrow, or of another schema costs no
//! time. Where a file is written and the arguments leave it open, their dictionaries are read, too: if they differ, they
//! are unified. Then one thread reads message after message, and workers decode, encode and compress:
//!
//! - in the order of the inputs, the reader reserves a [slot](ipc_shared::Slot) for each batch, and hands both to a
//!   worker, which fills the slot whenever it is ready. Reserving waits while too many slots are out.
//! - in the order of arrival, each worker has a [producer](ipc_shared::Producer), and the queue is what waits.
//!
//! Either way, at most a few batches for each thread are in memory.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arrow_schema::{Fields, Metadata, SchemaRef};
use ipc_core::{File, Ledger};
use ipc_recover::Kind;
use ipc_shared::{Builder, Format, Options, SharedWriter, Slot, StreamSchema, Summary};

use crate::args::Job;
use crate::decode::Encoded;
use crate::dictionaries::{Known, Refused};
use crate::error::{Error, Result, note};
use crate::input::Input;
use crate::metadata::{Dropped, MetadataOfAll};
use crate::output::{Failure, Output, Sink, is_same_file};
use crate::pipeline;
use crate::progress::Progress;
use crate::source::display_name;
use crate::summary::{Report, tell};

/// Merges.
pub(crate) fn run(job: &Job) -> Result<()> {
    let begin = Instant::now();
    if let Some(input) = job.inputs.iter().find(|input| is_same_file(input, &job.output)) {
        return Err(Error::input(&display_name(input), "is the output, too"));
    }
    let survey = Survey::of(job)?;
    let (output, sink) = Output::create(&job.output)?;
    let options = survey.options;
    let reading = Reading {
        inputs: survey.inputs,
        known: Known::new(job.format, known_schema(&survey.schema, &options)?),
        progress: Progress::new(survey.length, job.quiet),
        failure: sink.failure().clone(),
        read_bytes: Arc::default(),
        quiet: job.quiet,
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
    if !survey.dropped.is_empty() && !job.quiet {
        note(&survey.dropped);
    }
    let read_bytes = read_bytes.load(Ordering::Relaxed);
    let report = Report { job, stats, read_bytes, dropped: &survey.dropped, elapsed: begin.elapsed() };
    tell(&job.output, job.json, job.quiet, &report.json(), &report.text())
}

/// What is known of the inputs before anything is written.
struct Survey {
    inputs: Vec<Pending>,
    schema: SchemaRef,
    /// What the footer of the output carries.
    metadata: Metadata,
    /// The metadata of the inputs that the output does not have. Told once the output is there.
    dropped: Dropped,
    /// How many bytes all inputs have together, if that is known.
    length: Option<u64>,
    /// How the output is written.
    options: Options,
    /// Why dictionaries are unified, if nobody asked for it. Told once the output is there: before, something else may
    /// have to be told.
    unified: Option<String>,
}

/// An input that waits for its turn.
enum Pending {
    /// It cannot be opened twice.
    Open(Box<Input>),
    /// It is closed until then, so that there may be more inputs than files can be open.
    Closed(PathBuf),
}

impl Survey {
    fn of(job: &Job) -> Result<Self> {
        let mut inputs = Vec::with_capacity(job.inputs.len());
        let mut first: Option<(Arc<str>, StreamSchema)> = None;
        let mut length = Some(0);
        let mut metadata = MetadataOfAll::default();
        for path in &job.inputs {
            let input = Input::open(path, job.quiet)?;
            let differences = match &first {
                None => {
                    let schema = StreamSchema::try_new(Arc::clone(input.schema()), &job.options)
                        .map_err(|refusal| Error::input(input.name(), refusal))?;
                    first = Some((Arc::clone(input.name()), schema));
                    Vec::new()
                }
                Some((name, schema)) => {
                    check_schema(&input, schema, name)?;
                    schema.metadata_differences(input.schema())
                }
            };
            metadata.add(differences, input.footer_metadata());
            length = length.zip(input.length()).map(|(sum, length)| sum + length);
            let can_reopen = Input::can_reopen(path);
            inputs.push(if can_reopen { Pending::Closed(path.clone()) } else { Pending::Open(Box::new(input)) });
        }
        let (_, schema) = first.expect("the arguments have at least one input");
        let (metadata, dropped) = metadata.settle(job);
        let schema = Arc::clone(schema.schema());
        check_nested_dictionaries(job, &schema)?;
        let (options, unified) = settle_options(job, &schema, &inputs)?;
        Ok(Self { inputs, schema, metadata, dropped, length, options, unified })
    }
}

/// Refuses to unify dictionaries in a file that cannot have them grow, and names the switch that does it.
fn check_nested_dictionaries(job: &Job, schema: &SchemaRef) -> Result<()> {
    if job.format == Kind::Stream {
        return Ok(());
    }
    let name = display_name(&job.inputs[0]);
    let opened = StreamSchema::try_new(Arc::clone(schema), &job.options)
        .and_then(|schema| Ledger::new::<File>(Arc::new(schema), &job.options));
    match opened {
        Ok(_) => Ok(()),
        Err(ipc_core::Error::Unsupported { path, .. }) => Err(Error::input(
            &name,
            format_args!(
                "the dictionary of column `{path}` has another one inside its values, which a file unifies with \
                 --dictionaries-at-close only; a stream (--format stream) always does"
            ),
        )),
        Err(refusal) => Err(Error::input(&name, refusal)),
    }
}

/// The options to write with: those that unify dictionaries, where the arguments leave it open, a file can unify them, and
/// it could not keep the inputs' own. That takes a look into all of them; one that can be read only once is not looked
/// into, and might. With them comes the reason. Where unifying does not help either, the refusal names what does.
fn settle_options(job: &Job, schema: &SchemaRef, inputs: &[Pending]) -> Result<(Options, Option<String>)> {
    let as_asked = || Ok((job.options.clone(), None));
    let of = |options| StreamSchema::try_new(Arc::clone(schema), options);
    let Some((unifying, unified)) = job.unifying.as_ref().and_then(|options| Some((options, of(options).ok()?))) else {
        return as_asked();
    };
    let (reason, refused) = match obstacle(inputs, Known::new(job.format, known_schema(schema, &job.options)?))? {
        None => return as_asked(),
        Some(Obstacle::ReadOnce(name)) => {
            (format!("{name} can be read only once, and its dictionaries may change"), None)
        }
        Some(Obstacle::Refused(name, refused)) => {
            (format!("{name} has another dictionary for column `{}`", refused.path()), Some((name, refused)))
        }
    };
    // Those that are not unified may grow, and do no more than that.
    if refused.is_some()
        && !unified.has_only_unified_dictionaries()
        && let Some(Obstacle::Refused(name, refused)) =
            obstacle(inputs, Known::new(job.format, known_schema(schema, unifying)?))?
    {
        return Err(Error::input(&name, refused));
    }
    match refused {
        _ if Ledger::new::<File>(Arc::new(unified), unifying).is_ok() => Ok((unifying.clone(), Some(reason))),
        Some((name, refused)) => Err(Error::input(&name, refused)),
        None => as_asked(),
    }
}

/// Why a file may not be able to keep the dictionaries of its inputs.
enum Obstacle {
    /// This input can be read only once, and has dictionaries.
    ReadOnce(Arc<str>),
    /// This input has a dictionary that cannot follow those before.
    Refused(Arc<str>, Refused),
}

/// The first reason why an output may not be able to have the dictionaries of these inputs, if there is any. One that can
/// be read only once is not looked into.
fn obstacle(inputs: &[Pending], mut known: Known) -> Result<Option<Obstacle>> {
    let mut read_once = None;
    for pending in inputs {
        match pending {
            Pending::Open(input) if !input.has_dictionaries() => {}
            Pending::Open(input) => {
                read_once = read_once.or_else(|| Some(Obstacle::ReadOnce(Arc::clone(input.name()))))
            }
            Pending::Closed(path) => {
                let input = Input::open(path, true)?;
                if !input.has_dictionaries() {
                    return Ok(None);
                }
                let name = Arc::clone(input.name());
                if let Some(refused) = input.survey_dictionaries(&mut known)? {
                    return Ok(Some(Obstacle::Refused(name, refused)));
                }
            }
        }
    }
    Ok(read_once)
}

/// The schema of the output, as written with these options.
fn known_schema(schema: &SchemaRef, options: &Options) -> Result<StreamSchema> {
    StreamSchema::try_new(Arc::clone(schema), options).map_err(|refusal| Error::input("the schema", refusal))
}

impl Pending {
    fn open(self, quiet: bool) -> Result<Input> {
        match self {
            Self::Open(input) => Ok(*input),
            Self::Closed(path) => Input::open(&path, quiet),
        }
    }
}

/// The work of the thread that reads.
struct Reading {
    inputs: Vec<Pending>,
    known: Known,
    progress: Progress,
    read_bytes: Arc<AtomicU64>,
    failure: Failure,
    quiet: bool,
}

impl Reading {
    /// Hands out all batches of all inputs, until `take` says that nobody wants more.
    fn run(self, mut take: impl FnMut(Encoded) -> Result<bool>) -> Result<()> {
        let Self { inputs, mut known, progress, read_bytes, quiet, .. } = self;
        for pending in inputs {
            let mut input = pending.open(quiet)?;
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
    if job.keeps_order {
        write_in_order(&writer, job.threads, reading, &output)?;
    } else {
        write_on_arrival(&writer, job.threads, reading, &output)?;
    }
    writer.close().map_err(|error| Error::writer(&output, &output, &error))
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
            // What failed may be another's batch, which this thread was to append.
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

/// Refuses an input whose columns are not those of the first.
fn check_schema(input: &Input, schema: &StreamSchema, first: &str) -> Result<()> {
    let (expected, found) = (schema.schema().fields(), input.schema().fields());
    let lacks = |names: &Fields, of: &Fields| {
        let names: HashSet<&String> = names.iter().map(|field| field.name()).collect();
        of.iter().map(|field| field.name()).find(|name| !names.contains(name)).cloned()
    };
    // As many of another name are a matter of the comparison below.
    let are_fewer = found.len() < expected.len();
    if let Some(missing) = lacks(found, expected).filter(|_| are_fewer) {
        return Err(Error::input(input.name(), format!("column `{missing}` is missing, which {first} has")));
    }
    let are_more = found.len() > expected.len();
    if let Some(extra) = lacks(expected, found).filter(|_| are_more) {
        return Err(Error::input(input.name(), format!("column `{extra}` is not in {first}")));
    }
    schema.check(input.schema()).map_err(|difference| match difference {
        ipc_core::Error::SchemaMismatch { path, expected, found } => Error::input(
            input.name(),
            format!("its schema is not that of {first}: at column `{path}`, expected {expected}, found {found}"),
        ),
        other => Error::input(input.name(), other),
    })
}

/// How many places may be reserved for each thread: one in work, one in the queue, and one that waits for its turn.
const WINDOW_PER_THREAD: usize = 3;

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use arrow_array::record_batch;

    use super::*;

    /// Takes two messages, and nothing more.
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

    /// The writer keeps what a sink refused while it appends the batches of others, and goes on. A merge does not.
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
                    quiet: true,
                };
                let writer = SharedWriter::stream(sink).schema(schema).window(12).build().unwrap();
                outcomes.send(write_in_order(&writer, 4, reading, &"out".into())).unwrap();
            });
            let outcome = outcome.recv_timeout(Duration::from_secs(20)).expect("it ends");
            assert!(matches!(outcome, Err(Error::Output { .. })), "{outcome:?}");
        }
    }
}
