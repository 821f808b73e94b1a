//! Surveys an input before anything is written: which of its messages are kept, which are cut, and in what condition it
//! is.
//!
//! A stream, and a file without a footer, is walked through from the front, up to the first message that is not whole;
//! behind the end of a stream, another one of the same schema goes on.
//! A file with a footer is read as that says. Where that does not hold, or cannot be all, the file is walked through
//! from the front as well: if that goes well up to the footer, it is the footer that is wrong; else it is the file.
//!
//! An input is *torn* if nothing whole stands behind the place where it stops making sense. One that is not is
//! *damaged*, and refused, unless it is to be salvaged: cutting there might lose much more than is broken.

use std::io::Read;

use crate::checksums::Checksums;
use crate::collect::{Collected, Collector};
use crate::contents::{Bases, Listed, is_in_order, stored};
use crate::error::{Damage, Error, Fault, Part};
use crate::footer::Footer;
use crate::input::{of_footer, schema_at_front};
use crate::report::{Condition, Cut};
use crate::scan::{self, Abort, Framing, Head, Kind, MessageKind, Next, Place, recognize, seek_first_message};
use crate::schema::{Item, Joining, PADDED_AT_MOST, Schema};
use crate::search;
use crate::source::Source;
use crate::stream::{Behind, behind, check_schema, zeros};

/// What was found.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) kind: Kind,
    pub(crate) schema: Schema,
    /// How long the schema message is in the input, if it stands at its front.
    pub(crate) schema_length: u64,
    pub(crate) condition: Condition,
    /// How many streams, one behind the other, what is kept comes from. A file is one.
    pub(crate) streams: u64,
    pub(crate) collected: Collected,
}

impl Survey {
    /// Surveys an input that can seek. One that is damaged is refused, unless it is to be salvaged.
    pub(crate) fn of(source: &mut Source<'_>, salvages: bool) -> Result<Self, Error> {
        let kind = recognize(source).map_err(hopeless)?;
        match kind {
            Kind::Stream => Self::from_front(source, kind, None, salvages),
            Kind::File => match Footer::read(source) {
                Ok(footer) => {
                    let (end, total) = (footer.end(), source.length().unwrap_or(0));
                    source.end_at(end);
                    let survey = Self::by_footer(source, footer, salvages);
                    source.end_at(total);
                    let mut survey = survey?;
                    if end < total {
                        survey.collected.cuts.between_streams(end, total - end, Fault::ZerosBehindTheEnd);
                    }
                    Ok(survey)
                }
                Err(damage) => Self::from_front(source, kind, Some(damage.of_input()?), salvages),
            },
        }
    }

    /// Surveys streams, or a file whose footer is not there or is wrong.
    fn from_front(source: &mut Source<'_>, kind: Kind, footer: Option<Damage>, salvages: bool) -> Result<Self, Error> {
        match kind {
            Kind::Stream => source.seek(0).map_err(Error::Read)?,
            Kind::File => seek_first_message(source).map_err(hopeless)?,
        }
        let schema = Schema::read(source).map_err(hopeless)?;
        let schema_length = length(&schema);
        let mut collector = Collector::new(kind);
        let mut streams = 1;
        // That of a further stream.
        let mut further: Option<Schema> = None;
        let damage = loop {
            let own = further.as_ref().unwrap_or(&schema);
            let behind_it = match walk(source, own, &mut collector)? {
                End::Broken(damage) => match appended(source, own, &mut collector, &damage, kind)? {
                    Some(head) => Behind::Stream(head),
                    None => break Some(damage),
                },
                // What stands behind the marker of a file is what is left of its footer.
                End::Marker if kind == Kind::File => {
                    break footer.map(|Damage { fault, .. }| Damage::new(source.position(), fault));
                }
                End::Schema(head, fault) => {
                    collector.cuts_mut().between_streams(head.place().offset, head.place().length(), fault);
                    Behind::Stream(head)
                }
                End::Marker => behind(source).map_err(hopeless)?,
                End::Aborted(abort) => {
                    let Abort { offset, length, reason } = abort;
                    collector.cuts_mut().between_streams(offset, length, Fault::Aborted { reason });
                    behind(source).map_err(hopeless)?
                }
            };
            let head = match behind_it {
                Behind::Nothing => break None,
                Behind::Other(trailing) => {
                    let damage = trailing.damage();
                    match appended(source, own, &mut collector, &damage, kind)? {
                        Some(head) => head,
                        None => break Some(damage),
                    }
                }
                Behind::Stream(head) => head,
            };
            match join(&schema, head, source) {
                Ok((joined, reframed)) => {
                    collector.begin_stream(reframed);
                    further = Some(joined);
                }
                Err(damage) => break Some(damage.of_input()?),
            }
            streams += 1;
        };
        let mut condition = Condition::Complete;
        let mut zeros_behind = None;
        if let Some(damage) = damage {
            let offset = damage.offset;
            let left = source.length().unwrap_or(offset).saturating_sub(offset);
            condition = Condition::Torn;
            if matches!(damage.fault, Fault::OtherSchema { .. }) {
                if !salvages {
                    return Err(Error::OtherStream(damage));
                }
                condition = Condition::Damaged;
            } else if !is_tear(&damage.fault)
                && let Some(behind) =
                    search::whole_message(source, further.as_ref().unwrap_or(&schema), &damage).or_else(unreadable)?
            {
                condition = Condition::Damaged;
                if !salvages {
                    return Err(Error::DamagedBeforeTail { damage, behind });
                }
            }
            match damage.fault {
                Fault::ZerosBehindTheEnd => {
                    condition = Condition::Complete;
                    zeros_behind = Some((offset, left));
                }
                fault => {
                    // A checksum tells which zeros were written.
                    if matches!(fault, Fault::Zeros) && schema.checksums() != Checksums::All {
                        cut_unwritten(source, offset, &mut collector)?;
                    }
                    collector.cuts_mut().bytes(offset, left, fault);
                }
            }
        }
        let mut survey = Self::new(kind, schema, schema_length, condition, streams, collector);
        if let Some((offset, length)) = zeros_behind {
            survey.collected.cuts.between_streams(offset, length, Fault::ZerosBehindTheEnd);
        }
        Ok(survey)
    }

    /// Surveys a file as its footer says, and from the front where that cannot be all.
    fn by_footer(source: &mut Source<'_>, footer: Footer, salvages: bool) -> Result<Self, Error> {
        let footer_at = footer.offset();
        let at_front = schema_at_front(source).map_err(hopeless)?;
        let listed = match Listed::of(&footer) {
            Ok(listed) => listed,
            Err(damage) => return Self::from_front(source, Kind::File, Some(damage), salvages),
        };
        let in_order = stored(&listed);
        let schema_length = at_front.as_ref().map_or(0, length);
        let mut schema = match of_footer(footer, at_front.as_ref(), &listed, source) {
            Ok(schema) => schema,
            Err(damage) => return Self::from_front(source, Kind::File, Some(damage), salvages),
        };
        let complete =
            |schema, collector| Self::new(Kind::File, schema, schema_length, Condition::Complete, 1, collector);
        let order = if is_in_order(&listed) { &in_order } else { &listed };
        let mut by_footer = take_all(order, source, &schema)?;
        let is_whole = by_footer.as_mut().is_ok_and(Collector::is_whole);
        let by_footer = match by_footer {
            Ok(by_footer) if is_whole && !gaps(at_front.as_ref(), &in_order, footer_at) => {
                return Ok(complete(schema, by_footer));
            }
            by_footer => by_footer,
        };
        // Where no schema message stands, what is in front of the first message is nobody's.
        let front =
            at_front.as_ref().map(end).or_else(|| in_order.first().map(|first| first.offset)).unwrap_or(footer_at);
        let mut collector = Collector::new(Kind::File);
        source.seek(front).map_err(Error::Read)?;
        let walked = walk(source, at_front.as_ref().unwrap_or(&schema), &mut collector)?;
        let stopped_at = match &walked {
            End::Marker => source.position(),
            other => other.offset(),
        };
        let is_all = footer_at.saturating_sub(stopped_at) < MARKER_AND_PADDING;
        let mut damage = match (by_footer, walked) {
            // Nothing forbids room between messages, and there are files that grew behind a marker. A footer whose lists
            // were lost with the power verifies, and names nothing.
            (Ok(by_footer), _) if by_footer.kept() >= collector.kept() => {
                return Ok(complete(schema, by_footer));
            }
            (by_footer, _) if is_all => {
                let fault = by_footer.map_or_else(|damage| damage.fault, |_| Fault::FooterLeavesOut);
                collector.cuts_mut().bytes(stopped_at, footer_at.saturating_sub(stopped_at), fault);
                let schema = at_front.unwrap_or(schema);
                return Ok(Self::new(Kind::File, schema, schema_length, Condition::Torn, 1, collector));
            }
            (_, walked) => walked.damage(source),
        };
        if !salvages {
            let behind = in_order.iter().map(|listed| listed.offset).find(|offset| *offset > damage.offset);
            return Err(Error::DamagedBeforeTail { damage, behind: behind.unwrap_or(footer_at) });
        }
        if let Some(at_front) = at_front {
            // What is in front of the damage has been checked against the schema there. That of the footer comes with
            // key-value pairs, and is taken unless it is damaged, too: less of the front is what it asks for then.
            let mut by_footer = Collector::new(Kind::File);
            source.seek(front).map_err(Error::Read)?;
            let stopped = walk(source, &schema, &mut by_footer)?.damage(source);
            if by_footer.kept() < collector.kept() {
                schema = at_front;
            } else {
                (collector, damage) = (by_footer, stopped);
            }
        }
        salvage(&in_order, damage, source, &schema, &mut collector)?;
        Ok(Self::new(Kind::File, schema, schema_length, Condition::Damaged, 1, collector))
    }

    fn new(
        kind: Kind,
        schema: Schema,
        schema_length: u64,
        condition: Condition,
        streams: u64,
        collector: Collector,
    ) -> Self {
        let mut collected = collector.finish();
        let is_whole = condition == Condition::Complete && collected.cuts.is_empty();
        let condition = if is_whole || condition != Condition::Complete { condition } else { Condition::Torn };
        if !is_whole {
            collected.cut_unused_dictionaries();
        }
        Self { kind, schema, schema_length, condition, streams, collected }
    }

    /// How much of an input of `total` bytes is what its recovery would make of it: all of it, or all in front of the zeros
    /// behind its end. `None` if something else is to be made.
    pub(crate) fn sound_length(&self, total: u64) -> Option<u64> {
        if self.condition != Condition::Complete || self.streams != 1 {
            return None;
        }
        match &self.collected.cuts.list[..] {
            [] => Some(total),
            [Cut { offset, fault: Fault::ZerosBehindTheEnd, .. }] => Some(*offset),
            _ => None,
        }
    }
}

/// How a walk ended.
enum End {
    /// At the end-of-stream marker; the source stands behind it.
    Marker,
    /// At the schema message of another stream, or at the same one again; the source stands before its body.
    Schema(Head, Fault),
    /// At the mark of a stream that was given up; the source stands behind it.
    Aborted(Abort),
    /// At something that is no message.
    Broken(Damage),
}

impl End {
    /// Where the messages end.
    fn offset(&self) -> u64 {
        match self {
            Self::Marker => 0,
            Self::Schema(head, _) => head.place().offset,
            Self::Aborted(abort) => abort.offset,
            Self::Broken(damage) => damage.offset,
        }
    }

    /// What is wrong with an end that comes before that of the file.
    fn damage(self, source: &Source<'_>) -> Damage {
        match self {
            Self::Marker => Damage::new(source.position(), Fault::BehindTheEnd { words: None }),
            Self::Schema(head, fault) => Damage::new(head.place().offset, fault),
            Self::Aborted(Abort { offset, reason, .. }) => Damage::new(offset, Fault::Aborted { reason }),
            Self::Broken(damage) => damage,
        }
    }
}

/// Collects messages from where the source stands, behind the schema.
fn walk(source: &mut Source<'_>, schema: &Schema, collector: &mut Collector) -> Result<End, Error> {
    let begin = source.position();
    let mut bases = Bases::default();
    loop {
        let offset = source.position();
        let taken = match scan::next(source) {
            Ok(Next::Message(head)) if head.kind().is_ok_and(|kind| kind == MessageKind::Schema) => {
                let is_repeated = offset == begin && schema.message().is_some_and(|own| own.is_same_metadata(&head));
                let fault = if is_repeated { Fault::SchemaRepeated } else { Fault::Unterminated };
                return Ok(End::Schema(head, fault));
            }
            Ok(Next::Message(head)) => take(&head, source, schema, collector, &mut bases),
            Ok(Next::EndOfStream(framing)) if is_unwritten(source, schema, framing)? => {
                Err(Damage::new(offset, Fault::Zeros))
            }
            Ok(Next::EndOfStream(_)) => return Ok(End::Marker),
            Ok(Next::Aborted(abort)) => return Ok(End::Aborted(abort)),
            Ok(Next::EndOfInput) => Err(Damage::new(offset, Fault::NoMarker)),
            Err(damage) => Err(damage),
        };
        if let Err(damage) = taken {
            return Ok(End::Broken(damage.of_input()?));
        }
    }
}

/// Collects a message before whose body the source stands. In a file, a dictionary that is there already is passed over,
/// and another one of its id refused.
fn take(
    head: &Head,
    source: &mut Source<'_>,
    schema: &Schema,
    collector: &mut Collector,
    bases: &mut Bases,
) -> Result<(), Damage> {
    let checked = schema.check(head, source)?;
    if collector.kind() == Kind::File && head.is_dictionary() {
        let is_new = bases.admit(head, schema, source);
        source.seek(head.place().end()).map_err(Damage::unreadable(head.place().offset))?;
        if !is_new? {
            return Ok(());
        }
    }
    collector.take(checked)
}

/// The schema message of a stream that was appended to one that was torn inside a message, behind which or in which the
/// damage is. What is there of that message is cut.
fn appended(
    source: &mut Source<'_>,
    schema: &Schema,
    collector: &mut Collector,
    damage: &Damage,
    kind: Kind,
) -> Result<Option<Head>, Error> {
    if kind != Kind::Stream {
        return Ok(None);
    }
    let Some(at) = (match inside_the_last(source, schema, collector, damage)? {
        Some(at) => Some(at),
        None => inside_the_damaged(source, schema, collector, damage)?,
    }) else {
        return Ok(None);
    };
    source.seek(at).map_err(Error::Read)?;
    match scan::next(source).map_err(hopeless)? {
        Next::Message(head) => Ok(Some(head)),
        _ => Ok(None),
    }
}

/// Where another stream starts inside the last message that is kept. Of its body, the rest never came, and what stands there
/// is the other stream. That message is cut after all.
fn inside_the_last(
    source: &mut Source<'_>,
    schema: &Schema,
    collector: &mut Collector,
    damage: &Damage,
) -> Result<Option<u64>, Error> {
    // One whose checksum is right is what was written.
    if schema.checksums() == Checksums::All {
        return Ok(None);
    }
    // Bytes that are none of a message's may look like a marker.
    let is_behind = |last: &Item| damage.offset.checked_sub(last.place.end()).is_some_and(|gap| gap <= MARKER);
    let Some(last) = collector.last().filter(is_behind) else { return Ok(None) };
    let Some(at) = search::stream_in_body(source, schema, last.place).map_err(hopeless)? else { return Ok(None) };
    let body_length = at.saturating_sub(last.place.body());
    let fault = Fault::TornBeforeAnother { part: Part::Body, length: Some(last.place.body_length) };
    let torn = Item { place: Place { body_length, ..last.place }, ..last };
    collector.cut_last(&torn, fault);
    Ok(Some(at))
}

/// Where another stream starts inside the message that is damaged. What is there of it is cut.
fn inside_the_damaged(
    source: &mut Source<'_>,
    schema: &Schema,
    collector: &mut Collector,
    damage: &Damage,
) -> Result<Option<u64>, Error> {
    let offset = damage.offset;
    // What stands behind an end is no message of the stream.
    if matches!(damage.fault, Fault::BehindTheEnd { .. } | Fault::ZerosBehindTheEnd) {
        return Ok(None);
    }
    source.seek(offset).map_err(Error::Read)?;
    let (at, part, length) = match scan::next(source) {
        Ok(Next::Message(head)) => {
            let place = head.place();
            (search::stream_in_body(source, schema, place), Part::Body, Some(place.body_length))
        }
        Err(damage) if damage.is_of_system() => return Err(hopeless(damage)),
        _ => (search::stream_in_head(source, schema, offset), Part::Metadata, None),
    };
    let Some(at) = at.map_err(hopeless)? else { return Ok(None) };
    collector.cuts_mut().bytes(offset, at - offset, Fault::TornBeforeAnother { part, length });
    Ok(Some(at))
}

/// The schema of a further stream, whose message this is, and how its messages come to stand behind those of the first. The
/// source stands behind the schema message then.
fn join(first: &Schema, head: Head, source: &mut Source<'_>) -> Result<(Schema, Option<Framing>), Damage> {
    let at = head.place().offset;
    head.skip_body(source)?;
    let schema = Schema::of_message(head)?;
    check_schema(first, &schema, at)?;
    match first.joining(&schema) {
        Joining::AsTheyAre => Ok((schema, None)),
        Joining::Reframed(framing) => Ok((schema, Some(framing))),
        Joining::Never(difference) => Err(Damage::new(at, Fault::OtherSchema { difference: difference.to_owned() })),
    }
}

/// Whether the marker that the source has just read is none: a length of 0, and nothing but zeros behind it, where
/// markers are longer than that.
fn is_unwritten(source: &mut Source<'_>, schema: &Schema, marker: Framing) -> Result<bool, Error> {
    let behind = source.position();
    if schema.framing() == Framing::Legacy || marker == Framing::Marked || source.lacks(1) {
        return Ok(false);
    }
    let is_zero = zeros(source).map_err(Error::Read)?.is_some();
    source.seek(behind).map_err(Error::Read)?;
    Ok(is_zero)
}

/// Collects all that a footer lists. What is wrong with the footer or the file comes back, if anything is.
fn take_all(listed: &[Listed], source: &mut Source<'_>, schema: &Schema) -> Result<Result<Collector, Damage>, Error> {
    let mut collector = Collector::new(Kind::File);
    let mut bases = Bases::default();
    for listed in listed {
        let taken = listed.head(source).and_then(|head| {
            let is_new = bases.admit_listed(&head, schema, source)?;
            let checked = schema.check(&head, source)?;
            if is_new { collector.take(checked) } else { Ok(()) }
        });
        if let Err(damage) = taken {
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
    if let Fault::SecondDictionary { path, id, first } = &damage.fault {
        // Which of the two a batch behind it was meant for, nobody can tell.
        for listed in listed.iter().filter(|listed| listed.offset >= damage.offset) {
            let fault = Fault::SecondDictionary { path: path.clone(), id: *id, first: *first };
            match listed.head(source).and_then(|head| schema.check(&head, source)) {
                Ok(checked) => collector.cuts_mut().message(&checked.item, fault),
                Err(damage) => {
                    let fault = damage.of_input()?.fault;
                    collector.cuts_mut().bytes(listed.offset, listed.place().length(), fault);
                }
            }
        }
        return Ok(());
    }
    let mut stood_at = damage.offset;
    let mut fault = Some(damage.fault);
    for listed in listed.iter().filter(|listed| listed.place().end() > damage.offset) {
        if listed.offset > stood_at {
            let unlisted = fault.take().unwrap_or(Fault::FooterLeavesOut);
            collector.cuts_mut().bytes(stood_at, listed.offset - stood_at, unlisted);
            collector.lose_dictionary();
        }
        let taken = listed
            .head(source)
            .and_then(|head| schema.check(&head, source))
            .and_then(|checked| collector.take(checked));
        if let Err(damage) = taken {
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

/// Whether there is more between the schema and the footer than what the footer lists, which is in the order in which it
/// stands.
pub(crate) fn gaps(at_front: Option<&Schema>, listed: &[Listed], footer_at: u64) -> bool {
    let first = listed.first().map(|first| first.offset);
    let mut stood_at = at_front.map(end).or(first).unwrap_or(footer_at);
    let follows = listed.iter().all(|listed| std::mem::replace(&mut stood_at, listed.place().end()) == listed.offset);
    !follows || footer_at.saturating_sub(stood_at) >= MARKER_AND_PADDING
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

/// How long the message is that a schema comes from.
fn length(schema: &Schema) -> u64 {
    schema.message().map_or(0, |head| head.place().length())
}

/// Where the message ends that a schema comes from.
fn end(schema: &Schema) -> u64 {
    schema.message().map_or(0, |head| head.place().end())
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

/// How long an end-of-stream marker is.
const MARKER: u64 = 8;

/// No more than this stands between the last message of a file and its footer. A message is longer.
const MARKER_AND_PADDING: u64 = 8 + PADDED_AT_MOST;
