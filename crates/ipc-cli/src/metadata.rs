//! Which key-value pairs of the inputs the output keeps: in the footer, of the schema, and of fields.
//!
//! The output has the schema of the first input, with its pairs; what others say otherwise is dropped. Its footer has the
//! pairs that the footers of all inputs have, since one that only some have need not be true of the whole; and none where
//! batches may come in another order, since pairs of a footer may be about places. A stream has no footer. Whatever is
//! dropped is told, once for each key of each place.
//!
//! Extension types are types, not metadata that may differ: inputs are compared in that before they come here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Metadata, SchemaRef};
use ipc_recover::Kind;
use serde_json::{Value, json};

use crate::args::Job;

/// The pairs of the inputs so far.
#[derive(Default)]
pub(crate) struct MetadataOfAll {
    first: Option<SchemaRef>,
    footer: Metadata,
    dropped: Dropped,
}

/// The pairs that the output does not have. Shown as one line.
#[derive(Debug, Default)]
pub(crate) struct Dropped(BTreeMap<(Place, String), Reason>);

/// What a pair is about. Shown first are those of the whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Footer,
    Schema,
    Column(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Differs,
    Stream,
    Order,
}

impl MetadataOfAll {
    /// Takes in the pairs of the next input. It has the columns of the first.
    pub(crate) fn add(&mut self, schema: &SchemaRef, footer: Option<&Metadata>) {
        let found = footer.cloned().unwrap_or_default();
        let Some(first) = &self.first else {
            (self.first, self.footer) = (Some(Arc::clone(schema)), found);
            return;
        };
        self.dropped.note_differing(&Place::Footer, &self.footer, &found);
        self.dropped.note_differing(&Place::Footer, &found, &self.footer);
        self.footer = self.footer.iter().filter(|(key, value)| found.get(key) == Some(value)).collect();
        self.dropped.note_differing(&Place::Schema, &first.metadata, &schema.metadata);
        for (ours, theirs) in first.fields().iter().zip(schema.fields()) {
            self.dropped.note_fields(ours, theirs, "");
        }
    }

    /// The pairs for the footer of the output, and what of all is dropped.
    pub(crate) fn settle(self, job: &Job) -> (Metadata, Dropped) {
        let Self { footer, mut dropped, .. } = self;
        let reason = match job.format {
            Kind::Stream => Reason::Stream,
            _ if !job.keeps_order => Reason::Order,
            _ => return (footer, dropped),
        };
        footer.keys().for_each(|key| dropped.note(Place::Footer, key, reason));
        (Metadata::new(), dropped)
    }
}

impl Dropped {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn json(&self) -> Value {
        let pairs = self.0.iter().map(|((place, key), reason)| {
            let column = if let Place::Column(path) = place { Some(path) } else { None };
            json!({ "of": place.name(), "column": column, "key": key, "reason": reason.name() })
        });
        pairs.collect()
    }

    fn note(&mut self, place: Place, key: &str, reason: Reason) {
        self.0.entry((place, key.to_owned())).or_insert(reason);
    }

    /// Notes what `theirs` has and `ours` has not.
    fn note_differing(&mut self, place: &Place, ours: &Metadata, theirs: &Metadata) {
        for (key, value) in theirs {
            if ours.get(key) != Some(value) {
                self.note(place.clone(), key, Reason::Differs);
            }
        }
    }

    fn note_fields(&mut self, ours: &Field, theirs: &Field, parent: &str) {
        if ours == theirs {
            return;
        }
        let path = if parent.is_empty() { ours.name().clone() } else { format!("{parent}.{}", ours.name()) };
        self.note_differing(&Place::Column(path.clone()), ours.metadata(), theirs.metadata());
        for (ours, theirs) in children(ours.data_type()).iter().zip(children(theirs.data_type())) {
            self.note_fields(ours, theirs, &path);
        }
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata is dropped: ")?;
        for (number, ((place, key), reason)) in self.0.iter().take(TOLD_AT_MOST).enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            let column = if let Place::Column(path) = place { format!(" `{path}`") } else { String::new() };
            write!(f, "{separator}`{key}` of the {}{column} ({})", place.name(), reason.name())?;
        }
        match self.0.len().saturating_sub(TOLD_AT_MOST) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Place {
    fn name(&self) -> &'static str {
        match self {
            Self::Footer => "footer",
            Self::Schema => "schema",
            Self::Column(_) => "column",
        }
    }
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::Differs => "inputs differ",
            Self::Stream => "a stream has no footer",
            Self::Order => "batches may come in another order",
        }
    }
}

fn children(data_type: &DataType) -> Vec<&FieldRef> {
    match data_type {
        DataType::Dictionary(_, values) => children(values),
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::ListView(child)
        | DataType::LargeListView(child)
        | DataType::FixedSizeList(child, _)
        | DataType::Map(child, _) => vec![child],
        DataType::RunEndEncoded(ends, values) => vec![ends, values],
        DataType::Struct(children) => children.iter().collect(),
        DataType::Union(children, _) => children.iter().map(|(_, child)| child).collect(),
        _ => Vec::new(),
    }
}

/// How many pairs a line names.
const TOLD_AT_MOST: usize = 10;
