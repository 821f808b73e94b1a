//! Surveys an input before anything is written: which of its messages are kept, which are cut, and in what condition it
//! is.
//!
//! A stream, and a file without a footer, is walked through from the front, up to the first message that is not whole.
//! A file with a footer is read as that says. Where that does not hold, or cannot be all, the file is walked through
//! from the front as well: if that goes well up to the footer, it is the footer that is wrong; else it is the file.
//!
//! An input is *torn* if nothing whole stands behind the place where it stops making sense. One that is not is
//! *damaged*, and refused, unless it is to be salvaged: cutting there might lose much more than is broken.

use std::io::Read;

use crate::checksums::Checksums;
use crate::collect::{Collected, Collector};
use crate::error::{Damage, Error, Fault, Part};
use crate::footer::Footer;
use crate::report::Condition;
use crate::scan::{self, Framing, Head, Kind, Next, Place, recognize, seek_first_message};
use crate::schema::{Item, PADDED_AT_MOST, Schema};
use crate::search;
use crate::source::Source;

/// What was found.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) kind: Kind,
    pub(crate) schema: Schema,
    /// How long the schema message is in the input, if it stands at its front.
    pub(crate) schema_length: u64,
    pub(crate) condition: Condition,
    pub(crate) collected: Collected,
}

impl Survey {
    /// Surveys an input that can seek. One that is damaged is refused, unless it is to be salvaged.
    pub(crate) fn of(source: &mut Source<'_>, salvages: bool) -> Result<Self, Error> {
        let kind = recognize(source).map_err(hopeless)?;
        match kind {
            Kind::Stream => Self::from_front(source, kind, None, salvages),
            Kind::File => match Footer::read(source) {
                Ok(footer) => Self::by_footer(source, footer, salvages),
                Err(damage) => Self::from_front(source, kind, Some(damage.of_input()?), salvages),
            },
        }
    }

    /// Surveys a stream, or a file whose footer is not there or is wrong.
    fn from_front(source: &mut Source<'_>, kind: Kind, footer: Option<Damage>, salvages: bool) -> Result<Self, Error> {
        let schema = schema_at_front(source, kind).map_err(hopeless)?;
        let schema_length = length(&schema);
        let mut collector = Collector::new(kind);
        let damage = match walk(source, &schema, &mut collector)? {
            End::Broken(damage) => Some(damage),
            // What stands behind the marker of a file is what is left of its footer.
            End::Marker => match footer {
                Some(Damage { fault, .. }) => Some(Damage::new(source.position(), fault)),
                None if source.lacks(1) => None,
                None => Some(Damage::new(source.position(), Fault::BehindTheEnd)),
            },
        };
        let mut condition = Condition::Complete;
        if let Some(damage) = damage {
            condition = Condition::Torn;
            if !is_tear(&damage.fault)
                && let Some(behind) = search::whole_message(source, &schema, &damage).or_else(unreadable)?
            {
                condition = Condition::Damaged;
                if !salvages {
                    return Err(Error::DamagedBeforeTail { damage, behind });
                }
            }
            // A checksum tells which zeros were written.
            if matches!(damage.fault, Fault::Zeros) && schema.checksums() != Checksums::All {
                cut_unwritten(source, damage.offset, &mut collector)?;
            }
            let left = source.length().unwrap_or(damage.offset).saturating_sub(damage.offset);
            collector.cuts_mut().bytes(damage.offset, left, damage.fault);
        }
        Ok(Self::new(kind, schema, schema_length, condition, collector))
    }

    /// Surveys a file as its footer says, and from the front where that cannot be all.
    fn by_footer(source: &mut Source<'_>, footer: Footer, salvages: bool) -> Result<Self, Error> {
        let footer_at = footer.offset();
        let listed = match Listed::of(&footer) {
            Ok(listed) => listed,
            Err(damage) => return Self::from_front(source, Kind::File, Some(damage), salvages),
        };
        let at_front = schema_at_front(source, Kind::File);
        let schema_length = at_front.as_ref().map_or(0, length);
        let mut schema = match Schema::of_footer(footer, at_front.as_ref().ok()) {
            Ok(schema) => schema,
            Err(damage) => return Self::from_front(source, Kind::File, Some(damage), salvages),
        };
        let mut by_footer = take_all(&listed, source, &schema)?;
        let is_whole = by_footer.as_mut().is_ok_and(Collector::is_whole);
        let mut collector = Collector::new(Kind::File);
        let (at_front, mut damage) = match (at_front, by_footer) {
            (Ok(at_front), Ok(by_footer)) if is_whole && has_no_gaps(&at_front, &listed, footer_at) => {
                return Ok(Self::new(Kind::File, schema, schema_length, Condition::Complete, by_footer));
            }
            (Ok(at_front), by_footer) => {
                source.seek(end(&at_front)).map_err(Error::Read)?;
                let walked = walk(source, &at_front, &mut collector)?;
                let stopped_at = match &walked {
                    End::Marker => source.position(),
                    End::Broken(damage) => damage.offset,
                };
                let is_all = footer_at.saturating_sub(stopped_at) < MARKER_AND_PADDING;
                match (by_footer, walked) {
                    // Nothing forbids room between messages, and there are files that grew behind a marker.
                    (Ok(by_footer), _) if !is_all || by_footer.kept() >= collector.kept() => {
                        return Ok(Self::new(Kind::File, schema, schema_length, Condition::Complete, by_footer));
                    }
                    (by_footer, _) if is_all => {
                        let fault = by_footer.map_or_else(|damage| damage.fault, |_| Fault::FooterLeavesOut);
                        collector.cuts_mut().bytes(stopped_at, footer_at.saturating_sub(stopped_at), fault);
                        return Ok(Self::new(Kind::File, at_front, schema_length, Condition::Torn, collector));
                    }
                    (_, walked) => (Some(at_front), walked.damage(source)),
                }
            }
            (Err(damage), _) => (None, damage.of_input()?),
        };
        if !salvages {
            let behind = listed.iter().map(|listed| listed.offset).find(|offset| *offset > damage.offset);
            return Err(Error::DamagedBeforeTail { damage, behind: behind.unwrap_or(footer_at) });
        }
        if let Some(at_front) = at_front {
            // What is in front of the damage has been checked against the schema there. That of the footer comes with
            // key-value pairs, and is taken unless it is damaged, too: less of the front is what it asks for then.
            let mut by_footer = Collector::new(Kind::File);
            source.seek(end(&at_front)).map_err(Error::Read)?;
            let stopped = walk(source, &schema, &mut by_footer)?.damage(source);
            if by_footer.kept() < collector.kept() {
                schema = at_front;
            } else {
                (collector, damage) = (by_footer, stopped);
            }
        }
        salvage(&listed, damage, source, &schema, &mut collector)?;
        Ok(Self::new(Kind::File, schema, schema_length, Condition::Damaged, collector))
    }

    fn new(kind: Kind, schema: Schema, schema_length: u64, condition: Condition, collector: Collector) -> Self {
        let mut collected = collector.finish();
        let is_whole = condition == Condition::Complete && collected.cuts.is_empty();
        let condition = if is_whole || condition != Condition::Complete { condition } else { Condition::Torn };
        if !is_whole {
            collected.cut_unused_dictionaries();
        }
        Self { kind, schema, schema_length, condition, collected }
    }
}

/// How a walk ended.
enum End {
    /// At the end-of-stream marker; the source stands behind it.
    Marker,
    /// At something that is no message.
    Broken(Damage),
}

impl End {
    /// What is wrong with an end that comes before that of the file.
    fn damage(self, source: &Source<'_>) -> Damage {
        match self {
            Self::Marker => Damage::new(source.position(), Fault::BehindTheEnd),
            Self::Broken(damage) => damage,
        }
    }
}

/// Collects messages from where the source stands.
fn walk(source: &mut Source<'_>, schema: &Schema, collector: &mut Collector) -> Result<End, Error> {
    loop {
        let offset = source.position();
        let taken = match scan::next(source) {
            Ok(Next::Message(head)) => schema.check(&head, source).and_then(|checked| collector.take(checked)),
            Ok(Next::EndOfStream(framing)) if is_unwritten(source, schema, framing)? => {
                Err(Damage::new(offset, Fault::Zeros))
            }
            Ok(Next::EndOfStream(_)) => return Ok(End::Marker),
            Ok(Next::EndOfInput) => Err(Damage::new(offset, Fault::NoMarker)),
            Err(damage) => Err(damage),
        };
        if let Err(damage) = taken {
            return Ok(End::Broken(damage.of_input()?));
        }
    }
}

/// Whether the marker that the source has just read is none: a length of 0, and nothing but zeros behind it, where
/// markers are longer than that.
fn is_unwritten(source: &mut Source<'_>, schema: &Schema, marker: Framing) -> Result<bool, Error> {
    let behind = source.position();
    if schema.framing() == Framing::Legacy || marker == Framing::Marked || source.lacks(1) {
        return Ok(false);
    }
    let mut block = [0; 4096];
    loop {
        let length = source.read_up_to(&mut block).map_err(Error::Read)?;
        let is_zero = block[..length].iter().all(|byte| *byte == 0);
        if length == 0 || !is_zero {
            source.seek(behind).map_err(Error::Read)?;
            return Ok(is_zero);
        }
    }
}

/// Collects all that a footer lists. What is wrong with the footer or the file comes back, if anything is.
fn take_all(listed: &[Listed], source: &mut Source<'_>, schema: &Schema) -> Result<Result<Collector, Damage>, Error> {
    let mut collector = Collector::new(Kind::File);
    for listed in listed {
        if let Err(damage) = listed.take(source, schema, &mut collector) {
            return damage.of_input().map(Err);
        }
    }
    Ok(Ok(collector))
}

/// Collects what a footer lists behind damage, as far as it verifies.
///
/// What it does not list may have been a dictionary batch, too.
fn salvage(
    listed: &[Listed],
    damage: Damage,
    source: &mut Source<'_>,
    schema: &Schema,
    collector: &mut Collector,
) -> Result<(), Error> {
    let mut stood_at = damage.offset;
    let mut fault = Some(damage.fault);
    for listed in listed.iter().filter(|listed| listed.place().end() > damage.offset) {
        if listed.offset > stood_at {
            let unlisted = fault.take().unwrap_or(Fault::FooterLeavesOut);
            collector.cuts_mut().bytes(stood_at, listed.offset - stood_at, unlisted);
            collector.lose_dictionary();
        }
        if let Err(damage) = listed.take(source, schema, collector) {
            collector.cuts_mut().bytes(listed.offset, listed.place().length(), damage.of_input()?.fault);
            if listed.is_dictionary {
                collector.lose_dictionary();
            }
        }
        stood_at = listed.place().end();
    }
    // All that the footer lists may verify by its own schema, and not by that of a schema message that is damaged.
    if let (Some(fault), true) = (fault, collector.cuts_mut().is_empty()) {
        collector.cuts_mut().bytes(stood_at, 0, fault);
    }
    Ok(())
}

/// Whether the places that a footer lists, one behind the other, are all that is between the schema and the footer.
fn has_no_gaps(at_front: &Schema, listed: &[Listed], footer_at: u64) -> bool {
    let mut stood_at = end(at_front);
    let follows = listed.iter().all(|listed| std::mem::replace(&mut stood_at, listed.place().end()) == listed.offset);
    follows && footer_at.saturating_sub(stood_at) < MARKER_AND_PADDING
}

/// Cuts the last message, which ends at `end`, if its body ends in zeros that padding does not explain. More zeros
/// follow, to the end of the input: where they begin, nobody knows, and a part of the body may never have been written
/// either.
fn cut_unwritten(source: &mut Source<'_>, end: u64, collector: &mut Collector) -> Result<(), Error> {
    let more_than_padding = usize::try_from(PADDED_AT_MOST + 1).expect("a few bytes");
    let Some(last) = collector.last().filter(|last| last.place.end() == end && last.place.body_length > PADDED_AT_MOST)
    else {
        return Ok(());
    };
    let mut tail = vec![0; more_than_padding];
    source.seek(end - tail.len() as u64).and_then(|()| source.read_exact(&mut tail)).map_err(Error::Read)?;
    if tail.iter().all(|byte| *byte == 0) {
        collector.cut_last(&last, Fault::Unwritten);
    }
    Ok(())
}

/// The schema that an input starts with. The source stands behind its message then.
fn schema_at_front(source: &mut Source<'_>, kind: Kind) -> Result<Schema, Damage> {
    match kind {
        Kind::Stream => source.seek(0).map_err(Damage::unreadable(0))?,
        Kind::File => seek_first_message(source)?,
    }
    let offset = source.position();
    let head: Head = match scan::next(source)? {
        Next::Message(head) => head,
        Next::EndOfStream(_) => return Err(Damage::new(offset, Fault::InvalidMetadata)),
        Next::EndOfInput => return Err(Damage::new(offset, Fault::NoMarker)),
    };
    head.skip_body(source)?;
    Schema::of_message(head)
}

/// How long the message is that a schema comes from.
fn length(schema: &Schema) -> u64 {
    schema.message().map_or(0, |head| head.place().length())
}

/// Where the message ends that a schema comes from.
fn end(schema: &Schema) -> u64 {
    schema.message().map_or(0, |head| head.place().end())
}

/// A place that a footer lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Listed {
    offset: u64,
    body_length: u64,
    /// The format has 31 bits for it. A list may be most of an input, so it is held in as little memory.
    metadata_length: u32,
    is_dictionary: bool,
}

impl Listed {
    /// What a footer lists, in the order in which it stands, if none of it overlaps.
    fn of(footer: &Footer) -> Result<Vec<Self>, Damage> {
        let listed = |is_dictionary| {
            move |Place { offset, metadata_length, body_length }| {
                let metadata_length = u32::try_from(metadata_length).expect("a block has 31 bits for it");
                Self { offset, body_length, metadata_length, is_dictionary }
            }
        };
        let dictionaries = footer.dictionaries().map(listed(true));
        let mut list: Vec<_> = dictionaries.chain(footer.record_batches().map(listed(false))).collect();
        list.sort_unstable();
        if list.windows(2).any(|pair| pair[0].place().end() > pair[1].offset) {
            return Err(Damage::new(footer.offset(), Fault::PlacesOverlap));
        }
        Ok(list)
    }

    fn place(&self) -> Place {
        let Self { offset, body_length, metadata_length, .. } = *self;
        Place { offset, metadata_length: u64::from(metadata_length), body_length }
    }

    /// Collects the message that stands here.
    fn take(&self, source: &mut Source<'_>, schema: &Schema, collector: &mut Collector) -> Result<(), Damage> {
        let other = || Damage::new(self.offset, Fault::PlaceWithoutMessage);
        let head = self.place().head(source)?;
        if head.place() != self.place() {
            return Err(other());
        }
        let checked = schema.check(&head, source)?;
        if Item::is_dictionary(&checked.item) != self.is_dictionary {
            return Err(other());
        }
        collector.take(checked)
    }
}

/// Whether nothing can stand behind this fault that is worth looking for.
fn is_tear(fault: &Fault) -> bool {
    matches!(fault, Fault::NoMarker | Fault::Zeros | Fault::Truncated { part: Part::Body, .. })
}

/// For `map_err`: not even the schema can be read.
fn hopeless(damage: Damage) -> Error {
    damage.of_input().map_or_else(|error| error, Error::Hopeless)
}

/// For `or_else`: damage that only the system can have caused.
fn unreadable(damage: Damage) -> Result<Option<u64>, Error> {
    damage.of_input().map(|_| None)
}

/// No more than this stands between the last message of a file and its footer. A message is longer.
const MARKER_AND_PADDING: u64 = 8 + PADDED_AT_MOST;
