//! The encoder: one type, with only the calls that are valid in its state.

pub(crate) mod output;
pub(crate) mod state;

use std::fmt;
use std::io::Write;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchWriter};
use arrow_schema::{ArrowError, SchemaRef};

use crate::dictionary::batches::Sending;
use crate::dictionary::unified::UnifiedDictionaries;
use crate::encode::BatchEncoder;
use crate::encoder::output::{Opening, Output, Parts};
use crate::encoder::state::{Closed, Started, State, Unstarted};
use crate::error::{Error, Result};
use crate::failed::Failed;
use crate::format::{FileFormat, Format, StreamFormat};
use crate::key_values::Metadata;
use crate::options::Options;
use crate::output::ledger::Ledger;
use crate::output::receipt::{Receipt, Stats};
use crate::output::storage::{Durable, Truncate};
use crate::schema::StreamSchema;
use crate::schema::given::IntoSchema;

/// Writes record batches to a sink as an Arrow IPC [`StreamFormat`] or [`FileFormat`].
///
/// # States
///
/// ```text
/// Encoder::stream(sink)                           close()               into_inner()
/// Encoder::file(sink)    ──▶ Unstarted ──start()──▶ Started ──▶ Closed ──▶ sink
///                                └──start_with()──▶
/// ```
///
/// Each state has only the calls that are valid in it, and a transition consumes the encoder. So a second header, a
/// batch before the header and a batch after the end do not compile. The state is inferred: you never write it out.
///
/// A transition that fails returns the encoder inside its error, [`Failed`].
///
/// # Example
///
/// ```
/// # use arrow_array::record_batch;
/// use ipc_core::Encoder;
///
/// let batch = record_batch!(("a", Int32, [1, 2, 3])).unwrap();
/// let mut encoder = Encoder::file(Vec::new()).start(batch.schema())?;
/// let receipt = encoder.write(&batch)?;
/// assert_eq!(receipt.offset % 64, 0);
/// let file: Vec<u8> = encoder.close()?.into_inner();
/// # assert!(file.ends_with(b"ARROW1"));
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # Dropping
///
/// An output that ends without `close` was given up, and readers should be able to tell.
///
/// - A *file* then has no footer, and looks truncated. Nothing more is written.
/// - A *stream* that ends between two messages looks complete to most readers. So an encoder that is dropped after it
///   was started writes an [abort mark](crate::format::ABORTED_KEY) after the last whole message, at which readers
///   fail. It also does so if its [start](Encoder::start_with) failed after the header was written.
///   [`abort`](Self::abort) writes the mark with a reason. Staged batches are dropped.
///
/// The mark is at most one message. When it is written by a drop, the sink is not flushed, and its errors and panics
/// are ignored. No mark is written if the output is torn, if its header has not reached the sink, if its end has been
/// written, after [`abandon`](Self::abandon), or if the options turn it off, as for [a stream that is continued
/// later](crate::OptionsBuilder::abort_mark).
pub struct Encoder<W: Write, F: Format, S: State = Started> {
    sink: S::Sink<W>,
    options: Options,
    state: S,
    format: PhantomData<F>,
}

impl<W: Write> Encoder<W, StreamFormat, Unstarted> {
    /// Returns an encoder of a stream.
    #[doc(alias = "StreamWriter")]
    pub fn stream(sink: W) -> Self {
        Self::new(sink)
    }
}

impl<W: Write> Encoder<W, FileFormat, Unstarted> {
    /// Returns an encoder of a file. The sink need not seek, and need not be buffered.
    #[doc(alias = "FileWriter")]
    pub fn file(sink: W) -> Self {
        Self::new(sink)
    }
}

impl<W: Write, F: Format> Encoder<W, F, Unstarted> {
    fn new(sink: W) -> Self {
        let sink = Opening::Untouched(sink);
        Self { sink, options: Options::default(), state: Unstarted, format: PhantomData }
    }

    /// Sets the options. Without them, the defaults apply.
    #[doc(alias = "try_new_with_options")]
    #[must_use]
    pub fn with_options(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// Starts the output with a schema. A stream's schema message is written at once, because its readers wait for it.
    ///
    /// ```
    /// # use ipc_core::Encoder;
    /// use ipc_core::arrow_schema::{Schema, SchemaRef};
    ///
    /// let schema = SchemaRef::new(Schema::empty());
    /// Encoder::stream(Vec::new()).start(&schema)?.close()?;
    /// Encoder::stream(Vec::new()).start(schema)?.close()?;
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NestingTooDeep`] or [`Error::Unsupported`] if the schema cannot be written, [`Error::Io`] or
    /// [`Error::Poisoned`] if the sink fails. The encoder is returned inside the error and may be started again; after
    /// [`Error::Poisoned`], [roll back](Self::rollback) first. If the header was already written, the schema must be
    /// the same.
    #[doc(alias = "try_new")]
    #[doc(alias = "try_new_buffered")]
    pub fn start(self, schema: impl IntoSchema) -> Result<Encoder<W, F, Started>, Failed<Self>> {
        let mut started = self.open(schema.into_schema())?;
        let Parts { sink, ledger } = started.sink.parts_mut();
        if !F::HAS_FOOTER
            && let Err(error) = ledger.write_staged(sink)
        {
            return Err(Failed::new(error, started.back()));
        }
        Ok(started)
    }

    /// Starts the output with the schema of its first batch, and writes that batch.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start) and [`write`](Encoder::write).
    pub fn start_with(self, batch: &RecordBatch) -> Result<(Encoder<W, F, Started>, Receipt), Failed<Self>> {
        let mut started = self.open(batch.schema())?;
        match started.write(batch) {
            Ok(receipt) => Ok((started, receipt)),
            Err(error) => Err(Failed::new(error, started.back())),
        }
    }

    /// Returns the sink, and writes nothing. After a failed start, the sink may hold the header or a part of it.
    pub fn into_inner(self) -> W {
        self.sink.into_parts().0
    }

    fn open(self, schema: SchemaRef) -> Result<Encoder<W, F, Started>, Failed<Self>> {
        let Self { sink, options, format, .. } = self;
        let (sink, begun) = sink.into_parts();
        let opened = match begun {
            None => StreamSchema::try_new(schema, &options)
                .and_then(|schema| Ledger::new::<F>(Arc::new(schema), &options))
                .map_err(|error| (error, None)),
            Some(begun) => match begun.check().and_then(|()| begun.schema().check(&schema)) {
                Ok(()) => Ok(begun),
                Err(error) => Err((error, Some(begun))),
            },
        };
        match opened {
            Ok(ledger) => {
                // The ledger of a failed start has no dictionaries.
                let unified = UnifiedDictionaries::new(Arc::clone(ledger.schema()));
                let state = Started { batches: BatchEncoder::new(ledger.options()), unified };
                Ok(Encoder { sink: Output::new(sink, ledger), options, state, format })
            }
            Err((error, begun)) => {
                Err(Failed::new(error, Self { sink: Opening::new(sink, begun), options, state: Unstarted, format }))
            }
        }
    }
}

impl<W: Write, F: Format> Encoder<W, F, Started> {
    /// Writes a record batch, preceded by the dictionaries that readers do not have yet, in one vectored write.
    ///
    /// # Errors
    ///
    /// [`Error::SchemaMismatch`], [`Error::DictionaryReplacement`], [`Error::DictionaryOverflow`],
    /// [`Error::DictionaryTooLarge`], [`Error::InvalidArray`], [`Error::TooLarge`] and [`Error::Compression`] refuse
    /// the batch: nothing was written, and other batches may follow. [`Error::Io`] means that the sink failed before it
    /// took a byte of the batch; the call may be repeated. After [`Error::Poisoned`] nothing more is written, unless
    /// the output can be [rolled back](Self::rollback).
    pub fn write(&mut self, batch: &RecordBatch) -> Result<Receipt> {
        self.write_with_metadata(batch, NO_METADATA)
    }

    /// Writes a record batch, with `metadata` in its message.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write); and [`Error::ReservedKey`] if `metadata` has one of the
    /// [`RESERVED_KEYS`](crate::format::RESERVED_KEYS).
    pub fn write_with_metadata(&mut self, batch: &RecordBatch, metadata: &Metadata) -> Result<Receipt> {
        let Started { batches, unified } = &mut self.state;
        let Parts { sink, ledger } = self.sink.parts_mut();
        ledger.check()?;
        ledger.schema().check(batch.schema_ref())?;
        if ledger.schema().dictionary_count() == 0 {
            // Not as a group, which would take 4 % more instructions for a small batch.
            let mut message = batches.blank();
            let encoded = batches.encode_into(&mut message, batch, metadata);
            let written = encoded.and_then(|()| ledger.append_alone(sink, &mut message));
            batches.recycle(message);
            return written;
        }
        let mut group = batches.encode_group::<F>(batch, metadata, unified, ledger.sent(), Sending::Changes)?;
        let written = ledger.append(sink, &mut group);
        batches.recycle(group);
        written
    }

    /// Writes what is staged and flushes the sink.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], after which the call may be repeated, or [`Error::Poisoned`].
    pub fn flush(&mut self) -> Result<()> {
        let Parts { sink, ledger } = self.sink.parts_mut();
        ledger.flush(sink)
    }

    /// Writes what is staged, the end-of-stream marker and, in a file, the footer, and flushes the sink.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::Poisoned`], with the encoder inside the error. After [`Error::Io`], `close` may be
    /// repeated, and writes nothing twice. To give up instead, call [`abandon`](Self::abandon).
    #[doc(alias = "finish")]
    pub fn close(mut self) -> Result<Encoder<W, F, Closed>, Failed<Self>> {
        let Started { batches, unified } = &mut self.state;
        let Parts { sink, ledger } = self.sink.parts_mut();
        let closing = batches.encode_closing(unified, ledger.required(), ledger.sent());
        let ended = closing.and_then(|closing| ledger.end_with(sink, closing));
        if let Err(error) = ended {
            return Err(Failed::new(error, self));
        }
        let Self { sink, options, format, .. } = self;
        let Parts { sink, ledger } = sink.into_parts();
        let state = Closed { stats: ledger.stats(), schema: Arc::clone(ledger.schema().schema()) };
        Ok(Encoder { sink, options, state, format })
    }

    /// Gives the output up, and returns the sink. Staged batches are dropped.
    ///
    /// A stream gets the [abort mark](crate::format::ABORTED_KEY) after its last whole message, with up to 4 KiB of the
    /// reason, and the sink is flushed. Readers fail at the mark, so they do not mistake the batches before it for the
    /// whole stream. A file gets nothing, because it looks truncated without a footer.
    ///
    /// To write another output to the same sink, remove the mark first, if the sink is [`Truncate`]: flush before the
    /// abort, note [`written_bytes`](Stats::written_bytes), and truncate to that length.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the sink did not take the whole mark, so that readers may not notice the abort. If there is
    /// nothing to abort, nothing is written: [`Error::Poisoned`] if the output is torn, [`Error::Closed`] if a `close`
    /// has written the end and then failed to flush. The sink is returned inside the error, so `abort` cannot be
    /// repeated.
    pub fn abort(self, reason: &str) -> Result<W, Failed<W>> {
        let Parts { mut sink, mut ledger } = self.sink.into_parts();
        match ledger.abort(&mut sink, reason) {
            Ok(()) => Ok(sink),
            Err(error) => Err(Failed::new(error, sink)),
        }
    }

    /// Returns the sink, and writes neither an end nor a mark. Staged batches are dropped.
    ///
    /// Readers cannot tell such a stream from a complete one. To make them fail, call [`abort`](Self::abort).
    pub fn abandon(self) -> W {
        self.sink.into_parts().sink
    }

    /// Returns the schema of the output.
    pub fn schema(&self) -> &SchemaRef {
        self.sink.parts().ledger.schema().schema()
    }

    /// Returns counts of what has been accepted so far.
    pub fn stats(&self) -> Stats {
        self.sink.parts().ledger.stats()
    }

    /// Returns the sink. Staged batches have not reached it.
    pub fn get_ref(&self) -> &W {
        &self.sink.parts().sink
    }

    /// Returns to the state before the start. The sink keeps the bytes that it has taken.
    fn back(self) -> Encoder<W, F, Unstarted> {
        let Self { sink, options, format, .. } = self;
        let Parts { sink, ledger } = sink.into_parts();
        Encoder { sink: Opening::new(sink, Some(ledger)), options, state: Unstarted, format }
    }
}

impl<W: Write, F: Format> Encoder<W, F, Unstarted> {
    /// Cuts off the torn header that a failed [`start`](Self::start) left, so that the encoder may be started again. If
    /// the sink then holds no byte of the output, the schema may be another one.
    ///
    /// # Errors
    ///
    /// [`Error::Rollback`], after which the call may be repeated.
    pub fn rollback(&mut self) -> Result<()>
    where
        W: Truncate,
    {
        match &mut self.sink {
            Opening::Untouched(_) => Ok(()),
            Opening::Begun(output) => {
                let Parts { sink, ledger } = output.parts_mut();
                ledger.rollback(sink)
            }
        }
    }
}

impl<W: Write, F: Format> Encoder<W, F, Started> {
    /// Cuts a torn output back to its last whole message, so that writing can go on.
    ///
    /// No accepted batch is lost: staged batches remain staged, and keep their positions in the output. The call that
    /// returned [`Error::Poisoned`] has left nothing in the output, and may be repeated; so may a call during which the
    /// sink panicked. If the output is not torn, does nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Rollback`] if the sink failed to cut; the call may be repeated. [`Error::Poisoned`] after a failed
    /// [`sync`](Self::sync).
    pub fn rollback(&mut self) -> Result<()>
    where
        W: Truncate,
    {
        let Parts { sink, ledger } = self.sink.parts_mut();
        ledger.rollback(sink)
    }
}

impl<W: Write, F: Format> Encoder<W, F, Started> {
    /// Writes what is staged, and returns once the storage device has everything that was written so far. Returns the
    /// confirmed position, in bytes from the start of the output: everything before it survives a power loss. Store the
    /// position outside the output, and pass it to `recover` if that is ever needed. If the file held something before
    /// the output, add [`FileTail::start`].
    ///
    /// [`FileTail::start`]: crate::FileTail::start
    ///
    /// The end is written later. To make it durable too, [`close`](Self::close), then sync the sink.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the sink failed before the sync; the call may be repeated. [`Error::Poisoned`] if the output is
    /// torn, or if the sync failed. A failed sync is final, because it is unknown what the device has: no other sync is
    /// tried, and [`rollback`](Self::rollback) is refused. [`Error::InvalidOptions`], before anything is written, if
    /// [dictionaries are written at the close](crate::Unify::at_close): without them nothing on the device could be
    /// recovered.
    pub fn sync(&mut self) -> Result<u64>
    where
        W: Durable,
    {
        let Parts { sink, ledger } = self.sink.parts_mut();
        ledger.sync(sink)
    }
}

impl<W: Write> Encoder<W, FileFormat, Started> {
    /// Puts a key-value pair into the footer. Replaces a pair with the same key.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if the pair does not fit into the footer, whose length is a 32-bit number. Nothing has
    /// changed then.
    pub fn write_metadata(&mut self, key: impl Into<String>, value: impl Into<String>) -> Result<()> {
        self.sink.parts_mut().ledger.insert_footer_metadata(key, value)
    }
}

impl<W: Write, F: Format> Encoder<W, F, Closed> {
    /// Returns the sink.
    pub fn into_inner(self) -> W {
        self.sink
    }

    /// Returns the schema of the output.
    pub fn schema(&self) -> &SchemaRef {
        &self.state.schema
    }

    /// Returns counts of what was written.
    pub fn stats(&self) -> Stats {
        self.state.stats
    }
}

const NO_METADATA: &Metadata = &Metadata::new();

/// Lets code that is generic over `RecordBatchWriter` use an encoder. Errors become [`ArrowError`]s.
impl<W: Write, F: Format> RecordBatchWriter for Encoder<W, F, Started> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        Self::write(self, batch)?;
        Ok(())
    }

    fn close(self) -> Result<(), ArrowError> {
        Self::close(self).map_err(Error::from)?;
        Ok(())
    }
}

impl<W: Write, F: Format, S: State + fmt::Debug> fmt::Debug for Encoder<W, F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("options", &self.options).field("state", &self.state).finish_non_exhaustive()
    }
}
