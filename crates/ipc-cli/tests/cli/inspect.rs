//! `inspect` shows every message and what it is, calls complete what a merge takes, and stops where the input stops making
//! sense.

use std::collections::HashMap;
use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_ipc::writer::FileWriter;
use arrow_schema::Schema;
use serde_json::Value;

use crate::support::{
    batch, data, dictionary_batch, file, folder, inspect, merge, merge_well, names, program, put, run, stream, text,
};

fn kinds(said: &Value) -> Vec<&str> {
    said["messages"].as_array().unwrap().iter().map(|message| message["kind"].as_str().unwrap()).collect()
}

#[test]
fn every_message_is_shown_where_it_stands() {
    let folder = folder();
    let batches = [dictionary_batch(&["a"], &[0]), dictionary_batch(&["a", "b"], &[0, 1, 1])];
    let input = put(&folder, "in.arrows", &stream(&batches));
    let output = folder.path().join("out.arrows");
    merge_well(&[&input], &output, &["--dictionaries", "delta"]);
    let (said, complete) = inspect(&output);
    assert!(complete && said["complete"] == true && said["format"] == "stream");
    assert_eq!(kinds(&said), ["schema", "dictionary_batch", "record_batch", "dictionary_batch", "record_batch"]);
    let messages = said["messages"].as_array().unwrap();
    let figure = |message: &Value, key: &str| message[key].as_u64().unwrap();
    let mut end = 0;
    for message in messages {
        assert_eq!(figure(message, "offset"), end, "each starts where the last one ends");
        end += figure(message, "metadata_length") + figure(message, "body_length");
    }
    assert_eq!(end + 8, fs::metadata(&output).unwrap().len());
    assert_eq!(messages[4]["rows"], 3);
    assert_eq!((&messages[1]["is_delta"], &messages[3]["is_delta"]), (&Value::Bool(false), &Value::Bool(true)));
    assert_eq!(messages[1]["dictionary_id"], 0);
    assert!(messages[4]["dictionary_id"].is_null() && messages[0]["rows"].is_null());
    assert_eq!(said["totals"]["rows"], 4);
}

#[test]
fn a_file_is_shown_as_its_footer_says() {
    let folder = folder();
    let input = put(&folder, "a.arrow", &file(&[batch(1, 5), batch(2, 7)]));
    let (said, complete) = inspect(&input);
    assert!(complete && said["format"] == "file");
    assert_eq!(kinds(&said), ["schema", "record_batch", "record_batch"]);
    assert_eq!(said["totals"]["rows"], 12);
}

#[test]
fn the_schema_and_its_metadata_are_shown() {
    let folder = folder();
    let cities = dictionary_batch(&["Lima"], &[0]);
    let mut fields: Vec<_> = cities.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    fields[0] = fields[0].clone().with_metadata(HashMap::from([("unit".to_owned(), "none".to_owned())]));
    let schema = Schema::new(fields).with_metadata(HashMap::from([("origin".to_owned(), "two\nlines".to_owned())]));
    let batch = RecordBatch::try_new(Arc::new(schema), cities.columns().to_vec()).unwrap();
    let mut writer = FileWriter::try_new(Vec::new(), batch.schema_ref()).unwrap();
    writer.write(&batch).unwrap();
    writer.write_metadata("rows", "1");
    let input = put(&folder, "a.arrow", &writer.into_inner().unwrap());
    let told = text(&run(["inspect", input.to_str().unwrap()]).stdout);
    for line in [
        "  city: Dictionary(Int32, Utf8), not null",
        "metadata of the schema:",
        "  origin: two lines",
        "metadata of the footer:",
        "  rows: 1",
    ] {
        assert!(told.lines().any(|found| found == line), "{line}: {told}");
    }
    assert!(told.contains("0 `city`"), "the column of a dictionary: {told}");
    let (said, _) = inspect(&input);
    assert_eq!(said["messages"][1]["dictionary_column"], "city", "{said}");
    let field = &said["schema"]["fields"][0];
    assert_eq!(
        (&field["name"], &field["nullable"], &field["metadata"]["unit"]),
        (&"city".into(), &false.into(), &"none".into())
    );
    assert_eq!(
        (&said["schema"]["metadata"]["origin"], &said["schema"]["footer_metadata"]["rows"]),
        (&"two\nlines".into(), &"1".into())
    );
    // A stream has no footer.
    assert!(inspect(&put(&folder, "a.arrows", &stream(&[batch]))).0["schema"]["footer_metadata"].is_null());
}

#[test]
fn a_wide_schema_does_not_hide_the_messages() {
    let folder = folder();
    let column = batch(1, 1).column(0).clone();
    let names: Vec<String> = (0..250).map(|number| format!("column {number}")).collect();
    let wide = RecordBatch::try_from_iter(names.iter().map(|name| (name.as_str(), column.clone()))).unwrap();
    let input = put(&folder, "a.arrows", &stream(&[wide]));
    let told = text(&run(["inspect", input.to_str().unwrap()]).stdout);
    assert!(told.contains("  column 99: ") && !told.contains("column 100:"), "{told}");
    assert!(told.contains("and 150 more columns"), "{told}");
    assert_eq!(inspect(&input).0["schema"]["fields"].as_array().unwrap().len(), 250);
}

#[test]
fn what_stands_before_a_cut_is_shown() {
    let folder = folder();
    let batches: Vec<_> = (0..5).map(|n| batch(n, 100)).collect();
    for (name, whole) in [("cut.arrow", file(&batches)), ("cut.arrows", stream(&batches))] {
        let path = put(&folder, name, &whole);
        let (said, _) = inspect(&path);
        let third = said["messages"][3]["offset"].as_u64().unwrap();
        fs::write(&path, &whole[..usize::try_from(third).unwrap() + 300]).unwrap();
        let (said, complete) = inspect(&path);
        assert!(!complete && said["complete"] == false, "{name}");
        assert_eq!(kinds(&said), ["schema", "record_batch", "record_batch"], "{name}");
        assert_eq!(said["stopped"]["offset"], third, "{name}");
        let told = program().arg("inspect").arg(&path).output().unwrap();
        assert_eq!(told.status.code(), Some(1));
        assert!(text(&told.stderr).contains("truncated") && text(&told.stdout).contains("NOT complete"));
    }
}

#[test]
fn a_stream_without_its_marker_is_not_complete() {
    let folder = folder();
    let whole = stream(&[batch(1, 5)]);
    let (said, complete) = inspect(&put(&folder, "a.arrows", &whole[..whole.len() - 8]));
    assert!(!complete && said["complete"] == false && kinds(&said).len() == 2);
}

/// Whatever byte of it is another: a letter, a key, an offset, a compressed buffer, or a length.
#[test]
fn an_input_is_complete_only_if_a_merge_takes_all_of_it() {
    let folder = folder();
    let batches = [dictionary_batch(&["Lima", "Oslo"], &[0, 1, 1]), dictionary_batch(&["Lima", "Pune"], &[1, 1, 0])];
    let source = put(&folder, "source.arrows", &stream(&batches));
    let mut refused = 0;
    for (name, further) in [
        ("a.arrows", &[][..]),
        ("b.arrows", &["--compression", "lz4", "--compress-dictionaries"]),
        ("c.arrow", &["--compression", "zstd", "--compress-dictionaries"]),
        ("d.arrow", &["--dictionaries-at-close"]),
        ("e.arrow", &["--checksums"]),
    ] {
        let path = folder.path().join(name);
        merge_well(&[&source], &path, further);
        let (whole, output) = (fs::read(&path).unwrap(), folder.path().join("out.arrows"));
        let (said, complete) = inspect(&path);
        assert!(complete && said["complete"] == true && said["bodies_read"] == true, "{name}: {said}");
        for message in said["messages"].as_array().unwrap() {
            let figure = |key: &str| usize::try_from(message[key].as_u64().unwrap()).unwrap();
            let body = figure("offset") + figure("metadata_length");
            for at in (body..body + figure("body_length")).step_by(5) {
                let mut bytes = whole.clone();
                bytes[at] ^= 0xff;
                fs::write(&path, &bytes).unwrap();
                let takes = merge(&[&path], &output, &["--quiet"]);
                let shown = run(["inspect", path.to_str().unwrap()]);
                assert_eq!(shown.status.code(), takes.status.code(), "{name}, byte {at}: {}", text(&takes.stderr));
                assert_eq!(text(&shown.stdout).contains("NOT complete"), !takes.status.success(), "{name}, byte {at}");
                assert_eq!(text(&shown.stderr), text(&takes.stderr), "{name}, byte {at}");
                refused += usize::from(!takes.status.success());
            }
        }
    }
    assert!(refused > 50, "only {refused} were refused");
}

#[test]
fn messages_behind_a_damaged_body_are_listed() {
    let folder = folder();
    let whole = stream(&[batch(1, 5), batch(2, 5), batch(3, 5)]);
    let input = put(&folder, "a.arrows", &whole);
    let (said, _) = inspect(&input);
    let second = &said["messages"][2];
    let figure = |key: &str| usize::try_from(second[key].as_u64().unwrap()).unwrap();
    let mut bytes = whole;
    // The last letter of a name is no text.
    let body = figure("offset") + figure("metadata_length");
    let letter = (body..body + figure("body_length")).rev().find(|at| bytes[*at] == b'4').unwrap();
    bytes[letter] = 0xff;
    let (said, complete) = inspect(&put(&folder, "a.arrows", &bytes));
    assert!(!complete && said["complete"] == false, "{said}");
    assert_eq!((&said["stopped"]["offset"], kinds(&said).len()), (&second["offset"], 4), "{said}");
}

#[test]
fn with_metadata_only_nothing_is_called_complete() {
    let folder = folder();
    let whole = stream(&[batch(1, 5)]);
    let mut damaged = whole.clone();
    let letter = damaged.windows(3).rposition(|window| window == b"1/4").unwrap();
    damaged[letter] = 0xff;
    for bytes in [whole.clone(), damaged] {
        let input = put(&folder, "a.arrows", &bytes);
        let shown = run(["inspect", "--metadata-only", input.to_str().unwrap()]);
        let told = text(&shown.stdout);
        assert!(shown.status.success() && told.contains("bodies not read") && !told.contains("complete"), "{told}");
        let shown = run(["inspect", "--metadata-only", "--json", input.to_str().unwrap()]);
        let said: Value = serde_json::from_slice(&shown.stdout).unwrap();
        assert!(said["complete"].is_null() && said["bodies_read"] == false, "{said}");
    }
    // What the metadata tells is told.
    let input = put(&folder, "a.arrows", &whole[..whole.len() - 8]);
    let shown = run(["inspect", "--metadata-only", "--json", input.to_str().unwrap()]);
    let said: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert!(!shown.status.success() && said["complete"] == false, "{said}");
}

#[test]
fn with_metadata_only_bodies_are_not_read() {
    let folder = folder();
    let path = folder.path().join("sparse.arrows");
    let whole = stream(&[batch(1, 5)]);
    fs::write(&path, &whole).unwrap();
    let (said, _) = inspect(&path);
    // A message whose body is a hole of 1 TiB.
    let last = &said["messages"][1];
    let start = usize::try_from(last["offset"].as_u64().unwrap()).unwrap();
    let length = i64::try_from(last["body_length"].as_u64().unwrap()).unwrap();
    let metadata = start + usize::try_from(last["metadata_length"].as_u64().unwrap()).unwrap();
    let mut bytes = whole[..metadata].to_vec();
    let field = (start..metadata).find(|&at| bytes[at..].starts_with(&length.to_le_bytes())).unwrap();
    bytes[field..field + 8].copy_from_slice(&(1_i64 << 40).to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    assert!(!inspect(&path).1, "a body that is not there is damage");
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    if file.set_len(metadata as u64 + (1 << 40)).is_err() {
        return crate::support::skipped("the file system has no files of 1 TiB");
    }
    let begin = Instant::now();
    let shown = run(["inspect", "--metadata-only", "--json", path.to_str().unwrap()]);
    let said: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(said["messages"][1]["body_length"], 1_u64 << 40);
    assert!(begin.elapsed().as_secs() < 5);
}

#[test]
fn the_standard_input_is_inspected_as_it_comes() {
    let folder = folder();
    for bytes in [stream(&[batch(1, 5)]), file(&[batch(1, 5)])] {
        let path = put(&folder, "a", &bytes);
        let stdin = Stdio::from(fs::File::open(&path).unwrap());
        let done = program().args(["inspect", "-", "--json"]).stdin(stdin).output().unwrap();
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(said["messages"], inspect(&path).0["messages"]);
    }
}

#[test]
fn no_input_makes_it_panic_or_hang_or_take_much_memory() {
    let Some(fuzz) = data("fuzz") else { return };
    for kind in ["arrow-ipc-file", "arrow-ipc-stream"] {
        for path in names(&fuzz.join(kind)) {
            let begin = Instant::now();
            // With 64 MiB of address space to take, a large allocation would abort.
            let line = "ulimit -v 65536; exec \"$0\" inspect --json \"$1\"";
            let shell = std::process::Command::new("sh")
                .args(["-c", line, env!("CARGO_BIN_EXE_arrow-ipc")])
                .arg(&path)
                .output()
                .unwrap();
            let told = text(&shell.stderr);
            assert!(matches!(shell.status.code(), Some(0 | 1)), "{path:?}: {:?} {told}", shell.status);
            assert!(!told.contains("panicked") && told.lines().count() <= 1, "{path:?}: {told}");
            if !shell.stdout.is_empty() {
                let said: Value = serde_json::from_slice(&shell.stdout).unwrap();
                assert_eq!(said["complete"] == true, shell.status.success(), "{path:?}");
            }
            assert!(begin.elapsed().as_secs() < 5, "{path:?}");
        }
    }
}
