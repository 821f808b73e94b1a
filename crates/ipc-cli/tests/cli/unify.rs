//! Inputs whose dictionaries differ are merged into one output with one dictionary for each field, in both formats, at any
//! number of threads; into a file without being asked.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowDictionaryKeyType, Int8Type, Int32Type};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Int8Array, Int64Array, RecordBatch, StringArray, StructArray,
    downcast_dictionary_array,
};
use arrow_schema::{DataType, Field, Schema};
use tempfile::TempDir;

use crate::readers::compare_with;
use crate::support::{
    Pair, data, dictionary_batch, file, folder, inspect, judge, merge, merge_badly, merge_well, program, put, read,
    stream, text,
};

/// The rows of a dictionary of strings, with a dictionary of their own, in the order in which they come up.
fn encoded_anew<K: ArrowDictionaryKeyType>(array: &DictionaryArray<K>) -> ArrayRef {
    let strings = array.downcast_dict::<StringArray>().expect("the dictionaries of the trips hold strings");
    let mut builder = StringDictionaryBuilder::<K>::new();
    strings.into_iter().for_each(|string| builder.append_option(string));
    Arc::new(builder.finish())
}

fn with_own_dictionaries(batch: &RecordBatch) -> RecordBatch {
    let columns = batch.columns().iter().map(|column| {
        downcast_dictionary_array!(
            column => encoded_anew(column),
            _ => Arc::clone(column),
        )
    });
    RecordBatch::try_new(batch.schema(), columns.collect()).unwrap()
}

/// The trips in eight parts: four files of one dictionary for each field, and four streams of two.
fn parts(folder: &TempDir, trips: &Path) -> Vec<PathBuf> {
    let halves = |batch: &RecordBatch| {
        let half = batch.num_rows() / 2;
        [batch.slice(0, half), batch.slice(half, batch.num_rows() - half)].map(|part| with_own_dictionaries(&part))
    };
    let pieces: Vec<RecordBatch> = read(trips).iter().flat_map(halves).collect();
    assert_eq!(pieces.len(), 12);
    let (files, streams) = pieces.split_at(4);
    let files = files.chunks(1).map(file);
    let all = files.chain(streams.chunks(2).map(stream)).enumerate();
    all.map(|(number, bytes)| put(folder, &format!("part {number}"), &bytes)).collect()
}

#[test]
fn eight_inputs_with_dictionaries_of_their_own_become_one() {
    let Some(trips) = data("data/trips.arrow") else { return };
    let folder = folder();
    let parts = parts(&folder, &trips);
    let parts: Vec<&Path> = parts.iter().map(PathBuf::as_path).collect();
    let names = parts.iter().map(|part| part.display().to_string()).collect::<Vec<_>>().join(",");
    let mut pairs = Vec::new();
    for format in ["file", "stream"] {
        for (threads, order, flags) in [
            ("1", "input", "--batches"),
            ("2", "input", "--batches"),
            ("8", "input", "--batches"),
            ("8", "arrival", "--unordered"),
        ] {
            let written = folder.path().join(format!("{format} {threads} {order}"));
            let how = ["--format", format, "--threads", threads, "--order", order, "--dictionaries", "unify"];
            merge_well(&parts, &written, &how);
            let (said, is_complete) = inspect(&written);
            assert!(is_complete, "{said}");
            let totals = &said["totals"];
            assert_eq!((&totals["rows"], &totals["record_batches"]), (&60_000.into(), &12.into()));
            // Each of three fields has one, and deltas.
            assert!(
                totals["dictionary_batches"].as_u64().unwrap() - totals["deltas"].as_u64().unwrap() == 3,
                "{totals}"
            );
            pairs.push(Pair { flags, read: names.clone(), written });
        }
    }
    judge(&pairs);
}

#[test]
fn polars_reads_dictionaries_at_close() {
    let Some(trips) = data("data/trips.arrow") else { return };
    let folder = folder();
    let parts = parts(&folder, &trips);
    let parts: Vec<&Path> = parts.iter().map(PathBuf::as_path).collect();
    let [resent, at_close] = ["resent.arrows", "at close.arrow"].map(|name| folder.path().join(name));
    merge_well(&parts, &resent, &["--threads", "2"]);
    merge_well(&parts, &at_close, &["--threads", "2", "--dictionaries-at-close"]);
    let totals = inspect(&at_close).0["totals"].clone();
    assert_eq!((&totals["dictionary_batches"], &totals["deltas"]), (&3.into(), &0.into()));
    compare_with("polars", &[(resent, at_close)]);
}

#[test]
fn a_file_unifies_what_it_cannot_keep_and_says_so() {
    let folder = folder();
    let (one, other) = (dictionary_batch(&["a", "b", "c"], &[0, 1]), dictionary_batch(&["b", "a"], &[0, 1]));
    let [first, second] = [
        put(&folder, "first.arrow", &file(std::slice::from_ref(&one))),
        put(&folder, "second", &stream(std::slice::from_ref(&other))),
    ];
    let output = folder.path().join("out.arrow");
    let done = merge(&[&first, &second], &output, &[]);
    let told = text(&done.stderr);
    assert!(done.status.success(), "{told}");
    assert!(told.contains("second has another dictionary for column `city`: dictionaries are unified"), "{told}");
    assert_eq!(read(&output), [one.clone(), other.clone()]);
    let quiet = merge(&[&first, &second], &output, &["--quiet"]);
    assert!(quiet.status.success() && quiet.stderr.is_empty(), "{}", text(&quiet.stderr));

    // What agrees is kept as it is, down to values that nothing uses.
    let done = merge(&[&first, &first], &output, &[]);
    assert!(!text(&done.stderr).contains("unified"), "{}", text(&done.stderr));
    assert_eq!(inspect(&output).0["messages"][1]["rows"], 3);

    fs::remove_file(&output).unwrap();
    let told = merge_badly(folder.path(), &[&first, &second], &output, &["--dictionaries", "delta"]);
    assert!(told.contains("`city` is replaced by another") && told.contains("--dictionaries unify"), "{told}");
}

#[test]
fn an_input_that_can_be_read_only_once_is_not_trusted_to_keep_its_dictionaries() {
    let folder = folder();
    let batches = [dictionary_batch(&["a", "b"], &[0, 1]), dictionary_batch(&["b", "a"], &[0, 1])];
    let input = put(&folder, "in.arrows", &stream(&batches));
    let output = folder.path().join("out.arrow");
    let mut command = program();
    command.args(["merge", "-", "--output"]).arg(&output).stdin(fs::File::open(&input).unwrap());
    let done = command.stdout(Stdio::null()).output().unwrap();
    let told = text(&done.stderr);
    assert!(done.status.success() && told.contains("standard input can be read only once"), "{told}");
    assert_eq!(read(&output), batches);
}

#[test]
fn an_input_that_can_be_read_only_once_keeps_dictionaries_that_cannot_be_unified() {
    let folder = folder();
    let inner = dictionary_batch(&["a", "b"], &[0, 1]);
    let values = Arc::new(StructArray::from(inner)) as ArrayRef;
    let column = DictionaryArray::<Int8Type>::new(vec![1, 0, 1].into(), values);
    let batch = RecordBatch::try_from_iter([("nested", Arc::new(column) as ArrayRef)]).unwrap();
    let output = folder.path().join("nested.arrow");
    let mut command = program();
    command.args(["merge", "-", "--output"]).arg(&output);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&stream(&[batch.clone(), batch.clone()])).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(read(&output), [batch.clone(), batch]);
}

/// A hundred words in a dictionary with 8-bit keys.
fn hundred(from: usize) -> RecordBatch {
    let words = StringArray::from_iter_values((from..from + 100).map(|word| format!("word {word}")));
    let column = DictionaryArray::<Int8Type>::new((0..100).collect::<Vec<_>>().into(), Arc::new(words));
    RecordBatch::try_from_iter([("word", Arc::new(column) as ArrayRef)]).unwrap()
}

#[test]
fn keys_that_are_too_short_for_all_values_are_told_in_one_line_and_can_be_widened() {
    let folder = folder();
    let batches = [hundred(0), hundred(100)];
    let inputs = [put(&folder, "a", &file(&batches[..1])), put(&folder, "b", &file(&batches[1..]))];
    let inputs = [inputs[0].as_path(), inputs[1].as_path()];
    let output = folder.path().join("out.arrow");
    for how in [&["--threads", "1"][..], &["--threads", "1", "--dictionaries", "unify"]] {
        let told = merge_badly(folder.path(), &inputs, &output, how);
        assert!(told.contains("b: the dictionary of column `word` would have 200 values"), "{told}");
        assert!(told.contains("--widen-dictionary-keys"), "{told}");
    }
    let wide = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    for format in ["file", "stream"] {
        merge_well(&inputs, &output, &["--format", format, "--widen-dictionary-keys"]);
        let merged = read(&output);
        assert!(merged.iter().all(|batch| *batch.column(0).data_type() == wide));
        let found = merged.iter().flat_map(|batch| {
            let column = batch.column(0).as_dictionary::<Int32Type>();
            let words = column.downcast_dict::<StringArray>().unwrap();
            words.into_iter().map(|word| word.unwrap().to_owned()).collect::<Vec<_>>()
        });
        assert!(found.eq((0..200).map(|word| format!("word {word}"))), "{format}");
    }
}

/// The line about dictionaries would only stand in the way of the one that counts.
#[test]
fn what_is_said_of_dictionaries_is_said_of_an_output_that_is_there() {
    let folder = folder();
    let batches = [dictionary_batch(&["a", "b"], &[0, 1]), dictionary_batch(&["b", "a"], &[0, 1])];
    let inputs = [put(&folder, "a", &file(&batches[..1])), put(&folder, "b", &file(&batches[1..]))];
    let output = folder.path().join("no such folder").join("out.arrow");
    let told = merge_badly(folder.path(), &[&inputs[0], &inputs[1]], &output, &[]);
    assert!(told.contains("out.arrow"), "{told}");
}

/// A column of strings in a dictionary of these values, ordered or not, and a column of numbers in one of these.
fn ordered_beside_unordered(sizes: &[&str], numbers: &[i64]) -> RecordBatch {
    let ordered = dictionary_batch(sizes, &[0, 1]).column(0).clone();
    let keys = Int8Array::from_iter_values([0, 1]);
    let unordered: ArrayRef =
        Arc::new(DictionaryArray::new(keys, Arc::new(Int64Array::from(numbers.to_vec())) as ArrayRef));
    let fields = vec![
        Field::new("size", ordered.data_type().clone(), true).with_dict_is_ordered(true),
        Field::new("number", unordered.data_type().clone(), true),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![ordered, unordered]).unwrap()
}

#[test]
fn an_ordered_dictionary_that_grows_becomes_one_file_with_one_that_changes() {
    let folder = folder();
    let batches = [ordered_beside_unordered(&["S", "M"], &[1, 2]), ordered_beside_unordered(&["S", "M", "L"], &[3, 1])];
    let inputs = [put(&folder, "a", &file(&batches[..1])), put(&folder, "b", &file(&batches[1..]))];
    let output = folder.path().join("out.arrow");
    for order in [["a", "b"], ["b", "a"]] {
        let inputs = order.map(|name| folder.path().join(name));
        for how in [&[][..], &["--dictionaries", "unify"], &["--dictionaries-at-close"]] {
            merge_well(&[&inputs[0], &inputs[1]], &output, how);
            let expected = order.map(|name| batches[usize::from(name == "b")].clone());
            assert_eq!(read(&output), expected, "{how:?}");
        }
    }
    // From a pipe, too, which nobody looks into beforehand.
    let both = put(&folder, "both", &stream(&batches));
    let mut command = program();
    command.args(["merge", "-", "--output"]).arg(&output).stdin(fs::File::open(&both).unwrap());
    assert!(command.status().unwrap().success());
    assert_eq!(read(&output), batches);
    fs::remove_file(&output).unwrap();
    drop(inputs);
}

/// Whatever is told, the next call does it.
#[test]
fn what_the_message_names_does_it() {
    let folder = folder();
    let nested = |words: &[&str], inner_ordered: bool| {
        let inner = dictionary_batch(words, &[0, 1]).column(0).clone();
        let field = Field::new("inner", inner.data_type().clone(), true).with_dict_is_ordered(inner_ordered);
        let values = Arc::new(StructArray::new(vec![field].into(), vec![inner], None)) as ArrayRef;
        let column = DictionaryArray::<Int8Type>::new(vec![1, 0, 1].into(), values);
        RecordBatch::try_from_iter([("nested", Arc::new(column) as ArrayRef)]).unwrap()
    };
    let ordered = |sizes: &[&str]| ordered_beside_unordered(sizes, &[1, 2]);
    let output = folder.path().join("out.arrow");
    let cases: [(_, &[&str], &[&str]); 6] = [
        ([nested(&["a", "b"], false), nested(&["c", "d"], false)], &[], &["--dictionaries-at-close"]),
        (
            [nested(&["a", "b"], false), nested(&["c", "d"], false)],
            &["--dictionaries", "unify"],
            &["--dictionaries-at-close"],
        ),
        ([nested(&["a", "b"], true), nested(&["c", "d"], true)], &[], &["--format", "stream"]),
        ([ordered(&["a", "b"]), ordered(&["b", "a"])], &[], &["--format", "stream"]),
        ([ordered(&["a", "b"]), ordered(&["b", "a"])], &["--dictionaries", "delta"], &["--format", "stream"]),
        (
            [ordered_beside_unordered(&["a", "b"], &[1, 2]), ordered_beside_unordered(&["b", "a"], &[2, 1])],
            &["--dictionaries-at-close"],
            &["--format", "stream"],
        ),
    ];
    for (batches, how, switch) in cases {
        let inputs = [put(&folder, "a", &file(&batches[..1])), put(&folder, "b", &file(&batches[1..]))];
        let inputs = [inputs[0].as_path(), inputs[1].as_path()];
        let told = merge_badly(folder.path(), &inputs, &output, how);
        assert!(told.contains(&switch.join(" ")), "{how:?}: {told}");
        merge_well(&inputs, &output, switch);
        assert_eq!(read(&output), batches, "{switch:?}");
        fs::remove_file(&output).unwrap();
    }
}
