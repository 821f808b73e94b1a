//! No reader takes a stream that was given up for a whole, shorter one.
//!
//! Each test gives streams up, and has every reader at hand read what is there: alone, and with another stream behind
//! it. The same stream, closed, is read by them first, so that it is the mark that they refuse.
//!
//! Fails where a stream that was given up has no mark, where a reader passes over the mark, or dies of it, or where a
//! mark stands behind a torn message or an end.

mod anywhere;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, IoSlice, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use ipc_core::{
    Compression, Encoder, Error, FileTail, MetadataVersion, Options, Started, StreamFormat, Truncate, Unify,
};
use ipc_tests::arrays::Sharing;
use ipc_tests::batches::{Batches, Plan, arb_batches, every_kind};
use ipc_tests::cases::cases;
use ipc_tests::framing::messages;
use ipc_tests::outside::{aloud, python};
use ipc_tests::read;
use ipc_tests::shared::{Words, batch};
use ipc_tests::sink::{Fault, Faulty};
use proptest::prelude::*;

const REASON: &str = "the query failed: out of memory";

/// A stream of a schema, to be given up.
struct Sample {
    name: String,
    batches: Vec<RecordBatch>,
    schema: SchemaRef,
    options: Options,
}

impl Sample {
    fn started<W: Write>(&self, sink: W) -> Encoder<W, StreamFormat, Started> {
        let encoder = Encoder::stream(sink).with_options(self.options.clone());
        let mut encoder = encoder.start(Arc::clone(&self.schema)).unwrap();
        self.batches.iter().for_each(|batch| assert!(encoder.write(batch).is_ok()));
        encoder
    }

    fn closed(&self) -> Vec<u8> {
        self.started(Vec::new()).close().unwrap().into_inner()
    }

    fn aborted(&self) -> Vec<u8> {
        self.started(Vec::new()).abort(REASON).unwrap()
    }
}

/// One schema for each kind of column, all kinds in one schema, no column at all; each with and without batches, and as
/// the options may have them written.
fn samples() -> Vec<Sample> {
    let kinds = every_kind();
    let few = [Field::new("n", DataType::Null, true), Field::new("i", DataType::Int64, false)].to_vec();
    let nulls = vec![Field::new("n", DataType::Null, true); 2];
    let mut schemas: Vec<Vec<Field>> = kinds.iter().map(|kind| vec![kind.clone()]).collect();
    schemas.extend([kinds, few.clone(), nulls, Vec::new()]);
    let plain = Options::builder();
    let mut samples = Vec::new();
    for fields in &schemas {
        samples.extend([vec![], vec![3, 2]].map(|rows| sample(fields, rows, plain.clone().build().unwrap(), "")));
    }
    let others = [
        ("V4", plain.clone().metadata_version(MetadataVersion::V4)),
        ("legacy", plain.clone().metadata_version(MetadataVersion::V4Legacy)),
        ("LZ4", plain.clone().compression(Compression::Lz4)),
        ("Zstandard", plain.clone().compression(Compression::Zstd(1))),
        ("8", plain.clone().alignment(ipc_core::Alignment::A8)),
        ("unified", plain.clone().dictionaries(Unify::new())),
    ];
    for (what, options) in others {
        let options = options.build().unwrap();
        samples.extend([&few, schemas.last().unwrap()].map(|fields| sample(fields, vec![3], options.clone(), what)));
        let kinds = every_kind();
        samples.extend(kinds.chunks(7).map(|fields| sample(fields, vec![3], options.clone(), what)));
    }
    samples
}

fn sample(fields: &[Field], rows: Vec<usize>, options: Options, what: &str) -> Sample {
    let types: Vec<String> = fields.iter().take(8).map(|field| field.data_type().to_string()).collect();
    let name = format!("{} of {what} {}", rows.len(), types.join(", "));
    let plan = Plan { fields: fields.to_vec(), metadata: Default::default(), rows, seed: 1, sharing: Sharing::Shared };
    let Batches { schema, batches, .. } = Batches::new(plan);
    Sample { name, batches, schema, options }
}

/// Whether arrow-rs reads the stream to its end.
fn arrow_rs_is_content(bytes: &[u8]) -> bool {
    catch_unwind(|| read::stream(bytes).is_ok()).expect("arrow-rs does not panic")
}

#[test]
fn arrow_rs_refuses_what_was_given_up() {
    for sample in samples() {
        let (closed, aborted) = (sample.closed(), sample.aborted());
        let name = &sample.name;
        assert!(arrow_rs_is_content(&closed), "{name}");
        assert!(!arrow_rs_is_content(&aborted), "{name}");
        assert!(!arrow_rs_is_content(&[aborted.as_slice(), &closed].concat()), "{name}, and another stream");
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn arrow_rs_refuses_what_was_given_up_of_any_schema(batches in arb_batches(&[Sharing::Shared])) {
        let Batches { schema, batches, .. } = batches;
        let sample = Sample { name: String::new(), batches, schema, options: Options::default() };
        let (closed, aborted) = (sample.closed(), sample.aborted());
        prop_assert!(!arrow_rs_is_content(&aborted));
        prop_assert!(!arrow_rs_is_content(&[aborted.as_slice(), &closed].concat()));
    }
}

#[test]
fn readers_in_python_refuse_what_was_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (i, sample) in samples().iter().enumerate() {
        let (closed, aborted) = (sample.closed(), sample.aborted());
        let followed = [aborted.as_slice(), &closed].concat();
        for (how, bytes) in [("closed", closed), ("given up", aborted), ("given up, and followed", followed)] {
            let path = folder.path().join(format!("{i}-{how}"));
            std::fs::write(&path, bytes).unwrap();
            files.push((format!("{}, {how}", sample.name), path));
        }
    }
    let Some(outcomes) = outcomes(&files) else { return };
    let (mut refused, mut unread) = (BTreeMap::<&str, usize>::new(), 0);
    for (three, names) in outcomes.chunks(3).zip(files.chunks(3)) {
        for reader in three[0].keys() {
            if !three[0][reader].starts_with("rows") {
                unread += usize::from(three[0][reader] != "-");
                continue;
            }
            for (outcome, (name, _)) in three.iter().zip(names).skip(1) {
                assert!(!outcome[reader].starts_with("rows"), "{reader} reads {name}: {}", outcome[reader]);
                *refused.entry(reader).or_default() += 1;
            }
        }
    }
    assert!(refused.values().all(|count| *count > 40), "{refused:?}");
    aloud(format_args!("refused: {refused:?}; {unread} closed streams that a reader does not read"));
}

/// What the readers in Python make of each file.
fn outcomes(files: &[(String, PathBuf)]) -> Option<Vec<BTreeMap<String, String>>> {
    let driver = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("read_streams.py");
    let python = python("pyarrow")?;
    let mut python = Command::new(python);
    // polars also prints the message of its panic on standard error.
    python.arg(driver).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = python.spawn().expect("Python starts");
    let lines: String = files.iter().map(|(_, path)| format!("{}\n", path.display())).collect();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let told: Vec<&str> = told.lines().collect();
    assert!(output.status.success() && told.len() == files.len(), "ended at {}", files[told.len()].0);
    // `{"reader": "outcome", ..}`, of which neither holds a quotation mark.
    let outcome = |line: &&str| {
        let words: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        words.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect()
    };
    Some(told.iter().map(outcome).collect())
}

/// Counts calls, and takes no bytes after a number of them.
#[derive(Default)]
struct Counting {
    taken: Vec<u8>,
    writes: usize,
    flushes: usize,
}

impl Write for &mut Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        self.taken.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write(&slices.iter().flat_map(|slice| slice.iter().copied()).collect::<Vec<_>>())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushes += 1;
        Ok(())
    }
}

fn started(sink: &mut Counting, options: Options) -> Encoder<&mut Counting, StreamFormat, Started> {
    let batch = batch(Words::Growing, (0, 0));
    let mut encoder = Encoder::stream(sink).with_options(options).start(batch.schema()).unwrap();
    encoder.write(&batch).unwrap();
    encoder
}

#[test]
fn an_encoder_that_is_dropped_leaves_the_mark_in_one_write() {
    let mut sink = Counting::default();
    let encoder = started(&mut sink, Options::default());
    let (writes, length) = (encoder.get_ref().writes, encoder.get_ref().taken.len());
    drop(encoder);
    assert_eq!((sink.writes, sink.flushes), (writes + 1, 0));
    let (offset, reason) = messages(&sink.taken, 0).mark.expect("a mark");
    assert_eq!((offset, reason.as_str()), (length, "the writer was dropped before it was closed"));

    let mut sink = Counting::default();
    let encoder = started(&mut sink, Options::default());
    let held = AssertUnwindSafe(|| {
        let _encoder = encoder;
        panic!("on purpose");
    });
    catch_unwind(held).unwrap_err();
    assert_eq!(messages(&sink.taken, 0).mark.expect("a mark").1, "the writer was dropped by a panic");
}

#[test]
fn an_abort_gives_its_reason_and_the_sink_and_flushes_it() {
    let mut sink = Counting::default();
    let encoder = started(&mut sink, Options::default());
    let sink = encoder.abort(REASON).unwrap();
    assert_eq!(sink.flushes, 1);
    assert_eq!(messages(&sink.taken, 0).mark.expect("a mark").1, REASON);
}

#[test]
fn what_is_staged_is_dropped_by_an_abort() {
    let staging = Options::builder().staging(true).build().unwrap();
    let mut sink = Counting::default();
    started(&mut sink, staging).abort(REASON).unwrap();
    let framing = messages(&sink.taken, 0);
    assert_eq!((framing.messages.len(), framing.mark.is_some()), (1, true), "the schema, and the mark");
}

#[test]
fn nothing_is_written_where_the_options_say_so_or_the_sink_is_taken_back() {
    let no_mark = Options::builder().abort_mark(false).build().unwrap();
    type Leave = fn(Encoder<&mut Counting, StreamFormat, Started>);
    let leavings: [(Options, Leave); 3] = [
        (no_mark.clone(), |encoder| drop(encoder)),
        (no_mark, |encoder| assert!(encoder.abort(REASON).is_ok())),
        (Options::default(), |encoder| _ = encoder.abandon()),
    ];
    for (options, leave) in leavings {
        let mut sink = Counting::default();
        let encoder = started(&mut sink, options);
        let length = encoder.get_ref().taken.len();
        leave(encoder);
        assert_eq!(sink.taken.len(), length);
    }
}

#[test]
fn a_file_gets_no_mark() {
    for is_staged in [false, true] {
        let batch = batch(Words::Growing, (0, 0));
        let options = Options::builder().staging(is_staged).build().unwrap();
        let [mut dropped, mut aborted] = [(); 2].map(|()| Counting::default());
        for (sink, is_dropped) in [(&mut dropped, true), (&mut aborted, false)] {
            let mut encoder = Encoder::file(sink).with_options(options.clone()).start(batch.schema()).unwrap();
            encoder.write(&batch).unwrap();
            if !is_dropped {
                encoder.abort(REASON).unwrap();
            }
        }
        let mut kept = Counting::default();
        let mut encoder = Encoder::file(&mut kept).with_options(options).start(batch.schema()).unwrap();
        encoder.write(&batch).unwrap();
        let kept = &encoder.abandon().taken;
        assert_eq!([&dropped.taken, &aborted.taken], [kept; 2]);
        assert_eq!(kept.is_empty(), is_staged);
    }
}

/// Regardless of how the sink fails, at the mark or earlier, no panic leaves a drop, and nothing follows torn bytes.
#[test]
fn a_mark_is_tried_once_and_never_behind_a_tear() {
    let batch = batch(Words::Growing, (0, 0));
    for (fault, calls) in Fault::ALL.into_iter().flat_map(|fault| (0..5).map(move |calls| (fault, calls))) {
        for is_dropped in [true, false] {
            let mut sink = Faulty::new(fault, calls);
            let context = format!("{fault:?} after {calls} calls, dropped: {is_dropped}");
            let (to, schema) = (&mut sink, batch.schema());
            let Ok(Ok(mut encoder)) = catch_unwind(AssertUnwindSafe(move || Encoder::stream(to).start(schema))) else {
                assert!(sink.has_failed && sink.taken.len() == sink.taken_at_fault, "{context}");
                continue;
            };
            let mut is_torn = false;
            for _ in 0..2 {
                let written = catch_unwind(AssertUnwindSafe(|| encoder.write(&batch)));
                is_torn |= matches!(written, Err(_) | Ok(Err(Error::Poisoned { .. })));
            }
            let before = encoder.get_ref().taken.len();
            if is_dropped {
                drop(encoder);
            } else {
                let aborted = catch_unwind(AssertUnwindSafe(|| encoder.abort(REASON).map(drop)));
                assert!(
                    !is_torn
                        || matches!(aborted, Ok(Err(ref failed)) if matches!(failed.error(), Error::Poisoned { .. }))
                );
            }
            if is_torn {
                assert_eq!(sink.taken.len(), before, "{context}");
            } else if !sink.has_failed || before > sink.taken_at_fault {
                assert!(messages(&sink.taken, 0).mark.is_some(), "{context}");
            }
        }
    }
}

/// A sink that panics once that is due, with a payload that panics when it is dropped.
struct Bursting<'b>(&'b AtomicBool);

struct Payload;

impl Drop for Payload {
    fn drop(&mut self) {
        resume_unwind(Box::new("the payload panics, as it was made to"));
    }
}

impl Write for Bursting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.load(Relaxed) {
            resume_unwind(Box::new(Payload));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_payload_that_panics_when_dropped_does_not_leave_a_drop() {
    let schema = batch(Words::Growing, (0, 0)).schema();
    let is_due = AtomicBool::new(false);
    let encoder = Encoder::stream(Bursting(&is_due)).start(schema).unwrap();
    is_due.store(true, Relaxed);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(encoder))).is_ok());
}

/// A tail takes its own mark back, and what is written then follows the last whole message. A mark that was there
/// before it stays.
#[test]
fn a_tail_cuts_only_its_own_mark() {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let tail = || FileTail::new(OpenOptions::new().append(true).open(&path).unwrap()).unwrap();
    let batch = batch(Words::Growing, (0, 0));
    let mut encoder = Encoder::stream(tail()).start(batch.schema()).unwrap();
    encoder.write(&batch).unwrap();
    let whole = encoder.stats().written_bytes;
    let mut own = encoder.abort(REASON).unwrap();
    assert!(messages(&std::fs::read(&path).unwrap(), 0).mark.is_some());
    own.truncate(whole).unwrap();
    own.write_all(ipc_core::format::end_of_stream(MetadataVersion::V5)).unwrap();
    assert_eq!(read::stream(&std::fs::read(&path).unwrap()).unwrap().batches.len(), 1);

    own.truncate(0).unwrap();
    drop(Encoder::stream(own).start(batch.schema()).unwrap());
    let marked = std::fs::read(&path).unwrap();
    assert!(messages(&marked, 0).mark.is_some());
    let mut other = tail();
    other.write_all(b"behind").unwrap();
    other.truncate(0).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), marked, "it was there before");
}

/// What a later writer appends to the stream belongs to it, unless a mark is in its way.
#[test]
fn a_tail_that_leaves_no_mark_can_be_appended_to() {
    let batches = [0, 1].map(|number| batch(Words::Plain, (0, number)));
    let whole = Sample {
        name: String::new(),
        batches: vec![batches[1].clone()],
        schema: batches[1].schema(),
        options: Options::default(),
    };
    let closed = whole.closed();
    // Without its header.
    let continued = &closed[messages(&closed, 0).messages[0].end()..];
    for (marks, is_dropped) in [(false, false), (false, true), (true, false), (true, true)] {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let tail = || FileTail::new(OpenOptions::new().append(true).open(&path).unwrap()).unwrap();
        let options = Options::builder().abort_mark(marks).build().unwrap();
        let mut encoder = Encoder::stream(tail()).with_options(options).start(batches[0].schema()).unwrap();
        encoder.write(&batches[0]).unwrap();
        if is_dropped {
            drop(encoder);
        } else {
            encoder.abort(REASON).unwrap();
        }
        let mut later = tail();
        later.write_all(b"torn").unwrap();
        later.truncate(0).unwrap();
        later.write_all(continued).unwrap();
        let found = read::stream(&std::fs::read(&path).unwrap());
        match marks {
            false => assert_eq!(found.unwrap().batches, batches),
            true => assert!(found.is_err(), "the mark stays, and is seen"),
        }
    }
}

#[test]
fn no_mark_stands_behind_an_end() {
    let batch = batch(Words::Growing, (0, 0));
    let mut sink = Faulty::new(Fault::Flush, 0);
    let mut encoder = Encoder::stream(&mut sink).start(batch.schema()).unwrap();
    encoder.write(&batch).unwrap();
    let failed = encoder.close().unwrap_err();
    assert!(matches!(failed.error(), Error::Io(_)));
    drop(failed);
    assert_eq!(messages(&sink.taken, 0).end, Some(sink.taken.len()));
    let encoder = Encoder::stream(Vec::new()).start(Schema::empty()).unwrap();
    let whole = encoder.close().unwrap().into_inner();
    assert_eq!(messages(&whole, 0).end, Some(whole.len()));
}
