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
use std::sync::Arc;

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
        let mut settled = Values::new();
        for (place, field) in fields.iter().enumerate() {
            let Some(new) = values.get(&field.id) else { continue };
            let mut choice = match &self.latest[place] {
                Some(old) => self.rule.later(old, new).map_err(|grows| field.refused(grows))?,
                None => new,
            };
            // Fields may share a dictionary here that in inputs before had two; then one array has to do for both.
            if let Some(others) = settled.get(&field.id) {
                choice = self.rule.both(others, choice).map_err(|grows| field.refused(grows))?;
            }
            settled.insert(field.id, Arc::clone(choice));
        }
        for (latest, field) in self.latest.iter_mut().zip(fields) {
            if let Some(handed_out) = settled.get(&field.id) {
                *latest = Some(Arc::clone(handed_out));
            }
        }
        Ok(settled)
    }
}

impl Rule {
    /// Which of the two to hand out: the old one if the new one has nothing that it lacks. What cannot come after it is
    /// refused, and whether it grows is told.
    fn later<'v>(self, old: &'v ArrayRef, new: &'v ArrayRef) -> Result<&'v ArrayRef, bool> {
        match (compared(old, new), self) {
            // Where a file has a longer dictionary already, the keys mean the same in that one.
            (Comparison::Same, _) | (Comparison::Within, Self::Grow | Self::Keep) => Ok(old),
            (_, Self::Replace) | (Comparison::Extends, Self::Grow) => Ok(new),
            (comparison, Self::Grow | Self::Keep) => Err(comparison == Comparison::Extends),
        }
    }

    /// What to hand out where one field is to have the one and another the other.
    fn both<'v>(self, one: &'v ArrayRef, other: &'v ArrayRef) -> Result<&'v ArrayRef, bool> {
        match (compared(one, other), self) {
            // The other has to grow, too, and cannot.
            (Comparison::Within, Self::Keep) => Err(true),
            _ => self.later(one, other),
        }
    }
}

/// What contradicts itself is another one; the writer says what is wrong with it.
fn compared(old: &ArrayRef, new: &ArrayRef) -> Comparison {
    Comparison::of(old, new).unwrap_or(Comparison::Different)
}

impl DictionaryField {
    fn refused(&self, grows: bool) -> Refused {
        Refused { path: self.path.clone(), grows }
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

    /// Two fields with dictionaries of their own, and then with one for both.
    #[test]
    fn what_two_fields_share_must_do_for_both() {
        let field = |id, path: &str| DictionaryField { id, path: path.into() };
        let values = |id, values: &[&str]| (id, strings(values).remove(&7).unwrap());
        let outcome = |rule, first: &[&str], second: &[&str], both: &[&str]| {
            let mut known = Known::new(rule);
            let own = [field(7, "from"), field(8, "to")];
            known.settle(&own, &Values::from([values(7, first), values(8, second)])).unwrap();
            let shared = known.settle(&[field(7, "from"), field(7, "to")], &Values::from([values(7, both)]));
            shared.map(|values| values[&7].len()).map_err(|refused| refused.to_string())
        };
        let (two, three) = (["a", "b"], ["a", "b", "c"]);
        for (first, second) in [(&two[..], &three[..]), (&three, &two)] {
            assert_eq!(outcome(Rule::Replace, first, second, &two), Ok(2));
            assert_eq!(outcome(Rule::Grow, first, second, &two), Ok(3), "the shorter one grows");
            assert!(outcome(Rule::Keep, first, second, &two).unwrap_err().contains("`to` grows"));
        }
        for rule in [Rule::Replace, Rule::Grow, Rule::Keep] {
            assert_eq!(outcome(rule, &two, &two, &two), Ok(2));
        }
        assert!(
            outcome(Rule::Grow, &two, &["b"], &["a"]).is_err() && outcome(Rule::Keep, &two, &["b"], &["a"]).is_err()
        );
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
