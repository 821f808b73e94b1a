//! How a writer is settled before the first thread writes.

use std::io::Write;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use ipc_core::{Failed, FileFormat, Format, IntoSchema, Metadata, Options, StreamFormat, StreamSchema};

use crate::shared::Shared;
use crate::shared::context::EncodingContext;
use crate::shared::output::Output;
use crate::sync::cores;
use crate::writer::SharedWriter;

impl<W: Write + Send> SharedWriter<W, StreamFormat> {
    /// A writer of a stream.
    ///
    /// The sink should block. One that does not, such as a non-blocking socket or pipe, and says
    /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) after a part of a message, has torn the output; since it takes nothing
    /// back, that poisons the writer for good. Let such a sink write into memory, or wait in its `write`.
    #[doc(alias = "StreamWriter")]
    pub fn stream(sink: W) -> Builder<W, StreamFormat> {
        Builder::new(sink)
    }
}

impl<W: Write + Send> SharedWriter<W, FileFormat> {
    /// A writer of a file. The sink need not seek, and need not be buffered.
    #[doc(alias = "FileWriter")]
    pub fn file(sink: W) -> Builder<W, FileFormat> {
        Builder::new(sink)
    }
}

/// Settles how a [`SharedWriter`] writes.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct Builder<W: Write + Send, F: Format> {
    sink: W,
    options: Options,
    schema: Option<SchemaRef>,
    window: usize,
    footer_metadata: Metadata,
    format: PhantomData<F>,
}

impl<W: Write + Send, F: Format> Builder<W, F> {
    pub(crate) fn new(sink: W) -> Self {
        Self {
            sink,
            options: Options::default(),
            schema: None,
            window: 4 * cores(),
            footer_metadata: Metadata::new(),
            format: PhantomData,
        }
    }

    /// Writes as `options` ask, instead of as the defaults do.
    #[doc(alias = "try_new_with_options")]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// The schema of the output. Without it, the first batch that gets the lock tells it.
    pub fn schema(mut self, schema: impl IntoSchema) -> Self {
        self.schema = Some(schema.into_schema());
        self
    }

    /// How many places may be reserved at a time, at least one; four for each core by default.
    pub fn window(mut self, places: usize) -> Self {
        self.window = places.max(1);
        self
    }

    /// The writer. A stream whose schema is given starts at once, since its readers wait for it.
    ///
    /// # Errors
    ///
    /// Where a given schema cannot be written, or the footer has no room for the metadata; the sink comes back. Without a
    /// schema, never: the first batch is refused then.
    #[doc(alias = "try_new")]
    #[doc(alias = "try_new_buffered")]
    pub fn build(self) -> Result<SharedWriter<W, F>, Failed<W>> {
        let Self { mut sink, options, schema, window, footer_metadata, .. } = self;
        let start = |schema| start::<F>(schema, &options, &footer_metadata, &mut sink);
        let output = match schema.map(start).transpose() {
            Ok(output) => output,
            Err(error) => return Err(Failed::new(error, sink)),
        };
        Ok(SharedWriter::new(Shared::new(sink, output, options, footer_metadata, window)))
    }
}

impl<W: Write + Send> Builder<W, FileFormat> {
    /// Puts a key-value pair into the footer.
    #[doc(alias = "write_metadata")]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.footer_metadata.insert(key, value);
        self
    }
}

fn start<F: Format>(
    schema: SchemaRef,
    options: &Options,
    footer_metadata: &Metadata,
    sink: &mut impl Write,
) -> ipc_core::Result<Output> {
    let schema = StreamSchema::try_new(schema, options)?;
    let context = Arc::new(EncodingContext::new(Arc::new(schema)));
    let mut output = Output::open::<F>(context, options, footer_metadata)?;
    if !F::HAS_FOOTER {
        output.ledger.write_staged(sink)?;
    }
    Ok(output)
}
