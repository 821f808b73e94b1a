//! The footer keeps the metadata on which all inputs agree; whatever the output drops is told once, in words and in JSON.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StructArray};
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, Field, Schema};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{batch, folder, merge, put, stream, text};

/// A file of one batch, with these pairs in its footer.
fn with_footer(folder: &TempDir, name: &str, pairs: &[(&str, &str)]) -> PathBuf {
    let batch = batch(1, 3);
    let mut writer = FileWriter::try_new(Vec::new(), batch.schema_ref()).unwrap();
    writer.write(&batch).unwrap();
    pairs.iter().for_each(|(key, value)| writer.write_metadata(*key, *value));
    put(folder, name, &writer.into_inner().unwrap())
}

fn footer(path: &Path) -> Vec<(String, String)> {
    let reader = FileReader::try_new(std::fs::File::open(path).unwrap(), None).unwrap();
    let mut pairs: Vec<_> = reader.custom_metadata().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    pairs.sort();
    pairs
}

/// Merges, and returns what is said of metadata: in words, and in JSON.
fn told(inputs: &[&Path], output: &Path, further: &[&str]) -> (String, Value) {
    let in_words = merge(inputs, output, further);
    let in_json = merge(inputs, output, &[further, &["--json"]].concat());
    assert!(in_words.status.success() && in_json.status.success(), "{}", text(&in_words.stderr));
    let said: Value = serde_json::from_slice(&in_json.stdout).unwrap();
    let lines = text(&in_words.stderr);
    let lines: Vec<_> = lines.lines().filter(|line| line.contains("metadata is dropped")).collect();
    assert!(lines.len() <= 1, "told once: {lines:?}");
    let quiet = merge(inputs, output, &[further, &["--quiet"]].concat());
    assert!(quiet.stderr.is_empty(), "{}", text(&quiet.stderr));
    (lines.concat(), said["dropped_metadata"].clone())
}

#[test]
fn the_footer_keeps_the_metadata_of_one_input() {
    let folder = folder();
    let input = with_footer(&folder, "in.arrow", &[("origin", "station 7")]);
    let output = folder.path().join("out.arrow");
    let (line, dropped) = told(&[&input], &output, &[]);
    assert_eq!(footer(&output), [("origin".to_owned(), "station 7".to_owned())]);
    assert!(line.is_empty() && dropped == json!([]), "{line}");

    let (line, dropped) = told(&[&input], &folder.path().join("out.arrows"), &[]);
    assert!(line.contains("`origin` of the footer (a stream has no footer)"), "{line}");
    assert_eq!(dropped[0]["key"], "origin");
}

#[test]
fn the_footer_keeps_the_metadata_on_which_inputs_agree() {
    let folder = folder();
    let first = with_footer(&folder, "first.arrow", &[("crs", "4326"), ("day", "1"), ("only here", "x")]);
    let second = with_footer(&folder, "second.arrow", &[("crs", "4326"), ("day", "2")]);
    let third = with_footer(&folder, "third.arrow", &[("crs", "4326"), ("day", "1"), ("only there", "y")]);
    let output = folder.path().join("out.arrow");
    let (line, dropped) = told(&[&first, &second, &third], &output, &[]);
    assert_eq!(footer(&output), [("crs".to_owned(), "4326".to_owned())]);
    for key in ["`day`", "`only here`", "`only there`"] {
        assert!(line.contains(&format!("{key} of the footer (inputs differ)")), "{key}: {line}");
    }
    assert_eq!(dropped.as_array().unwrap().len(), 3, "{dropped}");

    // A stream has no footer, so nobody knows whether a pair is true of it.
    let streamed = put(&folder, "in.arrows", &stream(&[batch(2, 3)]));
    let (_, dropped) = told(&[&first, &streamed], &output, &[]);
    assert_eq!((footer(&output).len(), dropped.as_array().unwrap().len()), (0, 3), "{dropped}");
}

#[test]
fn a_footer_loses_its_metadata_where_batches_may_move() {
    let folder = folder();
    let input = with_footer(&folder, "in.arrow", &[("first row of each batch", "0")]);
    let output = folder.path().join("out.arrow");
    let (line, dropped) = told(&[&input], &output, &["--order", "arrival"]);
    assert!(footer(&output).is_empty());
    assert!(line.contains("`first row of each batch` of the footer (batches may come in another order)"), "{line}");
    assert_eq!(dropped[0]["reason"], "batches may come in another order");
}

#[test]
fn metadata_of_schema_and_fields_that_differs_is_told() {
    let folder = folder();
    let with = |name: &str, schema: &str, unit: &str| {
        let pair = |key: &str, value: &str| HashMap::from([(key.to_owned(), value.to_owned())]);
        let inner = Field::new("inner", DataType::Int64, false).with_metadata(pair("unit", unit));
        let numbers = Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef;
        let outer = StructArray::new(vec![inner].into(), vec![numbers], None);
        let field = Field::new("outer", arrow_array::Array::data_type(&outer).clone(), false);
        let schema = Schema::new(vec![field]).with_metadata(pair("who", schema));
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(outer)]).unwrap();
        put(&folder, name, &stream(&[batch]))
    };
    let (first, second, third) = (with("a", "me", "m"), with("b", "you", "m"), with("c", "she", "km"));
    let output = folder.path().join("out.arrow");
    let (line, dropped) = told(&[&first, &second, &third], &output, &[]);
    assert!(
        line.contains("`who` of the schema (inputs differ), `unit` of the column `outer.inner` (inputs differ)"),
        "{line}"
    );
    assert_eq!(dropped[1]["column"], "outer.inner", "{dropped}");
    assert_eq!(dropped.as_array().unwrap().len(), 2, "{dropped}");
    let (line, _) = told(&[&first, &first], &output, &[]);
    assert_eq!(line, "", "equal metadata is kept");
}
