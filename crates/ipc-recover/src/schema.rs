//! A schema as it stands in an input, and the check of a message against it.
//!
//! The flatbuffer that holds the schema is kept as it is, so that an output's schema is the input's, byte for byte:
//! with the ids of its dictionaries, and with whatever a later version of the format may have put there.

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

/// A schema that the batches of an input can be checked against.
#[derive(Debug)]
pub(crate) struct Schema {
    holder: Holder,
    layout: Layout,
    /// The version of the metadata of all messages.
    version: MetadataVersion,
    /// Which messages have checksums.
    checksums: Checksums,
}

/// The flatbuffer that a schema stands in.
#[derive(Debug)]
enum Holder {
    Message(Head),
    Footer(Footer),
}

/// A message that is what its schema asks for.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) item: Item,
    /// The ids of the dictionaries that its values refer to.
    pub(crate) needs: Vec<i64>,
}

/// Where a dictionary batch or a record batch stands, and what it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    pub(crate) place: Place,
    pub(crate) role: Role,
    /// How the prefix and the metadata are framed, if the output has them in another framing or version.
    pub(crate) reframed: Option<Framing>,
}

/// How the messages of a further stream come to stand behind those of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joining {
    /// Byte for byte.
    AsTheyAre,
    /// With their bodies as they are, and in front of them the prefix and the version of the first stream. They have this
    /// framing.
    Reframed(Framing),
    /// Not at all, for this reason.
    Never(&'static str),
}

/// What a message that is no schema is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    RecordBatch { rows: u64 },
    DictionaryBatch { id: i64, is_delta: bool },
}

impl Schema {
    /// The schema that a message holds.
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

    /// The schema that a footer holds, for messages of the version that is announced at the front, and with the checksums
    /// that are: there are footers of another version, and none that says anything of checksums.
    pub(crate) fn of_footer(footer: Footer, at_front: Option<&Self>) -> Result<Self, Damage> {
        let layout = Layout::new(&footer.schema()).map_err(|fault| Damage::new(footer.offset(), fault))?;
        let version = at_front.map_or_else(|| footer.flatbuffer().version(), Self::version);
        let checksums = at_front.map_or(Checksums::Unknown, Self::checksums);
        Ok(Self { holder: Holder::Footer(footer), layout, version, checksums })
    }

    /// The schema whose message stands where the source does. The source stands behind it then.
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

    /// Where the flatbuffer starts that holds the schema.
    pub(crate) fn offset(&self) -> u64 {
        match &self.holder {
            Holder::Message(head) => head.place().offset,
            Holder::Footer(footer) => footer.offset(),
        }
    }

    /// The schema's message, if it comes from one.
    pub(crate) fn message(&self) -> Option<&Head> {
        match &self.holder {
            Holder::Message(head) => Some(head),
            Holder::Footer(_) => None,
        }
    }

    /// The footer, if the schema comes from one.
    pub(crate) fn footer(&self) -> Option<&Footer> {
        match &self.holder {
            Holder::Message(_) => None,
            Holder::Footer(footer) => Some(footer),
        }
    }

    /// How messages beside it are framed.
    pub(crate) fn framing(&self) -> Framing {
        self.message().map_or(Framing::Marked, Head::framing)
    }

    /// The version of the metadata.
    pub(crate) fn version(&self) -> MetadataVersion {
        self.version
    }

    /// Which messages have checksums.
    pub(crate) fn checksums(&self) -> Checksums {
        self.checksums
    }

    /// The same, for who verifies checksums elsewhere.
    pub(crate) fn without_checksums(self) -> Self {
        Self { checksums: Checksums::None, ..self }
    }

    /// The version of the metadata is this one.
    pub(crate) fn set_version(&mut self, version: MetadataVersion) {
        self.version = version;
    }

    /// The flatbuffer that holds the schema.
    pub(crate) fn holder(&self) -> &[u8] {
        match &self.holder {
            Holder::Message(head) => head.flatbuffer(),
            Holder::Footer(footer) => footer.bytes(),
        }
    }

    /// The arrays that it asks for.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where in its holder the schema's table stands.
    pub(crate) fn at(&self) -> usize {
        self.flatbuffer()._tab.loc()
    }

    /// Where in its holder the key-value pairs of a footer stand.
    pub(crate) fn footer_metadata_at(&self) -> Option<usize> {
        let table = self.footer()?.flatbuffer()._tab;
        let field = usize::from(table.vtable().get(FooterTable::VT_CUSTOM_METADATA));
        let reference = table.loc() + field;
        let offset = self.holder().get(reference..)?.first_chunk().filter(|_| field > 0)?;
        usize::try_from(u32::from_le_bytes(*offset)).ok().map(|offset| reference + offset)
    }

    /// Checks a message whose body the source stands before; it stands behind it then.
    ///
    /// Where the input ends inside the body, [`Fault::Truncated`] means that all else is as it should be.
    pub(crate) fn check(&self, head: &Head, source: &mut Source<'_>) -> Result<Checked, Damage> {
        let place = head.place();
        let is_cut = source.lacks(place.body_length);
        let body = if is_cut { Body::Cut } else { Body::Whole(source, place.body()) };
        let checked = self.check_with(head, body)?;
        source.seek(place.end()).map_err(Damage::unreadable(place.offset))?;
        Ok(checked)
    }

    /// Checks a message and its body, which is all there.
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
                        // Values stand where their field does.
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

    /// As [`check`](Self::check), of the metadata alone. The source is not asked for anything.
    pub(crate) fn check_metadata(&self, head: &Head) -> Result<Checked, Damage> {
        self.check_with(head, Body::Unseen)
    }

    /// How messages of `other` come to stand among those of this, whose batches are of the same types.
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

    /// The path of the first column that has the dictionary with this id.
    pub(crate) fn dictionary_path(&self, id: i64) -> String {
        let field = self.layout.dictionary(id).map(|dictionary| dictionary.field.iter().copied());
        path(&self.flatbuffer(), field.into_iter().flatten())
    }

    /// Whether a body starts with what should stand in front of another: the header of a message that could stand
    /// beside this one. Two writers that knew nothing of each other had written both headers before either wrote its
    /// body. Values may look like a message of any other schema.
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
            // Of a body that is cut, this says that all else is as it should be.
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
