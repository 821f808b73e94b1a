//! Encodes record batches to messages.
//!
//! A [`BatchEncoder`] holds reusable memory, and nothing about the output. What it encodes does not depend on what was
//! written before, so any number of them can work at the same time. The exception is which dictionary batches a batch
//! needs, and that is decided from an argument: what readers have.

pub(crate) mod clear;
pub(crate) mod dictionaries;
pub(crate) mod group;
pub(crate) mod key_map;
pub(crate) mod key_pairs;
pub(crate) mod keys;
pub(crate) mod walk;

use std::fmt;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;

use crate::arrays::validate::{self, Checks};
use crate::body::compress::Codec;
use crate::body::{Body, signed, too_large};
use crate::dictionary::batches::{DictionaryBatches, Sending};
use crate::dictionary::sent::SentDictionaries;
use crate::dictionary::unified::{NewValues, UnifiedSnapshot, UnifiedStore};
use crate::encode::group::Group;
use crate::encode::keys::{KeyMaps, KeyRewriter, Keys};
use crate::encode::walk::{Walk, walk};
use crate::error::{Error, Result};
use crate::format::{Format, RESERVED_KEYS};
use crate::key_values::Metadata;
use crate::message::metadata::{Kind, Numbers, Overflow, Template};
use crate::message::segment::{Slice, checksum, recycle};
use crate::message::{Layout, Message, MessageParts};
use crate::options::{Options, Validation};

/// Encodes record batches, and the dictionaries that they need, to [`Message`]s.
///
/// It allocates nothing once it has encoded its largest batch, if each message comes back through
/// [`recycle`](Self::recycle). If it holds more than 1 MiB for a body, and more than four times what any of the last 64
/// recycled messages took, it frees at least half of that, and grows again with the next large batch.
///
/// ```
/// # use arrow_array::record_batch;
/// # use ipc_core::parts::BatchEncoder;
/// # use ipc_core::Options;
/// let batch = record_batch!(("a", Int32, [1, 2, 3])).unwrap();
/// let mut encoder = BatchEncoder::new(&Options::default());
/// let message = encoder.encode(&batch)?;
/// assert_eq!(message.body_length(), 64);
/// encoder.recycle(message);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[doc(alias = "IpcDataGenerator")]
#[doc(alias = "StreamEncoder")]
pub struct BatchEncoder {
    options: Options,
    codec: Option<Codec>,
    record_batch: Template,
    dictionary_batch: Template,
    overflow: Overflow,
    scratch: Vec<u8>,
    lately: Lately,
    /// From the keys of batches to those of unified dictionaries.
    maps: KeyMaps,
    /// The memory of the next message.
    spare: Option<Message<Slice<'static>>>,
}

impl BatchEncoder {
    /// Returns an encoder of messages with these options.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        let codec = Codec::new(options.compression);
        let codec_kind = codec.as_ref().map(Codec::kind);
        let dictionary_codec = codec_kind.filter(|_| options.compress_dictionaries);
        Self {
            options: options.clone(),
            codec,
            record_batch: Template::new(Kind::RecordBatch, codec_kind, options),
            dictionary_batch: Template::new(Kind::DictionaryBatch, dictionary_codec, options),
            overflow: Overflow::default(),
            scratch: Vec::new(),
            lately: Lately::default(),
            maps: KeyMaps::default(),
            spare: None,
        }
    }

    /// Encodes a record batch, without its dictionaries and with its own keys.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArray`] if an array contradicts itself or has nulls that its field denies, as the guide
    /// (`docs/guide/src/errors.md`) lists; [`Error::TooLarge`] if a length does not fit the format;
    /// [`Error::Compression`] if a codec fails.
    pub fn encode<'a>(&mut self, batch: &'a RecordBatch) -> Result<Message<Slice<'a>>> {
        self.encode_with_metadata(batch, &Metadata::new())
    }

    /// Encodes a record batch and attaches `metadata` to its message.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode); [`Error::ReservedKey`] if `metadata` has one of the [`RESERVED_KEYS`].
    pub fn encode_with_metadata<'a>(
        &mut self,
        batch: &'a RecordBatch,
        metadata: &Metadata,
    ) -> Result<Message<Slice<'a>>> {
        let mut message = self.blank();
        match self.encode_into(&mut message, batch, metadata) {
            Ok(()) => Ok(message),
            Err(error) => {
                self.recycle(message);
                Err(error)
            }
        }
    }

    /// Encodes a record batch, and the dictionary batches that must precede it for readers that have the dictionaries
    /// in `sent`.
    ///
    /// If the schema of `unified` has unified dictionaries, the batch's keys are rewritten to them, and they grow by
    /// the values that are new.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use arrow_array::{ArrayRef, DictionaryArray, RecordBatch, types::Int32Type};
    /// use ipc_core::parts::{BatchEncoder, Ledger, Sending, StreamSchema, UnifiedDictionaries};
    /// use ipc_core::{Metadata, Options, StreamFormat};
    ///
    /// let words: DictionaryArray<Int32Type> = ["Lima", "Oslo", "Lima"].into_iter().collect();
    /// let batch = RecordBatch::try_from_iter([("city", Arc::new(words) as ArrayRef)]).unwrap();
    ///
    /// let options = Options::default();
    /// let schema = Arc::new(StreamSchema::try_new(batch.schema(), &options)?);
    /// let mut unified = UnifiedDictionaries::new(Arc::clone(&schema));
    /// let mut ledger = Ledger::new::<StreamFormat>(schema, &options)?;
    /// let (mut encoder, mut sink) = (BatchEncoder::new(&options), Vec::new());
    ///
    /// let mut group =
    ///     encoder.encode_group::<StreamFormat>(&batch, &Metadata::new(), &mut unified, ledger.sent(), Sending::Changes)?;
    /// assert_eq!(group.dictionaries().len(), 1);
    /// ledger.append(&mut sink, &mut group)?;
    /// encoder.recycle(group);
    /// ledger.end(&mut sink)?;
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::DictionaryReplacement`] if the batch needs a replacement that `F` does not allow; those of
    /// [`UnifiedStore::grow`]; those of [`encode`](Self::encode), also for keys outside their dictionary. After an
    /// error, values that a unified dictionary has grown by stay in it.
    // Inlined, so that the group is not moved on its way to the ledger.
    #[inline(always)]
    pub fn encode_group<'a, F: Format>(
        &mut self,
        batch: &'a RecordBatch,
        metadata: &Metadata,
        unified: &mut impl UnifiedStore,
        sent: &SentDictionaries,
        sending: Sending,
    ) -> Result<Group<Slice<'a>>> {
        let mut message = self.blank();
        match self.encode_group_into::<F>(&mut message, batch, metadata, unified, sent, sending) {
            Ok(dictionaries) => Ok(Group { message, dictionaries }),
            Err(error) => {
                self.recycle(message);
                Err(error)
            }
        }
    }

    /// Encodes a group's record batch over `message`, and returns its dictionary batches.
    fn encode_group_into<'a, F: Format>(
        &mut self,
        message: &mut Message<Slice<'a>>,
        batch: &'a RecordBatch,
        metadata: &Metadata,
        unified: &mut impl UnifiedStore,
        sent: &SentDictionaries,
        sending: Sending,
    ) -> Result<DictionaryBatches> {
        if !unified.schema().has_unified_dictionaries() {
            // The dictionaries first: where they are refused, encoding the batch would have been in vain.
            let dictionaries = self.encode_dictionaries::<F>(unified.schema(), batch, sent, sending)?;
            self.encode_into(message, batch, metadata)?;
            return Ok(dictionaries);
        }
        self.encode_into_store(message, batch, metadata, unified)?;
        self.encode_unified_dictionaries::<F>(batch, message.required(), unified.snapshot(), sent, sending)
    }

    /// Encodes the record batch of a group, without its dictionary batches. Keys are rewritten to the unified
    /// dictionaries of the store, if there are any.
    ///
    /// The dictionary batches must be [encoded](Self::reencode_dictionaries) before the group is appended. If other
    /// threads send dictionaries meanwhile, the later that is decided the better.
    ///
    /// # Errors
    ///
    /// As [`encode_group`](Self::encode_group), except for those about dictionary batches.
    #[inline]
    pub fn encode_with_store<'a>(
        &mut self,
        batch: &'a RecordBatch,
        metadata: &Metadata,
        unified: &mut impl UnifiedStore,
    ) -> Result<Group<Slice<'a>>> {
        if !unified.schema().has_unified_dictionaries() {
            return self.encode_with_metadata(batch, metadata).map(Group::from);
        }
        let mut message = self.blank();
        match self.encode_into_store(&mut message, batch, metadata, unified) {
            Ok(()) => Ok(message.into()),
            Err(error) => {
                self.recycle(message);
                Err(error)
            }
        }
    }

    /// Encodes a record batch over `message`, and again each time the store has grown, until the store has all its
    /// values.
    fn encode_into_store<'a>(
        &mut self,
        message: &mut Message<Slice<'a>>,
        batch: &'a RecordBatch,
        metadata: &Metadata,
        unified: &mut impl UnifiedStore,
    ) -> Result<()> {
        while let Some(missing) = self.encode_unified_into(message, batch, metadata, unified.snapshot())? {
            self.maps.learn(unified.grow(missing)?);
        }
        Ok(())
    }

    /// Returns a message with reused buffers and stale contents.
    #[inline]
    pub(crate) fn blank<'a>(&mut self) -> Message<Slice<'a>> {
        match self.spare.take() {
            Some(Message { mut parts, segments }) => {
                parts.unused_values = 0;
                Message { parts, segments: recycle(segments) }
            }
            None => Message::default(),
        }
    }

    /// Encodes a record batch over `message`.
    #[inline]
    pub(crate) fn encode_into<'a>(
        &mut self,
        message: &mut Message<Slice<'a>>,
        batch: &'a RecordBatch,
        metadata: &Metadata,
    ) -> Result<()> {
        same_width(batch)?;
        self.fill(message, batch.num_rows(), None, metadata, None, |walk| columns(walk, batch))
    }

    /// Encodes a record batch over `message`, with its keys rewritten to unified dictionaries. Returns the values that
    /// these lack: if there are any, the dictionaries must grow by them, and the batch must be encoded again.
    fn encode_unified_into<'a>(
        &mut self,
        message: &mut Message<Slice<'a>>,
        batch: &'a RecordBatch,
        metadata: &Metadata,
        dictionaries: &UnifiedSnapshot,
    ) -> Result<Option<NewValues>> {
        same_width(batch)?;
        self.fill(message, batch.num_rows(), None, metadata, Some(dictionaries), |walk| columns(walk, batch))?;
        let missing = self.maps.take_missing();
        if missing.is_none() {
            message.parts.unused_values = self.maps.take_unused();
        }
        Ok(missing)
    }

    /// Takes back the memory of a message, or of a group's message, for the next one. It need not have been written:
    /// [unused values](crate::Stats::unused_values) that no ledger has counted are counted with the next batch.
    #[inline]
    pub fn recycle<'a>(&mut self, message: impl Into<Message<Slice<'a>>>) {
        let mut message = message.into();
        self.maps.put_unused(message.parts.unused_values);
        if let Some(enough) = self.lately.enough_after(message.parts.raw_body_length) {
            self.give_back(&mut message.parts, enough);
        }
        self.spare = Some(Message { parts: message.parts, segments: recycle(message.segments) });
    }

    /// Frees memory that is far more than `enough` for a body.
    #[cold]
    fn give_back(&mut self, parts: &mut MessageParts, enough: usize) {
        let is_outsized = |capacity: usize| capacity > Lately::KEPT && capacity / 4 >= enough;
        let kept = (2 * enough).max(Lately::KEPT / 2);
        if is_outsized(parts.arena.capacity()) {
            parts.arena.shrink(kept);
        }
        if is_outsized(self.scratch.len()) {
            self.scratch.truncate(kept);
            self.scratch.shrink_to_fit();
        }
    }

    /// The same for an owned message. The list of its segments is not reused, since they share memory of the batch.
    pub fn recycle_owned(&mut self, message: impl Into<Message<Buffer>>) {
        let message = message.into();
        self.maps.put_unused(message.parts.unused_values);
        let segments = self.spare.take().map(|spare| spare.segments).unwrap_or_default();
        self.spare = Some(Message { parts: message.parts, segments });
    }

    /// Encodes over `message` a message whose body `write` writes.
    #[inline(always)]
    fn fill<'a>(
        &mut self,
        message: &mut Message<Slice<'a>>,
        rows: usize,
        dictionary: Option<(i64, bool)>,
        metadata: &Metadata,
        dictionaries: Option<&UnifiedSnapshot>,
        write: impl FnOnce(&mut Walk<'_, 'a>) -> Result<(), Box<Error>>,
    ) -> Result<()> {
        check_keys(metadata)?;
        let compressed = dictionary.is_none() || self.options.compress_dictionaries;
        let codec = self.codec.as_mut().filter(|_| compressed);
        let Message { parts, segments } = message;
        let parts = &mut **parts;
        parts.required.clear();
        parts.unused_values = 0;
        let template = if dictionary.is_some() { &mut self.dictionary_batch } else { &mut self.record_batch };
        let draft = template.begin(&mut parts.metadata, &mut self.overflow);
        let body = Body::new(&self.options, draft, segments, &mut parts.arena, &mut self.scratch, codec);
        let keys = match dictionaries {
            None => Keys::Own,
            Some(unified) => Keys::Unified(KeyRewriter::new(unified, &mut self.maps, &mut parts.required)),
        };
        let mut walk = Walk { body, keys, keeps_nulls: false };
        write(&mut walk)?;
        let body = walk.body;
        let remaining = body.remaining();
        (parts.body_length, parts.raw_body_length) = body.lengths();
        parts.rows = rows as u64;
        parts.layout = Some(Layout::of(&self.options));
        let numbers = Numbers {
            rows: signed("record batch length", rows)?,
            body_length: i64::try_from(parts.body_length).map_err(|_| too_large("message body", parts.body_length))?,
            dictionary,
            checksum: self.options.checksums.then(|| checksum(segments, &parts.arena)),
        };
        template.finish(&mut parts.metadata, &mut self.overflow, remaining, &numbers, metadata)
    }
}

/// The longest body of the last messages before compression. Memory of about that length is enough for a message.
#[derive(Debug, Default)]
struct Lately {
    longest: u64,
    messages: u32,
}

impl Lately {
    /// Memory is checked once in this many messages.
    const MESSAGES: u32 = 64;
    /// Memory of up to this many bytes is always kept.
    const KEPT: usize = 1 << 20;

    /// Counts a body. Once there were enough of them, returns the length of the longest.
    #[inline(always)]
    fn enough_after(&mut self, length: u64) -> Option<usize> {
        self.longest = self.longest.max(length);
        self.messages += 1;
        if self.messages < Self::MESSAGES {
            return None;
        }
        let Self { longest, .. } = std::mem::take(self);
        usize::try_from(longest).ok()
    }
}

/// Writes the columns of a batch.
#[inline(always)]
fn columns<'a>(walk: &mut Walk<'_, 'a>, batch: &'a RecordBatch) -> Result<(), Box<Error>> {
    let options = walk.body.options;
    if options.validation == Validation::Full {
        validate::columns(batch, Checks::full(options))?;
    }
    if options.clear_nulls {
        clear::columns(walk, batch)?;
    } else {
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let rows = 0..batch.num_rows();
            self::walk(walk, field.data_type(), column.as_ref(), rows, field.is_nullable())
                .map_err(|e| e.within(field.name()))?;
        }
    }
    if walk.body.has_suspects() { validate::columns(batch, Checks::Nulls) } else { Ok(()) }
}

/// Refuses a batch with more or fewer columns than its schema has fields.
#[inline(always)]
fn same_width(batch: &RecordBatch) -> Result<(), Box<Error>> {
    if batch.num_columns() == batch.schema_ref().fields().len() { Ok(()) } else { Err(other_width(batch)) }
}

/// Refuses metadata that readers would take for a checksum or an abort mark.
#[inline(always)]
fn check_keys(metadata: &Metadata) -> Result<()> {
    if metadata.is_empty() { Ok(()) } else { check_some_keys(metadata) }
}

#[inline(never)]
fn check_some_keys(metadata: &Metadata) -> Result<()> {
    match RESERVED_KEYS.iter().find(|key| metadata.contains_key(key)) {
        Some(key) => Err(Error::ReservedKey { key }),
        None => Ok(()),
    }
}

#[cold]
fn other_width(batch: &RecordBatch) -> Box<Error> {
    let (fields, columns) = (batch.schema_ref().fields(), batch.num_columns());
    let first = fields.get(columns).map_or("columns", |field| field.name());
    Error::invalid(format!("{} columns", fields.len()), columns.to_string()).within(first)
}

impl fmt::Debug for BatchEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchEncoder").field("options", &self.options).finish_non_exhaustive()
    }
}
