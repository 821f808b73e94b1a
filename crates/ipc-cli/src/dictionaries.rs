//! Which dictionaries the batches of all inputs are given, so that what is the same is the same array.
//!
//! The writer compares dictionaries by pointer before it compares them by value. Inputs repeat dictionaries: in a second
//! input, in a stream that sends one again. [`Known`] keeps the latest dictionary of each field, and hands that one out
//! wherever an input's own has equal values.
//!
//! A file holds one dictionary for each field, which only deltas may extend. Whether a sequence of dictionaries allows
//! that is decided here, in the order of the input: left to the workers, it would depend on who comes first.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field, Fields};

use crate::decode::Values;

/// The latest dictionary of each field of the output.
pub(crate) struct Known {
    rule: Rule,
    latest: Vec<Option<ArrayRef>>,
}

/// What an output allows its dictionaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A stream: any dictionary may replace the one before.
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

impl Known {
    pub(crate) fn new(rule: Rule) -> Self {
        Self { rule, latest: Vec::new() }
    }

    /// The dictionaries to hand out for an input whose own are `values`, or why the output cannot have them.
    pub(crate) fn settle(&mut self, fields: &[DictionaryField], values: &Values) -> Result<Values, String> {
        self.latest.resize(self.latest.len().max(fields.len()), None);
        let mut settled = values.clone();
        for (place, field) in fields.iter().enumerate() {
            let Some(new) = settled.get(&field.id).cloned() else { continue };
            let Some(old) = self.latest[place].clone() else {
                self.latest[place] = Some(new);
                continue;
            };
            match (compare(&old, &new), self.rule) {
                // Where a file has a longer dictionary already, the keys mean the same in that one.
                (Comparison::Same, _) | (Comparison::Within, Rule::Grow | Rule::Keep) => {
                    settled.insert(field.id, old);
                }
                (_, Rule::Replace) | (Comparison::Extends, Rule::Grow) => self.latest[place] = Some(new),
                (Comparison::Extends, Rule::Keep) => {
                    return Err(format!(
                        "the dictionary of column `{}` grows, which a file allows with --dictionaries delta only; \
                         a stream (--format stream) always does",
                        field.path
                    ));
                }
                (Comparison::Different, Rule::Grow | Rule::Keep) => {
                    return Err(format!(
                        "the dictionary of column `{}` is replaced by another, which a file does not allow; \
                         a stream (--format stream) does",
                        field.path
                    ));
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

/// How a dictionary stands to the one known.
enum Comparison {
    Same,
    /// The first of its values are those known.
    Extends,
    /// Its values are the first of those known.
    Within,
    Different,
}

fn compare(old: &ArrayRef, new: &ArrayRef) -> Comparison {
    if Arc::ptr_eq(old, new) {
        return Comparison::Same;
    }
    let common = old.len().min(new.len());
    if old.data_type() != new.data_type() || old.slice(0, common).to_data() != new.slice(0, common).to_data() {
        return Comparison::Different;
    }
    match old.len().cmp(&new.len()) {
        std::cmp::Ordering::Equal => Comparison::Same,
        std::cmp::Ordering::Less => Comparison::Extends,
        std::cmp::Ordering::Greater => Comparison::Within,
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;

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
        assert!(outcome(Rule::Keep, &["a", "b", "c"]).unwrap_err().contains("`city` grows"));
    }
}
