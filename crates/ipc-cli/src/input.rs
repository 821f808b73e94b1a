//! Reads an input as a sequence of encoded batches: a file, or consecutive streams, recognised by content.
//!
//! [`ipc_recover::Input`] determines what the input contains; here it is decided what is refused and what is only
//! reported. Dictionaries are read here, since each batch must have those at its own position. Batches share them, so
//! this costs nothing while they do not change.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_schema::SchemaRef;
use ipc_core::parts::{MetadataDifference, StreamSchema};
use ipc_core::{Metadata, Options};
use ipc_recover::scan::{Framing, Head};
use ipc_recover::{Damage, Ending, Fault, Input as Account, Kind, Part, Trailing, scan};
use serde_json::{Value, json};

use crate::blame::Values;
use crate::counted::counted;
use crate::decode::{self, Encoded};
use crate::dictionaries::{self, DictionaryField, Known, RefusedDictionary};
use crate::error::{Error, Result, warn};
use crate::source::{display_name, into_seekable, is_standard, open};
use crate::values::Dictionaries;

/// An open input, whose schema has been read.
pub(crate) struct Input {
    name: Arc<str>,
    account: Account<'static>,
    /// The schema of the input's first stream, which all its streams have.
    schema: SchemaRef,
    dictionary_fields: Vec<DictionaryField>,
    /// The dictionaries of the current stream so far, with that stream's schema and ids.
    dictionaries: Dictionaries,
    /// The dictionaries that batches get in place of these; `None` if these have changed since.
    settled: Option<Arc<Values>>,
    metadata: Option<Metadata>,
    rules: Rules,
    /// The length of the messages that have been read but not yet counted.
    uncounted: u64,
}

/// What is refused in an input, and what is reported. All clones report to one place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// Whether bytes after the end that are not a stream are left out, instead of refused.
    pub(crate) allows_trailing: bool,
    /// Whether a stream without its end-of-stream marker is refused, instead of reported.
    pub(crate) requires_end: bool,
    /// Whether only reports about rows that may be lost are printed.
    pub(crate) quiet: bool,
    /// What has been reported; `None` if nothing is to be reported.
    pub(crate) told: Option<Told>,
}

/// What has been reported about inputs, and what is to be reported once all of them have been read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    warnings: Vec<Value>,
    /// The metadata in which later streams of an input differ from its first.
    differences: Vec<MetadataDifference>,
    /// Whether bytes were left out that may have been rows.
    leaves_out: bool,
}

impl Told {
    /// Returns what has been reported so far, for programs.
    pub(crate) fn json(&self) -> Value {
        self.noted().warnings.clone().into()
    }

    /// Takes the metadata in which later streams of an input differ from its first.
    pub(crate) fn take_differences(&self) -> Vec<MetadataDifference> {
        std::mem::take(&mut self.noted().differences)
    }

    /// Returns whether bytes were left out that may have been rows.
    pub(crate) fn leaves_out(&self) -> bool {
        self.noted().leaves_out
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rules {
    /// Returns the same rules for a first look, which reports nothing.
    pub(crate) fn silent(&self) -> Self {
        Self { told: None, ..self.clone() }
    }
}

impl Input {
    /// Opens an input and reads its schema.
    pub(crate) fn open(path: &Path, rules: &Rules) -> Result<Self> {
        let mut source = open(path)?;
        let name: Arc<str> = display_name(path).into();
        let refused = |damage: Damage| refused(&name, &damage);
        if scan::recognize(&mut source).map_err(refused)? == Kind::File {
            source = into_seekable(source).map_err(|error| Error::input(&name, error))?;
        }
        let account = Account::open(source).map_err(refused)?;
        let schema = schema(&account).map_err(refused)?;
        let metadata = account.footer().map(|footer| decode::metadata(footer.flatbuffer().custom_metadata()));
        Ok(Self {
            dictionary_fields: dictionaries::fields(schema.fields()),
            name,
            account,
            dictionaries: Dictionaries::new(Arc::clone(&schema)),
            schema,
            settled: None,
            metadata,
            rules: rules.clone(),
            uncounted: 0,
        })
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Returns the size of the input, if it is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.account.length()
    }

    /// Returns whether the input can be closed now and opened again later.
    pub(crate) fn can_reopen(path: &Path) -> bool {
        !is_standard(path) && path.is_file()
    }

    /// Returns the key-value pairs in the footer of a file.
    pub(crate) fn footer_metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    /// Reads the next record batch. `known` chooses its dictionaries.
    pub(crate) fn next_batch(&mut self, known: &mut Known) -> Result<Option<Encoded>> {
        loop {
            let Some(head) = self.next_head()? else { return Ok(None) };
            let body = self.account.read_body(&head).map_err(|damage| self.refused(&damage))?;
            self.uncounted += head.place().length();
            if !head.is_dictionary() {
                let dictionaries = self.settle(known)?;
                let (input, schema) = (Arc::clone(&self.name), Arc::clone(self.dictionaries.schema()));
                let checksums = self.account.checksums();
                return Ok(Some(Encoded { input, head, body, checksums, schema, dictionaries }));
            }
            let taken = self.account.checksums().verify(&head, &body).and_then(|()| self.dictionaries.take(head, body));
            taken.map_err(|damage| self.refused(&damage))?;
            self.settled = None;
        }
    }

    /// Returns how many bytes of messages, including dictionaries, have been read since the last call.
    pub(crate) fn count_read(&mut self) -> u64 {
        std::mem::take(&mut self.uncounted)
    }

    /// Reads the dictionaries of the input's batches, but not the batches, until `known` refuses one.
    pub(crate) fn survey_dictionaries(mut self, known: &mut Known) -> Result<Option<RefusedDictionary>> {
        let mut is_settled = false;
        while let Some(head) = self.next_head()? {
            if head.is_dictionary() {
                let body = self.account.read_body(&head).map_err(|damage| self.refused(&damage))?;
                let taken = self.account.checksums().verify(&head, &body);
                let taken = taken.and_then(|()| self.dictionaries.take(head, body));
                taken.map_err(|damage| self.refused(&damage))?;
                is_settled = false;
                continue;
            }
            if !is_settled {
                let values = self.dictionaries.values(&mut self.account);
                let values = values.map_err(|damage| Error::input(&self.name, damage))?;
                if let Err(refused) = known.settle(&self.dictionary_fields, values) {
                    return Ok(Some(refused));
                }
            }
            is_settled = true;
        }
        Ok(None)
    }

    /// Returns whether a field is dictionary-encoded.
    pub(crate) fn has_dictionaries(&self) -> bool {
        !self.dictionary_fields.is_empty()
    }

    /// Reads the next dictionary batch or record batch of any stream.
    fn next_head(&mut self) -> Result<Option<Head>> {
        loop {
            match self.account.next().map_err(|damage| self.refused(&damage))? {
                Some(Part::Message(head)) => return Ok(Some(head)),
                Some(Part::Schema(_)) => self.begin()?,
                Some(Part::End { ending, at }) => self.end(&ending, at)?,
                Some(_) => {}
                None => {
                    let trailing = self.account.trailing().cloned();
                    return trailing.map_or(Ok(()), |trailing| self.trail(&trailing)).map(|()| None);
                }
            }
        }
    }

    /// Begins a stream, which has no dictionaries yet.
    fn begin(&mut self) -> Result<()> {
        if self.account.streams() > 1 {
            let schema = schema(&self.account).map_err(|damage| self.refused(&damage))?;
            if let Some(told) = &self.rules.told
                && let Ok(first) = StreamSchema::try_new(Arc::clone(&self.schema), &Options::default())
            {
                told.noted().differences.extend(first.metadata_differences(&schema));
            }
            self.dictionary_fields = dictionaries::fields(schema.fields());
            self.dictionaries = Dictionaries::new(schema);
            self.settled = None;
        }
        Ok(())
    }

    /// Refuses or reports a stream that ends without its end-of-stream marker.
    fn end(&self, ending: &Ending, at: u64) -> Result<()> {
        let advice = match ending {
            Ending::Marker(Framing::Legacy)
                if self.account.framing() == Framing::Marked && self.account.trailing().is_none() =>
            {
                self.tell(
                    at,
                    "ends with four zero bytes instead of an end-of-stream marker, which readers allow; it may have \
                     been cut there",
                );
                return Ok(());
            }
            Ending::Nothing if !self.rules.requires_end => {
                self.tell(at, "has no end-of-stream marker; it may have been cut between two messages");
                return Ok(());
            }
            Ending::Zeros if !self.rules.requires_end => {
                self.tell(
                    at,
                    "ends with zeros instead of an end-of-stream marker, which readers allow; the rest may never \
                     have been written",
                );
                return Ok(());
            }
            Ending::Nothing | Ending::Zeros => "without --require-end it is read",
            Ending::AnotherStream => "`arrow-ipc recover` keeps the batches of both",
            Ending::SchemaAgain => "`arrow-ipc recover` skips it",
            Ending::Aborted(_) => "`arrow-ipc recover` keeps what comes before the abort mark, and what follows it",
            _ => return Ok(()),
        };
        match ending.damage(at) {
            Some(damage) => Err(Error::input(&self.name, format_args!("{damage}; {advice}"))),
            None => Ok(()),
        }
    }

    /// Refuses or reports bytes after the end.
    fn trail(&self, trailing: &Trailing) -> Result<()> {
        let damage = trailing.damage();
        let length = trailing.length.map_or_else(|| "bytes".to_owned(), |length| counted(length, "byte", "bytes"));
        if trailing.is_zero || self.rules.allows_trailing {
            if let Some(told) = &self.rules.told {
                told.noted().leaves_out |= !trailing.is_zero;
            }
            // Zeros hold no rows. Other bytes may.
            let is_quiet = self.rules.quiet && trailing.is_zero;
            self.note(trailing.offset, &format!("{}; {length} left out", damage.fault), is_quiet);
            return Ok(());
        }
        let advice = "--allow-trailing leaves them out, and `arrow-ipc recover` shows what they are";
        Err(Error::input(&self.name, format_args!("{damage}, {length} in all; {advice}")))
    }

    fn tell(&self, at: u64, what: &str) {
        self.note(at, what, false);
    }

    /// Reports to people, unless `is_quiet`, and to programs.
    fn note(&self, at: u64, what: &str, is_quiet: bool) {
        let Some(told) = &self.rules.told else { return };
        if !is_quiet {
            warn(&self.name, what);
        }
        told.noted().warnings.push(json!({ "input": &*self.name, "offset": at, "what": what }));
    }

    fn refused(&self, damage: &Damage) -> Error {
        Error::input(&self.name, damage)
    }

    fn settle(&mut self, known: &mut Known) -> Result<Arc<Values>> {
        if let Some(settled) = &self.settled {
            return Ok(Arc::clone(settled));
        }
        let values = self.dictionaries.values(&mut self.account).map_err(|damage| Error::input(&self.name, damage))?;
        let settled = known.settle(&self.dictionary_fields, values);
        let settled = Arc::new(settled.map_err(|refused| Error::dictionaries(&self.name, refused))?);
        self.settled = Some(Arc::clone(&settled));
        Ok(settled)
    }
}

/// Decodes the schema of the current stream, or of the file.
fn schema(account: &Account<'_>) -> Result<SchemaRef, Damage> {
    decode::schema(account.schema()).map_err(|fault| Damage::new(account.schema_offset(), fault))
}

/// Returns the error for damage that prevents an input from being opened.
pub(crate) fn refused(name: &str, damage: &Damage) -> Error {
    match &damage.fault {
        fault @ (Fault::Empty | Fault::NotArrow | Fault::Other { .. }) => Error::input(name, fault),
        Fault::NoFooter => {
            let hint = "`arrow-ipc inspect` shows which of its messages are whole, `arrow-ipc recover` keeps them";
            Error::input(name, format!("{damage}; {hint}"))
        }
        _ => Error::input(name, damage),
    }
}
