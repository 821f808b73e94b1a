//! A refusal says what is wrong, and where: the column by its path; what is only unknown here is not called damaged.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int64Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema};

use crate::support::{batch, file, folder, merge_badly, program, put, python, stream, text};

/// Replaces the only place at which `from` stands.
fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let places: Vec<_> = bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from).collect();
    let [(at, _)] = places[..] else { panic!("{} places", places.len()) };
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

fn keys() -> ArrayRef {
    let words = StringArray::from_iter_values((0..5_000).map(|word| format!("word {word}")));
    Arc::new(DictionaryArray::<Int32Type>::new(vec![1, 4_321, 2].into(), Arc::new(words)))
}

/// A column in a struct in a list, between others.
fn nested(inner: ArrayRef) -> RecordBatch {
    let other: ArrayRef = Arc::new(StringArray::from_iter_values((0..inner.len()).map(|row| format!("row {row}"))));
    let fields = vec![
        Field::new("before", DataType::Utf8, true),
        Field::new("inner", inner.data_type().clone(), true),
        Field::new("after", DataType::Utf8, true),
    ];
    let rows = inner.len();
    let item = StructArray::new(fields.into(), vec![other.clone(), inner, other], None);
    let field = Arc::new(Field::new("item", item.data_type().clone(), true));
    let list = ListArray::new(field, OffsetBuffer::from_lengths([rows]), Arc::new(item), None);
    let flat: ArrayRef = Arc::new(Int64Array::from(vec![7]));
    RecordBatch::try_from_iter([("a", flat.clone()), ("list", Arc::new(list) as ArrayRef), ("z", flat)]).unwrap()
}

#[test]
fn a_refused_value_is_told_with_the_path_of_its_column() {
    let folder = folder();
    let output = folder.path().join("out.arrows");
    let flat = RecordBatch::try_from_iter([("number", batch(1, 3).column(0).clone()), ("key", keys())]).unwrap();
    for (batch, path) in [(flat, "`key`"), (nested(keys()), "`list.item.inner`")] {
        for bytes in [stream(std::slice::from_ref(&batch)), file(&[batch])] {
            let input = put(&folder, "in", &replaced(bytes, &4_321_i32.to_le_bytes(), &(-15_i32).to_le_bytes()));
            let told = merge_badly(folder.path(), &[&input], &output, &["--threads", "1"]);
            assert!(told.contains(&format!("damaged record batch: column {path}: ")), "{told}");
            assert!(told.contains("-15") && told.contains("at byte"), "{told}");
        }
    }
}

/// Arrow names the field of a struct at best.
#[test]
fn a_null_that_a_nested_field_denies_is_told_with_its_path() {
    let folder = folder();
    let output = folder.path().join("out.arrows");
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    let inner = |nullable| Field::new("inner", DataType::Int64, nullable);
    let structs: ArrayRef = Arc::new(StructArray::new(vec![inner(true)].into(), vec![numbers.clone()], None));
    let offsets = OffsetBuffer::from_lengths([1, 1, 1]);
    let lists: ArrayRef = Arc::new(ListArray::new(Arc::new(inner(true)), offsets, numbers, None));
    let denying = [DataType::Struct(vec![inner(false)].into()), DataType::List(Arc::new(inner(false)))];
    for (column, denying) in [structs, lists].into_iter().zip(denying) {
        let batch = RecordBatch::try_from_iter([("outer", column)]).unwrap();
        // The batch behind a schema that denies the null.
        let schema = Schema::new(vec![Field::new("outer", denying, true)]);
        let header = StreamWriter::try_new(Vec::new(), &schema).unwrap().into_inner().unwrap();
        let bytes = stream(std::slice::from_ref(&batch));
        let input = put(&folder, "in", &[&header[..schema_end(&header)], &bytes[schema_end(&bytes)..]].concat());
        let told = merge_badly(folder.path(), &[&input], &output, &[]);
        assert!(told.contains("column `outer.inner`: "), "{told}");
    }
}

/// Where the schema message ends, which a stream starts with.
fn schema_end(stream: &[u8]) -> usize {
    8 + usize::try_from(u32::from_le_bytes(stream[4..8].try_into().unwrap())).unwrap()
}

#[test]
fn text_that_is_not_utf8_is_not_called_damaged() {
    let folder = folder();
    let output = folder.path().join("out.arrows");
    let words: ArrayRef = Arc::new(StringArray::from(vec!["a needle", "b"]));
    let in_dictionary = DictionaryArray::<Int32Type>::new(vec![0, 1].into(), words.clone());
    let flat = RecordBatch::try_from_iter([("word", words.clone())]).unwrap();
    let dictionary = RecordBatch::try_from_iter([("word", Arc::new(in_dictionary) as ArrayRef)]).unwrap();
    for (batch, path) in [(flat, "`word`"), (dictionary, "`word`"), (nested(words), "`list.item.inner`")] {
        let input = put(&folder, "in", &replaced(stream(&[batch]), b"needle", &[0xff; 6]));
        let told = merge_badly(folder.path(), &[&input], &output, &[]);
        assert!(told.contains("not supported: text that is not UTF-8") && told.contains(path), "{told}");
        assert!(!told.contains("damaged"), "{told}");
    }
}

#[test]
fn metadata_that_is_not_utf8_is_not_called_damaged() {
    let folder = folder();
    let batch = batch(1, 3);
    let schema = Schema::clone(&batch.schema()).with_metadata(HashMap::from([("key".to_owned(), "needle".to_owned())]));
    let batch = RecordBatch::try_new(Arc::new(schema), batch.columns().to_vec()).unwrap();
    let input = put(&folder, "in", &replaced(stream(&[batch]), b"needle", &[0xff; 6]));
    let told = merge_badly(folder.path(), &[&input], &folder.path().join("out.arrow"), &[]);
    assert!(told.contains("not supported: ") && told.contains("UTF-8") && !told.contains("damaged"), "{told}");
}

#[test]
fn a_type_that_is_unknown_is_not_called_damaged() {
    let Some(python) = python("polars") else { return };
    let folder = folder();
    let script = "
import polars, sys
numbers = polars.Series([1, 2], dtype=polars.Int128)
frame = polars.DataFrame({'a': [1, 2], 'b': polars.DataFrame({'c': numbers}).to_struct()})
frame.write_ipc_stream(sys.argv[1])
frame.write_ipc(sys.argv[2])
";
    let [streamed, filed] = ["in.arrows", "in.arrow"].map(|name| folder.path().join(name));
    let done = Command::new(python).args(["-c", script]).args([&streamed, &filed]).output().unwrap();
    assert!(done.status.success(), "{}", text(&done.stderr));
    for input in [&streamed, &filed] {
        let told = merge_badly(folder.path(), &[input], Path::new(&folder.path().join("out.arrow")), &[]);
        let unknown = "not supported: the type of column `b.c`: Int type with bit width of 128";
        assert!(told.contains(unknown) && !told.contains("damaged"), "{told}");
        // Listed, but not called complete.
        let shown = program().arg("inspect").arg(input).output().unwrap();
        assert_eq!(shown.status.code(), Some(1));
        assert!(text(&shown.stdout).contains("record batch") && text(&shown.stdout).contains("NOT complete"));
        assert!(text(&shown.stderr).contains(unknown), "{}", text(&shown.stderr));
    }
}

#[test]
fn a_column_that_is_missing_or_too_many_is_named() {
    let folder = folder();
    let columns = |names: &[&str]| {
        RecordBatch::try_from_iter(names.iter().map(|name| (*name, batch(1, 2).column(0).clone()))).unwrap()
    };
    let both = put(&folder, "both.arrow", &file(&[columns(&["a", "b"])]));
    let output = folder.path().join("out.arrow");
    for name in ["a", "b"] {
        let one = put(&folder, "one.arrow", &file(&[columns(&[name])]));
        let missing = if name == "a" { "b" } else { "a" };
        let told = merge_badly(folder.path(), &[&both, &one], &output, &[]);
        assert!(told.contains(&format!("one.arrow: column `{missing}` of ")), "{told}");
        let told = merge_badly(folder.path(), &[&one, &both], &output, &[]);
        assert!(told.contains(&format!("both.arrow: column `{missing}` is not in ")), "{told}");
    }
}
