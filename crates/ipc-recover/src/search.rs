//! Searches for a whole message after damage, which distinguishes an input that is damaged before its end from one
//! that is torn at its end.
//!
//! Any bytes may be there, so a message counts only if it verifies, is complete, and matches the schema. Bytes could be
//! made to look like the starts of many long messages, so the number of bytes read is limited in proportion to the
//! input. An input that exceeds the limit counts as damaged.

use std::ops::Range;

use ipc_core::format::CONTINUATION;

use crate::checksums::Checksums;
use crate::error::{Damage, Fault};
use crate::format::{Framing, Place};
use crate::message::Head;
use crate::scan::{self, Next, START, metadata_claim};
use crate::schema::Schema;
use crate::source::Source;

/// Returns where the first whole message after this damage starts, if there is one.
pub(crate) fn whole_message(source: &mut Source<'_>, schema: &Schema, damage: &Damage) -> Result<Option<u64>, Damage> {
    let from = start(source, damage);
    let total = source.length().unwrap_or(0);
    let mut allowance = total.saturating_sub(from).saturating_mul(READ_AT_MOST).saturating_add(READ_ANYWAY);
    let mut block = vec![0; BLOCK];
    let mut at = from;
    loop {
        source.seek(at).map_err(Damage::unreadable(at))?;
        let length = source.read_up_to(&mut block).map_err(Damage::unreadable(at))?;
        if length < START {
            return Ok(None);
        }
        for (start, offset) in block[..length].windows(START).zip(at..) {
            let Some(claimed) = metadata_claim(start, schema.framing(), total.saturating_sub(offset)) else { continue };
            let Some(left) = allowance.checked_sub(claimed) else { return Ok(Some(offset)) };
            allowance = left;
            if is_whole(source, schema, offset, &mut allowance)? {
                return Ok(Some(offset));
            }
        }
        at += (length - START + 1) as u64;
    }
}

/// Returns where, inside a message's body, a stream of this schema starts that continues past the end of the body, if
/// there is one. A stream that ends inside the body is a value. If the body claims to reach past the end of the input,
/// the streams in it must end where the input ends.
pub(crate) fn stream_in_body(source: &mut Source<'_>, schema: &Schema, place: Place) -> Result<Option<u64>, Damage> {
    let goes_on = |source: &mut Source<'_>, from| goes_across(source, schema, from, place.end());
    first_stream(source, schema, place.body()..place.end(), goes_on)
}

/// Returns where a stream of this schema starts inside the prefix or the metadata of an unreadable message at `offset`,
/// if there is one.
pub(crate) fn stream_in_head(source: &mut Source<'_>, schema: &Schema, offset: u64) -> Result<Option<u64>, Damage> {
    let framing = schema.framing();
    let unreadable = Damage::unreadable(offset);
    source.seek(offset).map_err(&unreadable)?;
    let prefix = source.peek::<8>().map_err(&unreadable)?;
    let length = match framing {
        Framing::Marked => prefix.strip_prefix(&CONTINUATION).unwrap_or_default(),
        Framing::Legacy => &prefix,
    };
    // A torn prefix is followed by the start of the other stream, so its length may be meaningless.
    let claimed = length.first_chunk().and_then(|word| u64::try_from(i32::from_le_bytes(*word)).ok()).unwrap_or(0);
    let end = offset.saturating_add(framing.length()).saturating_add(claimed);
    first_stream(source, schema, offset + 1..end, |source, from| is_schema(source, schema, from))
}

/// Returns where the first stream of this schema that `is_it` accepts starts in a range.
fn first_stream(
    source: &mut Source<'_>,
    schema: &Schema,
    range: Range<u64>,
    mut is_it: impl FnMut(&mut Source<'_>, u64) -> Result<bool, Damage>,
) -> Result<Option<u64>, Damage> {
    let Some(own) = schema.message().map(Head::flatbuffer) else { return Ok(None) };
    let start = &own[..own.len().min(BLOCK / 2)];
    let prefix = schema.framing().length();
    let length = range.end.min(source.length().unwrap_or(range.end)).saturating_sub(range.start);
    let mut allowance = length.saturating_mul(READ_AT_MOST).saturating_add(READ_ANYWAY);
    let mut block = vec![0; BLOCK];
    // Flatbuffers are searched for, and they follow their prefixes.
    let mut at = range.start.saturating_add(prefix);
    while at < range.end.saturating_add(prefix) {
        source.seek(at).map_err(Damage::unreadable(at))?;
        let length = source.read_up_to(&mut block).map_err(Damage::unreadable(at))?;
        for (_, offset) in block[..length].windows(start.len()).zip(at..).filter(|(window, _)| *window == start) {
            let from = offset - prefix;
            if !range.contains(&from) {
                continue;
            }
            if is_it(source, from)? {
                return Ok(Some(from));
            }
            let Some(left) = allowance.checked_sub(source.position().saturating_sub(from)) else { return Ok(None) };
            allowance = left;
        }
        if length < block.len() {
            break;
        }
        at += (length - start.len() + 1) as u64;
    }
    Ok(None)
}

/// Returns whether the messages of a stream that starts at `from` continue past `end`. If the input ends before that,
/// returns whether they, and the streams after them, end with the input.
fn goes_across(source: &mut Source<'_>, schema: &Schema, from: u64, end: u64) -> Result<bool, Damage> {
    let total = source.length().unwrap_or(end);
    source.seek(from).map_err(Damage::unreadable(from))?;
    let mut begins = true;
    while source.position() < end.min(total) {
        let was_begin = std::mem::replace(&mut begins, false);
        let checked = scan::next(source).and_then(|next| match next {
            Next::Message(head) if was_begin => {
                let is_same = schema.message().is_some_and(|own| own.is_same_metadata(&head));
                head.skip_body(source).map(|()| is_same)
            }
            Next::Message(head) => schema.check(&head, source).map(|_| true),
            // After a marker, another stream may begin.
            Next::EndOfStream(_) => {
                begins = true;
                Ok(end > total && !was_begin)
            }
            _ => Ok(false),
        });
        match checked {
            Ok(true) => {}
            Err(damage) if damage.is_of_system() => return Err(damage),
            _ => return Ok(false),
        }
    }
    Ok(source.position() > end || end > total)
}

/// Returns whether the schema message of a stream starts at `from`.
fn is_schema(source: &mut Source<'_>, schema: &Schema, from: u64) -> Result<bool, Damage> {
    source.seek(from).map_err(Damage::unreadable(from))?;
    match scan::next(source) {
        Ok(Next::Message(head)) => Ok(schema.message().is_some_and(|own| own.is_same_metadata(&head))),
        Err(damage) if damage.is_of_system() => Err(damage),
        _ => Ok(false),
    }
}

/// Returns where to start the search for a whole message after this damage. A body that is complete but wrong is
/// skipped, since its content is no message.
fn start(source: &mut Source<'_>, damage: &Damage) -> u64 {
    // Bytes after an end may themselves be a message. Any other damage starts at bytes that are not a message.
    let is_of_the_end = matches!(damage.fault, Fault::BehindTheEnd { .. });
    let anywhere = if is_of_the_end { damage.offset } else { damage.offset.saturating_add(1) };
    if !matches!(damage.fault, Fault::Checksum { .. } | Fault::ChecksumMissing) {
        return anywhere;
    }
    match source.seek(damage.offset).ok().and_then(|()| scan::next(source).ok()) {
        Some(Next::Message(head)) => head.place().end(),
        _ => anywhere,
    }
}

fn is_whole(source: &mut Source<'_>, schema: &Schema, offset: u64, allowance: &mut u64) -> Result<bool, Damage> {
    source.seek(offset).map_err(Damage::unreadable(offset))?;
    let checked = scan::next(source).and_then(|next| match next {
        Next::Message(head) => {
            // If the body has a checksum, it is read as well.
            if schema.checksums() != Checksums::None && !source.lacks(head.place().body_length) {
                let Some(left) = allowance.checked_sub(head.place().body_length) else { return Ok(true) };
                *allowance = left;
            }
            schema.check(&head, source).map(|_| true)
        }
        Next::EndOfStream(_) | Next::Aborted(_) | Next::EndOfInput => Ok(false),
    });
    checked.or_else(|damage| if damage.is_of_system() { Err(damage) } else { Ok(false) })
}

/// The number of bytes that are read at once.
const BLOCK: usize = 64 * 1024;

/// How often each byte may be read as part of something that looks like a message.
const READ_AT_MOST: u64 = 8;

/// The number of bytes that may be read in addition, however short the input.
const READ_ANYWAY: u64 = 16 * 1024 * 1024;
