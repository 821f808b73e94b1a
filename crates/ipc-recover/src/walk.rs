//! Collects messages, one after the other or as a footer lists them, up to the first one that cannot be kept.

use crate::collect::Collector;
use crate::contents::{Bases, Listed};
use crate::error::{Damage, Error, Fault};
use crate::format::{Framing, Kind, MessageKind};
use crate::message::Head;
use crate::scan::{self, Abort, Next};
use crate::schema::Schema;
use crate::source::Source;
use crate::stream::zeros;

/// How a walk ended.
pub(crate) enum End {
    /// At the end-of-stream marker. The source is after it.
    Marker,
    /// At a schema message: that of another stream, or the same one again. The source is before its body.
    Schema(Head, Fault),
    /// At the mark of a stream that was given up. The source is after it.
    Aborted(Abort),
    /// At bytes that are not a message.
    Broken(Damage),
}

impl End {
    /// Returns where the messages end.
    pub(crate) fn offset(&self) -> u64 {
        match self {
            Self::Marker => 0,
            Self::Schema(head, _) => head.place().offset,
            Self::Aborted(abort) => abort.offset,
            Self::Broken(damage) => damage.offset,
        }
    }

    /// Returns the damage, if this end comes before that of the file.
    pub(crate) fn damage(self, source: &Source<'_>) -> Damage {
        match self {
            Self::Marker => Damage::new(source.position(), Fault::BehindTheEnd { words: None }),
            Self::Schema(head, fault) => Damage::new(head.place().offset, fault),
            Self::Aborted(Abort { offset, reason, .. }) => Damage::new(offset, Fault::Aborted { reason }),
            Self::Broken(damage) => damage,
        }
    }
}

/// Collects messages from the source's position, which is after the schema.
pub(crate) fn walk(source: &mut Source<'_>, schema: &Schema, collector: &mut Collector) -> Result<End, Error> {
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

/// Collects a message whose body is at the source's position. In a file, skips a repeated dictionary, and refuses a
/// second one of the same id.
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

/// Returns whether the marker just read is not a marker: it is a length of 0 without a continuation marker, only zeros
/// follow, and this stream's markers are longer.
fn is_unwritten(source: &mut Source<'_>, schema: &Schema, marker: Framing) -> Result<bool, Error> {
    let behind = source.position();
    if schema.framing() == Framing::Legacy || marker == Framing::Marked || source.lacks(1) {
        return Ok(false);
    }
    let is_zero = zeros(source).map_err(Error::Read)?.is_some();
    source.seek(behind).map_err(Error::Read)?;
    Ok(is_zero)
}

/// Collects all messages that a footer lists. The inner `Err` is the first damage in the footer or the file.
pub(crate) fn take_all(
    listed: &[Listed],
    source: &mut Source<'_>,
    schema: &Schema,
) -> Result<Result<Collector, Damage>, Error> {
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

/// Collects the messages that a footer lists after damage, if they verify.
///
/// Bytes that the footer does not list may have been a dictionary batch.
pub(crate) fn salvage(
    listed: &[Listed],
    damage: Damage,
    source: &mut Source<'_>,
    schema: &Schema,
    collector: &mut Collector,
) -> Result<(), Error> {
    if let Fault::SecondDictionary { path, id, first } = &damage.fault {
        // There is no telling which of the two dictionaries a later batch refers to.
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
    // With a damaged schema message, all listed messages may still match the footer's schema. Then the damage has not
    // been reported yet.
    if let (Some(fault), true) = (fault, collector.cuts_mut().is_empty()) {
        collector.cuts_mut().bytes(stood_at, 0, fault);
    }
    Ok(())
}
