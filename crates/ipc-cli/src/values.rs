//! The dictionaries of an input as of a place in it.
//!
//! The values of a dictionary may refer to other dictionaries: those that the input has where a record batch uses them,
//! which may have come later, or have been replaced since. So a dictionary with others inside is kept as it came, too,
//! and its values are made when a record batch needs them.

use std::collections::{BTreeMap, BTreeSet};

use arrow_buffer::Buffer;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use ipc_recover::scan::Head;
use ipc_recover::{Damage, Input as Account};

use crate::blame::Values;
use crate::decode;

/// The dictionaries that have come so far.
pub(crate) struct Dictionaries {
    schema: SchemaRef,
    known: BTreeMap<i64, Dictionary>,
    values: Values,
    /// Those whose values are to be made, each behind those that it has inside: order and id.
    stale: BTreeSet<(usize, i64)>,
}

/// A dictionary of a schema.
struct Dictionary {
    /// A schema with its field alone: nobody has to look for it among all others.
    schema: Schema,
    /// How many were met before in a walk, all of those inside among them.
    order: usize,
    has_inner: bool,
    /// Those whose values refer to this one.
    outer: Vec<i64>,
    /// Its batches, if there are dictionaries inside.
    encoded: Vec<(Head, Buffer)>,
    /// How many of them the values are made of.
    decoded: usize,
}

impl Dictionaries {
    /// None has come yet.
    pub(crate) fn new(schema: SchemaRef) -> Self {
        let mut known = BTreeMap::new();
        schema.fields().iter().for_each(|field| drop(visit(field, &mut known)));
        Self { schema, known, values: Values::new(), stale: BTreeSet::new() }
    }

    /// The schema that they are of.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Takes a dictionary batch.
    pub(crate) fn take(&mut self, head: Head, body: Buffer) -> Result<(), Damage> {
        let about = head.content()?;
        let id = about.dictionary_id.unwrap_or_default();
        let Some(dictionary) = self.known.get_mut(&id) else {
            return decode::dictionary(&head, &body, &self.schema, &self.schema, &mut self.values);
        };
        if !dictionary.has_inner {
            let is_replaced = !about.is_delta && self.values.contains_key(&id);
            decode::dictionary(&head, &body, &self.schema, &dictionary.schema, &mut self.values)?;
            // What only grows is inside its outer ones as it was.
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

    /// The values of those that a record batch may need now. Those of others would refer to nothing.
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

/// Finds the dictionaries of a field, and returns the ids of those that are in no other one of them.
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
