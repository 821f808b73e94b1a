//! Files and streams made by others, read by `arrow-rs`, written again by us and judged by pyarrow, are the same:
//! schema, batch boundaries, every value; as stream and as file, plain and compressed.
//!
//! Fails where we write what our own reader forgives and others do not: a wrong null count, offsets that are not
//! rebased, a dictionary out of order, a frame that only our codec reads.
//!
//! No case carries custom metadata with a record batch, which `arrow-rs` would not hand on; a test says so.
//! Without the test data or without pyarrow these tests are skipped, and say so.

use std::fs;
use std::path::{Path, PathBuf};

use ipc_core::{Compression, DictionaryHandling, Error, Options};
use ipc_tests::framing::{MAGIC, messages};
use ipc_tests::outside::{self, Pair};
use ipc_tests::{encode, read};

/// Cases of `arrow-testing` 1.0.0 with values outside their type's range.
const OUT_OF_RANGE: [&str; 3] = ["generated_decimal.", "generated_decimal256.", "generated_datetime."];

/// The one input that no file can hold: its dictionary is replaced between batches.
const REPLACED: &str = "dict_replacement.arrows";
/// The inputs whose dictionary grows, which a file can hold only by deltas. The *file* with a delta is none of them:
/// its reader has the whole dictionary before the first batch.
const GROWING: &str = "dict_delta.arrows";

/// The one input that `arrow-rs` cannot read: a file with a footer of another metadata version than its messages.
const UNREADABLE: &str = "v4.arrow";

const COMPRESSIONS: [Compression; 3] = [Compression::None, Compression::Lz4, Compression::Zstd(1)];

/// All files below `folder` that are Arrow.
fn cases(folder: &Path) -> Vec<PathBuf> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            cases.extend(self::cases(&path));
        } else if path.extension().is_none_or(|extension| extension != "gz") {
            cases.push(path);
        }
    }
    cases.sort();
    cases
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// What `arrow-rs` reads from a case; `None` for the one that it cannot read.
fn read_case(path: &Path) -> Option<read::Contents> {
    let bytes = fs::read(path).unwrap();
    let contents = if bytes.starts_with(MAGIC) { read::file(&bytes) } else { read::stream(&bytes) };
    match contents {
        Ok(contents) => Some(contents),
        Err(_) if name(path) == UNREADABLE => None,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

fn options(compression: Compression, dictionaries: DictionaryHandling) -> Options {
    Options::builder().compression(compression).dictionaries(dictionaries).build().unwrap()
}

/// Writes every case below `folder` in every way with this handling of dictionaries, has all judged, and returns the
/// names of those that a file refused because of their dictionaries.
fn judge_all(folder: &str, dictionaries: DictionaryHandling) -> Option<Vec<String>> {
    let folder = outside::data(folder)?;
    let outputs = tempfile::tempdir().unwrap();
    let (mut pairs, mut refused) = (Vec::new(), Vec::new());
    for case in cases(&folder) {
        let Some(contents) = read_case(&case) else { continue };
        let lax = OUT_OF_RANGE.iter().any(|name| self::name(&case).starts_with(name));
        let mut judge = |bytes: Vec<u8>| {
            let written = outputs.path().join(pairs.len().to_string());
            fs::write(&written, bytes).unwrap();
            let pair = Pair::by_batches(&case, written);
            pairs.push(if lax { pair.lax() } else { pair });
        };
        for compression in COMPRESSIONS {
            let options = options(compression, dictionaries);
            judge(encode::stream(&contents.schema, &contents.batches, &options).unwrap());
            match encode::file(&contents.schema, &contents.batches, &options) {
                Ok(bytes) => judge(bytes),
                Err(Error::DictionaryReplacement { .. }) => refused.push(name(&case).to_owned()),
                Err(error) => panic!("{}: {error}", case.display()),
            }
        }
    }
    let verdicts = outside::judge(&pairs)?;
    let different = pairs.iter().zip(verdicts).filter(|(_, verdict)| verdict != "equal");
    let different: Vec<_> = different.map(|(pair, verdict)| format!("{}: {verdict}", pair.read)).collect();
    assert!(different.is_empty(), "{} of {} differ:\n{}", different.len(), pairs.len(), different.join("\n"));
    refused.dedup();
    Some(refused)
}

#[test]
fn arrow_testing_is_written_again_as_it_was() {
    if let Some(refused) = judge_all("gold", DictionaryHandling::Resend) {
        assert!(refused.is_empty(), "{refused:?}");
    }
}

#[test]
fn every_feature_is_written_again_as_it_was() {
    if let Some(refused) = judge_all("features", DictionaryHandling::Resend) {
        assert_eq!(refused, [GROWING, REPLACED]);
    }
}

#[test]
fn with_deltas_only_a_replaced_dictionary_is_refused() {
    if let Some(refused) = judge_all("features", DictionaryHandling::Delta) {
        assert_eq!(refused, [REPLACED]);
    }
}

#[test]
fn no_case_has_metadata_of_its_own_with_a_batch() {
    for folder in ["gold", "features"].into_iter().filter_map(outside::data) {
        for case in cases(&folder) {
            let bytes = fs::read(&case).unwrap();
            let framing = messages(&bytes, if bytes.starts_with(MAGIC) { 8 } else { 0 });
            for message in framing.record_batches() {
                assert!(message.custom_metadata.is_empty(), "{} has some: judge it too", case.display());
            }
        }
    }
}
