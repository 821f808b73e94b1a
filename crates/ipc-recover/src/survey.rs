//! Surveys an input before anything is written: which messages are kept, which are cut, and in what condition the input
//! is.
//!
//! A stream, or a file without a footer, is walked from the front up to the first message that is not whole. After the
//! end of a stream, the walk continues with another stream of the same schema. A file with a footer is read by the
//! footer. If the footer is wrong or may be incomplete, the file is also walked from the front: if the walk gets to the
//! footer, the footer is wrong; otherwise the file is.
//!
//! An input is *torn* if nothing whole follows the point where it stops making sense. Otherwise it is *damaged*, and
//! refused unless it is to be salvaged: cutting it there might lose much more than is broken.

use crate::appended::{appended, cut_unwritten, join};
use crate::checksums::Checksums;
use crate::collect::{Collected, Collector};
use crate::contents::{
    Listed, MARKER_AND_PADDING, end_of_schema, gaps, is_in_order, of_footer, schema_at_front, stored,
};
use crate::error::{Damage, Error, Fault, MessagePart, hopeless};
use crate::footer::Footer;
use crate::format::Kind;
use crate::report::{Condition, Cut};
use crate::scan::{Abort, recognize, seek_first_message};
use crate::schema::Schema;
use crate::search;
use crate::source::Source;
use crate::stream::{Behind, behind};
use crate::walk::{End, salvage, take_all, walk};

/// The result of a survey.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) kind: Kind,
    pub(crate) schema: Schema,
    /// The length of the schema message at the start of the input; 0 if there is none.
    pub(crate) schema_length: u64,
    pub(crate) condition: Condition,
    /// The number of consecutive streams that were kept. A file counts as one.
    pub(crate) streams: u64,
    pub(crate) collected: Collected,
}

impl Survey {
    /// Surveys an input that can seek. Refuses a damaged one, unless it is to be salvaged.
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

    /// Surveys streams, or a file whose footer is missing or wrong.
    fn from_front(source: &mut Source<'_>, kind: Kind, footer: Option<Damage>, salvages: bool) -> Result<Self, Error> {
        match kind {
            Kind::Stream => source.seek(0).map_err(Error::Read)?,
            Kind::File => seek_first_message(source).map_err(hopeless)?,
        }
        let schema = Schema::read(source).map_err(hopeless)?;
        let schema_length = length(&schema);
        let mut collector = Collector::new(kind);
        let mut streams = 1;
        // The schema of the current stream, after the first one.
        let mut further: Option<Schema> = None;
        let damage = loop {
            let own = further.as_ref().unwrap_or(&schema);
            let behind_it = match walk(source, own, &mut collector)? {
                End::Broken(damage) => match appended(source, own, &mut collector, &damage, kind)? {
                    Some(head) => Behind::Stream(head),
                    None => break Some(damage),
                },
                // Bytes after the marker of a file are the rest of its footer.
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
                    // With checksums, it is known which zeros were written.
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

    /// Surveys a file by its footer, and from the front if the footer may be incomplete.
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
        // Without a schema message, bytes before the first listed message belong to no message.
        let front = at_front
            .as_ref()
            .map(end_of_schema)
            .or_else(|| in_order.first().map(|first| first.offset))
            .unwrap_or(footer_at);
        let mut collector = Collector::new(Kind::File);
        source.seek(front).map_err(Error::Read)?;
        let walked = walk(source, at_front.as_ref().unwrap_or(&schema), &mut collector)?;
        let stopped_at = match &walked {
            End::Marker => source.position(),
            other => other.offset(),
        };
        let is_all = footer_at.saturating_sub(stopped_at) < MARKER_AND_PADDING;
        let mut damage = match (by_footer, walked) {
            // The format allows gaps between messages, and some files grew after a marker. But a footer whose lists
            // were lost in a power loss verifies, and lists nothing.
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
            // The messages before the damage were checked against the schema at the front. The footer's schema also has
            // key-value pairs, so it is preferred, unless it is damaged as well: then fewer of those messages match it.
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

    /// Returns the length of the prefix of the input that equals what its recovery would write: the whole input of
    /// `total` bytes, or all before the zeros after its end. Returns `None` if recovery would write something else.
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

/// Returns the length of the message that a schema comes from.
fn length(schema: &Schema) -> u64 {
    schema.message().map_or(0, |head| head.place().length())
}

/// Whether no search after this fault is worthwhile.
fn is_tear(fault: &Fault) -> bool {
    matches!(fault, Fault::NoMarker | Fault::Zeros | Fault::Truncated { part: MessagePart::Body, .. })
}

/// For `or_else`: turns damage that only the system can have caused into an error.
fn unreadable(damage: Damage) -> Result<Option<u64>, Error> {
    damage.of_input().map(|_| None)
}
