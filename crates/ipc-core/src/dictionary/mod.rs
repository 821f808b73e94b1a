//! Which dictionaries a batch needs sent before it, given what has been sent.
//!
//! [`SentDictionaries`] is what readers have by now; [`DictionaryBatches`] is what one batch adds to it. The decision
//! [compares](mod@crate::arrays::compare) the two, and it can be made long before the updates are written, on another thread:
//! [`DictionaryBatches::hold_for`] then says, by pointers alone, whether what was decided is still right.
//!
//! Of a [unified](crate::UnifiedDictionaries) dictionary readers have the first so many values, and a batch needs so many:
//! there are but two numbers to compare, and readers never come to have fewer.
//!
//! Two rules go beyond comparing values:
//! - When a dictionary inside another one's values is replaced, the outer one is sent again too, equal or not: readers
//!   bind the inner dictionary when they read the outer one.
//! - A dictionary that has dictionaries inside its values is never extended by a delta, for the same reason.
//!
//! See [Dictionary messages](https://arrow.apache.org/docs/format/Columnar.html#dictionary-messages).

pub(crate) mod change;
mod listed;
pub(crate) mod unified;

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_schema::DataType;

use self::listed::{ById, Listed};
use crate::arrays::compare::Comparison;
use crate::dictionary::change::Change;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::message::Message;
use crate::schema::StreamSchema;

/// The dictionaries that a stream's readers have, by dictionary id. Cheap to clone: values are shared.
#[derive(Debug, Clone, Default)]
pub struct SentDictionaries {
    version: u64,
    sent: Vec<Option<Sent>>,
}

/// What readers have of one dictionary.
#[derive(Debug, Clone)]
pub(crate) enum Sent {
    /// These values.
    Array(ArrayRef),
    /// So many values of the unified dictionary.
    Unified(usize),
}

impl Sent {
    /// Whether both are the very same array, or as many values of a unified dictionary.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Array(a), Self::Array(b)) => Arc::ptr_eq(a, b),
            (Self::Unified(a), Self::Unified(b)) => a == b,
            _ => false,
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Array(values) => values.len(),
            Self::Unified(count) => *count,
        }
    }
}

impl SentDictionaries {
    pub(crate) fn new(count: usize) -> Self {
        Self { version: 0, sent: vec![None; count] }
    }

    /// Changes with every change of a dictionary.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    fn get(&self, id: usize) -> Option<&Sent> {
        self.sent.get(id).and_then(Option::as_ref)
    }

    /// The values that readers have of a dictionary that is not unified.
    fn array(&self, id: usize) -> Option<&ArrayRef> {
        match self.get(id)? {
            Sent::Array(values) => Some(values),
            Sent::Unified(_) => None,
        }
    }

    /// How many values readers have of a unified dictionary.
    pub(crate) fn unified(&self, id: usize) -> Option<usize> {
        match self.get(id)? {
            Sent::Array(_) => None,
            Sent::Unified(count) => Some(*count),
        }
    }

    /// Whether both have the very same array, or as many values of a unified dictionary, under `id`.
    fn agrees(&self, other: &Self, id: usize) -> bool {
        match (self.get(id), other.get(id)) {
            (Some(a), Some(b)) => a.is(b),
            (None, None) => true,
            _ => false,
        }
    }

    /// Whether readers have what `update` would give them, without being sent it.
    fn has(&self, update: &DictionaryBatch) -> bool {
        match &update.sent {
            Sent::Unified(count) => self.unified(update.id).is_some_and(|have| have >= *count),
            Sent::Array(_) => false,
        }
    }

    /// Records that an update has been written, of a dictionary that the schema has. Returns whether it replaced a dictionary.
    pub(crate) fn commit(&mut self, update: DictionaryBatch) -> bool {
        self.version += 1;
        self.sent[update.id].replace(update.sent).is_some() && update.extends.is_none()
    }
}

/// How much to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// What readers do not have.
    Changes,
    /// Every dictionary of the batch in full, where the format allows it. What was decided so holds whatever others
    /// send in between. Of unified dictionaries only what readers do not have: whoever sends in between does a part of it.
    Everything,
}

/// The dictionary batches that one record batch needs before it, or that a file needs before its end.
#[derive(Debug)]
#[must_use = "a batch must not be written before its dictionaries"]
pub struct DictionaryBatches {
    /// The version of the dictionaries that were compared.
    version: u64,
    sending: Sending,
    list: Listed,
}

impl DictionaryBatches {
    pub(crate) fn new(sent: &SentDictionaries, sending: Sending) -> Self {
        Self { version: sent.version, sending, list: Listed::default() }
    }

    /// No dictionary batches, decided against an output to which none were sent.
    pub(crate) fn none() -> Self {
        Self { version: 0, sending: Sending::Changes, list: Listed::default() }
    }

    /// Adds an update of a dictionary that has none yet.
    pub(crate) fn push(&mut self, update: DictionaryBatch) {
        self.list.push(update);
    }

    /// Brings those of unified dictionaries, which were pushed after all others, to their places: a merge of two runs.
    pub(crate) fn in_order(mut self) -> Self {
        self.list.bring_in_order();
        self
    }

    /// Whether the batch needs no dictionary sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.len() == 0
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether what was decided against `compared` is right for `current` too. Compares no values. If it was decided against
    /// something else, it is not.
    #[must_use]
    pub fn hold_for<F: Format>(&self, compared: &SentDictionaries, current: &SentDictionaries) -> bool {
        self.still_hold(compared, current, !F::HAS_FOOTER)
    }

    /// Whether what was decided against `compared` is right for `current` too, where dictionaries may be replaced or not.
    /// Compares no values. If it was decided against something else, it is not.
    pub(crate) fn still_hold(
        &self,
        compared: &SentDictionaries,
        current: &SentDictionaries,
        may_replace: bool,
    ) -> bool {
        if self.version == current.version || self.version != compared.version {
            return self.version == current.version;
        }
        let mut updates = self.list.by_id();
        (0..current.sent.len().max(compared.sent.len())).all(|id| {
            let update = updates.of(id);
            compared.agrees(current, id)
                || match update {
                    // Readers have all that is needed, or more, and never come to have less.
                    None => current.unified(id).is_some(),
                    Some(update) if current.has(update) => true,
                    // What is sent in full, and may replace whatever was sent, is right whatever others sent.
                    Some(DictionaryBatch { sent: Sent::Array(_), extends: None, .. }) => {
                        self.sending == Sending::Everything && may_replace
                    }
                    Some(_) => false,
                }
        })
    }

    /// Drops those whose values readers have been sent since.
    #[inline]
    pub(crate) fn drop_sent(&mut self, sent: &SentDictionaries) {
        if self.version != sent.version && self.list.len() > 0 {
            self.list.retain(|update| !sent.has(update));
        }
    }

    /// Refuses what an output of `schema`, whose readers have what was `sent`, cannot be sent: dictionaries that it does not
    /// have, deltas of something else, and replacements where there may be none.
    pub(crate) fn check(
        &self,
        schema: &StreamSchema,
        sent: &SentDictionaries,
        may_replace: bool,
    ) -> Result<(), Box<Error>> {
        self.list.iter().try_for_each(|update| {
            let (id, count) = (update.id, schema.dictionary_count());
            if id >= count {
                return Err(Box::new(Error::SchemaMismatch {
                    path: "columns".into(),
                    expected: format!("{count} dictionaries"),
                    found: format!("dictionary {id}"),
                }));
            }
            let expected = match (&update.extends, sent.get(id)) {
                (Some(extended), Some(have)) if extended.is(have) => return Ok(()),
                (Some(extended), _) => format!("the {} values that are extended", extended.count()),
                (None, Some(have)) if !may_replace => format!("the {} values already written", have.count()),
                (None, _) => return Ok(()),
            };
            let found = match (&update.extends, sent.get(id)) {
                (Some(_), None) => "none".to_owned(),
                (Some(_), Some(have)) => format!("{} others already written", have.count()),
                (None, _) => format!("{} others", update.sent.count()),
            };
            let (path, remedy) = (schema.dictionary(id).path().to_owned(), schema.remedy(id, update.extends.is_some()));
            Err(Box::new(Error::DictionaryReplacement { path, expected, found, remedy }))
        })
    }

    /// For going through all dictionaries.
    pub(crate) fn by_id(&self) -> ById<'_> {
        self.list.by_id()
    }

    pub(crate) fn messages(&self) -> impl Iterator<Item = &Message<Buffer>> {
        self.list.iter().map(|update| &update.message)
    }

    pub(crate) fn length(&self) -> u64 {
        self.messages().map(Message::length).sum()
    }

    /// Takes all of them out.
    pub(crate) fn take(&mut self) -> Vec<DictionaryBatch> {
        std::mem::take(&mut self.list).into_vec()
    }

    /// Whether one of the dictionaries from `first` on is sent in full although readers have one already. There are none
    /// behind the one that is decided on.
    fn replaces_any(&self, first: usize, sent: &SentDictionaries) -> bool {
        let mut updates = self.list.iter().rev().take_while(|update| update.id >= first);
        updates.any(|update| update.extends.is_none() && sent.get(update.id).is_some())
    }
}

/// One dictionary batch, and what readers have once they read it.
#[derive(Debug)]
pub(crate) struct DictionaryBatch {
    pub(crate) id: usize,
    /// What readers must have, for a delta.
    pub(crate) extends: Option<Sent>,
    pub(crate) sent: Sent,
    pub(crate) message: Message<Buffer>,
}

/// Calls `found` with the id and the values of each dictionary of `batch`, in the order of the ids.
pub(crate) fn visit(
    schema: &StreamSchema,
    batch: &RecordBatch,
    found: &mut impl FnMut(usize, &ArrayRef) -> Result<()>,
) -> Result<()> {
    schema.dictionary_columns().iter().try_for_each(|&(column, first)| {
        let mut next = first;
        match batch.columns().get(column) {
            Some(column) => visit_array(column.as_ref(), &mut next, found),
            None => Err(schema.check(batch.schema_ref()).expect_err("there are fewer columns")),
        }
    })
}

fn visit_array(
    array: &dyn Array,
    next: &mut usize,
    found: &mut impl FnMut(usize, &ArrayRef) -> Result<()>,
) -> Result<()> {
    match array.data_type() {
        DataType::Dictionary(..) => {
            let values = array.as_any_dictionary().values();
            visit_array(values.as_ref(), next, found)?;
            let id = *next;
            *next += 1;
            found(id, values)
        }
        DataType::Struct(_) => visit_all(array.as_struct().columns(), next, found),
        DataType::List(_) => visit_array(array.as_list::<i32>().values(), next, found),
        DataType::LargeList(_) => visit_array(array.as_list::<i64>().values(), next, found),
        DataType::ListView(_) => visit_array(array.as_list_view::<i32>().values(), next, found),
        DataType::LargeListView(_) => visit_array(array.as_list_view::<i64>().values(), next, found),
        DataType::FixedSizeList(..) => visit_array(array.as_fixed_size_list().values(), next, found),
        DataType::Map(..) => visit_all(array.as_map().entries().columns(), next, found),
        DataType::RunEndEncoded(..) => visit_array(array.as_any_ree().values(), next, found),
        DataType::Union(fields, _) => {
            let array = array.as_union();
            fields.iter().try_for_each(|(type_id, _)| visit_array(array.child(type_id), next, found))
        }
        _ => Ok(()),
    }
}

fn visit_all(
    columns: &[ArrayRef],
    next: &mut usize,
    found: &mut impl FnMut(usize, &ArrayRef) -> Result<()>,
) -> Result<()> {
    columns.iter().try_for_each(|column| visit_array(column.as_ref(), next, found))
}

/// What of a dictionary must be sent.
pub(crate) struct Due {
    pub(crate) rows: Range<usize>,
    /// What readers must have, for a delta.
    pub(crate) extends: Option<Sent>,
}

/// What of `values` must be sent, if anything: all of them, or, as a delta, those behind what readers have.
pub(crate) fn decide<F: Format>(
    schema: &StreamSchema,
    id: usize,
    values: &ArrayRef,
    sent: &SentDictionaries,
    updates: &DictionaryBatches,
    sending: Sending,
) -> Result<Option<Due>, Box<Error>> {
    let all = Due { rows: 0..values.len(), extends: None };
    let Some(old) = sent.array(id) else {
        return Ok(Some(all));
    };
    let nested = schema.dictionary(id).nested();
    let rebound = nested > 0 && updates.replaces_any(id - nested, sent);
    let comparison = if rebound || (sending == Sending::Everything && !F::HAS_FOOTER) {
        Comparison::Different
    } else {
        Comparison::of(old, values).map_err(Box::new)?
    };
    // The common case, and of no interest to any rule.
    if comparison == Comparison::Same {
        return Ok(None);
    }
    match schema.change_of(id, comparison, F::HAS_FOOTER) {
        Change::Known | Change::Unified => Ok(None),
        Change::Extended => {
            Ok(Some(Due { rows: old.len()..values.len(), extends: Some(Sent::Array(Arc::clone(old))) }))
        }
        Change::Replaced => Ok(Some(all)),
        Change::Refused(remedy) => Err(Box::new(Error::DictionaryReplacement {
            path: String::new(),
            expected: format!("the {} values already written", old.len()),
            found: format!("{} others", values.len()),
            remedy,
        })),
    }
}
