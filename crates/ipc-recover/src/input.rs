//! What an input is: one account of it, for all who read inputs.
//!
//! An input is a file, or one or more streams, one behind the other. [`Input`] reads it from its start to its end as a
//! sequence of [`Part`]s, and trusts none of it: each message is checked against its schema, as far as its metadata
//! tells; what a footer says is checked before the first message is handed out. Who reads an input to its end without
//! damage, and finds that every stream [ended](Ending::Marker) and nothing [trails](Input::trailing), has all of it.
//!
//! - A *stream* starts with its schema message, and ends with its end-of-stream marker, or without one: where the input
//!   ends, where another stream starts, or at the mark of a writer that gave it up. Behind its end there may be another,
//!   whose batches have to be of the same schema.
//! - A *file* is what its footer says, in the footer's order: dictionary batches first. It may have no schema message at
//!   its start, or one that nobody can read. A footer that contradicts itself or leaves out whole messages is damage.
//!
//! [`recover`](crate::recover()) judges by the same rules; it reads on where this stops.

use arrow_buffer::Buffer;

use crate::check::Body;
use crate::checksums::Checksums;
use crate::contents::Listed;
use crate::dictionaries::Dictionaries;
use crate::error::{Damage, Fault};
use crate::file::{Contents, file, take};
use crate::footer::Footer;
use crate::format::{Framing, Kind, MessageKind};
use crate::message::Head;
use crate::scan::{self, Next, recognize, seek_first_message};
use crate::schema::Schema;
use crate::source::Source;
use crate::stream::{Behind, Trailing, behind, check_schema};

/// An input that is read from its start to its end.
#[derive(Debug)]
pub struct Input<'s> {
    source: Source<'s>,
    kind: Kind,
    /// The schema of the stream, or of the file, that is being read.
    schema: Schema,
    /// The schema message at the front of a file, which is what its footer says.
    front: Option<Head>,
    /// That of the first stream, once another is being read.
    first: Option<Schema>,
    streams: u64,
    /// Which dictionaries of the stream, or of the file, have come.
    dictionaries: Dictionaries,
    checksums: Checksums,
    checks_bodies: bool,
    state: State,
    trailing: Option<Trailing>,
}

/// What comes next.
#[derive(Debug)]
#[non_exhaustive]
pub enum Part {
    /// A stream begins, or the file does: what follows is of [`Input::schema`]. With it comes its message, if there is
    /// one.
    Schema(Option<Head>),
    /// A dictionary batch or a record batch, whose body [`Input::read_body`] reads. One that is not read is passed over.
    Message(Head),
    /// A stream ended, or the file did.
    End {
        /// How.
        ending: Ending,
        /// Where: what ends it, or what comes instead, starts here.
        at: u64,
    },
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// With its end-of-stream marker, framed like this; or it is a file, which ends with its footer.
    Marker(Framing),
    /// With nothing: the input ends here, between two messages. If it was cut here, nobody can tell.
    Nothing,
    /// With nothing but zeros, to the end of the input, as where a file system made room that was never written to.
    /// Readers take them for a marker.
    Zeros,
    /// With nothing, and another stream starts.
    AnotherStream,
    /// Before it began: its schema message stands there again, as where two writers share an output without a lock.
    SchemaAgain,
    /// With the mark of a writer that gave it up, for this reason.
    Aborted(String),
}

#[derive(Debug)]
enum State {
    /// The schema comes next; the source stands behind its message.
    Begin(Then),
    /// A message behind the last one, or the end.
    Messages {
        last: Option<Head>,
    },
    /// A message that the footer lists.
    Listed {
        list: std::vec::IntoIter<Listed>,
        last: Option<Head>,
    },
    /// The metadata of the next stream's schema message has been read.
    Another(Head),
    Over,
}

/// What follows a schema.
#[derive(Debug)]
enum Then {
    Messages,
    Listed(Vec<Listed>),
}

impl<'s> Input<'s> {
    /// Reads what an input starts with: the schema, and of a file all that its footer says. A file must be able to seek.
    ///
    /// # Errors
    ///
    /// What is wrong with it, if it cannot be read to its end for all that is known now. Of a file that is
    /// [`Fault::NoFooter`], among others.
    pub fn open(mut source: Source<'s>) -> Result<Self, Damage> {
        let kind = recognize(&mut source)?;
        match kind {
            Kind::Stream => Self::front(source, kind),
            Kind::File => {
                let contents = file(&mut source)?;
                Ok(Self::file(source, contents))
            }
        }
    }

    /// The same, to show what is there: a file whose footer is missing or wrong is read from its front. What is wrong with
    /// it comes back with the input; behind that, there is nothing to read.
    ///
    /// # Errors
    ///
    /// Where not even a schema can be read.
    pub fn open_broken(mut source: Source<'s>) -> Result<(Self, Option<Damage>), Damage> {
        let kind = recognize(&mut source)?;
        let broken = match kind {
            Kind::Stream => None,
            Kind::File => match file(&mut source) {
                Ok(contents) => return Ok((Self::file(source, contents), None)),
                Err(damage) => Some(damage),
            },
        };
        if kind == Kind::File {
            seek_first_message(&mut source)?;
        }
        match (Self::front(source, kind), broken) {
            (Ok(input), broken) => Ok((input, broken)),
            (Err(damage), broken) => Err(broken.unwrap_or(damage)),
        }
    }

    fn front(mut source: Source<'s>, kind: Kind) -> Result<Self, Damage> {
        let schema = Schema::read(&mut source)?;
        Ok(Self::begin(source, kind, schema, None, Then::Messages))
    }

    fn file(source: Source<'s>, Contents { schema, front, listed, dictionaries }: Contents) -> Self {
        Self { dictionaries, ..Self::begin(source, Kind::File, schema, front, Then::Listed(listed)) }
    }

    fn begin(source: Source<'s>, kind: Kind, schema: Schema, front: Option<Head>, then: Then) -> Self {
        Self {
            source,
            kind,
            checksums: schema.checksums(),
            schema: schema.without_checksums(),
            front,
            first: None,
            streams: 1,
            dictionaries: Dictionaries::default(),
            checks_bodies: false,
            state: State::Begin(then),
            trailing: None,
        }
    }

    /// The same, but with a file's messages in the order in which they stand, as far as they have not been read.
    #[must_use]
    pub fn in_stored_order(mut self) -> Self {
        if let State::Begin(Then::Listed(list)) = &mut self.state {
            list.sort_unstable();
        }
        self
    }

    /// Opens the same source again, which must be able to seek, to read it from its start.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn reopen(self) -> Result<Self, Damage> {
        let mut source = self.source;
        source.seek(0).map_err(Damage::unreadable(0))?;
        Self::open(source)
    }

    /// The same, but with a look at bodies that are not read: checksums are verified, and where the source can seek, the
    /// first bytes of bodies and of compressed buffers are looked at. Who reads a body has all but its checksum checked.
    #[must_use]
    pub fn with_a_look_at_bodies(mut self) -> Self {
        self.checks_bodies = true;
        self
    }

    /// What the input is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How long the input is, where that is known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.source.length()
    }

    /// The schema of what is being read.
    #[must_use]
    pub fn schema(&self) -> arrow_ipc::Schema<'_> {
        self.schema.flatbuffer()
    }

    /// How the messages of what is being read are framed.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.schema.framing()
    }

    /// Which messages of what is being read have checksums.
    #[must_use]
    pub fn checksums(&self) -> Checksums {
        self.checksums
    }

    /// Whether the dictionary with this id has come, and all those that its values refer to.
    pub fn has_dictionary(&mut self, id: i64) -> bool {
        self.dictionaries.missing(id).is_none()
    }

    /// Where the flatbuffer starts that holds the schema of what is being read.
    #[must_use]
    pub fn schema_offset(&self) -> u64 {
        self.schema.offset()
    }

    /// The footer, of a file that has a sound one.
    #[must_use]
    pub fn footer(&self) -> Option<&Footer> {
        self.schema.footer()
    }

    /// How many streams have begun so far. A file counts as one.
    #[must_use]
    pub fn streams(&self) -> u64 {
        self.streams
    }

    /// What stands behind the end of the file, or of the last stream and is none, once that end has been read.
    #[must_use]
    pub fn trailing(&self) -> Option<&Trailing> {
        self.trailing.as_ref()
    }

    /// Reads on. `None` is the end of the input, or of what can be read of it: see [`trailing`](Self::trailing).
    ///
    /// # Errors
    ///
    /// Where the input stops making sense, and why. Nothing can be read behind.
    #[expect(clippy::should_implement_trait, reason = "an iterator would go on behind an error")]
    pub fn next(&mut self) -> Result<Option<Part>, Damage> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Begin(then) => {
                self.state = match then {
                    Then::Messages => State::Messages { last: None },
                    Then::Listed(list) => State::Listed { list: list.into_iter(), last: None },
                };
                Ok(Some(Part::Schema(self.front.take().or_else(|| self.schema.message().cloned()))))
            }
            State::Messages { last } => {
                let is_first = last.is_none();
                self.pass(last)?;
                self.message(is_first).map(Some)
            }
            State::Listed { mut list, last } => {
                self.pass(last)?;
                let Some(place) = list.next() else {
                    let at = self.footer().map_or(0, Footer::offset);
                    let total = self.source.length().unwrap_or(0);
                    self.trailing = self.footer().and_then(|footer| Trailing::of_file(footer, total));
                    return Ok(Some(Part::End { ending: Ending::Marker(Framing::Marked), at }));
                };
                let head = place.head(&mut self.source)?;
                self.check(&head)?;
                self.state = State::Listed { list, last: Some(head.clone()) };
                Ok(Some(Part::Message(head)))
            }
            State::Another(head) => {
                let schema = self.schema_of(head)?;
                self.checksums = schema.checksums();
                self.dictionaries = Dictionaries::default();
                let before = std::mem::replace(&mut self.schema, schema.without_checksums());
                self.first.get_or_insert(before);
                self.streams += 1;
                self.state = State::Begin(Then::Messages);
                self.next()
            }
            State::Over => Ok(None),
        }
    }

    /// Reads the body of the message that has just been handed out.
    ///
    /// # Errors
    ///
    /// [`Fault::Truncated`] if it is not all there.
    pub fn read_body(&mut self, head: &Head) -> Result<Buffer, Damage> {
        let body = head.read_body(&mut self.source)?;
        self.schema.check_with(head, Body::Held(&body))?;
        Ok(body)
    }

    /// Checks the metadata of a message, and that the dictionaries have come that it needs.
    fn check(&mut self, head: &Head) -> Result<(), Damage> {
        let checked = self.schema.check_metadata(head)?;
        match (self.kind, self.schema.footer()) {
            (Kind::File, None) => Ok(()),
            // All of them are known already.
            (Kind::File, Some(_)) if head.is_dictionary() => Ok(()),
            _ => take(checked, &mut self.dictionaries),
        }
    }

    /// Passes over what has not been read of the last message.
    fn pass(&mut self, last: Option<Head>) -> Result<(), Damage> {
        let Some(head) = last else { return Ok(()) };
        let (place, is_unread) = (head.place(), self.source.position() == head.place().body());
        if self.checks_bodies && is_unread {
            if self.source.length().is_some() {
                self.schema.check(&head, &mut self.source)?;
                self.source.seek(place.body()).map_err(Damage::unreadable(place.offset))?;
            }
            return self.checksums.skip_body(&head, &mut self.source);
        }
        let left = head.place().end().saturating_sub(self.source.position());
        let is_there = self.source.skip(left).map_err(Damage::unreadable(head.place().offset))?;
        if is_there { Ok(()) } else { Err(head.truncated()) }
    }

    /// The next message of a stream, the first one or a later one, or its end.
    fn message(&mut self, is_first: bool) -> Result<Part, Damage> {
        let at = self.source.position();
        let end = |ending| Ok(Part::End { ending, at });
        let ending = match scan::next(&mut self.source)? {
            Next::Message(head) if head.kind()? == MessageKind::Schema => {
                let is_repeated = is_first && self.schema.message().is_some_and(|own| own.is_same_metadata(&head));
                self.state = State::Another(head);
                return end(if is_repeated { Ending::SchemaAgain } else { Ending::AnotherStream });
            }
            Next::Message(head) => {
                self.check(&head)?;
                if self.source.lacks(head.place().body_length) {
                    return Err(head.truncated());
                }
                self.state = State::Messages { last: Some(head.clone()) };
                return Ok(Part::Message(head));
            }
            Next::EndOfInput => return end(Ending::Nothing),
            Next::EndOfStream(framing) => Ending::Marker(framing),
            Next::Aborted(abort) => Ending::Aborted(abort.reason),
        };
        // What follows the marker of a file that is read from its front is what is left of its footer.
        let behind = if self.kind == Kind::File { Behind::Nothing } else { behind(&mut self.source)? };
        let is_short_marker = self.schema.framing() == Framing::Marked && ending == Ending::Marker(Framing::Legacy);
        match behind {
            Behind::Nothing => {}
            Behind::Stream(head) => self.state = State::Another(head),
            Behind::Other(trailing) if is_short_marker && trailing.is_zero => return end(Ending::Zeros),
            Behind::Other(trailing) => self.trailing = Some(trailing),
        }
        end(ending)
    }

    /// The schema of a further stream, whose batches have to be of the first one's.
    fn schema_of(&mut self, head: Head) -> Result<Schema, Damage> {
        let at = head.place().offset;
        head.skip_body(&mut self.source)?;
        let schema = Schema::of_message(head)?;
        check_schema(self.first.as_ref().unwrap_or(&self.schema), &schema, at)?;
        Ok(schema)
    }
}

impl Ending {
    /// What is wrong with a stream that ends so, at `offset`, if anything is.
    #[must_use]
    pub fn damage(&self, offset: u64) -> Option<Damage> {
        let fault = match self {
            Self::Marker(_) => return None,
            Self::Nothing => Fault::NoMarker,
            Self::Zeros => Fault::Zeros,
            Self::AnotherStream => Fault::Unterminated,
            Self::SchemaAgain => Fault::SchemaRepeated,
            Self::Aborted(reason) => Fault::Aborted { reason: reason.clone() },
        };
        Some(Damage::new(offset, fault))
    }
}
