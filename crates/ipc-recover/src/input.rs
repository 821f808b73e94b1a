//! Reads an input from its start to its end. Every command judges inputs by these rules.
//!
//! An input is a file, or one or more consecutive streams. [`Input`] reads it as a sequence of [`Part`]s, and trusts
//! none of it. Each message is checked against its schema, as far as its metadata allows. Everything that a footer says
//! is checked before the first message is returned. An input is complete if it has been read to its end without damage,
//! every stream [ended](Ending::Marker), and nothing [follows](Input::trailing).
//!
//! - A *stream* starts with its schema message. It ends with its end-of-stream marker, or without one: where the input
//!   ends, where another stream starts, or at an abort mark. It may be followed by another stream of the same schema.
//! - A *file* is read by its footer: dictionary batches first, in the footer's order. It may lack a readable schema
//!   message at its start. A footer that contradicts itself or leaves out whole messages is damage.
//!
//! [`recover`](crate::recover()) follows the same rules, and continues where this stops.

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

/// An input, read from its start to its end.
#[derive(Debug)]
pub struct Input<'s> {
    source: Source<'s>,
    kind: Kind,
    /// The schema of the current stream, or of the file.
    schema: Schema,
    /// The schema message at the start of a file that is read by its footer.
    front: Option<Head>,
    /// The schema of the first stream, once a later one is being read.
    first: Option<Schema>,
    streams: u64,
    /// The dictionaries of the current stream, or of the file, that have been read.
    dictionaries: Dictionaries,
    checksums: Checksums,
    checks_bodies: bool,
    state: State,
    trailing: Option<Trailing>,
}

/// A part of an input.
#[derive(Debug)]
#[non_exhaustive]
pub enum Part {
    /// The start of a stream, or of the file; the parts that follow have [`Input::schema`]. Holds the schema message,
    /// if there is one.
    Schema(Option<Head>),
    /// A dictionary batch or a record batch. [`Input::read_body`] reads its body; otherwise the body is skipped.
    Message(Head),
    /// The end of a stream, or of the file.
    End {
        /// How it ended.
        ending: Ending,
        /// The offset of what ends it, or of what follows.
        at: u64,
    },
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// With its end-of-stream marker, which has this framing; or with the footer of a file.
    Marker(Framing),
    /// Without a marker: the input ends here, between two messages. It may have been cut.
    Nothing,
    /// Without a marker: only zeros follow, to the end of the input, as in space that a file system allocated and never
    /// wrote. Readers take them for a marker.
    Zeros,
    /// Without a marker: another stream starts.
    AnotherStream,
    /// Before its first batch: its schema message is repeated, as if two writers share an output without a lock.
    SchemaAgain,
    /// With an abort mark, which has this reason.
    Aborted(String),
}

#[derive(Debug)]
enum State {
    /// The schema is returned next. The source is after its message.
    Begin(Then),
    /// The message after the last one is read next, or the end.
    Messages {
        last: Option<Head>,
    },
    /// The next message that the footer lists is read next.
    Listed {
        list: std::vec::IntoIter<Listed>,
        last: Option<Head>,
    },
    /// The metadata of the next stream's schema message has been read.
    Another(Head),
    Over,
}

/// What is read after a schema.
#[derive(Debug)]
enum Then {
    Messages,
    Listed(Vec<Listed>),
}

impl<'s> Input<'s> {
    /// Reads the start of an input: the schema, and of a file all that its footer says. A file must be able to seek.
    ///
    /// # Errors
    ///
    /// The damage, if the input is already known not to be readable to its end. For example, [`Fault::NoFooter`] for a
    /// file without one.
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

    /// As [`open`](Self::open), but reads a file whose footer is missing or wrong from its front, to show what is
    /// there. The damage is returned with the input. Nothing after it can be read.
    ///
    /// # Errors
    ///
    /// If no schema can be read.
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

    /// Returns the same input, with a file's messages in the order of their offsets. Has an effect only before the
    /// first part is read.
    #[must_use]
    pub fn in_stored_order(mut self) -> Self {
        if let State::Begin(Then::Listed(list)) = &mut self.state {
            list.sort_unstable();
        }
        self
    }

    /// Opens the same source again, to read it from its start. The source must be able to seek.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn reopen(self) -> Result<Self, Damage> {
        let mut source = self.source;
        source.seek(0).map_err(Damage::unreadable(0))?;
        Self::open(source)
    }

    /// Returns the same input, which also checks bodies that are skipped: it verifies checksums and, if the source can
    /// seek, looks at the first bytes of bodies and of compressed buffers. A body that is read is checked in any case,
    /// except for its checksum.
    #[must_use]
    pub fn with_a_look_at_bodies(mut self) -> Self {
        self.checks_bodies = true;
        self
    }

    /// Returns whether the input is a file or a stream.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the length of the input in bytes, if it is known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.source.length()
    }

    /// Returns the schema of the current stream, or of the file.
    #[must_use]
    pub fn schema(&self) -> arrow_ipc::Schema<'_> {
        self.schema.flatbuffer()
    }

    /// Returns the framing of the messages in the current stream, or in the file.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.schema.framing()
    }

    /// Returns which messages of the current stream, or of the file, have checksums.
    #[must_use]
    pub fn checksums(&self) -> Checksums {
        self.checksums
    }

    /// Returns whether the dictionary with this id has been read, and all those that its values refer to.
    pub fn has_dictionary(&mut self, id: i64) -> bool {
        self.dictionaries.missing(id).is_none()
    }

    /// Returns the offset of the message or footer that holds the current schema.
    #[must_use]
    pub fn schema_offset(&self) -> u64 {
        self.schema.offset()
    }

    /// Returns the footer of a file, if it is valid.
    #[must_use]
    pub fn footer(&self) -> Option<&Footer> {
        self.schema.footer()
    }

    /// Returns the number of streams that have begun so far. A file counts as one.
    #[must_use]
    pub fn streams(&self) -> u64 {
        self.streams
    }

    /// Returns the bytes after the end of the file, or of the last stream, if they are not a stream; `None` before that
    /// end has been read.
    #[must_use]
    pub fn trailing(&self) -> Option<&Trailing> {
        self.trailing.as_ref()
    }

    /// Reads the next part. Returns `None` at the end of the input, or of what can be read of it: see
    /// [`trailing`](Self::trailing).
    ///
    /// # Errors
    ///
    /// Where the input stops making sense, and why. Nothing can be read after that.
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

    /// Reads the body of the message that was returned last.
    ///
    /// # Errors
    ///
    /// [`Fault::Truncated`] if the body is incomplete.
    pub fn read_body(&mut self, head: &Head) -> Result<Buffer, Damage> {
        let body = head.read_body(&mut self.source)?;
        self.schema.check_with(head, Body::Held(&body))?;
        Ok(body)
    }

    /// Checks the metadata of a message, and that the dictionaries it needs have been read.
    fn check(&mut self, head: &Head) -> Result<(), Damage> {
        let checked = self.schema.check_metadata(head)?;
        match (self.kind, self.schema.footer()) {
            (Kind::File, None) => Ok(()),
            // The dictionaries of a file were all read beforehand.
            (Kind::File, Some(_)) if head.is_dictionary() => Ok(()),
            _ => take(checked, &mut self.dictionaries),
        }
    }

    /// Skips the unread rest of the last message.
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

    /// Reads the next message of a stream, or its end. `is_first` is set for the first message after the schema.
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
        // In a file that is read from its front, bytes after the marker are the rest of its footer.
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

    /// Reads the schema of a later stream, which must equal that of the first one.
    fn schema_of(&mut self, head: Head) -> Result<Schema, Damage> {
        let at = head.place().offset;
        head.skip_body(&mut self.source)?;
        let schema = Schema::of_message(head)?;
        check_schema(self.first.as_ref().unwrap_or(&self.schema), &schema, at)?;
        Ok(schema)
    }
}

impl Ending {
    /// Returns the damage of a stream that ends this way at `offset`, if it is damage.
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
