//! The contents of a file as its footer lists them: dictionary batches, then record batches, each in the order of the
//! footer.
//!
//! A footer may contradict itself: list a message twice, list messages that overlap, list a delta before the dictionary
//! that it extends, or list a second dictionary of one id. Readers treat such files differently, and some return wrong
//! values. So each of these is damage.

use std::collections::BTreeMap;

use arrow_ipc::RecordBatch;

use crate::error::{Damage, Error, Fault};
use crate::footer::Footer;
use crate::format::{PADDED_AT_MOST, Place};
use crate::message::Head;
use crate::scan::seek_first_message;
use crate::schema::Schema;
use crate::source::Source;

/// A message that a footer lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listed {
    pub(crate) offset: u64,
    body_length: u64,
    /// At most 31 bits in the format. Kept in 32 bits, because the lists may be most of an input.
    metadata_length: u32,
    pub(crate) is_dictionary: bool,
}

impl Listed {
    /// Returns what a footer lists, in its order, dictionary batches first. Fails if any of it overlaps.
    pub(crate) fn of(footer: &Footer) -> Result<Vec<Self>, Damage> {
        let listed = |is_dictionary| {
            move |Place { offset, metadata_length, body_length }| {
                let metadata_length = u32::try_from(metadata_length).expect("a block has 31 bits for it");
                Self { offset, body_length, metadata_length, is_dictionary }
            }
        };
        let dictionaries = footer.dictionaries().map(listed(true));
        let list: Vec<_> = dictionaries.chain(footer.record_batches().map(listed(false))).collect();
        let overlap = |sorted: &[Self]| {
            let pair = sorted.windows(2).find(|pair| pair[0].place().end() > pair[1].offset)?;
            let fault = if pair[0].offset == pair[1].offset { Fault::PlaceRepeated } else { Fault::PlacesOverlap };
            Some(Damage::new(pair[1].offset, fault))
        };
        let overlaps = if list.is_sorted() { overlap(&list) } else { overlap(&stored(&list)) };
        overlaps.map_or(Ok(list), Err)
    }

    pub(crate) fn place(&self) -> Place {
        let Self { offset, body_length, metadata_length, .. } = *self;
        Place { offset, metadata_length: u64::from(metadata_length), body_length }
    }

    /// Reads the metadata of this message. Leaves the source before its body.
    pub(crate) fn head(&self, source: &mut Source<'_>) -> Result<Head, Damage> {
        let head = self.place().head(source)?;
        let is_it = head.place() == self.place() && head.is_dictionary() == self.is_dictionary;
        if is_it { Ok(head) } else { Err(Damage::new(self.offset, Fault::PlaceWithoutMessage)) }
    }
}

/// Returns the same messages in the order of their offsets.
pub(crate) fn stored(listed: &[Listed]) -> Vec<Listed> {
    let mut stored = listed.to_vec();
    stored.sort_unstable();
    stored
}

/// Returns whether dictionary batches, and record batches, are each listed in the order of their offsets. If so, the
/// file is read in that order.
pub(crate) fn is_in_order(listed: &[Listed]) -> bool {
    let batches = listed.partition_point(|listed| listed.is_dictionary);
    listed[..batches].is_sorted() && listed[batches..].is_sorted()
}

/// Reads the schema message at the start of a file. Returns `None` if there is none that can be read.
pub(crate) fn schema_at_front(source: &mut Source<'_>) -> Result<Option<Schema>, Damage> {
    seek_first_message(source)?;
    match Schema::read(source) {
        Ok(schema) => Ok(Some(schema)),
        Err(damage) if damage.is_of_system() => Err(damage),
        Err(_) => Ok(None),
    }
}

/// Returns the schema of a footer, with the metadata version of the schema message at the start, or else of the first
/// listed message: some footers have another version than the messages.
pub(crate) fn of_footer(
    footer: Footer,
    at_front: Option<&Schema>,
    listed: &[Listed],
    source: &mut Source<'_>,
) -> Result<Schema, Damage> {
    let mut schema = Schema::of_footer(footer, at_front)?;
    if let (None, Some(first)) = (at_front, listed.first()) {
        match first.place().head(source) {
            Ok(head) => schema.set_version(head.message().version()),
            Err(damage) if damage.is_of_system() => return Err(damage),
            Err(_) => {}
        }
    }
    Ok(schema)
}

/// Returns whether there are bytes between the schema and the footer that the footer does not list. `listed` must be in
/// the order of the offsets.
pub(crate) fn gaps(at_front: Option<&Schema>, listed: &[Listed], footer_at: u64) -> bool {
    let first = listed.first().map(|first| first.offset);
    let mut stood_at = at_front.map(end_of_schema).or(first).unwrap_or(footer_at);
    let follows = listed.iter().all(|listed| std::mem::replace(&mut stood_at, listed.place().end()) == listed.offset);
    !follows || footer_at.saturating_sub(stood_at) >= MARKER_AND_PADDING
}

/// Returns the end of the message that a schema comes from.
pub(crate) fn end_of_schema(schema: &Schema) -> u64 {
    schema.message().map_or(0, |head| head.place().end())
}

/// The first dictionary of each id in a file, for recognising a second one.
#[derive(Debug, Default)]
pub(crate) struct Bases {
    bases: BTreeMap<i64, Base>,
}

#[derive(Debug)]
struct Base {
    place: Place,
    /// Whether a delta has extended it.
    is_extended: bool,
}

/// How a dictionary batch relates to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The first of its id.
    First,
    /// A delta to an earlier one.
    Extends,
    /// A delta without an earlier one.
    ExtendsNothing,
    /// A repetition of the first one, byte for byte.
    Repeats,
    /// Different from the first one, which starts at this offset.
    Replaces(u64),
}

impl Bases {
    /// Records a message. If it is a dictionary batch, returns how it relates to those before it. Leaves the source
    /// where it was.
    pub(crate) fn note(&mut self, head: &Head, source: &mut Source<'_>) -> Result<Option<Standing>, Damage> {
        let Some(dictionary) = head.message().header_as_dictionary_batch() else { return Ok(None) };
        let place = head.place();
        let standing = match (self.bases.get_mut(&dictionary.id()), dictionary.isDelta()) {
            (None, true) => Standing::ExtendsNothing,
            (None, false) => {
                self.bases.insert(dictionary.id(), Base { place, is_extended: false });
                Standing::First
            }
            (Some(base), true) => {
                base.is_extended = true;
                Standing::Extends
            }
            (Some(base), false) => {
                let is_same = !base.is_extended && is_same(&base.place, head, source)?;
                source.seek(place.body()).map_err(Damage::unreadable(place.offset))?;
                if is_same { Standing::Repeats } else { Standing::Replaces(base.place.offset) }
            }
        };
        Ok(Some(standing))
    }

    /// As [`note`](Self::note), for a file, which may have only one dictionary of each id. Returns `false` for a
    /// repetition.
    pub(crate) fn admit(&mut self, head: &Head, schema: &Schema, source: &mut Source<'_>) -> Result<bool, Damage> {
        match self.note(head, source)? {
            Some(Standing::Repeats) => Ok(false),
            Some(Standing::Replaces(first)) => {
                let id = head.message().header_as_dictionary_batch().map_or(0, |dictionary| dictionary.id());
                let fault = Fault::SecondDictionary { path: schema.dictionary_path(id), id, first };
                Err(Damage::new(head.place().offset, fault))
            }
            _ => Ok(true),
        }
    }

    /// As [`admit`](Self::admit), for messages in the order of a footer.
    pub(crate) fn admit_listed(
        &mut self,
        head: &Head,
        schema: &Schema,
        source: &mut Source<'_>,
    ) -> Result<bool, Damage> {
        if let Some(dictionary) = head.message().header_as_dictionary_batch()
            && dictionary.isDelta()
            && !self.bases.contains_key(&dictionary.id())
        {
            let id = dictionary.id();
            let fault = Fault::DeltaListedFirst { path: schema.dictionary_path(id), id };
            return Err(Damage::new(head.place().offset, fault));
        }
        self.admit(head, schema, source)
    }
}

/// Returns whether two dictionary batches have the same values, stored in the same way.
fn is_same(first: &Place, second: &Head, source: &mut Source<'_>) -> Result<bool, Damage> {
    let (one, other) = (first.head(source)?, second);
    let batch = |head: &Head| is_of(head).map(|batch| shape(&batch));
    if batch(&one) != batch(other) || first.body_length != second.place().body_length {
        return Ok(false);
    }
    let (mut blocks, mut at) = ([vec![0; BLOCK], vec![0; BLOCK]], 0);
    while at < first.body_length {
        let length = usize::try_from(first.body_length - at).map_or(BLOCK, |left| left.min(BLOCK));
        for (block, place) in blocks.iter_mut().zip([*first, second.place()]) {
            let read = source.seek(place.body() + at).and_then(|()| source.read_up_to(&mut block[..length]));
            if read.map_err(Damage::unreadable(place.offset))? < length {
                return Err(second.truncated());
            }
        }
        if blocks[0][..length] != blocks[1][..length] {
            return Ok(false);
        }
        at += length as u64;
    }
    Ok(true)
}

fn is_of(head: &Head) -> Option<RecordBatch<'_>> {
    head.message().header_as_dictionary_batch()?.data()
}

/// Returns all that a batch says about its body, for comparison.
fn shape(batch: &RecordBatch<'_>) -> impl PartialEq + use<> {
    let nodes: Vec<_> = batch.nodes().into_iter().flatten().map(|node| (node.length(), node.null_count())).collect();
    let buffers: Vec<_> =
        batch.buffers().into_iter().flatten().map(|buffer| (buffer.offset(), buffer.length())).collect();
    let views: Vec<_> = batch.variadicBufferCounts().into_iter().flatten().collect();
    (batch.length(), batch.compression().map(|compression| compression.codec()), nodes, buffers, views)
}

/// Refuses dictionary replacements, which a file cannot contain. Returns the offsets of repeated dictionary batches.
pub(crate) fn refuse_replacements(
    places: impl Iterator<Item = Place>,
    schema: &Schema,
    source: &mut Source<'_>,
) -> Result<Vec<u64>, Error> {
    let mut bases = Bases::default();
    let mut repeated = Vec::new();
    for place in places {
        let admitted = place.head(source).and_then(|head| bases.admit(&head, schema, source));
        match admitted {
            Ok(true) => {}
            Ok(false) => repeated.push(place.offset),
            Err(damage) => return Err(Error::NoFile(damage.of_input()?)),
        }
    }
    Ok(repeated)
}

/// The number of bytes of two bodies that are compared at once.
const BLOCK: usize = 64 * 1024;

/// The most bytes between the last message of a file and its footer. A message is longer.
pub(crate) const MARKER_AND_PADDING: u64 = 8 + PADDED_AT_MOST;
