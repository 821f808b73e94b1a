//! Chooses the dictionaries that record batches of all inputs get, so that equal dictionaries are the same array.
//!
//! The writer compares dictionaries by pointer before it compares values. Inputs repeat dictionaries: the second input
//! those of the first, or a stream its own. [`Known`] keeps the latest dictionary of each field, and returns it
//! whenever an input's own has equal values.
//!
//! A file holds one dictionary per field, which only deltas may extend. Whether a sequence of dictionaries allows that
//! is decided here, in the order of the inputs. If workers decided, the result would depend on their timing. The
//! [schema of the output](StreamSchema::change) says what each field allows. Unified dictionaries are never refused,
//! and sharing one array saves the workers a comparison of values.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::{DataType, Field, Fields};
use ipc_core::parts::{Change, Comparison, StreamSchema};
use ipc_core::{FileFormat, Remedy, StreamFormat};
use ipc_recover::Kind;

use crate::blame::Values;

/// The latest dictionary of each field of the output.
pub(crate) struct Known {
    output: OutputSchema,
    latest: Vec<Option<ArrayRef>>,
    /// The largest number of values that each field has had.
    values: Vec<u64>,
}

/// The schema and the format of the output, which decide what happens to a dictionary that changes.
struct OutputSchema {
    format: Kind,
    schema: StreamSchema,
}

/// A dictionary-encoded field of an input's schema. Its index among all of them is its id in the output.
pub(crate) struct DictionaryField {
    id: i64,
    path: String,
    /// How many bits of its keys count.
    key_bits: usize,
}

impl DictionaryField {
    /// The id of the dictionary in the input.
    pub(crate) fn id(&self) -> i64 {
        self.id
    }

    /// The path of the field.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// A dictionary that cannot follow the previous one in a file.
#[derive(Debug)]
pub(crate) struct RefusedDictionary {
    path: String,
    /// Whether it starts with the previous one.
    grows: bool,
    remedy: Remedy,
}

impl RefusedDictionary {
    /// The column.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for RefusedDictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.grows { "grows" } else { "is replaced by another" };
        write!(f, "the dictionary of column `{}` {what}, which a file does not allow with these arguments", self.path)
    }
}

impl Known {
    /// Returns the state before the first dictionary, for an output of `format` with this schema.
    pub(crate) fn new(format: Kind, schema: StreamSchema) -> Self {
        Self { output: OutputSchema { format, schema }, latest: Vec::new(), values: Vec::new() }
    }

    /// Returns the dictionaries for an input whose own are `values`, or why the output cannot have them. If several
    /// fields are refused, returns the one that needs the most changes.
    pub(crate) fn settle(&mut self, fields: &[DictionaryField], values: &Values) -> Result<Values, RefusedDictionary> {
        self.latest.resize(self.latest.len().max(fields.len()), None);
        let mut settled: HashMap<i64, (usize, &ArrayRef)> = HashMap::new();
        let mut refused: Option<RefusedDictionary> = None;
        for (place, field) in fields.iter().enumerate() {
            let Some(new) = values.get(&field.id) else { continue };
            let latest = self.latest[place].as_ref();
            let mut choice = latest.map_or(Ok(new), |old| self.output.later(place, old, new));
            // Fields may share a dictionary here that in inputs before had two; then one array has to do for both.
            if let (Ok(own), Some((other, others))) = (&choice, settled.get(&field.id)) {
                choice = self.output.both((*other, others), (place, own));
            }
            match choice {
                Ok(choice) => _ = settled.insert(field.id, (place, choice)),
                Err((grows, remedy)) if refused.as_ref().is_none_or(|refused| refused.remedy < remedy) => {
                    refused = Some(RefusedDictionary { path: field.path.clone(), grows, remedy });
                }
                Err(_) => {}
            }
        }
        if let Some(refused) = refused {
            return Err(refused);
        }
        let settled: Values = settled.into_iter().map(|(id, (_, values))| (id, Arc::clone(values))).collect();
        self.values.resize(self.latest.len(), 0);
        for ((latest, values), field) in self.latest.iter_mut().zip(&mut self.values).zip(fields) {
            if let Some(handed_out) = settled.get(&field.id) {
                *values += new_values(latest.as_ref(), handed_out);
                *latest = Some(Arc::clone(handed_out));
            }
        }
        Ok(settled)
    }

    /// Returns whether the keys of these fields can number all values of their dictionaries so far. If dictionaries
    /// repeat values in another order, the number may be overestimated.
    pub(crate) fn fits_keys(&self, fields: &[DictionaryField]) -> bool {
        fields.iter().zip(&self.values).all(|(field, values)| u128::from(*values) <= 1 << field.key_bits)
    }
}

/// Whether a dictionary grows that may not change so, and what would let it.
type Refusal = (bool, Remedy);

impl OutputSchema {
    /// Chooses between the old and the new dictionary for the field at `place`: the old one if it contains the new one.
    fn later<'v>(&self, place: usize, old: &'v ArrayRef, new: &'v ArrayRef) -> Result<&'v ArrayRef, Refusal> {
        let comparison = compared(old, new);
        let change = self.change(place, comparison)?;
        // If readers already have a longer dictionary, the keys mean the same in that one.
        Ok(if comparison == Comparison::Same || change == Change::Known { old } else { new })
    }

    /// What to hand out where one field is to have the one and another the other.
    fn both<'v>(&self, one: (usize, &'v ArrayRef), other: (usize, &'v ArrayRef)) -> Result<&'v ArrayRef, Refusal> {
        match compared(one.1, other.1) {
            Comparison::Same => Ok(one.1),
            // The other has to grow, too.
            Comparison::Within => self.change(other.0, Comparison::Extends).map(|_| one.1),
            comparison => self.change(one.0, comparison).map(|_| other.1),
        }
    }

    /// Returns what happens to a dictionary of the field at `place` whose values differ from the previous ones by
    /// `comparison`.
    fn change(&self, place: usize, comparison: Comparison) -> Result<Change, Refusal> {
        let change = match self.format {
            Kind::File => self.schema.change::<FileFormat>(place, comparison),
            Kind::Stream => self.schema.change::<StreamFormat>(place, comparison),
        };
        match change {
            Some(Change::Refused(remedy)) => Err((comparison == Comparison::Extends, remedy)),
            // A field that the output does not have is refused with its schema.
            change => Ok(change.unwrap_or(Change::Replaced)),
        }
    }
}

/// Returns how many values of `new` are not in `old`, as far as a comparison from the front can tell.
fn new_values(old: Option<&ArrayRef>, new: &ArrayRef) -> u64 {
    let known = old.map_or(0, |old| match compared(old, new) {
        Comparison::Same | Comparison::Within => new.len(),
        Comparison::Extends => old.len(),
        Comparison::Different => 0,
    });
    (new.len() - known) as u64
}

/// Values that contradict themselves count as different; the writer reports what is wrong with them.
fn compared(old: &ArrayRef, new: &ArrayRef) -> Comparison {
    Comparison::of(old, new).unwrap_or(Comparison::Different)
}

/// Returns the dictionary-encoded fields of a schema, in the order of their ids in an output: depth first, inner
/// dictionaries before the outer one.
pub(crate) fn fields(schema: &Fields) -> Vec<DictionaryField> {
    let mut found = Vec::new();
    schema.iter().for_each(|field| visit(field, "", &mut found));
    found
}

fn visit(field: &Field, parent: &str, found: &mut Vec<DictionaryField>) {
    let path = if parent.is_empty() { field.name().clone() } else { format!("{parent}.{}", field.name()) };
    visit_type(field.data_type(), &path, found);
    #[expect(deprecated, reason = "the id is what messages refer to, and nothing else tells it")]
    if let Some(id) = field.dict_id() {
        found.push(DictionaryField { id, path, key_bits: key_bits(field.data_type()) });
    }
}

fn key_bits(data_type: &DataType) -> usize {
    let DataType::Dictionary(keys, _) = data_type else { return 0 };
    keys.primitive_width().map_or(0, |bytes| bytes * 8 - usize::from(keys.is_signed_integer()))
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
    use arrow_schema::Schema;
    use ipc_core::{DictionaryHandling, Options, Unify};

    use super::*;

    fn strings(values: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(values))
    }

    fn dictionary(name: &str, values: DataType) -> Field {
        Field::new(name, DataType::Dictionary(Box::new(DataType::Int8), Box::new(values)), true)
    }

    fn fields(names: &[&str]) -> Vec<DictionaryField> {
        (0..).zip(names).map(|(id, name)| DictionaryField { id, path: (*name).to_owned(), key_bits: 7 }).collect()
    }

    /// Of an output with these columns.
    fn known(format: Kind, handling: DictionaryHandling, columns: Vec<Field>) -> Known {
        let options = Options::builder().dictionaries(handling).build().unwrap();
        Known::new(format, StreamSchema::try_new(Arc::new(Schema::new(columns)), &options).unwrap())
    }

    /// The outputs that have a rule of their own for flat dictionaries: any may follow, one may grow, the first has to
    /// do.
    const REPLACE: (Kind, DictionaryHandling) = (Kind::Stream, DictionaryHandling::Resend);
    const GROW: (Kind, DictionaryHandling) = (Kind::File, DictionaryHandling::Delta);
    const KEEP: (Kind, DictionaryHandling) = (Kind::File, DictionaryHandling::Resend);
    const UNIFY: (Kind, DictionaryHandling) = (Kind::File, DictionaryHandling::Unify(Unify::new()));

    #[test]
    fn equal_dictionaries_become_the_same_array() {
        for (format, handling) in [REPLACE, GROW, KEEP, UNIFY] {
            let mut known = known(format, handling, vec![dictionary("city", DataType::Utf8)]);
            let mut settle = || known.settle(&fields(&["city"]), &Values::from([(0, strings(&["a", "b"]))])).unwrap();
            let (first, again) = (settle(), settle());
            assert!(Arc::ptr_eq(&first[&0], &again[&0]));
        }
    }

    /// Two fields with dictionaries of their own, and then with one for both.
    #[test]
    fn what_two_fields_share_must_do_for_both() {
        let outcome = |(format, handling), first: &[&str], second: &[&str], both: &[&str]| {
            let columns = ["from", "to"].map(|name| dictionary(name, DataType::Utf8)).to_vec();
            let mut known = known(format, handling, columns);
            known.settle(&fields(&["from", "to"]), &Values::from([(0, strings(first)), (1, strings(second))])).unwrap();
            let shared = ["from", "to"].map(|path| DictionaryField { id: 7, path: path.to_owned(), key_bits: 7 });
            let shared = known.settle(&shared, &Values::from([(7, strings(both))]));
            shared.map(|values| values[&7].len()).map_err(|refused| refused.to_string())
        };
        let (two, three) = (["a", "b"], ["a", "b", "c"]);
        for (first, second) in [(&two[..], &three[..]), (&three, &two)] {
            assert_eq!(outcome(REPLACE, first, second, &two), Ok(2));
            assert_eq!(outcome(UNIFY, first, second, &two), Ok(2));
            assert_eq!(outcome(GROW, first, second, &two), Ok(3), "the shorter one grows");
            assert!(outcome(KEEP, first, second, &two).unwrap_err().contains("`to` grows"));
        }
        for rule in [REPLACE, GROW, KEEP, UNIFY] {
            assert_eq!(outcome(rule, &two, &two, &two), Ok(2));
        }
        assert!(outcome(GROW, &two, &["b"], &["a"]).is_err() && outcome(KEEP, &two, &["b"], &["a"]).is_err());
    }

    #[test]
    fn each_output_has_its_rule() {
        let outcome = |(format, handling), is_ordered, next: &[&str]| {
            let field = dictionary("city", DataType::Utf8).with_dict_is_ordered(is_ordered);
            let mut known = known(format, handling, vec![field]);
            known.settle(&fields(&["city"]), &Values::from([(0, strings(&["a", "b"]))])).unwrap();
            known.settle(&fields(&["city"]), &Values::from([(0, strings(next))])).map(|values| values[&0].len())
        };
        for (rule, is_ordered, shorter, longer, other) in [
            (REPLACE, false, Ok(1), Ok(3), Ok(1)),
            (UNIFY, false, Ok(1), Ok(3), Ok(1)),
            (UNIFY, true, Ok(2), Ok(3), Err(())),
            (GROW, true, Ok(2), Ok(3), Err(())),
            (GROW, false, Ok(2), Ok(3), Err(())),
            (KEEP, false, Ok(2), Err(()), Err(())),
        ] {
            assert_eq!(outcome(rule, is_ordered, &["a"]).map_err(drop), shorter, "{rule:?}");
            assert_eq!(outcome(rule, is_ordered, &["a", "b", "c"]).map_err(drop), longer, "{rule:?}");
            assert_eq!(outcome(rule, is_ordered, &["x"]).map_err(drop), other, "{rule:?}");
        }
        assert!(outcome(KEEP, false, &["a", "b", "c"]).unwrap_err().to_string().contains("`city` grows"));
    }

    /// Of several fields, the one that asks for most is told.
    #[test]
    fn what_would_allow_a_dictionary_allows_those_of_the_other_fields() {
        let flat = || dictionary("flat", DataType::Utf8);
        let around = |inner: Field| dictionary("outer", DataType::Struct(vec![inner].into()));
        let told = |columns: Vec<Field>, changes: &str, next: &[&str]| {
            let all = super::fields(&Fields::from(columns.clone()));
            let at = all.iter().position(|field| field.path == changes).unwrap();
            let places: Vec<&str> = all.iter().map(|field| field.path.as_str()).collect();
            let mut known = known(Kind::File, DictionaryHandling::Resend, columns);
            let mut values: Values = (0..).zip(&places).map(|(id, _)| (id, strings(&["a", "b"]))).collect();
            known.settle(&fields(&places), &values).unwrap();
            values.insert(i64::try_from(at).unwrap(), strings(next));
            known.settle(&fields(&places), &values).unwrap_err()
        };
        let (more, other) = (&["a", "b", "c"][..], &["x"][..]);
        let ordered = || dictionary("size", DataType::Utf8).with_dict_is_ordered(true);
        let inner = || dictionary("inner", DataType::Utf8);
        for (columns, changes, next, remedy) in [
            (vec![flat()], "flat", other, Remedy::Unify),
            (vec![flat(), ordered()], "size", more, Remedy::Unify),
            (vec![flat(), ordered()], "size", other, Remedy::Stream),
            (vec![flat(), around(inner())], "flat", other, Remedy::UnifyAtClose),
            (vec![around(inner())], "outer.inner", more, Remedy::UnifyAtClose),
            (vec![around(ordered())], "outer", more, Remedy::Stream),
            (vec![around(inner()).with_dict_is_ordered(true)], "outer.inner", other, Remedy::Stream),
            (vec![flat(), around(ordered())], "flat", other, Remedy::Unify),
        ] {
            let refused = told(columns, changes, next);
            assert_eq!((refused.path(), refused.remedy), (changes, remedy));
        }
    }
}
