//! Builds the dictionaries of an input as of a position in it.
//!
//! The values of a dictionary may refer to other dictionaries. These are the ones that the input has when a record
//! batch uses them: they may have been read later, or replaced since. So the batches of an outer dictionary are kept,
//! and its values are built when a record batch needs them.

use std::collections::{BTreeMap, BTreeSet};

use arrow_buffer::Buffer;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use ipc_recover::scan::Head;
use ipc_recover::{Damage, Input as Account};

use crate::blame::Values;
use crate::decode;

/// The dictionaries read so far.
pub(crate) struct Dictionaries {
    schema: SchemaRef,
    known: BTreeMap<i64, Dictionary>,
    values: Values,
    /// The dictionaries whose values must be built, inner ones first: order and id.
    stale: BTreeSet<(usize, i64)>,
}

/// A dictionary of a schema.
struct Dictionary {
    /// A schema with its field alone, so that no other fields need to be searched.
    schema: Schema,
    /// The number of dictionaries before it in a walk over the schema. Those inside it are among them.
    order: usize,
    has_inner: bool,
    /// The dictionaries whose values refer to this one.
    outer: Vec<i64>,
    /// Its dictionary batches, if there are dictionaries inside its values.
    encoded: Vec<(Head, Buffer)>,
    /// The number of these batches that the values were built from.
    decoded: usize,
}

impl Dictionaries {
    /// Returns the state before the first dictionary.
    pub(crate) fn new(schema: SchemaRef) -> Self {
        let mut known = BTreeMap::new();
        schema.fields().iter().for_each(|field| drop(visit(field, &mut known)));
        Self { schema, known, values: Values::new(), stale: BTreeSet::new() }
    }

    /// Returns the schema of the dictionaries.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Adds a dictionary batch.
    pub(crate) fn take(&mut self, head: Head, body: Buffer) -> Result<(), Damage> {
        let about = head.content()?;
        let id = about.dictionary_id.unwrap_or_default();
        let Some(dictionary) = self.known.get_mut(&id) else {
            return decode::dictionary(&head, &body, &self.schema, &self.schema, &mut self.values);
        };
        if !dictionary.has_inner {
            let is_replaced = !about.is_delta && self.values.contains_key(&id);
            decode::dictionary(&head, &body, &self.schema, &dictionary.schema, &mut self.values)?;
            // A dictionary that only grows does not change the values of outer ones.
            if is_replaced {
                self.make_outer_stale(id);
            }
            return Ok(());
        }
        if !about.is_delta {
            dictionary.encoded.clear();
            dictionary.decoded = 0;
        }
        dictionary.encoded.push((head, body));
        self.stale.insert((dictionary.order, id));
        self.make_outer_stale(id);
        Ok(())
    }

    /// Builds the values of dictionaries that a record batch may need now. Others are skipped, since they would refer
    /// to missing dictionaries.
    pub(crate) fn values(&mut self, account: &mut Account<'_>) -> Result<&Values, Damage> {
        let mut incomplete = BTreeSet::new();
        while let Some((order, id)) = self.stale.pop_first() {
            let Some(dictionary) = self.known.get_mut(&id) else { continue };
            if dictionary.decoded == 0 {
                self.values.remove(&id);
            }
            if !account.has_dictionary(id) {
                incomplete.insert((order, id));
                continue;
            }
            for (head, body) in &dictionary.encoded[dictionary.decoded..] {
                decode::dictionary(head, body, &self.schema, &dictionary.schema, &mut self.values)?;
            }
            dictionary.decoded = dictionary.encoded.len();
        }
        self.stale = incomplete;
        Ok(&self.values)
    }

    fn make_outer_stale(&mut self, id: i64) {
        let outer = self.known.get(&id).map(|dictionary| dictionary.outer.clone()).unwrap_or_default();
        for id in outer {
            let Some(dictionary) = self.known.get_mut(&id).filter(|dictionary| !dictionary.encoded.is_empty()) else {
                continue;
            };
            let was_decoded = std::mem::take(&mut dictionary.decoded) > 0;
            if self.stale.insert((dictionary.order, id)) || was_decoded {
                self.make_outer_stale(id);
            }
        }
    }
}

/// Collects the dictionaries of a field, and returns the ids of those that are not inside another one of them.
fn visit(field: &Field, known: &mut BTreeMap<i64, Dictionary>) -> Vec<i64> {
    let inside = visit_type(field.data_type(), known);
    #[expect(deprecated, reason = "the id is what messages refer to, and nothing else tells it")]
    let Some(id) = field.dict_id() else { return inside };
    if !known.contains_key(&id) {
        for inner in &inside {
            if let Some(inner) = known.get_mut(inner).filter(|inner| inner.outer.last() != Some(&id)) {
                inner.outer.push(id);
            }
        }
        let schema = Schema::new(vec![field.clone()]);
        let (order, has_inner) = (known.len(), !inside.is_empty());
        known.insert(id, Dictionary { schema, order, has_inner, outer: Vec::new(), encoded: Vec::new(), decoded: 0 });
    }
    vec![id]
}

fn visit_type(data_type: &DataType, known: &mut BTreeMap<i64, Dictionary>) -> Vec<i64> {
    match data_type {
        DataType::Dictionary(_, values) => visit_type(values, known),
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::ListView(child)
        | DataType::LargeListView(child)
        | DataType::FixedSizeList(child, _)
        | DataType::Map(child, _)
        | DataType::RunEndEncoded(_, child) => visit(child, known),
        DataType::Struct(children) => children.iter().flat_map(|child| visit(child, known)).collect(),
        DataType::Union(children, _) => children.iter().flat_map(|(_, child)| visit(child, known)).collect(),
        _ => Vec::new(),
    }
}
