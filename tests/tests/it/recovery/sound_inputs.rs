//! What is sound comes out as it went in, byte for byte, and nothing about it is called wrong.
//!
//! Fails where a check asks for more than the format does: of a layout, a version, a framing or a codec.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;

use arrow_ipc::writer::{DictionaryHandling, FileWriter, IpcWriteOptions, StreamWriter};
use arrow_ipc::{CompressionType, MessageHeader};
use arrow_schema::ArrowError;
use ipc_core::DictionaryHandling::{Delta, Resend};
use ipc_core::Options;
use ipc_recover::{Condition, Kind, RecoverOptions};
use ipc_tests::arrays::Sharing::{Changing, Equal, Growing, Shared};
use ipc_tests::batches::{Batches, arb_batches};
use ipc_tests::framing::{Framed, messages};
use ipc_tests::options::arb_options;
use ipc_tests::read::Contents;
use ipc_tests::value::assert_same_batches;
use ipc_tests::{encode, outside, read};
use proptest::prelude::{ProptestConfig, any, proptest};
use proptest::sample::select;

use super::support::recover;

/// All Arrow files and streams below `folder`.
fn inputs(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut inputs: Vec<_> = entries
        .flat_map(|path| if path.is_dir() { inputs(&path) } else { vec![path] })
        .filter(|path| path.extension().is_none_or(|extension| extension != "gz"))
        .collect();
    inputs.sort();
    inputs
}

#[test]
fn inputs_made_by_others_are_complete() {
    let mut tried = 0;
    let mut wrong = Vec::new();
    for folder in ["gold", "features", "real", "data"] {
        let Some(folder) = outside::data(folder) else { continue };
        for path in inputs(&folder) {
            let bytes = fs::read(&path).unwrap();
            tried += 1;
            match recover(&bytes, &RecoverOptions::default()) {
                Ok((output, report)) if report.condition == Condition::Complete && output == bytes => {}
                Ok((_, report)) => wrong.push(format!("{}: {report:?}", path.display())),
                Err(error) => wrong.push(format!("{}: {error}", path.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Recovers a sound input, which must stay as it is, and come out as the other format with the same batches.
fn check(bytes: &[u8], batches: &Batches, other: Kind, options: &Options) {
    let (output, report) = recover(bytes, &RecoverOptions::default()).unwrap();
    assert!(report.condition == Condition::Complete && output == bytes, "{report:?}");
    assert_eq!(report.kept.record_batches, batches.batches.len() as u64);
    assert_eq!(report.kept.rows, batches.batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>());
    let (output, report) = recover(bytes, &RecoverOptions::default().with_format(other)).unwrap();
    assert_eq!((report.condition, report.output), (Condition::Complete, other));
    let start = if other == Kind::File { 8 } else { 0 };
    for message in &messages(&output, start).messages[1..] {
        assert_eq!(message.body.start % options.alignment().bytes(), 0, "bodies keep their alignment");
    }
    let found = if other == Kind::File { read::file(&output) } else { read::stream(&output) }.unwrap();
    assert_eq!(found.schema, batches.schema);
    assert_same_batches(&batches.batches, &found.batches);
}

/// A stream that has the dictionary batches before each record batch in the order of their ids, or against it. Those of
/// one dictionary stay as they are.
fn reordered(stream: &[u8], is_ascending: bool) -> Vec<u8> {
    let framing = messages(stream, 0);
    let mut bytes = Vec::new();
    for run in
        framing.messages.chunk_by(|one, next| [one, next].iter().all(|it| it.kind == MessageHeader::DictionaryBatch))
    {
        let mut run: Vec<_> = run.iter().collect();
        run.sort_by_key(|message| message.dictionary_id.map_or(0, |id| if is_ascending { id } else { -id }));
        run.iter().for_each(|message| bytes.extend_from_slice(&stream[message.offset..message.end()]));
    }
    let end = framing.messages.last().map_or(0, Framed::end);
    [bytes, stream[end..].to_vec()].concat()
}

/// Whether `arrow-ipc` reads what it wrote: without an error and without a panic.
fn is_read(read: impl FnOnce() -> Result<Contents, ArrowError>) -> bool {
    catch_unwind(AssertUnwindSafe(read)).is_ok_and(|read| read.is_ok())
}

fn assert_complete(bytes: &[u8], name: &str) {
    let (output, report) = recover(bytes, &RecoverOptions::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(report.condition == Condition::Complete && output == bytes, "{name}: {report:?}");
}

/// What pyarrow writes: all it has of dictionaries and codecs, in both formats.
#[test]
fn what_pyarrow_writes_is_complete() {
    let Some(python) = outside::python("pyarrow") else { return };
    let folder = tempfile::tempdir().unwrap();
    let done = Command::new(python).args(["-c", PYARROW]).arg(folder.path()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let written = inputs(folder.path());
    assert!(written.len() >= 20, "{written:?}");
    written.iter().for_each(|path| assert_complete(&fs::read(path).unwrap(), &path.display().to_string()));
}

const PYARROW: &str = r#"
import sys, datetime, decimal
import pyarrow as pa, pyarrow.ipc as ipc
inner = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 1], pa.int8()), pa.array(["x", "y"]))
outer = pa.DictionaryArray.from_arrays(pa.array([2, 0, None], pa.int32()), pa.ListArray.from_arrays([0, 1, 2, 4], inner))
struct = pa.DictionaryArray.from_arrays(pa.array([3, 0, 1], pa.int16()), pa.StructArray.from_arrays([inner], ["i"]))
ends = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["p", None]))
union = pa.UnionArray.from_dense(pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32()), [pa.array([1, 2]), pa.array(["u"])])
flat = {
    "null": pa.nulls(3), "bool": pa.array([True, None, False]), "int": pa.array([1, None, 3], pa.int8()),
    "half": pa.array([1, 2, None], pa.float64()).cast(pa.float32()), "decimal": pa.array([decimal.Decimal("1.5"), None, None]),
    "time": pa.array([datetime.time(1), None, None]), "stamp": pa.array([1, 2, 3], pa.timestamp("ns", "UTC")),
    "string": pa.array(["a", None, "long enough"]), "large": pa.array(["a", None, ""], pa.large_string()),
    "view": pa.array(["a", None, "a string that is longer than a view"], pa.string_view()),
    "fixed": pa.array([b"abcd", None, b"efgh"], pa.binary(4)), "list": pa.array([[1], None, [2, 3]]),
    "list view": pa.array([[1], None, [2, 3]], pa.list_view(pa.int64())), "map": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int32())),
    "sized": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int32(), 2)), "struct": pa.array([{"a": 1}, None, {"a": 2}]),
    "ends": ends, "union": union,
}
nested = {"outer": outer, "struct": struct, "inner": inner[:3]}
words = [pa.array(w) for w in (["a", "b"], ["a", "b", "c"], ["z"])]
def batches(kind):
    if kind == "flat": return [pa.record_batch(flat)] * 2
    if kind == "nested": return [pa.record_batch(nested)] * 2
    if kind == "nulls": return [pa.record_batch({"d": pa.DictionaryArray.from_arrays(pa.array([None, None], pa.int8()), words[0])})]
    grows = words[:2] if kind == "grows" else words
    return [pa.record_batch({"d": pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int8()), w)}) for w in grows]
for kind in ("flat", "nested", "nulls", "grows", "replaced"):
    for codec in (None, "lz4", "zstd"):
        for new, name in ((ipc.new_stream, "stream"), (ipc.new_file, "file")):
            if kind == "replaced" and name == "file": continue
            options = ipc.IpcWriteOptions(compression=codec, emit_dictionary_deltas=kind == "grows", unify_dictionaries=False)
            made = batches(kind)
            with new(f"{sys.argv[1]}/{kind}-{codec}.{name}", made[0].schema, options=options) as writer:
                for batch in made: writer.write_batch(batch)
"#;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn our_streams_are_complete(
        batches in arb_batches(&[Shared, Equal, Growing, Changing]),
        options in arb_options(Resend),
    ) {
        let bytes = encode::stream(&batches.schema, &batches.batches, &options).unwrap();
        let (output, report) = recover(&bytes, &RecoverOptions::default()).unwrap();
        assert!(report.condition == Condition::Complete && output == bytes, "{report:?}");
    }

    #[test]
    fn our_streams_without_replacements_are_complete_and_files_too(
        batches in arb_batches(&[Shared, Equal, Growing]),
        options in arb_options(Delta),
    ) {
        let bytes = encode::stream(&batches.schema, &batches.batches, &options).unwrap();
        check(&bytes, &batches, Kind::File, &options);
    }

    #[test]
    fn our_files_are_complete_and_streams_too(
        batches in arb_batches(&[Shared, Equal, Growing]),
        options in arb_options(Delta),
    ) {
        let bytes = encode::file(&batches.schema, &batches.batches, &options).unwrap();
        check(&bytes, &batches, Kind::Stream, &options);
    }

    #[test]
    fn nested_dictionaries_are_complete_in_either_order(
        batches in arb_batches(&[Shared, Equal, Growing, Changing]),
        options in arb_options(Resend),
        is_ascending in any::<bool>(),
    ) {
        let bytes = encode::stream(&batches.schema, &batches.batches, &options).unwrap();
        assert_complete(&reordered(&bytes, is_ascending), "reordered");
    }

    #[test]
    fn what_arrow_rs_writes_is_complete(
        batches in arb_batches(&[Shared, Equal, Growing]),
        codec in select(vec![None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)]),
    ) {
        let handling = DictionaryHandling::Delta;
        let options = IpcWriteOptions::default().with_dictionary_handling(handling).try_with_compression(codec).unwrap();
        let mut stream = StreamWriter::try_new_with_options(Vec::new(), &batches.schema, options.clone()).unwrap();
        let mut file = FileWriter::try_new_with_options(Vec::new(), &batches.schema, options).unwrap();
        // It refuses some of what it does not write, and does not read all of the rest: it counts data buffers of views
        // that it leaves out where an array is run-end encoded and empty, and then reads other buffers for them, which
        // may be an error or a panic.
        if batches.batches.iter().try_for_each(|batch| stream.write(batch)).is_ok() {
            let stream = stream.into_inner().unwrap();
            if is_read(|| read::stream(&stream)) {
                assert_complete(&stream, "stream");
            }
        }
        if batches.batches.iter().try_for_each(|batch| file.write(batch)).is_ok() {
            let file = file.into_inner().unwrap();
            if is_read(|| read::file(&file)) {
                assert_complete(&file, "file");
            }
        }
    }
}
