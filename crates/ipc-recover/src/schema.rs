//! The schema of an input, and the check of messages against it.
//!
//! The flatbuffer that holds the schema is kept as it is, so that the output's schema equals the input's, byte for
//! byte: with the ids of its dictionaries, and with anything that a later version of the format may have added.

use std::io;

use arrow_ipc::{Footer as FooterTable, MetadataVersion, RecordBatch};

use crate::check::{Body, Claims, Failed, Passed};
use crate::checksums::Checksums;
use crate::error::{Damage, Fault, MessagePart};
use crate::footer::Footer;
use crate::format::{Framing, MessageKind, PADDED_AT_MOST, Place};
use crate::layout::{Array, Layout, path};
use crate::message::Head;
use crate::scan::{self, Next, START, metadata_claim};
use crate::source::Source;

/// A schema that batches can be checked against.
#[derive(Debug)]
pub(crate) struct Schema {
    holder: Holder,
    layout: Layout,
    /// The metadata version of all messages.
    version: MetadataVersion,
    /// Which messages have checksums.
    checksums: Checksums,
}

/// The flatbuffer that contains a schema.
#[derive(Debug)]
enum Holder {
    Message(Head),
    Footer(Footer),
}

/// A message that matches its schema.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) item: Item,
    /// The ids of the dictionaries that its values refer to.
    pub(crate) needs: Vec<i64>,
}

/// A dictionary batch or a record batch, and its position.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    pub(crate) place: Place,
    pub(crate) role: Role,
    /// The message's own framing, if the output has another framing or metadata version.
    pub(crate) reframed: Option<Framing>,
}

/// How the messages of a later stream can follow those of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joining {
    /// Byte for byte.
    AsTheyAre,
    /// With unchanged bodies, but with the prefix and the version of the first stream. Their own framing is this.
    Reframed(Framing),
    /// They cannot, for this reason.
    Never(&'static str),
}

/// What a batch message contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    RecordBatch { rows: u64 },
    DictionaryBatch { id: i64, is_delta: bool },
}

impl Schema {
    /// Returns the schema in a schema message.
    pub(crate) fn of_message(head: Head) -> Result<Self, Damage> {
        let found = head.kind()?;
        if found != MessageKind::Schema {
            return Err(Damage::new(head.place().offset, Fault::Misplaced { expected: "a schema", found }));
        }
        let layout = match head.message().header_as_schema() {
            Some(schema) => Layout::new(&schema).map_err(|fault| Damage::new(head.place().offset, fault))?,
            None => return Err(head.unknown()),
        };
        let (version, checksums) = (head.version(), Checksums::announced_by(&head));
        Ok(Self { holder: Holder::Message(head), layout, version, checksums })
    }

    /// Returns the schema in a footer. The metadata version and the checksums are those of the schema message at the
    /// front: some footers have another version, and no footer announces checksums.
    pub(crate) fn of_footer(footer: Footer, at_front: Option<&Self>) -> Result<Self, Damage> {
        let layout = Layout::new(&footer.schema()).map_err(|fault| Damage::new(footer.offset(), fault))?;
        let version = at_front.map_or_else(|| footer.flatbuffer().version(), Self::version);
        let checksums = at_front.map_or(Checksums::Unknown, Self::checksums);
        Ok(Self { holder: Holder::Footer(footer), layout, version, checksums })
    }

    /// Reads the schema message at the source's position. Leaves the source after it.
    pub(crate) fn read(source: &mut Source<'_>) -> Result<Self, Damage> {
        let offset = source.position();
        let head = match scan::next(source)? {
            Next::Message(head) => head,
            Next::EndOfStream(_) => return Err(Damage::new(offset, no_schema("an end-of-stream marker"))),
            Next::Aborted(_) => return Err(Damage::new(offset, no_schema("an abort mark"))),
            Next::EndOfInput => {
                return Err(Damage::new(offset, Fault::Truncated { part: MessagePart::Prefix, length: None }));
            }
        };
        head.skip_body(source)?;
        Self::of_message(head)
    }

    /// Returns the offset of the message or footer that holds the schema.
    pub(crate) fn offset(&self) -> u64 {
        match &self.holder {
            Holder::Message(head) => head.place().offset,
            Holder::Footer(footer) => footer.offset(),
        }
    }

    /// Returns the schema message, if the schema comes from one.
    pub(crate) fn message(&self) -> Option<&Head> {
        match &self.holder {
            Holder::Message(head) => Some(head),
            Holder::Footer(_) => None,
        }
    }

    /// Returns the footer, if the schema comes from one.
    pub(crate) fn footer(&self) -> Option<&Footer> {
        match &self.holder {
            Holder::Message(_) => None,
            Holder::Footer(footer) => Some(footer),
        }
    }

    /// Returns the framing of the messages with this schema.
    pub(crate) fn framing(&self) -> Framing {
        self.message().map_or(Framing::Marked, Head::framing)
    }

    /// Returns the metadata version of all messages.
    pub(crate) fn version(&self) -> MetadataVersion {
        self.version
    }

    /// Returns which messages have checksums.
    pub(crate) fn checksums(&self) -> Checksums {
        self.checksums
    }

    /// Returns the same schema without checksums, for a caller that verifies them itself.
    pub(crate) fn without_checksums(self) -> Self {
        Self { checksums: Checksums::None, ..self }
    }

    /// Sets the metadata version of all messages.
    pub(crate) fn set_version(&mut self, version: MetadataVersion) {
        self.version = version;
    }

    /// Returns the flatbuffer that contains the schema.
    pub(crate) fn holder(&self) -> &[u8] {
        match &self.holder {
            Holder::Message(head) => head.flatbuffer(),
            Holder::Footer(footer) => footer.bytes(),
        }
    }

    /// Returns the arrays and buffers that the schema requires.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the position of the schema's table in its holder.
    pub(crate) fn at(&self) -> usize {
        self.flatbuffer()._tab.loc()
    }

    /// Returns the position of a footer's key-value pairs in its holder.
    pub(crate) fn footer_metadata_at(&self) -> Option<usize> {
        let table = self.footer()?.flatbuffer()._tab;
        let field = usize::from(table.vtable().get(FooterTable::VT_CUSTOM_METADATA));
        let reference = table.loc() + field;
        let offset = self.holder().get(reference..)?.first_chunk().filter(|_| field > 0)?;
        usize::try_from(u32::from_le_bytes(*offset)).ok().map(|offset| reference + offset)
    }

    /// Checks a message whose body is at the source's position. Leaves the source after the body.
    ///
    /// If the input ends inside the body, the error is [`Fault::Truncated`] only if everything else is valid.
    pub(crate) fn check(&self, head: &Head, source: &mut Source<'_>) -> Result<Checked, Damage> {
        let place = head.place();
        let is_cut = source.lacks(place.body_length);
        let body = if is_cut { Body::Cut } else { Body::Whole(source, place.body()) };
        let checked = self.check_with(head, body)?;
        source.seek(place.end()).map_err(Damage::unreadable(place.offset))?;
        Ok(checked)
    }

    /// Checks a message and its body, which is complete.
    pub(crate) fn check_with(&self, head: &Head, mut body: Body<'_, '_>) -> Result<Checked, Damage> {
        let checked = self.check_message(head, &mut body).and_then(|checked| {
            let is_interleaved = self.starts_with_a_header(head, &mut body)?;
            if is_interleaved { Err(Failed::Fault(Fault::Interleaved)) } else { Ok(checked) }
        });
        let damage = |fault| Damage::new(head.place().offset, fault);
        let checked = checked.map_err(|failed| match failed {
            Failed::Fault(fault) => damage(fault),
            Failed::Contradiction { at, expected, found } => {
                let path = path(&self.flatbuffer(), at.into_iter().rev());
                damage(Fault::Contradiction { path, expected, found })
            }
            Failed::Unreadable(error) => damage(Fault::Unreadable(error)),
        })?;
        match body {
            Body::Cut | Body::Unseen => {}
            Body::Held(bytes) => self.checksums.verify(head, bytes)?,
            Body::Whole(source, at) => {
                source.seek(at).map_err(Damage::unreadable(head.place().offset))?;
                self.checksums.skip_body(head, source)?;
            }
        }
        Ok(checked)
    }

    fn check_message(&self, head: &Head, body: &mut Body<'_, '_>) -> Result<Checked, Failed> {
        let message = head.message();
        if head.version() != self.version() {
            let version = |version: MetadataVersion| version.variant_name().unwrap_or("unknown");
            return Err(mismatch(
                format!("metadata of version {}", version(self.version())),
                version(head.version()).to_owned(),
            ));
        }
        let unknown = || Failed::Fault(Fault::UnknownKind);
        match head.kind().map_err(|damage| Failed::Fault(damage.fault))? {
            MessageKind::RecordBatch => {
                let batch = message.header_as_record_batch().ok_or_else(unknown)?;
                let passed = check_batch(head, batch, self.layout.columns(), body)?;
                let role = Role::RecordBatch { rows: passed.rows };
                Ok(Checked { item: Item { place: head.place(), role, reframed: None }, needs: passed.needs })
            }
            MessageKind::DictionaryBatch => {
                let dictionary = message.header_as_dictionary_batch().ok_or_else(unknown)?;
                let id = dictionary.id();
                let known = self.layout.dictionary(id);
                let known =
                    known.ok_or_else(|| mismatch("a dictionary of the schema".to_owned(), format!("id {id}")))?;
                let batch =
                    dictionary.data().ok_or_else(|| mismatch("a dictionary's values".to_owned(), "none".to_owned()))?;
                let values = std::slice::from_ref(&known.values);
                let passed = check_batch(head, batch, values, body).map_err(|mut failed| {
                    if let Failed::Contradiction { at, .. } = &mut failed {
                        // Dictionary values are reported at the position of their field.
                        at.pop();
                        at.extend(known.field.iter().rev());
                    }
                    failed
                })?;
                let role = Role::DictionaryBatch { id, is_delta: dictionary.isDelta() };
                Ok(Checked { item: Item { place: head.place(), role, reframed: None }, needs: passed.needs })
            }
            found => Err(Failed::Fault(Fault::Misplaced { expected: "a record batch or a dictionary batch", found })),
        }
    }

    /// As [`check`](Self::check), for the metadata alone. Reads nothing from the source.
    pub(crate) fn check_metadata(&self, head: &Head) -> Result<Checked, Damage> {
        self.check_with(head, Body::Unseen)
    }

    /// Returns how messages of `other`, whose batches have the same types, can follow messages of this schema.
    pub(crate) fn joining(&self, other: &Self) -> Joining {
        match (self.checksums, other.checksums) {
            (Checksums::All, Checksums::None) => return Joining::Never("its batches have no checksums"),
            (Checksums::None, Checksums::All) => return Joining::Never("its batches have checksums"),
            _ => {}
        }
        if self.layout != other.layout {
            return Joining::Never("other ids of dictionaries");
        }
        if self.version != other.version && self.layout.has_unions() {
            return Joining::Never("unions as another version of the metadata has them");
        }
        let is_framed_alike = (self.version, self.framing()) == (other.version, other.framing());
        if is_framed_alike { Joining::AsTheyAre } else { Joining::Reframed(other.framing()) }
    }

    /// Returns the path of the first column that has the dictionary with this id.
    pub(crate) fn dictionary_path(&self, id: i64) -> String {
        let field = self.layout.dictionary(id).map(|dictionary| dictionary.field.iter().copied());
        path(&self.flatbuffer(), field.into_iter().flatten())
    }

    /// Returns whether a body starts with the header of a message that matches this schema. That happens if two writers
    /// without a lock both write their headers before either writes its body. A message of another schema does not
    /// count, because it may be a value.
    fn starts_with_a_header(&self, head: &Head, body: &mut Body<'_, '_>) -> io::Result<bool> {
        let length = head.place().body_length;
        match body {
            Body::Cut | Body::Unseen => Ok(false),
            Body::Held(bytes) => self.is_header(&mut Source::from(*bytes), length),
            Body::Whole(source, at) => {
                source.seek(*at)?;
                self.is_header(source, length)
            }
        }
    }

    fn is_header(&self, source: &mut Source<'_>, length: u64) -> io::Result<bool> {
        let end = source.position().saturating_add(length);
        let start = source.peek::<{ START }>()?;
        if start.len() < START || metadata_claim(&start, self.framing(), length).is_none() {
            return Ok(false);
        }
        let head = match scan::next(source) {
            Ok(Next::Message(head)) if head.place().body() <= end => head,
            Ok(_) => return Ok(false),
            Err(Damage { fault: Fault::Unreadable(error), .. }) => return Err(error),
            Err(_) => return Ok(false),
        };
        Ok(match head.kind() {
            Ok(MessageKind::Schema) => head.flatbuffer() == self.holder(),
            // If the body is cut, `Truncated` means that everything else is valid.
            Ok(_) => matches!(
                self.check_message(&head, &mut Body::Cut),
                Ok(_) | Err(Failed::Fault(Fault::Truncated { part: MessagePart::Body, .. }))
            ),
            Err(_) => false,
        })
    }

    pub(crate) fn flatbuffer(&self) -> arrow_ipc::Schema<'_> {
        match &self.holder {
            Holder::Message(head) => head.message().header_as_schema().expect("it has been read when this was made"),
            Holder::Footer(footer) => footer.schema(),
        }
    }
}

impl Item {
    pub(crate) fn is_dictionary(&self) -> bool {
        matches!(self.role, Role::DictionaryBatch { .. })
    }
}

fn check_batch(
    head: &Head,
    batch: RecordBatch<'_>,
    columns: &[Array],
    body: &mut Body<'_, '_>,
) -> Result<Passed, Failed> {
    let (version, body_length) = (head.version(), head.place().body_length);
    let claims = Claims { batch, version, body_length };
    let passed = claims.check(columns, body)?;
    if !matches!(body, Body::Cut) {
        return Ok(passed);
    }
    if body_length > passed.end.next_multiple_of(PADDED_AT_MOST) {
        let expected = format!("a body that ends with its last buffer, at byte {}", passed.end);
        return Err(mismatch(expected, format!("{body_length} bytes")));
    }
    Err(Failed::Fault(head.truncated().fault))
}

fn no_schema(found: &str) -> Fault {
    Fault::Mismatch { expected: "a schema message".to_owned(), found: found.to_owned() }
}

fn mismatch(expected: String, found: String) -> Failed {
    Failed::Fault(Fault::Mismatch { expected, found })
}
