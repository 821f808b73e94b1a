//! The state of an output: its position, the dictionaries that readers have, and what its footer will list.
//!
//! [`Ledger::append`] is the only way of a batch into an output. It writes first and records afterwards: nothing here
//! changes until the sink, or the stage, has taken every byte of a group. The ledger encodes nothing. It is the only
//! part of an output that threads must not use at the same time.

use std::io::Write;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_ipc::Block;

use crate::dictionary::batches::{DictionaryBatch, DictionaryBatches, Sending};
use crate::dictionary::sent::SentDictionaries;
use crate::encode::group::Group;
use crate::error::{Error, Result};
use crate::format::{Format, end_of_stream};
use crate::limits;
use crate::message::{Layout, Message, MessageParts};
use crate::options::Options;
use crate::output::footer::{Finished, Footer, block};
use crate::output::group_writer::{GroupWriter, STAGED_AT_MOST};
use crate::output::receipt::{Receipt, Stats};
use crate::output::storage::{Durable, Truncate};
use crate::schema::StreamSchema;

/// The state of one output between its header and its end.
///
/// The sink is given with each call and must be the same each time. What is appended must have been encoded for the
/// [`schema`](Self::schema) that the ledger was opened with.
#[derive(Debug)]
pub struct Ledger {
    schema: Arc<StreamSchema>,
    options: Options,
    /// What all messages must have been encoded with.
    layout: Layout,
    writer: GroupWriter,
    stages: bool,
    dictionaries: SentDictionaries,
    /// How many values of each unified dictionary the batches require, by dictionary id.
    required: Vec<usize>,
    stats: Stats,
    /// The footer so far, in a format that has one.
    footer: Option<Footer>,
}

impl Ledger {
    /// Opens an output of format `F`. Stages its header, which is written with the first batch or by
    /// [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if the schema message does not fit the format; [`Error::Unsupported`] if `F` is a file, and
    /// a unified dictionary has others inside its values and is not written at close; [`Error::InvalidOptions`] if `F`
    /// is a stream and dictionaries are to be written at close, or if the schema was made for another metadata version
    /// or other checksums.
    pub fn new<F: Format>(schema: Arc<StreamSchema>, options: &Options) -> Result<Self> {
        match (F::HAS_FOOTER, options.dictionaries_at_close()) {
            (true, false) => schema.check_extensible()?,
            (false, true) => {
                return Err(Error::InvalidOptions("only a file can have its dictionaries at close".into()));
            }
            _ => {}
        }
        let message = schema.message_at(F::MAGIC.len(), options)?;
        let stages = options.staging.unwrap_or(F::HAS_FOOTER);
        let mut writer = GroupWriter::new(stages);
        writer.stage([F::MAGIC, message.as_slice()].into_iter(), 0);
        Ok(Self {
            stages,
            dictionaries: SentDictionaries::new(schema.dictionary_count()),
            required: Vec::new(),
            stats: Stats { messages: 1, written_bytes: writer.position(), ..Stats::default() },
            footer: F::HAS_FOOTER.then(|| Footer::new(&schema, options)),
            options: options.clone(),
            layout: Layout::of(options),
            schema,
            writer,
        })
    }

    /// Whether a group can be appended now. It was encoded for readers that have the dictionaries in `compared`; this
    /// checks that its dictionary batches are right for what readers have now.
    ///
    /// If not, they must be [encoded again](crate::parts::BatchEncoder::reencode_dictionaries). A group that is
    /// appended nevertheless is refused, or, in a stream, its keys may be read with the values of another dictionary.
    ///
    /// Compares one pointer or length for each dictionary of the schema, and no values.
    #[must_use]
    pub fn accepts<B>(&self, group: &Group<B>, compared: &SentDictionaries) -> bool {
        group.dictionaries.still_hold(compared, &self.dictionaries, self.footer.is_none())
    }

    /// Appends a group, which the ledger must [accept](Self::accepts): its dictionary batches and its record batch are
    /// staged together, or written in one call.
    ///
    /// Takes the dictionary batches out of the group, and leaves the message, for
    /// [recycling](crate::parts::BatchEncoder::recycle). After an error the group is unchanged, and can be appended
    /// again if the ledger still accepts it.
    ///
    /// # Errors
    ///
    /// After these, nothing has changed:
    ///
    /// - [`Error::Io`] if the sink failed before it took any byte of the group;
    /// - [`Error::TooLarge`] if the footer cannot list more messages;
    /// - [`Error::SchemaMismatch`] for a dictionary that the schema does not have;
    /// - [`Error::DictionaryReplacement`] for a replacement in a file, or a delta to other values than readers have;
    /// - [`Error::InvalidArray`] for a message that requires more values of a unified dictionary than readers have;
    /// - [`Error::InvalidOptions`] for a message with another alignment or metadata version, or other checksums.
    ///
    /// After [`Error::Poisoned`] only a [`rollback`](Self::rollback) helps, and after [`Error::Closed`] nothing.
    pub fn append<B: AsRef<[u8]>>(&mut self, sink: &mut impl Write, group: &mut Group<B>) -> Result<Receipt> {
        let Group { message, dictionaries } = group;
        dictionaries.drop_sent(&self.dictionaries);
        self.check_message(&message.parts, dictionaries)?;
        if dictionaries.is_empty() {
            return self.append_alone(sink, message);
        }
        self.check_dictionaries(dictionaries, 1)?;
        let length = dictionaries.length() + message.length();
        let pieces = dictionaries.messages().flat_map(Message::slices).chain(message.slices());
        let start = self.accept(sink, pieces, length, 1)?;
        let offset = self.commit_dictionaries(start, dictionaries);
        Ok(self.commit_batch(offset, message))
    }

    /// Appends a record batch that needs no dictionary batches, encoded with this output's options.
    pub(crate) fn append_alone<B: AsRef<[u8]>>(
        &mut self,
        sink: &mut impl Write,
        message: &mut Message<B>,
    ) -> Result<Receipt> {
        if let Some(footer) = &self.footer {
            footer.check_room(1, 0)?;
        }
        let start = self.accept(sink, message.slices(), message.length(), 1)?;
        Ok(self.commit_batch(start, message))
    }

    /// Appends the dictionary batches of a group, and takes them out of it. Its record batch can be appended later.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub fn append_ahead<B>(&mut self, sink: &mut impl Write, group: &mut Group<B>) -> Result<()> {
        let dictionaries = &mut group.dictionaries;
        dictionaries.drop_sent(&self.dictionaries);
        if dictionaries.is_empty() {
            return Ok(());
        }
        self.check_dictionaries(dictionaries, 0)?;
        let pieces = dictionaries.messages().flat_map(Message::slices);
        let start = self.accept(sink, pieces, dictionaries.length(), 0)?;
        self.commit_dictionaries(start, dictionaries);
        Ok(())
    }

    /// Writes what is staged, the header among it, without flushing the sink.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append). If the sink took no byte, what was staged remains staged.
    pub fn write_staged(&mut self, sink: &mut impl Write) -> Result<()> {
        self.writer.write_staged(sink)
    }

    /// Writes what is staged and flushes the sink.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append). If the sink took no byte, what was staged remains staged.
    pub fn flush(&mut self, sink: &mut impl Write) -> Result<()> {
        self.writer.write_staged(sink)?;
        Ok(sink.flush()?)
    }

    /// Writes what is staged, flushes the sink, and makes all of it durable. Returns the confirmed position: the length
    /// in bytes, from the output's first byte, of what the storage device holds.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append). A failed sync returns [`Error::Poisoned`] and is final: what is on the device is
    /// unknown, so there is nothing to roll back to, and another sync would prove nothing. [`Error::InvalidOptions`],
    /// before anything is written, if dictionaries come at the close: until then no batch that needs them can be
    /// recovered.
    pub fn sync(&mut self, sink: &mut impl Durable) -> Result<u64> {
        self.check()?;
        if self.options.dictionaries_at_close() && self.schema.has_unified_dictionaries() {
            return Err(Error::InvalidOptions(
                "a sync confirms what can be recovered, and with dictionaries at close that is nothing before the close"
                    .into(),
            ));
        }
        self.writer.sync(sink, self.stats.record_batches)
    }

    /// Truncates a torn output to its last whole group, so that messages can follow. Accepted batches are kept, or
    /// written again; the batch whose call tore the output is not. Does nothing if the output is not torn.
    ///
    /// # Errors
    ///
    /// [`Error::Rollback`] if the sink fails: the call can be repeated. [`Error::Poisoned`] after a failed sync, and
    /// [`Error::Closed`] after the end.
    pub fn rollback(&mut self, sink: &mut impl Truncate) -> Result<()> {
        self.writer.roll_back(sink)
    }

    /// Writes what is staged, the end-of-stream marker and the footer, and flushes the sink.
    ///
    /// Can be repeated after [`Error::Io`]. Nothing is written twice.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub fn end(&mut self, sink: &mut impl Write) -> Result<()> {
        let nothing = DictionaryBatches::new(&self.dictionaries, Sending::Changes);
        self.end_with(sink, nothing)
    }

    /// As [`end`](Self::end), with the `closing` dictionary batches before the marker.
    ///
    /// They are one group with the end. If it fails none of them is recorded, so batches that follow may bring more
    /// values, and the next call needs all closing dictionaries again, each as one message.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub fn end_with(&mut self, sink: &mut impl Write, mut closing: DictionaryBatches) -> Result<()> {
        if !self.writer.has_ended() {
            self.write_end(sink, &mut closing)?;
        }
        Ok(sink.flush()?)
    }

    /// Aborts the output: drops what is staged, and refuses whatever follows. In a stream whose header has reached the
    /// sink, writes the [abort mark](crate::format::ABORTED_KEY), unless the options forbid it, and flushes.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the sink did not take the whole mark. The error of [`check`](Self::check) if the output has
    /// ended or is torn: then nothing was written. After an abort, every call returns [`Error::Aborted`].
    pub fn abort(&mut self, sink: &mut impl Write, reason: &str) -> Result<()> {
        if self.leave_mark(sink, reason)? {
            sink.flush()?;
        }
        Ok(())
    }

    /// As [`abort`](Self::abort), for an output that is dropped: does not flush, never fails and never panics.
    pub fn give_up<W: Write>(&mut self, sink: &mut W) {
        let reason = if std::thread::panicking() { DROPPED_IN_A_PANIC } else { DROPPED };
        let contained = catch_unwind(AssertUnwindSafe(|| drop(self.leave_mark(sink, reason))));
        // The payload of a sink's panic may panic when it is dropped.
        contained.unwrap_or_else(mem::forget);
    }

    /// Checks that more can be appended.
    ///
    /// # Errors
    ///
    /// [`Error::Poisoned`] or [`Error::Closed`].
    pub fn check(&self) -> Result<()> {
        self.writer.check()
    }

    /// The number of bytes of whole groups that the sink has taken. They remain if it fails inside its next call.
    #[must_use]
    pub fn confirmed_bytes(&self) -> u64 {
        self.writer.taken()
    }

    /// The number of staged record batches. They are not in the output if the sink fails inside its next call.
    #[must_use]
    pub fn staged_batches(&self) -> u64 {
        self.writer.staged_batches()
    }

    /// The dictionaries that readers have.
    #[must_use]
    pub fn sent(&self) -> &SentDictionaries {
        &self.dictionaries
    }

    /// How many values of each unified dictionary the appended batches require, by dictionary id; empty if they require
    /// none.
    #[must_use]
    pub fn required(&self) -> &[usize] {
        &self.required
    }

    /// The schema of the output.
    #[must_use]
    pub fn schema(&self) -> &Arc<StreamSchema> {
        &self.schema
    }

    /// The options of the output.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Counts of what was appended so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Writes what is staged, the dictionaries that come last, the marker and the footer, and records it.
    fn write_end(&mut self, sink: &mut impl Write, closing: &mut DictionaryBatches) -> Result<()> {
        closing.drop_sent(&self.dictionaries);
        self.check_dictionaries(closing, 0)?;
        let mut behind = closing.by_id();
        self.check_required(&self.required, |id| behind.unified_after(id, self.dictionaries.unified(id)))?;
        let start = self.writer.position();
        let blocks = blocks(start, closing);
        let footer = self.footer.as_ref().map(|footer| footer.finish(&self.schema, &self.options, &blocks));
        let footer = footer.transpose()?;
        let pieces = [end_of_stream(self.options.metadata_version)].into_iter();
        let pieces = pieces.chain(footer.iter().flat_map(Finished::pieces));
        let length = closing.length() + pieces.clone().map(|piece| piece.len() as u64).sum::<u64>();
        limits::check_output(start.saturating_add(length))?;
        self.writer.write(sink, closing.messages().flat_map(Message::slices).chain(pieces), length)?;
        self.writer.end();
        self.commit_dictionaries(start, closing);
        self.stats.written_bytes = self.writer.position();
        Ok(())
    }

    /// Returns whether there is a mark now.
    fn leave_mark(&mut self, sink: &mut impl Write, reason: &str) -> Result<bool> {
        self.check()?;
        let is_stream = self.footer.is_none();
        let has_mark = is_stream && self.options.abort_mark && self.confirmed_bytes() > 0;
        let mark = if has_mark { self.schema.abort_mark(&self.options, reason) } else { Vec::new() };
        self.writer.abort(sink, &mark, reason)?;
        Ok(has_mark)
    }

    /// Puts a key-value pair into the footer, in place of one with the same key.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if the footer has no room for it, and [`Error::InvalidOptions`] in a format without a
    /// footer. Then nothing has changed.
    pub fn insert_footer_metadata(&mut self, key: impl Into<String>, value: impl Into<String>) -> Result<()> {
        match &mut self.footer {
            Some(footer) => footer.insert(key.into(), value.into()),
            None => Err(Error::InvalidOptions("a stream has no footer for key-value pairs".into())),
        }
    }

    /// Refuses a message that readers could not read, or would misread, once they have the `dictionaries`.
    #[inline(always)]
    fn check_message(&self, parts: &MessageParts, dictionaries: &DictionaryBatches) -> Result<()> {
        self.check_layout(parts)?;
        if parts.required.is_empty() && !self.schema.has_unified_dictionaries() {
            return Ok(());
        }
        self.check_unified(parts, dictionaries)
    }

    /// Refuses a message whose keys are not those of unified dictionaries, or that requires values which readers will
    /// not have once they have the `dictionaries`.
    fn check_unified(&self, parts: &MessageParts, dictionaries: &DictionaryBatches) -> Result<()> {
        let count = self.schema.dictionary_count();
        if parts.required.len() != count {
            let (expected, found) =
                (format!("keys of {count} unified dictionaries"), format!("of {}", parts.required.len()));
            return Err(Error::invalid(expected, found).within("columns").into());
        }
        if self.options.dictionaries_at_close() {
            return Ok(());
        }
        let mut dictionaries = dictionaries.by_id();
        self.check_required(&parts.required, |id| dictionaries.unified_after(id, self.dictionaries.unified(id)))
    }

    /// Refuses a message that was encoded with another layout than the output's.
    #[inline(always)]
    fn check_layout(&self, parts: &MessageParts) -> Result<()> {
        if parts.layout == Some(self.layout) { Ok(()) } else { Err(self.other_layout(parts)) }
    }

    #[cold]
    fn other_layout(&self, parts: &MessageParts) -> Error {
        let expected = self.layout;
        Error::InvalidOptions(match parts.layout {
            None => "nothing has been encoded to this message".into(),
            Some(found) => format!("the message has {found}, the output {expected}"),
        })
    }

    /// Refuses batches that require more values of a unified dictionary than readers `have`. Ids are asked in order.
    fn check_required(&self, uses: &[usize], mut have: impl FnMut(usize) -> usize) -> Result<()> {
        uses.iter().enumerate().try_for_each(|(id, count)| {
            let found = have(id);
            if *count <= found {
                return Ok(());
            }
            let expected = format!("{count} values in its dictionary");
            Err(Error::invalid(expected, found.to_string()).at(self.schema.dictionary(id).path()).into())
        })
    }

    /// Refuses dictionaries that cannot be sent, or that the footer could not list together with `batches` record
    /// batches.
    fn check_dictionaries(&self, dictionaries: &DictionaryBatches, batches: usize) -> Result<()> {
        dictionaries.check(&self.schema, &self.dictionaries, self.footer.is_none())?;
        dictionaries.messages().try_for_each(|message| self.check_layout(&message.parts))?;
        match &self.footer {
            Some(footer) => footer.check_room(batches, dictionaries.len()),
            None => Ok(()),
        }
    }

    /// Stages or writes a group of `length` bytes, and returns where it starts.
    #[inline]
    fn accept<'s>(
        &mut self,
        sink: &mut impl Write,
        pieces: impl Iterator<Item = &'s [u8]>,
        length: u64,
        batches: u64,
    ) -> Result<u64> {
        let start = self.writer.position();
        limits::check_output(start.saturating_add(length))?;
        if self.stages && length <= STAGED_AT_MOST {
            self.writer.stage_within_capacity(sink, pieces, length, batches)?;
        } else {
            self.writer.write(sink, pieces, length)?;
        }
        debug_assert_eq!(self.writer.position(), start + length, "messages are as long as they say");
        Ok(start)
    }

    /// Records dictionaries that were appended, and returns where they end.
    fn commit_dictionaries(&mut self, start: u64, dictionaries: &mut DictionaryBatches) -> u64 {
        let mut offset = start;
        for DictionaryBatch { id, extends, sent, message } in dictionaries.take() {
            if let Some(footer) = &mut self.footer {
                footer.dictionaries.push(block(offset, &message));
            }
            offset += message.length();
            self.count(&message);
            self.stats.dictionary_batches += 1;
            let before = self.dictionaries.record(id, sent);
            self.stats.deltas += u64::from(extends.is_some());
            self.stats.replacements += u64::from(before.is_some() && extends.is_none());
        }
        offset
    }

    /// Records a record batch that was appended.
    #[inline(always)]
    fn commit_batch<B>(&mut self, offset: u64, batch: &mut Message<B>) -> Receipt {
        if let Some(footer) = &mut self.footer {
            footer.record_batches.push(block(offset, batch));
        }
        self.count(batch);
        if !batch.parts.required.is_empty() {
            self.note_required(&mut batch.parts);
        }
        let receipt = Receipt {
            sequence: self.stats.record_batches,
            offset,
            metadata_length: batch.metadata_length(),
            body_length: batch.parts.body_length,
            raw_body_length: batch.parts.raw_body_length,
        };
        self.stats.record_batches += 1;
        // A batch without columns may have any number of rows.
        self.stats.rows = self.stats.rows.saturating_add(batch.parts.rows);
        receipt
    }

    /// Records what a batch requires of unified dictionaries.
    fn note_required(&mut self, MessageParts { required, unused_values, .. }: &mut MessageParts) {
        self.stats.unused_values += mem::take(unused_values);
        if self.required.len() < required.len() {
            self.required.resize(required.len(), 0);
        }
        for (all, count) in self.required.iter_mut().zip(&*required) {
            *all = (*all).max(*count);
        }
    }

    fn count<B>(&mut self, message: &Message<B>) {
        self.stats.messages += 1;
        self.stats.raw_bytes += message.parts.raw_body_length;
        self.stats.written_bytes += message.length();
    }
}

/// The reason in the mark of a writer that was dropped.
const DROPPED: &str = "the writer was dropped before it was closed";
const DROPPED_IN_A_PANIC: &str = "the writer was dropped by a panic";

/// Returns the footer's blocks of dictionary batches that are written from `start` on.
fn blocks(start: u64, dictionaries: &DictionaryBatches) -> Vec<Block> {
    let mut offset = start;
    let mut next = |message| {
        let block = block(offset, message);
        offset += message.length();
        block
    };
    dictionaries.messages().map(&mut next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dictionary::unified::UnifiedDictionaries;
    use crate::encode::BatchEncoder;
    use crate::format::{FOOTER_MAGIC, FileFormat, StreamFormat};
    use crate::key_values::Metadata;
    use crate::limits;
    use crate::options::dictionaries::Unify;
    use arrow_array::types::Int32Type;
    use arrow_array::{ArrayRef, DictionaryArray, RecordBatch, record_batch};

    #[test]
    fn what_is_staged_has_not_reached_the_sink() {
        let batch = record_batch!(("a", Int32, [1, 2, 3])).expect("one column");
        let options = Options::builder().staging(true).build().unwrap();
        let schema = Arc::new(StreamSchema::try_new(batch.schema(), &options).unwrap());
        let mut ledger = Ledger::new::<FileFormat>(schema, &options).unwrap();
        let mut encoder = BatchEncoder::new(&options);
        let mut group = encoder.encode(&batch).unwrap().into();
        let mut sink = Vec::new();
        for appended in 1..=2 {
            ledger.append(&mut sink, &mut group).unwrap();
            assert_eq!((ledger.confirmed_bytes(), ledger.staged_batches()), (0, appended));
        }
        ledger.write_staged(&mut sink).unwrap();
        assert_eq!((ledger.confirmed_bytes(), ledger.staged_batches()), (sink.len() as u64, 0));
    }

    #[test]
    fn a_message_that_the_footer_has_no_room_for_is_refused() {
        let batch = record_batch!(("a", Int32, [1, 2, 3])).expect("one column");
        let options = Options::default();
        let schema = Arc::new(StreamSchema::try_new(batch.schema(), &options).unwrap());
        let mut ledger = Ledger::new::<FileFormat>(Arc::clone(&schema), &options).unwrap();
        let mut encoder = BatchEncoder::new(&options);
        let mut group = encoder.encode(&batch).unwrap().into();
        let mut sink = Vec::new();

        leave_room_for_two(&mut ledger);
        for _ in 0..2 {
            ledger.append(&mut sink, &mut group).unwrap();
        }
        let stats = ledger.stats();
        let error = ledger.append(&mut sink, &mut group).unwrap_err();
        assert!(matches!(error, Error::TooLarge { what: "footer", .. }), "{error:?}");
        assert_eq!(ledger.stats(), stats);
        ledger.end(&mut sink).unwrap();
        assert!(sink.ends_with(FOOTER_MAGIC), "the file can be closed");
    }

    /// Otherwise the file could not be closed.
    #[test]
    fn a_footer_keeps_room_for_the_dictionaries_that_come_at_close() {
        let words: DictionaryArray<Int32Type> = ["a"].into_iter().collect();
        let batch = RecordBatch::try_from_iter([("word", Arc::new(words) as ArrayRef)]).unwrap();
        let options = Options::builder().dictionaries(Unify::new().at_close(true)).build().unwrap();
        let schema = Arc::new(StreamSchema::try_new(batch.schema(), &options).unwrap());
        let mut ledger = Ledger::new::<FileFormat>(Arc::clone(&schema), &options).unwrap();
        let (mut encoder, mut unified) = (BatchEncoder::new(&options), UnifiedDictionaries::new(schema));
        let metadata = Metadata::new();
        let group =
            encoder.encode_group::<FileFormat>(&batch, &metadata, &mut unified, ledger.sent(), Sending::Changes);
        let (mut group, mut sink) = (group.unwrap(), Vec::new());

        leave_room_for_two(&mut ledger);
        ledger.append(&mut sink, &mut group).unwrap();
        let error = ledger.append(&mut sink, &mut group).unwrap_err();
        assert!(matches!(error, Error::TooLarge { what: "footer", .. }), "{error:?}");
        let closing = encoder.encode_closing(&mut unified, ledger.required(), ledger.sent()).unwrap();
        assert_eq!(closing.len(), 1);
        ledger.end_with(&mut sink, closing).unwrap();
        assert!(sink.ends_with(FOOTER_MAGIC), "the file can be closed");
    }

    #[test]
    fn dictionaries_of_another_schema_are_refused_before_any_byte() {
        let words: ArrayRef = Arc::new(["a"].into_iter().collect::<DictionaryArray<Int32Type>>());
        let one = RecordBatch::try_from_iter([("word", Arc::clone(&words))]).unwrap();
        let two = RecordBatch::try_from_iter([("word", Arc::clone(&words)), ("other", words)]).unwrap();
        let options = Options::default();
        let schema = |batch: &RecordBatch| Arc::new(StreamSchema::try_new(batch.schema(), &options).unwrap());
        let mut ledger = Ledger::new::<StreamFormat>(schema(&one), &options).unwrap();
        let mut encoder = BatchEncoder::new(&options);
        let mut group = |batch, ledger: &Ledger| {
            let (metadata, mut unified) = (Metadata::new(), UnifiedDictionaries::new(schema(batch)));
            let sent = ledger.sent();
            let group = encoder.encode_group::<StreamFormat>(batch, &metadata, &mut unified, sent, Sending::Changes);
            group.unwrap().into_owned()
        };
        let mut sink = Vec::new();

        let mut foreign = group(&two, &ledger);
        let refused = ledger.append(&mut sink, &mut foreign).map(|_| ());
        for refused in [refused, ledger.append_ahead(&mut sink, &mut foreign)] {
            let text = refused.unwrap_err().to_string();
            assert_eq!(text, "schema mismatch at column `columns`: expected 1 dictionaries, found dictionary 1");
        }
        assert_eq!((sink.len(), ledger.stats().messages), (0, 1), "only the header, and that is staged");
        ledger.append(&mut sink, &mut group(&one, &ledger)).unwrap();
        assert_eq!(ledger.stats().messages, 3);
    }

    /// Makes the footer as long as if the schema left room for two blocks.
    fn leave_room_for_two(ledger: &mut Ledger) {
        let two = limits::footer(0, 2, 0);
        ledger.footer.as_mut().unwrap().schema_length = u64::from(i32::MAX.unsigned_abs()) - two;
    }
}
