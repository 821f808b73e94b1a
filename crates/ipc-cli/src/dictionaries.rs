//! Which dictionaries the batches of all inputs are given, so that what is the same is the same array.
//!
//! The writer compares dictionaries by pointer before it compares them by value. Inputs repeat dictionaries: in a second
//! input, in a stream that sends one again. [`Known`] keeps the latest dictionary of each field, and hands that one out
//! wherever an input's own has equal values.
//!
//! A file holds one dictionary for each field, which only deltas may extend. Whether a sequence of dictionaries allows
//! that is decided here, in the order of the input: left to the workers, it would depend on who comes first. Where
//! dictionaries are unified, none is refused, and the same array spares the workers a look at its values.

use std::fmt;

use arrow_array::ArrayRef;
use arrow_schema::{DataType, Field, Fields};
use ipc_core::Comparison;

use crate::decode::Values;

/// The latest dictionary of each field of the output.
pub(crate) struct Known {
    rule: Rule,
    latest: Vec<Option<ArrayRef>>,
}

/// What an output allows its dictionaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A stream, or unified dictionaries: any may come after the one before.
    Replace,
    /// A file with deltas: a dictionary may grow.
    Grow,
    /// A file without: the first dictionary has to do.
    Keep,
}

/// A dictionary-encoded field of an input's schema, in the order of a walk through it.
pub(crate) struct DictionaryField {
    id: i64,
    path: String,
}

/// A dictionary that a file cannot have beside the one before.
#[derive(Debug)]
pub(crate) struct Refused {
    path: String,
    /// Whether it has the one before in it.
    grows: bool,
}

impl Refused {
    /// The column.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, grows } = self;
        let (what, how) = if *grows { ("grows", "delta or unify") } else { ("is replaced by another", "unify") };
        write!(
            f,
            "the dictionary of column `{path}` {what}, which a file allows with --dictionaries {how} only; a stream \
             (--format stream) always does"
        )
    }
}

impl Known {
    pub(crate) fn new(rule: Rule) -> Self {
        Self { rule, latest: Vec::new() }
    }

    /// The dictionaries to hand out for an input whose own are `values`, or why the output cannot have them.
    pub(crate) fn settle(&mut self, fields: &[DictionaryField], values: &Values) -> Result<Values, Refused> {
        self.latest.resize(self.latest.len().max(fields.len()), None);
        let mut settled = values.clone();
        for (place, field) in fields.iter().enumerate() {
            let Some(new) = settled.get(&field.id).cloned() else { continue };
            let Some(old) = self.latest[place].clone() else {
                self.latest[place] = Some(new);
                continue;
            };
            // What contradicts itself is another one; the writer says what is wrong with it.
            let comparison = Comparison::of(&old, &new).unwrap_or(Comparison::Different);
            match (comparison, self.rule) {
                // Where a file has a longer dictionary already, the keys mean the same in that one.
                (Comparison::Same, _) | (Comparison::Within, Rule::Grow | Rule::Keep) => {
                    settled.insert(field.id, old);
                }
                (_, Rule::Replace) | (Comparison::Extends, Rule::Grow) => self.latest[place] = Some(new),
                (comparison, Rule::Grow | Rule::Keep) => {
                    let grows = comparison == Comparison::Extends;
                    return Err(Refused { path: field.path.clone(), grows });
                }
            }
        }
        Ok(settled)
    }
}

/// The dictionary-encoded fields of a schema.
pub(crate) fn fields(schema: &Fields) -> Vec<DictionaryField> {
    let mut found = Vec::new();
    schema.iter().for_each(|field| visit(field, "", &mut found));
    found
}

fn visit(field: &Field, parent: &str, found: &mut Vec<DictionaryField>) {
    let path = if parent.is_empty() { field.name().clone() } else { format!("{parent}.{}", field.name()) };
    #[expect(deprecated, reason = "the id is what messages refer to, and nothing else tells it")]
    if let Some(id) = field.dict_id() {
        found.push(DictionaryField { id, path: path.clone() });
    }
    visit_type(field.data_type(), &path, found);
}

fn visit_type(data_type: &DataType, path: &str, found: &mut Vec<DictionaryField>) {
    match data_type {
        DataType::Dictionary(_, values) => visit_type(values, path, found),
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::ListView(child)
        | DataType::LargeListView(child)
        | DataType::FixedSizeList(child, _)
        | DataType::Map(child, _)
        | DataType::RunEndEncoded(_, child) => visit(child, path, found),
        DataType::Struct(children) => children.iter().for_each(|child| visit(child, path, found)),
        DataType::Union(children, _) => children.iter().for_each(|(_, child)| visit(child, path, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Array, StringArray};

    use super::*;

    fn strings(values: &[&str]) -> Values {
        Values::from([(7, Arc::new(StringArray::from_iter_values(values)) as ArrayRef)])
    }

    fn field() -> Vec<DictionaryField> {
        vec![DictionaryField { id: 7, path: "city".into() }]
    }

    #[test]
    fn equal_dictionaries_become_the_same_array() {
        let mut known = Known::new(Rule::Replace);
        let first = known.settle(&field(), &strings(&["a", "b"])).unwrap();
        let again = known.settle(&field(), &strings(&["a", "b"])).unwrap();
        assert!(Arc::ptr_eq(&first[&7], &again[&7]));
    }

    #[test]
    fn each_output_has_its_rule() {
        let outcome = |rule, next: &[&str]| {
            let mut known = Known::new(rule);
            known.settle(&field(), &strings(&["a", "b"])).unwrap();
            known.settle(&field(), &strings(next)).map(|values| values[&7].len())
        };
        for (rule, shorter, longer, other) in [
            (Rule::Replace, Ok(1), Ok(3), Ok(1)),
            (Rule::Grow, Ok(2), Ok(3), Err(())),
            (Rule::Keep, Ok(2), Err(()), Err(())),
        ] {
            assert_eq!(outcome(rule, &["a"]).map_err(drop), shorter, "{rule:?}");
            assert_eq!(outcome(rule, &["a", "b", "c"]).map_err(drop), longer, "{rule:?}");
            assert_eq!(outcome(rule, &["x"]).map_err(drop), other, "{rule:?}");
        }
        assert!(outcome(Rule::Keep, &["a", "b", "c"]).unwrap_err().to_string().contains("`city` grows"));
    }
}
