//! The metadata in which a batch's schema differs from the stream's.
//!
//! Readers see the stream's metadata, so what only the batch's has is lost. Extension types are types, not metadata.

use std::sync::Arc;

use arrow_schema::extension::{EXTENSION_TYPE_METADATA_KEY, EXTENSION_TYPE_NAME_KEY};
use arrow_schema::{DataType, FieldRef, Metadata, Schema};

use crate::schema::types::children;

/// A key whose value differs between the metadata of two schemas with the same types, or that one of them lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetadataDifference {
    /// The field's path from its column, such as `orders.item.price`; empty for the schema's own metadata.
    pub path: String,
    /// The key.
    pub key: String,
    /// The value in the stream's schema.
    pub expected: Option<String>,
    /// The value in the other one.
    pub found: Option<String>,
}

/// Returns the metadata in which `found` differs from `expected`, which has the same types: that of the schema first,
/// then that of the fields, depth first.
pub(crate) fn metadata(expected: &Schema, found: &Schema) -> Vec<MetadataDifference> {
    let mut differences = Vec::new();
    of_metadata("", expected.metadata(), found.metadata(), &mut differences);
    let [expected, found] = [expected, found].map(|schema| schema.fields().iter().collect::<Vec<_>>());
    of_children("", &expected, &found, &mut differences);
    differences
}

/// Adds the differences of fields whose parent is at `path`.
fn of_children(path: &str, expected: &[&FieldRef], found: &[&FieldRef], differences: &mut Vec<MetadataDifference>) {
    // Most fields are shared, and then so is all below them.
    for (expected, found) in expected.iter().zip(found).filter(|(expected, found)| !Arc::ptr_eq(expected, found)) {
        let path = if path.is_empty() { expected.name().clone() } else { format!("{path}.{}", expected.name()) };
        of_metadata(&path, expected.metadata(), found.metadata(), differences);
        of_children(&path, &inside(expected.data_type()), &inside(found.data_type()), differences);
    }
}

/// Returns the child fields of a type, or of the values of a dictionary type.
fn inside(data_type: &DataType) -> Vec<&FieldRef> {
    match data_type {
        DataType::Dictionary(_, values) => inside(values),
        other => children(other),
    }
}

fn of_metadata(path: &str, expected: &Metadata, found: &Metadata, differences: &mut Vec<MetadataDifference>) {
    let added = found.keys().filter(|key| !expected.contains_key(key));
    for key in expected.keys().chain(added).filter(|key| !has_meaning(key)) {
        let [expected, found] = [expected, found].map(|metadata| metadata.get(key).cloned());
        if expected != found {
            differences.push(MetadataDifference { path: path.to_owned(), key: key.clone(), expected, found });
        }
    }
}

/// Returns whether a key is a part of the type, which has been compared.
fn has_meaning(key: &str) -> bool {
    key == EXTENSION_TYPE_NAME_KEY || key == EXTENSION_TYPE_METADATA_KEY
}
