//! An input: a file, or streams one behind the other, told apart by what it holds, read as a sequence of encoded batches.
//!
//! What an input is, [`ipc_recover::Input`] tells; here it is decided what of it is refused, and what is only told.
//! Dictionaries are read here, since each batch must see them as of its own place; a batch shares them, so this costs
//! nothing while they do not change.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_schema::SchemaRef;
use ipc_core::parts::{MetadataDifference, StreamSchema};
use ipc_core::{Metadata, Options};
use ipc_recover::scan::{Framing, Head};
use ipc_recover::{Damage, Ending, Fault, Input as Account, Kind, Part, Trailing, scan};
use serde_json::{Value, json};

use crate::blame::Values;
use crate::decode::{self, Encoded};
use crate::dictionaries::{self, DictionaryField, Known, Refused};
use crate::error::{Error, Result, warn};
use crate::source::{display_name, into_seekable, is_standard, open};
use crate::values::Dictionaries;

/// An input that is open, and whose schema has been read.
pub(crate) struct Input {
    name: Arc<str>,
    account: Account<'static>,
    /// The schema of the input's first stream, which is that of all.
    schema: SchemaRef,
    dictionary_fields: Vec<DictionaryField>,
    /// The dictionaries as the stream has sent them so far, with the schema as the stream has it: ids are its own.
    dictionaries: Dictionaries,
    /// What the batches are given for them; `None` if they have changed since.
    settled: Option<Arc<Values>>,
    metadata: Option<Metadata>,
    rules: Rules,
    /// How long the messages are that have been read and not yet counted.
    uncounted: u64,
}

/// What of an input is refused, and what is told of it. All clones tell in one place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// Whether bytes behind the end are left out if they are no stream, instead of refused.
    pub(crate) allows_trailing: bool,
    /// Whether a stream without its end-of-stream marker is refused, instead of told.
    pub(crate) requires_end: bool,
    /// Whether only that is told which may mean that rows are lost.
    pub(crate) quiet: bool,
    /// What has been told; `None` if nothing is to be.
    pub(crate) told: Option<Told>,
}

/// What has been told of inputs, and what is to be told once all of them have been read.
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
    /// What has been told so far, for programs.
    pub(crate) fn json(&self) -> Value {
        self.noted().warnings.clone().into()
    }

    /// The metadata in which later streams of an input differ from its first. Given once.
    pub(crate) fn take_differences(&self) -> Vec<MetadataDifference> {
        std::mem::take(&mut self.noted().differences)
    }

    /// Whether bytes were left out that may have been rows.
    pub(crate) fn leaves_out(&self) -> bool {
        self.noted().leaves_out
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rules {
    /// The same, for a look ahead, of which nothing is told.
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

    /// The size of the input, where it is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.account.length()
    }

    /// Whether the input can be closed now and opened again later.
    pub(crate) fn can_reopen(path: &Path) -> bool {
        !is_standard(path) && path.is_file()
    }

    /// The key-value pairs in the footer, of a file.
    pub(crate) fn footer_metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    /// The next record batch. `known` says which dictionaries it is given.
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

    /// How many bytes of messages, dictionaries among them, have been read since this was last asked.
    pub(crate) fn count_read(&mut self) -> u64 {
        std::mem::take(&mut self.uncounted)
    }

    /// Reads what dictionaries the input's batches have, and of these nothing, until `known` refuses one.
    pub(crate) fn survey_dictionaries(mut self, known: &mut Known) -> Result<Option<Refused>> {
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

    /// Whether a field is dictionary-encoded.
    pub(crate) fn has_dictionaries(&self) -> bool {
        !self.dictionary_fields.is_empty()
    }

    /// The next dictionary batch or record batch, of whichever stream.
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

    /// A stream begins, which has no dictionaries yet.
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

    /// Refuses a stream that ends where its rows may not, or tells of it.
    fn end(&self, ending: &Ending, at: u64) -> Result<()> {
        let advice = match ending {
            Ending::Marker(Framing::Legacy)
                if self.account.framing() == Framing::Marked && self.account.trailing().is_none() =>
            {
                self.tell(
                    at,
                    "ends with four zero bytes instead of its end-of-stream marker, which readers allow; if it \
                           was cut there, nobody can tell",
                );
                return Ok(());
            }
            Ending::Nothing if !self.rules.requires_end => {
                self.tell(
                    at,
                    "ends without an end-of-stream marker; if it was cut between two messages, nobody can tell",
                );
                return Ok(());
            }
            Ending::Zeros if !self.rules.requires_end => {
                self.tell(
                    at,
                    "ends with zeros instead of its end-of-stream marker, which readers allow; if the rest \
                           was never written, nobody can tell",
                );
                return Ok(());
            }
            Ending::Nothing | Ending::Zeros => "without --require-end it is taken as it is",
            Ending::AnotherStream => "`arrow-ipc recover` keeps the batches of both",
            Ending::SchemaAgain => "`arrow-ipc recover` steps over it",
            Ending::Aborted(_) => "`arrow-ipc recover` keeps what stands before the mark, and goes on behind it",
            _ => return Ok(()),
        };
        match ending.damage(at) {
            Some(damage) => Err(Error::input(&self.name, format_args!("{damage}; {advice}"))),
            None => Ok(()),
        }
    }

    /// Refuses what stands behind the end, or tells of it.
    fn trail(&self, trailing: &Trailing) -> Result<()> {
        let damage = trailing.damage();
        let length = trailing.length.map_or_else(|| "bytes".to_owned(), |length| format!("{length} bytes"));
        if trailing.is_zero || self.rules.allows_trailing {
            if let Some(told) = &self.rules.told {
                told.noted().leaves_out |= !trailing.is_zero;
            }
            // Zeros have room for nothing. What else is left out may be rows.
            let is_quiet = self.rules.quiet && trailing.is_zero;
            self.note(trailing.offset, &format!("{}; {length} are left out", damage.fault), is_quiet);
            return Ok(());
        }
        let advice = "--allow-trailing leaves them out, and `arrow-ipc recover` shows what they are";
        Err(Error::input(&self.name, format_args!("{damage}, {length} in all; {advice}")))
    }

    fn tell(&self, at: u64, what: &str) {
        self.note(at, what, false);
    }

    /// Tells people, unless that `is_quiet`, and programs.
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

/// The schema of what is being read.
fn schema(account: &Account<'_>) -> Result<SchemaRef, Damage> {
    decode::schema(account.schema()).map_err(|fault| Damage::new(account.schema_offset(), fault))
}

/// Damage that keeps an input from being opened.
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
