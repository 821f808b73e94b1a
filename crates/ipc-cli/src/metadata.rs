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

use ipc_core::Metadata;
use ipc_core::parts::MetadataDifference;
use ipc_recover::Kind;
use serde_json::{Value, json};

use crate::args::Job;

/// The pairs of the inputs so far.
#[derive(Default)]
pub(crate) struct MetadataOfAll {
    /// Those of the footers; `None` before the first input.
    footer: Option<Metadata>,
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
    /// Takes in the pairs of the next input. Its schema differs from that of the first in `differences`.
    pub(crate) fn add(&mut self, differences: Vec<MetadataDifference>, footer: Option<&Metadata>) {
        let found = footer.cloned().unwrap_or_default();
        self.footer = Some(match self.footer.take() {
            None => found,
            Some(ours) => {
                let is_common =
                    |(key, value): &(&String, &String)| found.get(key) == Some(value) && ours.get(key) == Some(value);
                let all = || ours.iter().chain(&found);
                all().filter(|pair| !is_common(pair)).for_each(|(key, _)| {
                    self.dropped.note(Place::Footer, key, Reason::Differs);
                });
                all().filter(is_common).collect()
            }
        });
        self.dropped.note_differences(differences);
    }

    /// The pairs for the footer of the output, and what of all is dropped.
    pub(crate) fn settle(self, job: &Job) -> (Metadata, Dropped) {
        let (footer, mut dropped) = (self.footer.unwrap_or_default(), self.dropped);
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

    /// Notes what the schema of an input has and that of the output has not.
    pub(crate) fn note_differences(&mut self, differences: Vec<MetadataDifference>) {
        for difference in differences.into_iter().filter(|difference| difference.found.is_some()) {
            let path = difference.path;
            let place = if path.is_empty() { Place::Schema } else { Place::Column(path) };
            self.note(place, &difference.key, Reason::Differs);
        }
    }

    fn note(&mut self, place: Place, key: &str, reason: Reason) {
        self.0.entry((place, key.to_owned())).or_insert(reason);
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

/// How many pairs a line names.
const TOLD_AT_MOST: usize = 10;
