//! The encoder: one type whose states allow just the calls that make sense in them.

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
/// Each state has only the calls that are right in it, and moving on consumes the encoder: a second header, a batch
/// before the header and a batch behind the end do not compile. You never write the states out; they follow from the
/// calls.
///
/// A step that fails hands back what it consumed, in [`Failed`].
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
/// An output that ends without `close` was given up, and its readers are to know.
///
/// - A *file* has no footer then, and looks truncated. Nothing more is written.
/// - A *stream* that ends between two messages looks whole to most readers, only shorter. So an encoder that is dropped
///   after it was started leaves an [abort mark](crate::format::ABORTED_KEY) behind the last whole message, at which
///   readers fail; [`abort`](Self::abort) does so with a reason. What is staged is dropped. So does one whose
///   [start](Encoder::start_with) failed after the header was written.
///
/// The mark is at most one message, without a flush; nobody hears of a sink that fails, or panics, meanwhile. There is none
/// where the output is torn, or its header has not reached the sink, or its end has been written; none after
/// [`abandon`](Self::abandon); and none where the options say so, as for
/// [a stream that is continued later](crate::OptionsBuilder::abort_mark).
pub struct Encoder<W: Write, F: Format, S: State = Started> {
    sink: S::Sink<W>,
    options: Options,
    state: S,
    format: PhantomData<F>,
}

impl<W: Write> Encoder<W, StreamFormat, Unstarted> {
    /// An encoder of a stream.
    #[doc(alias = "StreamWriter")]
    pub fn stream(sink: W) -> Self {
        Self::new(sink)
    }
}

impl<W: Write> Encoder<W, FileFormat, Unstarted> {
    /// An encoder of a file. The sink need not seek, and need not be buffered.
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

    /// Writes as `options` ask, instead of as the defaults do.
    #[doc(alias = "try_new_with_options")]
    #[must_use]
    pub fn with_options(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// Starts the output with a schema. A stream's schema message is written at once, since its readers wait for it.
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
    /// [`Error::NestingTooDeep`] or [`Error::Unsupported`] where the schema cannot be written, [`Error::Io`] where the
    /// sink fails. The encoder comes back. It may be started again, after a [rollback](Self::rollback) if the error is
    /// [`Error::Poisoned`]; with the same schema, if the header was already written.
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

    /// The sink. Nothing is written: it is as it was, or as a start that failed has left it.
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
                // What a start that failed has left in the ledger are no dictionaries.
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
    /// Writes a record batch, and before it the dictionaries that readers do not have yet, in one vectored write.
    ///
    /// # Errors
    ///
    /// [`Error::SchemaMismatch`], [`Error::DictionaryReplacement`], [`Error::DictionaryOverflow`],
    /// [`Error::DictionaryTooLarge`], [`Error::InvalidArray`], [`Error::TooLarge`] and [`Error::Compression`] refuse the
    /// batch: nothing was written and the encoder goes on. So it does after [`Error::Io`], where the sink failed before it
    /// took a byte of the batch. After [`Error::Poisoned`] nothing more is written, unless the sink can
    /// [take bytes back](Self::rollback).
    pub fn write(&mut self, batch: &RecordBatch) -> Result<Receipt> {
        self.write_with_metadata(batch, NO_METADATA)
    }

    /// Writes a record batch whose message carries `metadata`.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write); [`Error::ReservedKey`] where `metadata` has one of the
    /// [`RESERVED_KEYS`](crate::format::RESERVED_KEYS).
    pub fn write_with_metadata(&mut self, batch: &RecordBatch, metadata: &Metadata) -> Result<Receipt> {
        let Started { batches, unified } = &mut self.state;
        let Parts { sink, ledger } = self.sink.parts_mut();
        ledger.check()?;
        ledger.schema().check(batch.schema_ref())?;
        if ledger.schema().dictionary_count() == 0 {
            // No group: it would take 4 % more instructions for a small batch.
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
    /// [`Error::Io`], after which it may be repeated, or [`Error::Poisoned`].
    pub fn flush(&mut self) -> Result<()> {
        let Parts { sink, ledger } = self.sink.parts_mut();
        ledger.flush(sink)
    }

    /// Writes what is staged, the end-of-stream marker and, in a file, the footer, and flushes the sink.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::Poisoned`]. The encoder comes back: after [`Error::Io`], `close` may be repeated, and
    /// writes nothing twice; [`abandon`](Self::abandon) gives up.
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

    /// Gives the output up, and returns the sink. What is staged is dropped.
    ///
    /// In a stream, the [abort mark](crate::format::ABORTED_KEY) follows the last whole message, with this reason, of which
    /// it has room for 4 KiB, and the sink is flushed: readers fail there, and do not take what they have read for all. A
    /// file gets nothing, since without a footer it looks truncated.
    ///
    /// Whoever goes on in the same sink takes the mark back first, if the sink is [`Truncate`]: to
    /// [`written_bytes`](Stats::written_bytes), as [`stats`](Self::stats) told it before, where nothing is staged.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the sink did not take the whole mark, so that readers may not notice; [`Error::Poisoned`] where
    /// the output is torn, and [`Error::Closed`] where its end has been written, by a `close` whose flush failed: then
    /// nothing was written. The sink comes back, and there is no second try.
    pub fn abort(self, reason: &str) -> Result<W, Failed<W>> {
        let Parts { mut sink, mut ledger } = self.sink.into_parts();
        match ledger.abort(&mut sink, reason) {
            Ok(()) => Ok(sink),
            Err(error) => Err(Failed::new(error, sink)),
        }
    }

    /// The sink, with nothing behind what was written: neither an end nor a mark. What is staged is dropped.
    ///
    /// A reader of such a stream cannot know that more was to come: [`abort`](Self::abort) tells it.
    pub fn abandon(self) -> W {
        self.sink.into_parts().sink
    }

    /// The schema of the output.
    pub fn schema(&self) -> &SchemaRef {
        self.sink.parts().ledger.schema().schema()
    }

    /// What has been accepted so far.
    pub fn stats(&self) -> Stats {
        self.sink.parts().ledger.stats()
    }

    /// The sink. What is staged has not reached it.
    pub fn get_ref(&self) -> &W {
        &self.sink.parts().sink
    }

    /// The encoder as it was before it was started, but for what the sink has taken.
    fn back(self) -> Encoder<W, F, Unstarted> {
        let Self { sink, options, format, .. } = self;
        let Parts { sink, ledger } = sink.into_parts();
        Encoder { sink: Opening::new(sink, Some(ledger)), options, state: Unstarted, format }
    }
}

impl<W: Write, F: Format> Encoder<W, F, Unstarted> {
    /// Takes back the torn header of a [`start`](Self::start) that failed, so that the encoder may be started again. If
    /// the sink holds nothing else, any schema will do.
    ///
    /// # Errors
    ///
    /// [`Error::Rollback`], after which it may be repeated.
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
    /// Takes back what a call that tore the output has left behind, so that the encoder can go on.
    ///
    /// Nothing that was accepted is lost: what was staged is still staged, and so are its places in the output. The call
    /// that got [`Error::Poisoned`] has left nothing, and may be repeated. So may a call during which the sink panicked.
    /// An output that is whole stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Rollback`] where the sink failed to: it may be repeated. [`Error::Poisoned`] after a failed
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
    /// Writes what is staged, and returns once the storage device has all that was written so far: the confirmed position,
    /// in bytes from the output's first. Everything before it survives a loss of power. Note it outside the output, and
    /// hand it to `recover` if that is ever needed; in a file that held something before, [`FileTail::start`] comes on top.
    ///
    /// [`FileTail::start`]: crate::FileTail::start
    ///
    /// The end is written later: to have that on the device too, [`close`](Self::close), and sync the sink.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the sink failed before the sync: it may be repeated. [`Error::Poisoned`] where the output was torn,
    /// or where the sync failed. The second is final, since what is on the device is unknown then: no other sync is
    /// tried, and [`rollback`](Self::rollback) is refused. [`Error::InvalidOptions`], before anything is written, where
    /// [dictionaries come at the close](crate::Unify::at_close): without them nothing that is on the
    /// device could be recovered.
    pub fn sync(&mut self) -> Result<u64>
    where
        W: Durable,
    {
        let Parts { sink, ledger } = self.sink.parts_mut();
        ledger.sync(sink)
    }
}

impl<W: Write> Encoder<W, FileFormat, Started> {
    /// Puts a key-value pair into the footer, in place of one with the same key.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] where the footer, whose length has 32 bits, has no room for it. Nothing has changed then.
    pub fn write_metadata(&mut self, key: impl Into<String>, value: impl Into<String>) -> Result<()> {
        self.sink.parts_mut().ledger.insert_footer_metadata(key, value)
    }
}

impl<W: Write, F: Format> Encoder<W, F, Closed> {
    /// The sink.
    pub fn into_inner(self) -> W {
        self.sink
    }

    /// The schema of the output.
    pub fn schema(&self) -> &SchemaRef {
        &self.state.schema
    }

    /// What was written.
    pub fn stats(&self) -> Stats {
        self.state.stats
    }
}

const NO_METADATA: &Metadata = &Metadata::new();

/// Lets code that is generic over arrow's writers use an encoder; errors become [`ArrowError`]s.
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
