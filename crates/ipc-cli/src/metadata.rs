//! Decides which key-value pairs of the inputs the output keeps: those of footers, schemas and fields.
//!
//! The output has the schema of the first input, with its pairs. Pairs of other inputs that differ are dropped. The
//! footer has the pairs that the footers of all inputs have in common, since a pair of some inputs need not be true of
//! the whole. It has none if the order of batches may change, since its pairs may refer to positions. A stream has no
//! footer. Dropped pairs are reported, once for each key and place.
//!
//! Extension types are compared before, as types.

use std::collections::BTreeMap;
use std::fmt;

use ipc_core::Metadata;
use ipc_core::parts::MetadataDifference;
use ipc_recover::Kind;
use serde_json::{Value, json};

use crate::args::Job;

/// The pairs of the inputs read so far.
#[derive(Default)]
pub(crate) struct MetadataOfAll {
    /// The common pairs of the footers; `None` before the first input.
    footer: Option<Metadata>,
    dropped: Dropped,
}

/// The pairs that the output does not have. Displayed in one line.
#[derive(Debug, Default)]
pub(crate) struct Dropped(BTreeMap<(Owner, String), Reason>);

/// What a pair belongs to. Pairs of the whole input are displayed first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
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
    /// Adds the pairs of the next input, whose schema differs from that of the first in `differences`.
    pub(crate) fn add(&mut self, differences: Vec<MetadataDifference>, footer: Option<&Metadata>) {
        let found = footer.cloned().unwrap_or_default();
        self.footer = Some(match self.footer.take() {
            None => found,
            Some(ours) => {
                let is_common =
                    |(key, value): &(&String, &String)| found.get(key) == Some(value) && ours.get(key) == Some(value);
                let all = || ours.iter().chain(&found);
                all().filter(|pair| !is_common(pair)).for_each(|(key, _)| {
                    self.dropped.note(Owner::Footer, key, Reason::Differs);
                });
                all().filter(is_common).collect()
            }
        });
        self.dropped.note_differences(differences);
    }

    /// Returns the pairs for the footer of the output, and all dropped pairs.
    pub(crate) fn settle(self, job: &Job) -> (Metadata, Dropped) {
        let (footer, mut dropped) = (self.footer.unwrap_or_default(), self.dropped);
        let reason = match job.format {
            Kind::Stream => Reason::Stream,
            _ if !job.keeps_order => Reason::Order,
            _ => return (footer, dropped),
        };
        footer.keys().for_each(|key| dropped.note(Owner::Footer, key, reason));
        (Metadata::new(), dropped)
    }
}

impl Dropped {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn json(&self) -> Value {
        let pairs = self.0.iter().map(|((place, key), reason)| {
            let column = if let Owner::Column(path) = place { Some(path) } else { None };
            json!({ "of": place.name(), "column": column, "key": key, "reason": reason.name() })
        });
        pairs.collect()
    }

    /// Records pairs that the schema of an input has and that of the output does not.
    pub(crate) fn note_differences(&mut self, differences: Vec<MetadataDifference>) {
        for difference in differences.into_iter().filter(|difference| difference.found.is_some()) {
            let path = difference.path;
            let place = if path.is_empty() { Owner::Schema } else { Owner::Column(path) };
            self.note(place, &difference.key, Reason::Differs);
        }
    }

    fn note(&mut self, place: Owner, key: &str, reason: Reason) {
        self.0.entry((place, key.to_owned())).or_insert(reason);
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata is dropped: ")?;
        for (number, ((place, key), reason)) in self.0.iter().take(TOLD_AT_MOST).enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            let column = if let Owner::Column(path) = place { format!(" `{path}`") } else { String::new() };
            write!(f, "{separator}`{key}` of the {}{column} ({})", place.name(), reason.name())?;
        }
        match self.0.len().saturating_sub(TOLD_AT_MOST) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Owner {
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

/// The number of pairs that a line names.
const TOLD_AT_MOST: usize = 10;
