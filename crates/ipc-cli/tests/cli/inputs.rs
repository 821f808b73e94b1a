//! Files and streams are told apart by content; what they say survives: dictionaries as of each batch's place, metadata
//! of batches and schema, and no batches at all.

use std::collections::HashMap;
use std::fs;
use std::process::Command;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::writer::{DictionaryHandling, IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, Field, Schema};
use ipc_core::{Encoder, Metadata, MetadataVersion, Options};

use crate::support::{
    Pair, batch, dictionary_batch, file, folder, inspect, judge, merge, merge_badly, merge_well, names, program, put,
    python, read, stream, text,
};

#[test]
fn names_do_not_tell_the_format_of_an_input() {
    let folder = folder();
    let batches = [batch(1, 5), batch(2, 6)];
    let inputs = [put(&folder, "file.arrows", &file(&batches)), put(&folder, "stream.arrow", &stream(&batches))];
    let output = folder.path().join("out.feather");
    merge_well(&[&inputs[0], &inputs[1]], &output, &[]);
    assert_eq!(read(&output), [batches.clone(), batches].concat());
    assert_eq!(inspect(&output).0["format"], "file");
}

#[test]
fn no_batches_make_an_empty_output_with_the_schema() {
    let folder = folder();
    let mut writer = StreamWriter::try_new(Vec::new(), batch(1, 1).schema_ref()).unwrap();
    writer.finish().unwrap();
    let input = put(&folder, "empty.arrows", writer.get_ref());
    for name in ["out.arrow", "out.arrows"] {
        let output = folder.path().join(name);
        merge_well(&[&input], &output, &[]);
        let (said, complete) = inspect(&output);
        assert!(complete);
        assert_eq!(said["messages"].as_array().unwrap().len(), 1);
        assert!(read(&output).is_empty());
    }
}

#[test]
fn each_batch_has_the_dictionary_of_its_place() {
    let folder = folder();
    let batches: Vec<_> =
        (0..40).map(|n| dictionary_batch(&[&format!("old{n}"), &format!("new{n}")], &[n % 2, 0, 1])).collect();
    let input = put(&folder, "replaced.arrows", &stream(&batches));
    let output = folder.path().join("out.arrows");
    for threads in ["1", "8"] {
        merge_well(&[&input], &output, &["--threads", threads]);
        assert_eq!(read(&output), batches);
    }
    let kept = &["--dictionaries", "resend"];
    let told = merge_badly(folder.path(), &[&input], &folder.path().join("out.arrow"), kept);
    assert!(told.contains("`city` is replaced") && told.contains("--dictionaries unify"), "{told}");
}

#[test]
fn growing_dictionaries_fit_a_file_as_deltas() {
    let folder = folder();
    let all: Vec<String> = (0..32).map(|n| format!("city {n}")).collect();
    let cities: Vec<&str> = all.iter().map(String::as_str).collect();
    let batches: Vec<_> =
        (1..=32).zip(1..).map(|(length, n)| dictionary_batch(&cities[..length], &[0, n - 1])).collect();
    let options = IpcWriteOptions::default().with_dictionary_handling(DictionaryHandling::Delta);
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), batches[0].schema_ref(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    let input = put(&folder, "growing.arrows", &writer.into_inner().unwrap());
    let output = folder.path().join("out.arrow");
    for _ in 0..5 {
        let kept = &["--threads", "8", "--dictionaries", "resend"];
        let told = merge_badly(folder.path(), &[&input], &output, kept);
        assert!(told.contains("`city` grows") && told.contains("; use --dictionaries unify"), "{told}");
    }
    for threads in ["1", "8"] {
        merge_well(&[&input], &output, &["--dictionaries", "delta", "--threads", threads]);
        assert_eq!(read(&output), batches);
        fs::remove_file(&output).unwrap();
    }
    let streamed = folder.path().join("out.arrows");
    merge_well(&[&input], &streamed, &["--dictionaries", "delta", "--threads", "8"]);
    assert_eq!(inspect(&streamed).0["totals"]["deltas"], 31);
}

#[test]
fn a_dictionary_that_inputs_share_is_sent_once() {
    let folder = folder();
    let batches = [dictionary_batch(&["a", "b"], &[0, 1]), dictionary_batch(&["a", "b"], &[1])];
    let input = put(&folder, "a.arrow", &file(&batches));
    let output = folder.path().join("out.arrow");
    merge_well(&[&input, &input, &input], &output, &[]);
    assert_eq!(inspect(&output).0["totals"]["dictionary_batches"], 1);
}

#[test]
fn metadata_of_batches_and_schema_survives() {
    let folder = folder();
    let fields = vec![Field::new("a", DataType::Int64, false)];
    let schema = Schema::new_with_metadata(fields, HashMap::from([("who".into(), "first".into())]));
    let mut encoder = Encoder::stream(Vec::new()).start(Arc::new(schema.clone())).unwrap();
    let columns = vec![Arc::new(arrow_array::Int64Array::from(vec![1])) as _];
    let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
    encoder.write_with_metadata(&batch, &Metadata::new().with("batch", "one")).unwrap();
    encoder.write(&batch).unwrap();
    let input = put(&folder, "a.arrows", &encoder.close().unwrap().into_inner());
    for order in ["input", "arrival"] {
        let output = folder.path().join("out.arrows");
        merge_well(&[&input], &output, &["--order", order, "--threads", "1"]);
        // With the same options, one thread writes what one thread wrote.
        assert_eq!(fs::read(&output).unwrap(), fs::read(&input).unwrap());
    }
}

#[test]
fn the_oldest_framing_is_read() {
    let folder = folder();
    let options = Options::builder().metadata_version(MetadataVersion::V4Legacy).build().unwrap();
    let batches = [batch(1, 4), batch(2, 5)];
    let mut encoder = Encoder::file(Vec::new()).with_options(options.clone()).start(batches[0].schema()).unwrap();
    for batch in &batches {
        encoder.write(batch).unwrap();
    }
    let old_file = put(&folder, "old.arrow", &encoder.close().unwrap().into_inner());
    let mut encoder = Encoder::stream(Vec::new()).with_options(options).start(batches[0].schema()).unwrap();
    for batch in &batches {
        encoder.write(batch).unwrap();
    }
    let old_stream = put(&folder, "old.arrows", &encoder.close().unwrap().into_inner());
    let output = folder.path().join("out.arrow");
    merge_well(&[&old_file, &old_stream], &output, &[]);
    assert_eq!(read(&output), [batches.clone(), batches].concat());
    for (path, format) in [(old_file, "file"), (old_stream, "stream")] {
        let (said, complete) = inspect(&path);
        assert!(complete && said["format"] == format && said["totals"]["record_batches"] == 2, "{said}");
    }
}

#[test]
fn a_stream_that_ends_between_messages_is_told_whatever_is_asked_and_refused_on_request() {
    let folder = folder();
    let whole = stream(&[batch(1, 4), batch(2, 5)]);
    let input = put(&folder, "unmarked.arrows", &whole[..whole.len() - 8]);
    let output = folder.path().join("out.arrow");
    let done = merge(&[&input], &output, &[]);
    assert!(done.status.success());
    assert!(text(&done.stderr).contains("has no end-of-stream marker"), "{}", text(&done.stderr));
    assert_eq!(read(&output).len(), 2);
    let quiet = merge(&[&input], &output, &["--quiet"]);
    assert!(
        quiet.status.success() && quiet.stderr.starts_with(b"arrow-ipc: "),
        "no switch hides that rows may be lost"
    );
    let json = merge(&[&input], &output, &["--json", "--quiet"]);
    let said: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(said["warnings"][0]["offset"], whole.len() - 8, "{said}");
    fs::remove_file(&output).unwrap();
    let told = merge_badly(folder.path(), &[&input], &output, &["--require-end"]);
    assert!(told.contains("has no end-of-stream marker"), "{told}");
    merge_well(&[&put(&folder, "marked.arrows", &whole)], &output, &["--require-end"]);
}

/// Four zeros end a stream for every reader, also one whose messages are framed anew. They may be all that is left of what
/// came behind, so it is told.
#[test]
fn a_stream_that_ends_in_zeros_is_taken_as_readers_take_it_with_a_warning() {
    let folder = folder();
    let batches = [batch(1, 4), batch(2, 5)];
    let whole = stream(&batches);
    let pairs: Vec<_> = [&[0; 4][..], &[0; 8], &[0; 5_000]]
        .map(|zeros| {
            let bytes = [&whole[..whole.len() - 8], zeros].concat();
            let input = put(&folder, &format!("{}-zeros.arrows", zeros.len()), &bytes);
            let output = folder.path().join(format!("{}-out.arrow", zeros.len()));
            let done = merge(&[&input], &output, &[]);
            assert!(done.status.success());
            let told = text(&done.stderr);
            let what = if zeros.len() == 4 { "four zero bytes" } else { "zeros" };
            assert!(told.contains(&format!("ends with {what} instead of an end-of-stream marker")), "{told}");
            assert!(!inspect(&input).1 || zeros.len() == 4, "what may never have been written is not complete");
            assert_eq!(read(&input), batches);
            assert_eq!(read(&output), batches);
            Pair::by_batches(&input, output)
        })
        .into();
    judge(&pairs);
}

#[test]
fn more_inputs_than_files_can_be_open_are_no_trouble() {
    let folder = folder();
    let input = put(&folder, "a.arrow", &file(&[batch(1, 1)]));
    let many: Vec<_> = std::iter::repeat_n(input.as_path(), 2_000).collect();
    let output = folder.path().join("out.arrow");
    merge_well(&many, &output, &[]);
    assert_eq!(read(&output).len(), 2_000);
    assert_eq!(names(folder.path()).len(), 2);
}

/// Its files have no framed schema message at their front, only the footer has the schema.
#[test]
fn files_of_polars_are_files() {
    let Some(python) = python("polars") else { return };
    let folder = folder();
    let script = "
import polars, sys
frame = polars.DataFrame({'a': range(300), 'b': polars.Series(['x', 'y', None] * 100, dtype=polars.Categorical)})
for path, codec in zip(sys.argv[1:], ('uncompressed', 'lz4', 'zstd')):
    frame.write_ipc(path, compression=codec, record_batch_size=100)
";
    let inputs = ["plain.arrow", "lz4.arrow", "zstd.arrow"].map(|name| folder.path().join(name));
    let done = Command::new(python).args(["-c", script]).args(&inputs).output().unwrap();
    assert!(done.status.success(), "{}", text(&done.stderr));
    for input in &inputs {
        let (said, is_complete) = inspect(input);
        assert!(is_complete && said["totals"]["rows"] == 300, "{said}");
        let output = folder.path().join("out.arrow");
        merge_well(&[input], &output, &[]);
        assert_eq!(read(&output).iter().map(RecordBatch::num_rows).sum::<usize>(), 300);
        let recovered = program().arg("recover").arg(input).arg("--output").arg(&output).output().unwrap();
        let told = text(&recovered.stderr);
        assert!(recovered.status.success() && told.contains("already complete"), "{told}");
    }
}
