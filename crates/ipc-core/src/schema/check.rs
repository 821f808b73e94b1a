//! Whether a batch's schema is the stream's.
//!
//! Readers see the stream's schema, so a difference that they could not notice is refused: a batch in another
//! coordinate system would silently become one of the stream's. Extension types and the order of dictionaries therefore
//! count, as types do; [other metadata](crate::schema::difference) may differ.

use arrow_schema::{DataType, Field, Fields};

use crate::error::{Error, NOTHING, Result};
use crate::schema::types::is_unifiable;
use crate::schema::widen::is_widened;

/// Compares a batch's schema with the stream's.
#[derive(Clone, Copy)]
pub(crate) struct SchemaCheck {
    /// Whether shorter keys than the stream's are equal to them, since they are written with the stream's width.
    pub(crate) widens_keys: bool,
    /// Whether extension types and the order of dictionaries count. A schema has them, an array has not.
    pub(crate) has_meaning: bool,
}

impl SchemaCheck {
    /// Checks that the fields are the same in the same order.
    pub(crate) fn of_fields(self, expected: &Fields, found: &Fields) -> Result<(), Box<Error>> {
        for (expected, found) in expected.iter().zip(found) {
            self.of_field(expected, found)?;
        }
        let type_of = |field: &Field| format!("type {}", field.data_type());
        match (expected.get(found.len()), found.get(expected.len())) {
            (Some(missing), _) => Err(mismatch(type_of(missing), NOTHING).within(missing.name())),
            (_, Some(extra)) => Err(mismatch(NOTHING, type_of(extra)).within(extra.name())),
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
        let widens_keys = self.widens_keys && (!is_dictionary || is_unifiable(expected));
        let same = Self { widens_keys, ..self }.of_type(expected.data_type(), found.data_type());
        same.and_then(|()| self.of_meaning(expected, found)).map_err(|e| e.within(expected.name()))
    }

    /// Checks that the types are the same, their child fields among them.
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
            (Struct(a), Struct(b)) => self.of_fields(a, b),
            (Dictionary(k, a), Dictionary(l, b)) if k == l || self.widens_keys && is_widened(k, l) => {
                self.of_type(a, b)
            }
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

    /// Compares the parts of a type that are not in its layout: order of a dictionary, extension type.
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
        let [before, after] = [start > 0, rest.next().is_some()].map(|is_cut| if is_cut { "..." } else { "" });
        format!("{before}{shown}{after}")
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
