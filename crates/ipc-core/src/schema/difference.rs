//! How a batch's schema differs from the stream's.
//!
//! A difference that readers could not tell is refused: they see the stream's schema, so a batch of another coordinate
//! system would silently become one of the stream's. So extension types and the order of dictionaries count as types do.
//! All other metadata may differ; [`metadata`] lists what readers lose of it.

use std::sync::Arc;

use arrow_schema::extension::{EXTENSION_TYPE_METADATA_KEY, EXTENSION_TYPE_NAME_KEY};
use arrow_schema::{DataType, Field, FieldRef, Fields, Metadata, Schema};

use crate::error::{Error, Result};
use crate::schema::children;
use crate::schema::widen::{is_widened, may_unify};

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

/// What counts as the same where a batch's schema is compared with the stream's.
#[derive(Clone, Copy)]
pub(crate) struct Sameness {
    /// Whether shorter keys than the stream's are written as the stream's.
    pub(crate) widens: bool,
    /// Whether extension types and the order of dictionaries count: they are a schema's to say, not an array's.
    pub(crate) has_meaning: bool,
}

impl Sameness {
    pub(crate) fn of_fields(self, expected: &Fields, found: &Fields, what: &str) -> Result<(), Box<Error>> {
        for (expected, found) in expected.iter().zip(found) {
            self.of_field(expected, found)?;
        }
        match (expected.get(found.len()), found.get(expected.len())) {
            (Some(missing), _) => {
                Err(mismatch(format!("{} {what}", expected.len()), format!("{} without this one", found.len()))
                    .within(missing.name()))
            }
            (_, Some(extra)) => {
                Err(mismatch(format!("{} {what}", expected.len()), format!("{} with this one", found.len()))
                    .within(extra.name()))
            }
            (None, None) => Ok(()),
        }
    }

    fn of_field(self, expected: &Field, found: &Field) -> Result<(), Box<Error>> {
        if std::ptr::eq(expected, found) {
            return Ok(());
        }
        if expected.name() != found.name() {
            return Err(
                mismatch(format!("name `{}`", expected.name()), format!("`{}`", found.name())).within(expected.name())
            );
        }
        let nullability = |field: &Field| {
            if field.is_nullable() { "nullable" } else { "not nullable" }
        };
        if expected.is_nullable() != found.is_nullable() {
            return Err(mismatch(nullability(expected), nullability(found)).within(expected.name()));
        }
        // The keys of a dictionary that is not unified are written as they are, and so are those inside it.
        let is_dictionary = matches!(expected.data_type(), DataType::Dictionary(..));
        let widens = self.widens && (!is_dictionary || may_unify(expected));
        let same = Self { widens, ..self }.of_type(expected.data_type(), found.data_type());
        same.and_then(|()| self.of_meaning(expected, found)).map_err(|e| e.within(expected.name()))
    }

    pub(crate) fn of_type(self, expected: &DataType, found: &DataType) -> Result<(), Box<Error>> {
        use DataType::{
            Dictionary, FixedSizeList, LargeList, LargeListView, List, ListView, Map, RunEndEncoded, Struct, Union,
        };
        match (expected, found) {
            (List(a), List(b))
            | (LargeList(a), LargeList(b))
            | (ListView(a), ListView(b))
            | (LargeListView(a), LargeListView(b)) => self.of_field(a, b),
            (FixedSizeList(a, m), FixedSizeList(b, n)) if m == n => self.of_field(a, b),
            (Map(a, m), Map(b, n)) if m == n => self.of_field(a, b),
            (Struct(a), Struct(b)) => self.of_fields(a, b, "fields"),
            (Dictionary(k, a), Dictionary(l, b)) if k == l || self.widens && is_widened(k, l) => self.of_type(a, b),
            (RunEndEncoded(k, a), RunEndEncoded(l, b)) => self.of_field(k, l).and_then(|()| self.of_field(a, b)),
            (Union(a, m), Union(b, n)) if m == n && a.len() == b.len() => {
                a.iter().zip(b.iter()).try_for_each(|((i, a), (j, b))| {
                    if i == j { self.of_field(a, b) } else { Err(mismatch(format!("type id {i}"), format!("{j}"))) }
                })
            }
            _ if expected == found => Ok(()),
            _ => Err(mismatch(format!("type {expected}"), format!("{found}"))),
        }
    }

    /// Compares what a field says of its type beside the layout.
    fn of_meaning(self, expected: &Field, found: &Field) -> Result<(), Box<Error>> {
        if !self.has_meaning {
            return Ok(());
        }
        if expected.dict_is_ordered() != found.dict_is_ordered() {
            let order = |field: &Field| match field.dict_is_ordered() {
                Some(true) => "an ordered dictionary",
                _ => "an unordered dictionary",
            };
            return Err(mismatch(order(expected), order(found)));
        }
        if expected.metadata().is_empty() && found.metadata().is_empty() {
            return Ok(());
        }
        let name = |field: &Field| match field.extension_type_name() {
            Some(name) => format!("extension type `{name}`"),
            None => "no extension type".to_owned(),
        };
        if expected.extension_type_name() != found.extension_type_name() {
            return Err(mismatch(name(expected), name(found)));
        }
        let [one, other] = [expected, found].map(|field| field.extension_type_metadata().unwrap_or_default());
        if one == other {
            return Ok(());
        }
        let [one, other] = excerpts([one, other]);
        Err(mismatch(format!("{} with metadata `{one}`", name(expected)), format!("metadata `{other}`")))
    }
}

/// Lists the metadata in which `found` differs from `expected`, which has the same types: that of the schema first, then
/// that of the fields, depth first.
pub(crate) fn metadata(expected: &Schema, found: &Schema) -> Vec<MetadataDifference> {
    let mut differences = Vec::new();
    of_metadata("", expected.metadata(), found.metadata(), &mut differences);
    let [expected, found] = [expected, found].map(|schema| schema.fields().iter().collect::<Vec<_>>());
    of_children("", &expected, &found, &mut differences);
    differences
}

/// Adds the differences of fields whose parent is at `path`.
fn of_children(path: &str, expected: &[&FieldRef], found: &[&FieldRef], differences: &mut Vec<MetadataDifference>) {
    for (expected, found) in expected.iter().zip(found).filter(|(expected, found)| !Arc::ptr_eq(expected, found)) {
        let path = if path.is_empty() { expected.name().clone() } else { format!("{path}.{}", expected.name()) };
        of_metadata(&path, expected.metadata(), found.metadata(), differences);
        of_children(&path, &inside(expected.data_type()), &inside(found.data_type()), differences);
    }
}

/// The fields inside a type, also where that is the type of a dictionary's values.
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

/// Whether a key is a part of the type, which has been compared.
fn has_meaning(key: &str) -> bool {
    key == EXTENSION_TYPE_NAME_KEY || key == EXTENSION_TYPE_METADATA_KEY
}

fn mismatch(expected: impl Into<String>, found: impl Into<String>) -> Box<Error> {
    Box::new(Error::SchemaMismatch { path: String::new(), expected: expected.into(), found: found.into() })
}

/// Two texts that differ; of long ones, the parts around their first difference.
fn excerpts(texts: [&str; 2]) -> [String; 2] {
    let same = texts[0].chars().zip(texts[1].chars()).take_while(|(one, other)| one == other).count();
    let start = if texts.iter().all(|text| text.chars().count() <= SHOWN) { 0 } else { same.saturating_sub(SHOWN / 2) };
    texts.map(|text| {
        let mut rest = text.chars().skip(start);
        let shown: String = rest.by_ref().take(SHOWN).collect();
        let [before, behind] = [start > 0, rest.next().is_some()].map(|is_cut| if is_cut { "..." } else { "" });
        format!("{before}{shown}{behind}")
    })
}

/// How many characters of an extension type's metadata are shown: those of a coordinate system take thousands.
const SHOWN: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_shown_where_they_differ() {
        assert_eq!(excerpts(["a", ""]), ["a", ""]);
        let long = |end: &str| format!("{}{end}{}", "x".repeat(200), "y".repeat(200));
        let [one, other] = excerpts([&long("4326"), &long("3857")]);
        assert_eq!(one, format!("...{}4326{}...", "x".repeat(40), "y".repeat(36)));
        assert_eq!(other, format!("...{}3857{}...", "x".repeat(40), "y".repeat(36)));
        let [one, other] = excerpts([&long(""), "x"]);
        assert_eq!((one.as_str(), other.as_str()), (format!("{}...", "x".repeat(80)).as_str(), "x"));
    }
}
