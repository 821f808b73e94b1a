//! Surveys an input of which it is known how far a sync had confirmed it.
//!
//! After a loss of power, what stands behind the confirmed position may be anything: bytes that came, zeros where the
//! file had grown, old content of the device. So there, damage is a tear, whatever stands behind it. Before it, nothing
//! is ever cut: what is wrong there was wrong before, or the device lied.
//!
//! The confirmed part is surveyed as an input of its own, which ends there, and the rest as ever. No rule of the survey
//! has to know of the position.

use std::collections::BTreeSet;

use crate::error::{Damage, Error, Fault, MessagePart};
use crate::report::Condition;
use crate::source::Source;
use crate::survey::Survey;

/// How far a sync had confirmed an input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Confirmed {
    pub(crate) bytes: u64,
    /// Whether nothing else is kept.
    pub(crate) is_all: bool,
}

impl Confirmed {
    /// Surveys an input that can seek, and keeps what was confirmed.
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
                // It is not before the tail, since the tail starts at the confirmed position.
                Survey::of(source, true).map(|survey| Survey { condition: Condition::Torn, ..survey })
            }
            other => other,
        }?;
        if keeps(&all, &confirmed) { Ok(all) } else { Ok(self.alone(confirmed, length)) }
    }

    /// Refuses a confirmed part that is not what a sync has confirmed: one that is damaged, or ends inside a message.
    fn refuse_damage(self, survey: &mut Survey, length: u64) -> Result<(), Error> {
        let confirmed = self.bytes;
        let is_of_the_end = |offset: u64, fault: &Fault| {
            // Nothing is lost with what stands between two streams. That one was torn when another was appended is no news.
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

    /// The confirmed part, with all behind it cut.
    fn alone(self, confirmed: Survey, length: u64) -> Survey {
        let mut survey = confirmed;
        if length > self.bytes {
            survey.condition = Condition::Torn;
            let cuts = &mut survey.collected.cuts;
            // In its place stands why the confirmed part has no end.
            cuts.list.retain(|cut| cut.offset < self.bytes);
            cuts.bytes(self.bytes, length - self.bytes, Fault::Unconfirmed);
        }
        survey
    }
}

/// Whether `all` has every message that `part` has.
fn keeps(all: &Survey, part: &Survey) -> bool {
    let offsets: BTreeSet<u64> = all.collected.kept.iter().map(|item| item.place.offset).collect();
    part.collected.kept.iter().all(|item| offsets.contains(&item.place.offset))
}
