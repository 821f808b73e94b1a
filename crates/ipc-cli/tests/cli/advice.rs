//! Where dictionaries are in the way, the error says what to change in the arguments, and that works: taken by its word, it
//! merges what was refused, whatever kinds of dictionaries come together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::{Int8Type, Int32Type};
use arrow_array::{Array, ArrayRef, DictionaryArray, RecordBatch, StringArray, StructArray};
use arrow_schema::{Field, Schema};
use tempfile::TempDir;

use crate::support::{case, folder, merge, merge_well, put, read, stream, text};

/// What becomes of a dictionary from the first input to the second.
#[derive(Debug, Clone, Copy)]
enum Change {
    None,
    Grows,
    Replaced,
    /// It is replaced, and both have more values together than 8 bits tell apart.
    Overflows,
}

/// How a dictionary is made.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Plain,
    Ordered,
    /// Its values are structs that hold another one, which changes.
    Nested,
    /// The outer one is ordered.
    NestedOrdered,
}

fn words(change: Change, second: bool) -> Vec<String> {
    let named = |prefix: &str, count: usize| (0..count).map(|word| format!("{prefix} {word}")).collect();
    match (change, second) {
        (Change::None, _) | (Change::Grows | Change::Replaced, false) => named("word", 3),
        (Change::Grows, true) => named("word", 5),
        (Change::Replaced, true) => named("other", 4),
        (Change::Overflows, false) => named("word", 100),
        (Change::Overflows, true) => named("other", 100),
    }
}

fn column(kind: Kind, change: Change, second: bool) -> (Field, ArrayRef) {
    let words = words(change, second);
    let last = i8::try_from(words.len()).unwrap() - 1;
    let flat = DictionaryArray::<Int8Type>::new(vec![0, last, 1].into(), Arc::new(StringArray::from(words)));
    let field =
        |array: &dyn Array, ordered| Field::new("d", array.data_type().clone(), true).with_dict_is_ordered(ordered);
    match kind {
        Kind::Plain | Kind::Ordered => (field(&flat, matches!(kind, Kind::Ordered)), Arc::new(flat)),
        Kind::Nested | Kind::NestedOrdered => {
            let inner = vec![field(&flat, false).with_name("inner")];
            let values = StructArray::new(inner.into(), vec![Arc::new(flat)], None);
            let outer = DictionaryArray::<Int32Type>::new(vec![2, 1, 0].into(), Arc::new(values));
            (field(&outer, matches!(kind, Kind::NestedOrdered)), Arc::new(outer))
        }
    }
}

/// A stream with these columns, as it is in the first or in the second input.
fn input(folder: &TempDir, columns: &[(Kind, Change)], second: bool) -> PathBuf {
    let columns = columns.iter().enumerate().map(|(number, (kind, change))| {
        let (field, array) = column(*kind, *change, second);
        (field.with_name(format!("d{number}")), array)
    });
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    put(folder, if second { "second" } else { "first" }, &stream(&[batch]))
}

/// The switches, each with its value, as the end of the message has them: those to give, and those to leave out.
fn advised(told: &str) -> Option<(Vec<String>, Vec<String>)> {
    let (_, advice) = told.trim_end().rsplit_once("; ")?;
    let (given, left_out) = match advice.split_once("leave out ") {
        Some((given, left_out)) => (given.trim_end_matches(" and "), left_out),
        None => (advice, ""),
    };
    let given = if given.is_empty() { given } else { given.strip_prefix("use ")? };
    let switches = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    Some((switches(given), switches(left_out)))
}

/// The arguments with what was advised: a switch that was given already has the other value now.
fn taken_by_its_word(arguments: &[&str], (given, left_out): (Vec<String>, Vec<String>)) -> Vec<String> {
    let has_value = |switch: &str| ["--dictionaries", "--format"].contains(&switch);
    let mut taken = Vec::new();
    let mut rest = arguments.iter();
    while let Some(switch) = rest.next() {
        let value = has_value(switch).then(|| rest.next().unwrap());
        if !given.iter().chain(&left_out).any(|other| other == switch) {
            taken.extend([Some(switch), value].into_iter().flatten().map(|word| (*word).to_owned()));
        }
    }
    taken.extend(given);
    taken
}

#[test]
fn what_is_advised_works() {
    let mut ways: Vec<Vec<&str>> = Vec::new();
    for format in ["file", "stream"] {
        for how in ["", "--dictionaries resend", "--dictionaries delta", "--dictionaries unify"] {
            for flags in [
                "",
                "--dictionaries-at-close",
                "--widen-dictionary-keys",
                "--dictionaries-at-close --widen-dictionary-keys",
            ] {
                ways.push(
                    ["--format", format]
                        .into_iter()
                        .chain(how.split(' '))
                        .chain(flags.split(' '))
                        .filter(|word| !word.is_empty())
                        .collect(),
                );
            }
        }
    }
    let kinds = [Kind::Plain, Kind::Ordered, Kind::Nested, Kind::NestedOrdered];
    let changes = [Change::None, Change::Grows, Change::Replaced, Change::Overflows];
    let one: Vec<_> = kinds.into_iter().flat_map(|kind| changes.map(|change| (kind, change))).collect();
    let mut sets: Vec<Vec<(Kind, Change)>> = one.iter().map(|column| vec![*column]).collect();
    // Two columns: what helps the one must not be in the way of the other.
    sets.extend([
        vec![(Kind::Plain, Change::Grows), (Kind::Ordered, Change::Replaced)],
        vec![(Kind::Plain, Change::Replaced), (Kind::Ordered, Change::Grows)],
        vec![(Kind::Plain, Change::Overflows), (Kind::Nested, Change::Replaced)],
        vec![(Kind::Plain, Change::Grows), (Kind::Nested, Change::None)],
        vec![(Kind::Plain, Change::Replaced), (Kind::NestedOrdered, Change::None)],
    ]);
    let (mut refused, mut failed) = (0, Vec::new());
    for columns in &sets {
        let folder = folder();
        let inputs = [input(&folder, columns, false), input(&folder, columns, true)];
        let inputs = [inputs[0].as_path(), inputs[1].as_path()];
        for way in &ways {
            let output = folder.path().join("out");
            let done = merge(&inputs, &output, way);
            let told = text(&done.stderr);
            if done.status.code() != Some(1) {
                assert!([Some(0), Some(2)].contains(&done.status.code()), "{columns:?} {way:?}: {told}");
                continue;
            }
            refused += 1;
            let Some(advice) = advised(&told) else {
                failed.push(format!("{columns:?} {way:?}: no advice: {told}"));
                continue;
            };
            let taken = taken_by_its_word(way, advice);
            let again = merge(&inputs, &output, &taken.iter().map(String::as_str).collect::<Vec<_>>());
            if !again.status.success() {
                failed.push(format!("{columns:?} {way:?}: {told}    {taken:?}: {}", text(&again.stderr)));
                continue;
            }
            assert_rows_of(&inputs, &output);
        }
    }
    assert!(failed.is_empty(), "{} of {refused}:\n{}", failed.len(), failed.join("\n"));
    assert!(refused > 50, "{refused} were refused");
}

/// The batches are those of the inputs, read by arrow's reader: as text, whatever the keys.
fn assert_rows_of(inputs: &[&Path], output: &Path) {
    let shown = |path: &Path| {
        let rows = read(path).into_iter().flat_map(|batch| {
            let columns = batch.columns().to_vec();
            (0..batch.num_rows()).map(move |row| columns.iter().map(|column| value(column, row)).collect::<Vec<_>>())
        });
        rows.collect::<Vec<_>>()
    };
    let expected: Vec<_> = inputs.iter().flat_map(|input| shown(input)).collect();
    assert_eq!(shown(output), expected);
}

fn value(column: &ArrayRef, row: usize) -> String {
    use arrow_array::cast::AsArray;
    if let Some(dictionary) = column.as_any_dictionary_opt() {
        return value(dictionary.values(), dictionary.normalized_keys()[row]);
    }
    if let Some(structs) = column.as_struct_opt() {
        return value(structs.column(0), row);
    }
    if let Some(large) = column.as_string_opt::<i64>() {
        return large.value(row).to_owned();
    }
    column.as_string::<i32>().value(row).to_owned()
}

/// Ordered dictionaries that grow, also beside one that changes.
#[test]
fn what_a_file_can_have_needs_no_advice() {
    let pairs = [["ordered-o1.arrow", "ordered-o2.arrow"], ["pandas-1.feather", "pandas-2.feather"]];
    for [one, other] in pairs.into_iter().chain(pairs.map(|[one, other]| [other, one])).take(3) {
        let folder = folder();
        let output = folder.path().join("out.arrow");
        let inputs = [case(one), case(other)];
        let inputs = [inputs[0].as_path(), inputs[1].as_path()];
        merge_well(&inputs, &output, &[]);
        assert_rows_of(&inputs, &output);
    }
}

#[test]
fn an_input_that_is_gone_gets_advice_that_takes_any_dictionaries() {
    let folder = folder();
    let first = input(&folder, &[(Kind::Ordered, Change::Replaced)], false);
    let second = input(&folder, &[(Kind::Ordered, Change::Replaced)], true);
    let mut command = crate::support::program();
    command.arg("merge").arg(&first).args(["-", "--output"]).arg(folder.path().join("out.arrow"));
    let done = command.stdin(std::fs::File::open(&second).unwrap()).output().unwrap();
    let told = text(&done.stderr);
    assert!(done.status.code() == Some(1) && told.trim_end().ends_with("; use --format stream"), "{told}");
}

#[test]
fn an_ordered_dictionary_that_is_replaced_wants_a_stream() {
    let folder = folder();
    let output = folder.path().join("out.arrow");
    let done = merge(&[&case("ordered-o1.arrow"), &case("ordered-o3.arrow")], &output, &[]);
    let told = text(&done.stderr);
    assert!(told.contains("`size`") && told.trim_end().ends_with("; use --format stream"), "{told}");
}
