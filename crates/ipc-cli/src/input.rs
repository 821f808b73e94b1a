//! An input: a file or a stream, told apart by what it holds, read as a sequence of encoded batches.
//!
//! A stream is read from the front, a file as its [footer](crate::footer) says. Dictionaries are read here, since each
//! batch must see them as of its own place; a batch shares them, so this costs nothing while they do not change.

use std::path::Path;
use std::sync::Arc;

use arrow_ipc::MessageHeader;
use arrow_schema::{Metadata, SchemaRef};

use crate::decode::{self, Encoded, Values};
use crate::dictionaries::{self, DictionaryField, Known};
use crate::error::{Error, Result, warn};
use crate::footer::{Footer, LEADING_MAGIC, MAGIC, Place, parse_schema};
use crate::scan::{self, CONTINUATION, Damage, Head, Next};
use crate::source::{Source, display_name, is_standard};

/// An input that is open, and whose schema has been read.
pub(crate) struct Input {
    name: Arc<str>,
    source: Source,
    schema: SchemaRef,
    dictionary_fields: Vec<DictionaryField>,
    /// The dictionaries as the input has sent them so far.
    values: Values,
    /// What the batches are given for them; `None` if they have changed since.
    settled: Option<Arc<Values>>,
    order: Order,
    quiet: bool,
}

/// In which order the messages of an input are read.
enum Order {
    Stream,
    File { places: std::vec::IntoIter<Place>, metadata: Metadata },
}

/// The two formats, as content tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Stream,
    File,
}

impl Input {
    /// Opens an input and reads its schema.
    pub(crate) fn open(path: &Path, quiet: bool) -> Result<Self> {
        let mut source = Source::open(path)?;
        let name: Arc<str> = display_name(path).into();
        let kind = recognize(&name, &mut source)?;
        let of_input = |damage: Damage| match damage.reason.as_str() {
            NOT_ARROW => Error::input(&name, NOT_ARROW),
            _ => Error::input(&name, damage),
        };
        let (source, schema, order) = match kind {
            Kind::Stream => {
                let schema = read_schema(&mut source).map_err(of_input)?;
                (source, schema, Order::Stream)
            }
            Kind::File => {
                let mut source = source.into_seekable().map_err(|error| Error::input(&name, error))?;
                let footer = Footer::read(&mut source).map_err(of_input)?;
                // Dictionaries come first, wherever they stand: each batch may need any of them.
                let mut places = footer.dictionaries;
                places.extend(footer.record_batches);
                (source, footer.schema, Order::File { places: places.into_iter(), metadata: footer.metadata })
            }
        };
        Ok(Self {
            dictionary_fields: dictionaries::fields(schema.fields()),
            name,
            source,
            schema,
            values: Values::new(),
            settled: None,
            order,
            quiet,
        })
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The size of the input, where it is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.source.length()
    }

    /// Whether the input can be closed now and opened again later.
    pub(crate) fn can_reopen(path: &Path) -> bool {
        !is_standard(path) && path.is_file()
    }

    /// The key-value pairs in the footer, of a file.
    pub(crate) fn footer_metadata(&self) -> Option<&Metadata> {
        match &self.order {
            Order::Stream => None,
            Order::File { metadata, .. } => Some(metadata),
        }
    }

    /// The next record batch. `known` says which dictionaries it is given.
    pub(crate) fn next_batch(&mut self, known: &mut Known) -> Result<Option<Encoded>> {
        loop {
            let Some(head) = self.next_head().map_err(|damage| Error::input(&self.name, damage))? else {
                return Ok(None);
            };
            let body = head.read_body(&mut self.source).map_err(|damage| Error::input(&self.name, damage))?;
            match head.header_type() {
                MessageHeader::RecordBatch => {
                    let dictionaries = self.settle(known)?;
                    let (input, schema) = (Arc::clone(&self.name), Arc::clone(&self.schema));
                    return Ok(Some(Encoded { input, head, body, schema, dictionaries }));
                }
                MessageHeader::DictionaryBatch => {
                    decode::dictionary(&head, &body, &self.schema, &mut self.values)
                        .map_err(|damage| Error::input(&self.name, damage))?;
                    self.settled = None;
                }
                MessageHeader::Schema => {
                    return Err(Error::input(&self.name, Damage::new(head.offset, "damaged: a second schema")));
                }
                other => {
                    let reason = format!("a message of kind {other:?} cannot be merged");
                    return Err(Error::input(&self.name, Damage::new(head.offset, reason)));
                }
            }
        }
    }

    fn next_head(&mut self) -> Result<Option<Head>, Damage> {
        match &mut self.order {
            Order::File { places, .. } => places.next().map(|place| place.head(&mut self.source)).transpose(),
            Order::Stream => match scan::next(&mut self.source)? {
                Next::Message(head) => Ok(Some(head)),
                Next::EndOfStream => {
                    self.warn_of_more();
                    Ok(None)
                }
                Next::EndOfInput => {
                    self.warn(
                        "ends without an end-of-stream marker; if it was cut between two messages, nobody can tell",
                    );
                    Ok(None)
                }
            },
        }
    }

    /// A stream ends where it says so. What stands behind is not read, but is worth a word where it can be seen.
    fn warn_of_more(&self) {
        if let Some(more) = self.source.length().map(|length| length - self.source.position())
            && more > 0
        {
            self.warn(&format!("{more} bytes behind the end-of-stream marker are left out"));
        }
    }

    fn warn(&self, what: &str) {
        if !self.quiet {
            warn(&self.name, what);
        }
    }

    fn settle(&mut self, known: &mut Known) -> Result<Arc<Values>> {
        if let Some(settled) = &self.settled {
            return Ok(Arc::clone(settled));
        }
        let settled = known.settle(&self.dictionary_fields, &self.values);
        let settled = Arc::new(settled.map_err(|reason| Error::input(&self.name, reason))?);
        self.settled = Some(Arc::clone(&settled));
        Ok(settled)
    }
}

/// Tells a file from a stream by its first bytes, which stay to be read.
pub(crate) fn recognize(name: &str, source: &mut Source) -> Result<Kind> {
    let first = source.peek::<8>().map_err(|error| Error::input(name, error))?;
    if first.starts_with(MAGIC) {
        return Ok(Kind::File);
    }
    let Some(&word) = first.first_chunk::<4>() else {
        let reason = if first.is_empty() { "is empty" } else { NOT_ARROW };
        return Err(Error::input(name, reason));
    };
    // Before Arrow 0.15, a stream started with a length; no schema is as long as most texts would make it.
    let is_legacy = (1..LEGACY_SCHEMA_AT_MOST).contains(&i32::from_le_bytes(word));
    if word == CONTINUATION || is_legacy { Ok(Kind::Stream) } else { Err(Error::input(name, NOT_ARROW)) }
}

/// Goes to the first message of a file: the zeros that pad the magic are passed over.
pub(crate) fn seek_first_message(source: &mut Source) -> std::io::Result<()> {
    let mut at = LEADING_MAGIC;
    loop {
        source.seek(at)?;
        let mut word = [0; 8];
        if source.read_up_to(&mut word)? < word.len() || word != [0; 8] || at >= PADDED_AT_MOST {
            return source.seek(at);
        }
        at += 8;
    }
}

/// Reads the schema message that a stream starts with.
fn read_schema(source: &mut Source) -> Result<SchemaRef, Damage> {
    let not_arrow = || Damage::new(0, NOT_ARROW);
    match scan::next(source) {
        Ok(Next::Message(head)) => {
            let message = head.message.as_ref();
            let schema = message.header_as_schema().ok_or_else(|| {
                Damage::new(
                    0,
                    format!("damaged: starts with a message of kind {:?}, not a schema", message.header_type()),
                )
            })?;
            let schema = parse_schema(schema, head.offset)?;
            head.skip_body(source)?;
            Ok(schema)
        }
        Ok(_) => Err(not_arrow()),
        Err(damage) if damage.reason.starts_with("damaged") => Err(not_arrow()),
        Err(damage) => Err(damage),
    }
}

const NOT_ARROW: &str = "is neither an Arrow IPC file nor a stream";

/// One byte more than the longest schema message that a stream without continuation markers is believed to start with.
const LEGACY_SCHEMA_AT_MOST: i32 = 16 * 1024 * 1024;

/// No writer pads the magic further than this.
const PADDED_AT_MOST: u64 = 64;
