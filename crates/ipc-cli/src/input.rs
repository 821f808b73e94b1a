//! An input: a file or a stream, told apart by what it holds, read as a sequence of encoded batches.
//!
//! A stream is read from the front, a file as its [footer](ipc_recover::Footer) says. Dictionaries are read here, since each
//! batch must see them as of its own place; a batch shares them, so this costs nothing while they do not change.

use std::path::Path;
use std::sync::Arc;

use arrow_schema::{Metadata, SchemaRef};
use ipc_recover::scan::{self, Framing, Head, MessageKind, Next, Place};
use ipc_recover::{Checker, Checksums, Damage, Fault, Footer, Kind, Source};

use crate::decode::{self, Encoded, Values};
use crate::dictionaries::{self, DictionaryField, Known, Refused};
use crate::error::{Error, Result, warn};
use crate::source::{display_name, into_seekable, is_standard, open};
use crate::values::Dictionaries;

/// An input that is open, and whose schema has been read.
pub(crate) struct Input {
    name: Arc<str>,
    source: Source<'static>,
    schema: SchemaRef,
    checksums: Checksums,
    dictionary_fields: Vec<DictionaryField>,
    checker: Checker,
    /// The dictionaries as the input has sent them so far.
    dictionaries: Dictionaries,
    /// What the batches are given for them; `None` if they have changed since.
    settled: Option<Arc<Values>>,
    order: Order,
    /// How long the messages are that have been read and not yet counted.
    uncounted: u64,
    quiet: bool,
}

/// In which order the messages of an input are read.
enum Order {
    /// From the front; its messages are framed like this.
    Stream(Framing),
    File {
        places: std::vec::IntoIter<Place>,
        metadata: Metadata,
    },
}

impl Input {
    /// Opens an input and reads its schema.
    pub(crate) fn open(path: &Path, quiet: bool) -> Result<Self> {
        let mut source = open(path)?;
        let name: Arc<str> = display_name(path).into();
        let refused = |damage: Damage| refused(&name, &damage);
        let (source, schema, checker, checksums, order) = match scan::recognize(&mut source).map_err(refused)? {
            Kind::Stream => {
                let (schema, checker, checksums, framing) = read_schema(&mut source).map_err(refused)?;
                (source, schema, checker, checksums, Order::Stream(framing))
            }
            Kind::File => {
                let mut source = into_seekable(source).map_err(|error| Error::input(&name, error))?;
                let footer = Footer::read(&mut source).map_err(refused)?;
                let schema = decode::schema(footer.schema());
                let schema = schema.map_err(|fault| refused(Damage::new(footer.offset(), fault)))?;
                // Dictionaries come first, wherever they stand: each batch may need any of them.
                let places: Vec<_> = footer.dictionaries().chain(footer.record_batches()).collect();
                let metadata = decode::metadata(footer.flatbuffer().custom_metadata());
                let checksums = announced_at_front(&mut source).map_err(refused)?;
                let checker = Checker::of_file(footer).map_err(refused)?;
                (source, schema, checker, checksums, Order::File { places: places.into_iter(), metadata })
            }
        };
        Ok(Self {
            dictionary_fields: dictionaries::fields(schema.fields()),
            name,
            source,
            dictionaries: Dictionaries::new(Arc::clone(&schema)),
            schema,
            checker,
            checksums,
            settled: None,
            order,
            uncounted: 0,
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
            Order::Stream(_) => None,
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
            self.uncounted += head.place().length();
            self.checker.check(&head, &body).map_err(|damage| Error::input(&self.name, damage))?;
            let kind = head.kind().map_err(|damage| Error::input(&self.name, damage))?;
            match kind {
                MessageKind::RecordBatch => {
                    let dictionaries = self.settle(known)?;
                    let (input, schema) = (Arc::clone(&self.name), Arc::clone(&self.schema));
                    return Ok(Some(Encoded { input, head, body, checksums: self.checksums, schema, dictionaries }));
                }
                MessageKind::DictionaryBatch => {
                    let taken = self.checksums.verify(&head, &body).and_then(|()| self.dictionaries.take(head, body));
                    taken.map_err(|damage| Error::input(&self.name, damage))?;
                    self.settled = None;
                }
                found => {
                    let fault = Fault::Misplaced { expected: "a record batch or a dictionary batch", found };
                    return Err(Error::input(&self.name, Damage::new(head.place().offset, fault)));
                }
            }
        }
    }

    /// How many bytes of messages, dictionaries among them, have been read since this was last asked.
    pub(crate) fn count_read(&mut self) -> u64 {
        std::mem::take(&mut self.uncounted)
    }

    /// Reads what dictionaries the input's batches have, and of these nothing, until `known` refuses one.
    pub(crate) fn survey_dictionaries(mut self, known: &mut Known) -> Result<Option<Refused>> {
        let surveyed = self.survey(known);
        surveyed.map_err(|damage| Error::input(&self.name, damage))
    }

    fn survey(&mut self, known: &mut Known) -> Result<Option<Refused>, Damage> {
        let mut is_settled = false;
        while let Some(head) = self.next_head()? {
            if head.kind()? == MessageKind::DictionaryBatch {
                let body = self.checksums.read_body(&head, &mut self.source)?;
                self.checker.check(&head, &body)?;
                self.dictionaries.take(head, body)?;
                is_settled = false;
                continue;
            }
            head.skip_body(&mut self.source)?;
            if !is_settled {
                let values = self.dictionaries.values(&mut self.checker)?;
                if let Err(refused) = known.settle(&self.dictionary_fields, values) {
                    return Ok(Some(refused));
                }
            }
            is_settled = true;
        }
        Ok(None)
    }

    /// Whether a field is dictionary-encoded.
    pub(crate) fn has_dictionaries(&self) -> bool {
        !self.dictionary_fields.is_empty()
    }

    fn next_head(&mut self) -> Result<Option<Head>, Damage> {
        match &mut self.order {
            Order::File { places, .. } => places.next().map(|place| place.head(&mut self.source)).transpose(),
            Order::Stream(framing) => match scan::next(&mut self.source)? {
                Next::Message(head) => Ok(Some(head)),
                Next::EndOfStream(marker) => {
                    if (*framing, marker) == (Framing::Marked, Framing::Legacy) {
                        self.warn(
                            "ends with four zero bytes instead of its end-of-stream marker, which readers allow; if it was \
                             cut there, nobody can tell",
                        );
                    }
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
        let values = self.dictionaries.values(&mut self.checker).map_err(|damage| Error::input(&self.name, damage))?;
        let settled = known.settle(&self.dictionary_fields, values);
        let settled = Arc::new(settled.map_err(|refused| Error::dictionaries(&self.name, refused))?);
        self.settled = Some(Arc::clone(&settled));
        Ok(settled)
    }
}

/// Reads the schema message that a stream starts with, and tells which checksums it announces and how it is framed.
fn read_schema(source: &mut Source<'_>) -> Result<(SchemaRef, Checker, Checksums, Framing), Damage> {
    let head = match scan::next(source) {
        Ok(Next::Message(head)) => head,
        Ok(_) => return Err(Damage::new(0, Fault::NotArrow)),
        Err(Damage {
            fault: fault @ (Fault::Truncated { .. } | Fault::Unreadable(_) | Fault::Unsupported { .. }),
            offset,
        }) => {
            return Err(Damage::new(offset, fault));
        }
        // What starts like a stream by chance is no damaged one.
        Err(_) => return Err(Damage::new(0, Fault::NotArrow)),
    };
    let found = head.kind()?;
    let Some(schema) = head.message().header_as_schema() else {
        return Err(Damage::new(0, Fault::Misplaced { expected: "a schema", found }));
    };
    let schema = decode::schema(schema).map_err(|fault| Damage::new(head.place().offset, fault))?;
    head.skip_body(source)?;
    let (checksums, framing) = (Checksums::announced_by(&head), head.framing());
    Ok((schema, Checker::of_stream(head)?, checksums, framing))
}

/// What the schema message of a file announces. There are files without one, which announce nothing.
fn announced_at_front(source: &mut Source<'_>) -> Result<Checksums, Damage> {
    scan::seek_first_message(source)?;
    match scan::next(source) {
        Ok(Next::Message(head)) if head.kind().is_ok_and(|kind| kind == MessageKind::Schema) => {
            Ok(Checksums::announced_by(&head))
        }
        Err(Damage { fault: fault @ Fault::Unreadable(_), offset }) => Err(Damage::new(offset, fault)),
        Ok(_) => Ok(Checksums::None),
        Err(_) => Ok(Checksums::Unknown),
    }
}

/// Damage that keeps an input from being opened.
pub(crate) fn refused(name: &str, damage: &Damage) -> Error {
    match &damage.fault {
        fault @ (Fault::Empty | Fault::NotArrow) => Error::input(name, fault),
        Fault::NoFooter => {
            let hint = "`arrow-ipc inspect` shows which of its messages are whole, `arrow-ipc recover` keeps them";
            Error::input(name, format!("{damage}; {hint}"))
        }
        _ => Error::input(name, damage),
    }
}
