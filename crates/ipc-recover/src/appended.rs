//! Handles the ends of streams that were torn: streams appended to a torn one, and bodies that were never written in
//! full.

use std::io::Read;

use crate::checksums::Checksums;
use crate::collect::Collector;
use crate::error::{Damage, Error, Fault, MessagePart, hopeless};
use crate::format::{Framing, Kind, PADDED_AT_MOST, Place};
use crate::message::Head;
use crate::scan::{self, Next};
use crate::schema::{Item, Joining, Schema};
use crate::search;
use crate::source::Source;
use crate::stream::check_schema;

/// Finds a stream that was appended to one that was torn inside a message, and returns the head of its schema message.
/// The damage is after the start of that stream, or in the torn message. Cuts the part of the torn message that is
/// there.
pub(crate) fn appended(
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

/// Finds another stream that starts inside the body of the last kept message: the rest of that body was never written.
/// Cuts that message, and returns where the stream starts.
fn inside_the_last(
    source: &mut Source<'_>,
    schema: &Schema,
    collector: &mut Collector,
    damage: &Damage,
) -> Result<Option<u64>, Error> {
    // A body whose checksum is right is complete.
    if schema.checksums() == Checksums::All {
        return Ok(None);
    }
    // Bytes that belong to no message may look like a marker.
    let is_behind = |last: &Item| damage.offset.checked_sub(last.place.end()).is_some_and(|gap| gap <= MARKER);
    let Some(last) = collector.last().filter(is_behind) else { return Ok(None) };
    let Some(at) = search::stream_in_body(source, schema, last.place).map_err(hopeless)? else { return Ok(None) };
    let body_length = at.saturating_sub(last.place.body());
    let fault = Fault::TornBeforeAnother { part: MessagePart::Body, length: Some(last.place.body_length) };
    let torn = Item { place: Place { body_length, ..last.place }, ..last };
    collector.cut_last(&torn, fault);
    Ok(Some(at))
}

/// Finds another stream that starts inside the damaged message. Cuts the part of the message before it, and returns
/// where the stream starts.
fn inside_the_damaged(
    source: &mut Source<'_>,
    schema: &Schema,
    collector: &mut Collector,
    damage: &Damage,
) -> Result<Option<u64>, Error> {
    let offset = damage.offset;
    // Bytes after the end are not a message of the stream.
    if matches!(damage.fault, Fault::BehindTheEnd { .. } | Fault::ZerosBehindTheEnd) {
        return Ok(None);
    }
    source.seek(offset).map_err(Error::Read)?;
    let (at, part, length) = match scan::next(source) {
        Ok(Next::Message(head)) => {
            let place = head.place();
            (search::stream_in_body(source, schema, place), MessagePart::Body, Some(place.body_length))
        }
        Err(damage) if damage.is_of_system() => return Err(hopeless(damage)),
        _ => (search::stream_in_head(source, schema, offset), MessagePart::Metadata, None),
    };
    let Some(at) = at.map_err(hopeless)? else { return Ok(None) };
    collector.cuts_mut().bytes(offset, at - offset, Fault::TornBeforeAnother { part, length });
    Ok(Some(at))
}

/// Reads the schema of a further stream from its schema message `head`. Also returns the framing of its messages, if
/// they must be reframed to follow those of the first stream. Leaves the source after the schema message.
pub(crate) fn join(first: &Schema, head: Head, source: &mut Source<'_>) -> Result<(Schema, Option<Framing>), Damage> {
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

/// Cuts the last message, which ends at `end`, if its body ends in more zeros than padding explains. Only zeros follow
/// it, to the end of the input, so a part of the body may never have been written.
pub(crate) fn cut_unwritten(source: &mut Source<'_>, end: u64, collector: &mut Collector) -> Result<(), Error> {
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

/// The length of an end-of-stream marker.
const MARKER: u64 = 8;
