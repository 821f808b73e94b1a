//! Extension types are types: inputs that differ in one, at any depth, are refused with the column and what both have.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, FixedSizeBinaryArray, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, Schema};
use tempfile::TempDir;

use crate::support::{case, dictionary_batch, file, folder, merge_badly, merge_well, put, stream};

#[test]
fn another_extension_type_is_refused() {
    let folder = folder();
    let output = folder.path().join("out.arrow");
    let pairs = [("crs_a", "crs_b", "EPSG:4326", "EPSG:3857"), ("uuid", "no_uuid", "arrow.uuid", "no extension type")];
    for (one, other, of_one, of_other) in pairs {
        let inputs = [case(&format!("{one}.arrow")), case(&format!("{other}.arrow"))];
        for (first, second) in [(&inputs[0], &inputs[1]), (&inputs[1], &inputs[0])] {
            for format in ["file", "stream"] {
                let told = merge_badly(folder.path(), &[first, second], &output, &["--format", format]);
                for part in ["column `g`", of_one, of_other, second.to_str().unwrap(), first.to_str().unwrap()] {
                    assert!(told.contains(part), "{part}: {told}");
                }
            }
        }
        merge_well(&[&inputs[0], &inputs[0]], &output, &[]);
    }
}

fn nested(folder: &TempDir, name: &str, metadata: &[(&str, &str)]) -> PathBuf {
    let metadata: HashMap<_, _> =
        metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let inner = Field::new("inner", DataType::FixedSizeBinary(2), true).with_metadata(metadata);
    let values = FixedSizeBinaryArray::try_from_iter([[1, 2], [3, 4]].into_iter()).unwrap();
    let outer = StructArray::new(vec![inner].into(), vec![Arc::new(values) as ArrayRef], None);
    let schema = Schema::new(vec![Field::new("outer", outer.data_type().clone(), true)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(outer)]).unwrap();
    put(folder, name, &if name.ends_with('s') { stream(&[batch]) } else { file(&[batch]) })
}

#[test]
fn the_extension_type_of_a_nested_field_counts_and_other_metadata_does_not() {
    let folder = folder();
    let extension = |name| [("ARROW:extension:name", name), ("unit", "m")];
    let first = nested(&folder, "first.arrow", &extension("mine"));
    let second = nested(&folder, "second.arrows", &extension("yours"));
    let third = nested(&folder, "third.arrows", &[("ARROW:extension:name", "mine"), ("unit", "km")]);
    let output = folder.path().join("out.arrow");
    let told = merge_badly(folder.path(), &[&first, &second], Path::new(&output), &[]);
    assert!(told.contains("`outer.inner`") && told.contains("`mine`") && told.contains("`yours`"), "{told}");
    merge_well(&[&first, &third], &output, &[]);
}

/// Whoever sorts by an ordered dictionary sorts by its keys.
#[test]
fn a_dictionary_is_ordered_in_all_inputs_or_in_none() {
    let folder = folder();
    let batch = dictionary_batch(&["S", "M"], &[0, 1]);
    let field = batch.schema().field(0).clone().with_dict_is_ordered(true);
    let ordered = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), batch.columns().to_vec()).unwrap();
    let inputs = [put(&folder, "plain", &stream(&[batch])), put(&folder, "ordered", &stream(&[ordered]))];
    for [first, second] in [[0, 1], [1, 0]] {
        let output = folder.path().join("out.arrows");
        let told = merge_badly(folder.path(), &[&inputs[first], &inputs[second]], &output, &[]);
        assert!(told.contains("column `city`") && told.contains("ordered"), "{told}");
    }
}
