//! The options of a writer, and the constructors that return them.

use std::io::Write;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use ipc_core::parts::StreamSchema;
use ipc_core::{Failed, FileFormat, Format, IntoSchema, Metadata, Options, StreamFormat};

use crate::shared::Shared;
use crate::shared::context::EncodingContext;
use crate::shared::output::Output;
use crate::sync::cores;
use crate::writer::SharedWriter;

impl<W: Write + Send> SharedWriter<W, StreamFormat> {
    /// Returns a builder for a writer of a stream.
    ///
    /// The sink should block. A non-blocking socket or pipe that returns [`WouldBlock`](std::io::ErrorKind::WouldBlock)
    /// after a part of a message has torn the output. Since it cannot take bytes back, that poisons the writer for
    /// good. Let such a sink write into memory, or wait in its `write`.
    #[doc(alias = "StreamWriter")]
    pub fn stream(sink: W) -> Builder<W, StreamFormat> {
        Builder::new(sink)
    }
}

impl<W: Write + Send> SharedWriter<W, FileFormat> {
    /// Returns a builder for a writer of a file. The sink need not seek, and need not be buffered.
    #[doc(alias = "FileWriter")]
    pub fn file(sink: W) -> Builder<W, FileFormat> {
        Builder::new(sink)
    }
}

/// Builds a [`SharedWriter`].
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

    /// Sets the encoding options. Without them, the defaults apply.
    #[doc(alias = "try_new_with_options")]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Sets the schema of the output. Without it, the schema of the first batch in the output applies.
    pub fn schema(mut self, schema: impl IntoSchema) -> Self {
        self.schema = Some(schema.into_schema());
        self
    }

    /// Sets how many places may be reserved at a time: at least one, and by default four for each core.
    pub fn window(mut self, places: usize) -> Self {
        self.window = places.max(1);
        self
    }

    /// Builds the writer. If the schema of a stream is set, it is written at once, since readers wait for it.
    ///
    /// # Errors
    ///
    /// If the schema cannot be written, or the footer has no room for the metadata. The error gives the sink back; `?`
    /// drops it and converts to this crate's [`Error`](crate::Error). Without a schema there is no error here, but the
    /// first batch gets it.
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
    /// Puts a key-value pair into the footer. More can follow while the writer is open, by
    /// [`write_metadata`](SharedWriter::write_metadata).
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
