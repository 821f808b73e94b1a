//! The dictionary-encoded fields of a schema, and the types that cannot be written.
//!
//! Dictionary ids are those of `arrow-ipc`'s schema encoder: depth first, a field's own id after those inside its
//! values. The walk here takes the same order, so that an id is an index.

use arrow_schema::{DataType, Field, Schema};

use crate::error::{Error, Result};
use crate::options::Options;
use crate::schema::check::SchemaCheck;
use crate::schema::types::{children, is_unifiable};

/// The dictionary-encoded fields of a schema whose types can all be written.
#[derive(Debug)]
pub(crate) struct DictionaryFields {
    /// By dictionary id.
    pub(crate) fields: Vec<DictionaryField>,
    /// The columns that contain dictionaries, each with the first id in it.
    pub(crate) columns: Vec<(usize, usize)>,
    /// The ids of dictionaries that are inside no other one's values.
    pub(crate) outermost: Vec<usize>,
}

impl DictionaryFields {
    /// Checks all types of a schema, and lists its dictionaries.
    ///
    /// # Errors
    ///
    /// [`Error::NestingTooDeep`] and [`Error::Unsupported`].
    pub(crate) fn of(schema: &Schema, options: &Options) -> Result<Self> {
        let mut walk = Walk { options, found: Vec::new() };
        let mut columns = Vec::new();
        for (column, field) in schema.fields().iter().enumerate() {
            let first = walk.found.len();
            walk.field(field, 1, "")?;
            if walk.found.len() > first {
                columns.push((column, first));
            }
        }
        let outermost = outermost(&walk.found, 0);
        Ok(Self { fields: walk.found, columns, outermost })
    }
}

/// A dictionary-encoded field.
#[derive(Debug)]
pub(crate) struct DictionaryField {
    path: String,
    /// The number of dictionaries inside this one's values. Their ids come just before this one's.
    nested: usize,
    /// Those of them that are directly in this one's values, by id.
    inner: Vec<usize>,
    key: DataType,
    values: DataType,
    is_unifiable: bool,
    is_unified: bool,
}

impl DictionaryField {
    /// The path of the field from its column.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The number of dictionaries inside this one's values, at any depth.
    pub(crate) fn nested(&self) -> usize {
        self.nested
    }

    /// The ids of the dictionaries inside this one's values, without those inside these in turn.
    pub(crate) fn inner(&self) -> &[usize] {
        &self.inner
    }

    /// Checks that values of type `found` can be this dictionary's.
    pub(crate) fn check_values(&self, found: &DataType) -> Result<(), Box<Error>> {
        SchemaCheck { widens_keys: true, has_meaning: false }.of_type(&self.values, found)
    }

    /// The type of the keys, as written.
    pub(crate) fn key(&self) -> &DataType {
        &self.key
    }

    /// The type of the values, as written.
    pub(crate) fn values(&self) -> &DataType {
        &self.values
    }

    /// Whether it can be unified: neither it nor a dictionary inside or around it is ordered.
    pub(crate) fn is_unifiable(&self) -> bool {
        self.is_unifiable
    }

    /// Whether the output has one dictionary for all batches, to which their keys are rewritten.
    pub(crate) fn is_unified(&self) -> bool {
        self.is_unified
    }
}

/// The walk over a schema's types, depth first.
struct Walk<'o> {
    options: &'o Options,
    found: Vec<DictionaryField>,
}

impl Walk<'_> {
    fn field(&mut self, field: &Field, level: usize, parent: &str) -> Result<()> {
        let path = if parent.is_empty() { field.name().clone() } else { format!("{parent}.{}", field.name()) };
        let limit = self.options.max_nesting;
        if level > limit {
            return Err(Error::NestingTooDeep { path, limit });
        }
        let unsupported = |reason| Err(Error::Unsupported { path: path.clone(), reason });
        match field.data_type() {
            DataType::FixedSizeBinary(size) | DataType::FixedSizeList(_, size) if *size < 0 => {
                unsupported("a size is at least 0")
            }
            DataType::RunEndEncoded(run_ends, _) if !run_ends.data_type().is_run_ends_type() => {
                unsupported("run ends are signed integers of 16, 32 or 64 bits")
            }
            DataType::Dictionary(keys, _) if !keys.is_dictionary_key_type() => {
                unsupported("the keys of a dictionary are integers")
            }
            DataType::Dictionary(_, values) if matches!(**values, DataType::Dictionary(..)) => {
                unsupported("a schema cannot express a dictionary whose values are directly a dictionary")
            }
            DataType::Dictionary(key, values) => self.dictionary(field, key, values, level, path),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => self.field(entries, level + 1, &path),
                _ => unsupported("the entries of a map must be a struct of two fields"),
            },
            other => self.children(other, level, &path),
        }
    }

    /// The dictionaries inside the values come first, so that their ids are lower.
    fn dictionary(
        &mut self,
        field: &Field,
        key: &DataType,
        values: &DataType,
        level: usize,
        path: String,
    ) -> Result<()> {
        let first = self.found.len();
        self.children(values, level, &path)?;
        let nested = &mut self.found[first..];
        let is_unifiable = is_unifiable(field);
        if !is_unifiable {
            // An ordered dictionary keeps those inside it from being unified as well.
            nested.iter_mut().for_each(|inner| (inner.is_unifiable, inner.is_unified) = (false, false));
        }
        let is_unified = is_unifiable && self.options.unify().is_some();
        let (nested, inner) = (nested.len(), outermost(nested, first));
        let (key, values) = (key.clone(), values.clone());
        self.found.push(DictionaryField { path, nested, inner, key, values, is_unifiable, is_unified });
        Ok(())
    }

    fn children(&mut self, data_type: &DataType, level: usize, path: &str) -> Result<()> {
        children(data_type).into_iter().try_for_each(|child| self.field(child, level + 1, path))
    }
}

/// The ids of those `dictionaries` that are inside no other one's values, where the first one has the id `first`.
fn outermost(dictionaries: &[DictionaryField], first: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut end = dictionaries.len();
    while let Some(last) = end.checked_sub(1) {
        found.push(first + last);
        end = last - dictionaries[last].nested;
    }
    found.reverse();
    found
}
