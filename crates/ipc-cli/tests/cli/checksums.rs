//! All three commands verify checksums; `merge` copies none, and makes its own where it is asked to.

use std::fs;
use std::path::Path;
use std::process::Command;

use arrow_ipc::MessageHeader;
use ipc_core::format::{CHECKSUM_KEY, CHECKSUMS_KEY};
use ipc_core::{DictionaryHandling, Options};
use ipc_tests::encode;
use ipc_tests::framing::{Framed, messages};

use crate::support::{dictionary_batch, folder, merge_badly, merge_well, put, python, run, text};

/// A file and a stream with checksums, of two batches with a dictionary that grows.
fn inputs() -> [(&'static str, usize, Vec<u8>); 2] {
    let batches = [dictionary_batch(&["Lima"], &[0, 0]), dictionary_batch(&["Lima", "Oslo"], &[1, 0])];
    let options = Options::builder().checksums(true).dictionaries(DictionaryHandling::Delta).build().unwrap();
    let schema = batches[0].schema();
    [
        ("in.arrow", 8, encode::file(&schema, &batches, &options).unwrap()),
        ("in.arrows", 0, encode::stream(&schema, &batches, &options).unwrap()),
    ]
}

fn has_checksums(path: &Path, start: usize) -> (bool, usize, usize) {
    let messages = messages(&fs::read(path).unwrap(), start).messages;
    let has = |message: &Framed, key: &str| message.custom_metadata.iter().any(|(found, _)| found == key);
    let batches = &messages[1..];
    let sums = batches.iter().filter(|message| has(message, CHECKSUM_KEY)).count();
    (has(&messages[0], CHECKSUMS_KEY), sums, batches.len())
}

#[test]
fn what_is_not_what_was_written_is_refused_by_name() {
    let folder = folder();
    let output = folder.path().join("out.arrow");
    for (name, start, whole) in inputs() {
        for message in messages(&whole, start).messages.iter().filter(|message| message.kind != MessageHeader::Schema) {
            let mut bytes = whole.clone();
            // A key or an offset, in the first byte: no reader would notice padding, or refuse another letter.
            bytes[message.body.end - 1] ^= 1;
            let input = put(&folder, name, &bytes);
            let told = merge_badly(folder.path(), &[&input], &output, &[]);
            let expected = format!("(at byte {})", message.offset);
            assert!(told.contains("the checksum of the body is") && told.contains(&expected), "{told}");
            let inspected = run(["inspect", input.to_str().unwrap()]);
            assert_eq!(inspected.status.code(), Some(1));
            assert!(
                text(&inspected.stdout).contains("the checksum of the body is")
                    || text(&inspected.stderr).contains("the checksum of the body is")
            );
        }
        let input = put(&folder, name, &whole);
        assert!(run(["inspect", input.to_str().unwrap()]).status.success());
        fs::remove_file(&input).unwrap();
    }
}

#[test]
fn merge_makes_its_own_checksums_where_it_is_asked_to() {
    let folder = folder();
    for (name, _, whole) in inputs() {
        let input = put(&folder, name, &whole);
        for (output, start) in [("out.arrow", 8), ("out.arrows", 0)] {
            let output = folder.path().join(output);
            merge_well(&[&input], &output, &[]);
            let (announced, sums, _) = has_checksums(&output, start);
            assert_eq!((announced, sums), (false, 0), "nothing is copied");
            merge_well(&[&input], &output, &["--checksums"]);
            let (announced, sums, batches) = has_checksums(&output, start);
            assert!(announced && sums == batches && batches > 2, "{sums} of {batches}");
            assert!(run(["inspect", output.to_str().unwrap()]).status.success(), "and they are right");
        }
    }
}

/// pyarrow reads them as if nothing were there, and writes batches with the metadata that they had: sums of bodies that
/// are now others, which nobody announces. It may give them the key of an abort mark as well.
#[test]
fn what_pyarrow_rewrote_is_sound() {
    const REWRITE: &str = "
import sys, pyarrow as pa
for name in sys.argv[1:]:
    opened, made = (pa.ipc.open_file, pa.ipc.new_file) if name.endswith('.arrow') else (pa.ipc.open_stream, pa.ipc.new_stream)
    with pa.OSFile(name) as source:
        reader = opened(source)
        assert not reader.schema.metadata, reader.schema.metadata
        if name.endswith('.arrow'):
            batches = [reader.get_batch_with_custom_metadata(i) for i in range(reader.num_record_batches)]
        else:
            batches = list(reader.iter_batches_with_custom_metadata())
        assert [batch.batch.column(0).to_pylist() for batch in batches] == [['Lima', 'Lima'], ['Oslo', 'Lima']]
        options = pa.ipc.IpcWriteOptions(compression='lz4', emit_dictionary_deltas=True)
        with made(name + '.new', reader.schema, options=options) as writer:
            for batch in batches:
                keys = {**batch.custom_metadata, b'ipc.aborted': b'not at all'}
                writer.write_batch(batch.batch, custom_metadata=keys)
";
    let Some(python) = python("pyarrow") else { return };
    let folder = folder();
    let paths = inputs().map(|(name, _, whole)| put(&folder, name, &whole));
    let done = Command::new(python).args(["-c", REWRITE]).args(&paths).output().unwrap();
    assert!(done.status.success(), "{}", text(&done.stderr));
    for (path, start) in paths.iter().zip([8, 0]) {
        let rewritten = path.with_extension(format!("{}.new", path.extension().unwrap().display()));
        let (announced, sums, _) = has_checksums(&rewritten, start);
        assert_eq!((announced, sums), (false, 2), "sums that mean nothing, and nobody says that they do");
        assert!(run(["inspect", rewritten.to_str().unwrap()]).status.success());
        merge_well(&[&rewritten], &folder.path().join("merged.arrow"), &[]);
    }
}
