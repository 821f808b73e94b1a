//! How a writer is settled before the first thread writes.

use std::io::Write;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use ipc_core::{Failed, FileFormat, Format, Ledger, Metadata, Options, StreamSchema};

use crate::shared::{Shared, open};
use crate::sync::cores;
use crate::writer::SharedWriter;

/// Settles how a [`SharedWriter`] writes.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct Builder<W, F> {
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
    pub fn schema(mut self, schema: impl Into<SchemaRef>) -> Self {
        self.schema = Some(schema.into());
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
        let ledger = match schema.map(start).transpose() {
            Ok(ledger) => ledger,
            Err(error) => return Err(Failed::new(error, sink)),
        };
        Ok(SharedWriter::new(Shared::new(sink, ledger, options, footer_metadata, window)))
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
) -> ipc_core::Result<Ledger> {
    let schema = StreamSchema::try_new(schema, options)?;
    let mut ledger = open::<F>(Arc::new(schema), options, footer_metadata)?;
    if !F::HAS_FOOTER {
        ledger.write_staged(sink)?;
    }
    Ok(ledger)
}
