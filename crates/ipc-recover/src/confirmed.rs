//! Surveys an input up to a position that a sync confirmed, and beyond.
//!
//! After a power loss, anything may follow the confirmed position: the bytes that were written, zeros where the file
//! had grown, or old content of the device. So a fault there is a tear, whatever follows it. Before the position,
//! nothing is ever cut: a fault there was written, or the device lied.
//!
//! The confirmed part is surveyed as if the input ended there, and then the whole input as usual. So no other rule of
//! the survey needs to know the position.

use std::collections::BTreeSet;

use crate::error::{Damage, Error, Fault, MessagePart};
use crate::report::Condition;
use crate::source::Source;
use crate::survey::Survey;

/// The part of an input that a sync confirmed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Confirmed {
    pub(crate) bytes: u64,
    /// Whether only the confirmed part is kept.
    pub(crate) is_all: bool,
}

impl Confirmed {
    /// Surveys an input that can seek, and keeps all that was confirmed.
    pub(crate) fn survey(self, source: &mut Source<'_>, salvages: bool) -> Result<Survey, Error> {
        let Self { bytes, is_all } = self;
        let length = source.length().unwrap_or(0);
        if bytes > length {
            return Err(Error::ConfirmedMissing { confirmed: bytes, length });
        }
        if bytes == 0 && !is_all {
            return Survey::of(source, salvages);
        }
        source.end_at(bytes);
        let confirmed = Survey::of(source, salvages);
        source.end_at(length);
        source.seek(0).map_err(Error::Read)?;
        let mut confirmed = confirmed.map_err(|error| match error {
            Error::DamagedBeforeTail { damage, .. } => Error::ConfirmedDamaged { damage, confirmed: bytes },
            other => other,
        })?;
        if !salvages {
            self.refuse_damage(&mut confirmed, length)?;
        }
        if is_all {
            return Ok(self.alone(confirmed, length));
        }
        let all = match Survey::of(source, salvages) {
            Err(Error::DamagedBeforeTail { .. }) => {
                source.seek(0).map_err(Error::Read)?;
                // This damage is not before the tail: the tail starts at the confirmed position.
                Survey::of(source, true).map(|survey| Survey { condition: Condition::Torn, ..survey })
            }
            other => other,
        }?;
        if keeps(&all, &confirmed) { Ok(all) } else { Ok(self.alone(confirmed, length)) }
    }

    /// Refuses a confirmed part that no sync can have confirmed: it is damaged, or ends inside a message.
    fn refuse_damage(self, survey: &mut Survey, length: u64) -> Result<(), Error> {
        let confirmed = self.bytes;
        let is_of_the_end = |offset: u64, fault: &Fault| {
            // Cuts between two streams lose no rows. That a stream was torn when another was appended is no fault of
            // the sync.
            let is_between = matches!(
                fault,
                Fault::Unterminated | Fault::SchemaRepeated | Fault::Aborted { .. } | Fault::TornBeforeAnother { .. }
            );
            offset >= confirmed || is_between || matches!(fault, Fault::DictionaryUnused)
        };
        let cuts = &mut survey.collected.cuts.list;
        let Some(first) = cuts.iter().position(|cut| !is_of_the_end(cut.offset, &cut.fault)) else { return Ok(()) };
        let cut = cuts.swap_remove(first);
        Err(match cut.fault {
            Fault::Truncated { part: MessagePart::Prefix | MessagePart::Metadata | MessagePart::Body, .. }
                if confirmed < length =>
            {
                Error::NoConfirmedPosition { confirmed, offset: cut.offset }
            }
            fault => Error::ConfirmedDamaged { damage: Damage::new(cut.offset, fault), confirmed },
        })
    }

    /// Returns the confirmed part alone, with everything after it cut.
    fn alone(self, confirmed: Survey, length: u64) -> Survey {
        let mut survey = confirmed;
        if length > self.bytes {
            survey.condition = Condition::Torn;
            let cuts = &mut survey.collected.cuts;
            // The new cut replaces those that say why the confirmed part has no end.
            cuts.list.retain(|cut| cut.offset < self.bytes);
            cuts.bytes(self.bytes, length - self.bytes, Fault::Unconfirmed);
        }
        survey
    }
}

/// Returns whether `all` keeps every message that `part` keeps.
fn keeps(all: &Survey, part: &Survey) -> bool {
    let offsets: BTreeSet<u64> = all.collected.kept.iter().map(|item| item.place.offset).collect();
    part.collected.kept.iter().all(|item| offsets.contains(&item.place.offset))
}
