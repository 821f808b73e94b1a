//! All three commands verify checksums; `merge` copies none, and makes its own where it is asked to.

use std::fs;
use std::path::Path;

use arrow_ipc::MessageHeader;
use ipc_core::format::{CHECKSUM_KEY, CHECKSUMS_KEY};
use ipc_core::{DictionaryHandling, Options};
use ipc_tests::encode;
use ipc_tests::framing::{Framed, messages};

use crate::support::{dictionary_batch, folder, merge_badly, merge_well, put, run, text};

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
