//! Lists the messages of an input, as far as it makes sense.
//!
//! Only metadata is read; bodies are passed over, unless they have checksums, which are verified. A stream is listed from the front, a file in the order in which what
//! its footer names stands there, and a file without a footer from the front. What the messages *say* is not checked.

use crate::checksums::Checksums;
use crate::error::{Damage, Fault};
use crate::footer::Footer;
use crate::scan::{self, Content, Head, Kind, MessageKind, Next, Place};
use crate::source::Source;

/// Shows every message whose body is all there to `each`, and returns where and why the list stops before the end of
/// the input, if it does.
///
/// The source stands at its start. That of a file must be able to seek; that of a stream stands behind the
/// end-of-stream marker then, if nothing was wrong.
///
/// # Errors
///
/// What `each` returns. It ends the list.
pub fn list<E>(
    source: &mut Source<'_>,
    kind: Kind,
    each: impl FnMut(&Head, &Content) -> Result<(), E>,
) -> Result<Option<Damage>, E> {
    let mut list = List { source, each, checksums: Checksums::None };
    match kind {
        Kind::Stream => list.walk(),
        Kind::File => list.walk_file(),
    }
}

/// A list in the making.
struct List<'l, 's, F> {
    source: &'l mut Source<'s>,
    each: F,
    checksums: Checksums,
}

impl<E, F: FnMut(&Head, &Content) -> Result<(), E>> List<'_, '_, F> {
    /// Lists what the footer says; without a footer, what stands there.
    fn walk_file(&mut self) -> Result<Option<Damage>, E> {
        let footer = Footer::read(self.source);
        if let Err(damage) = scan::seek_first_message(self.source) {
            return Ok(Some(damage));
        }
        match footer {
            Ok(footer) => self.walk_footer(&footer),
            Err(damage) => {
                let stopped = self.walk()?;
                Ok(Some(stopped.unwrap_or(damage)))
            }
        }
    }

    fn walk_footer(&mut self, footer: &Footer) -> Result<Option<Damage>, E> {
        let schema = match scan::next(self.source) {
            Ok(Next::Message(head)) => self.show(&head)?,
            Ok(_) => Some(Damage::new(self.source.position(), Fault::InvalidMetadata)),
            Err(damage) => Some(damage),
        };
        if schema.is_some() {
            return Ok(schema);
        }
        let mut places: Vec<Place> = footer.dictionaries().chain(footer.record_batches()).collect();
        places.sort_unstable();
        for place in places {
            if place.offset < self.source.position() {
                return Ok(Some(Damage::new(place.offset, Fault::PlacesOverlap)));
            }
            let stopped = match place.head(self.source) {
                Ok(head) => self.show(&head)?,
                Err(damage) => Some(damage),
            };
            if stopped.is_some() {
                return Ok(stopped);
            }
        }
        Ok(None)
    }

    /// Lists messages up to the end-of-stream marker.
    fn walk(&mut self) -> Result<Option<Damage>, E> {
        loop {
            let stopped = match scan::next(self.source) {
                Ok(Next::Message(head)) => self.show(&head)?,
                Ok(Next::EndOfStream(_)) => return Ok(None),
                Ok(Next::EndOfInput) => Some(Damage::new(self.source.position(), Fault::NoMarker)),
                Err(damage) => Some(damage),
            };
            if stopped.is_some() {
                return Ok(stopped);
            }
        }
    }

    /// Shows a message whose body is all there.
    fn show(&mut self, head: &Head) -> Result<Option<Damage>, E> {
        if head.kind().is_ok_and(|kind| kind == MessageKind::Schema) {
            self.checksums = Checksums::announced_by(head);
        }
        match head.content().and_then(|content| self.checksums.skip_body(head, self.source).map(|()| content)) {
            Ok(content) => (self.each)(head, &content).map(|()| None),
            Err(damage) => Ok(Some(damage)),
        }
    }
}
