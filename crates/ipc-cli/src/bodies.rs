//! Decodes the bodies of an input as `merge` would, and drops the result.
//!
//! Metadata alone cannot tell whether an input is complete: a compressed buffer may be damaged, or an offset may point
//! beyond its values. So each dictionary batch and record batch is decoded, and each record batch is encoded again, in
//! the order in which a merge reads them.

use std::io;
use std::sync::Arc;

use arrow_buffer::Buffer;
use ipc_core::{Encoder, StreamFormat};
use ipc_recover::scan::Head;
use ipc_recover::{Damage, Fault, Input as Account};

use crate::blame::Values;
use crate::decode::{self, Encoded};
use crate::values::Dictionaries;

/// The bodies of one stream, or of a file.
pub(crate) struct Bodies {
    dictionaries: Dictionaries,
    /// What the record batches are given for them; `None` if they have changed since.
    values: Option<Arc<Values>>,
    encoder: Encoder<io::Sink, StreamFormat>,
}

impl Bodies {
    /// Returns a decoder for the stream, or the file, that has just begun.
    ///
    /// # Errors
    ///
    /// If its schema cannot be decoded or written.
    pub(crate) fn begin(account: &Account<'_>) -> Result<Self, Damage> {
        let refused = |fault| Damage::new(account.schema_offset(), fault);
        let schema = decode::schema(account.schema()).map_err(refused)?;
        let encoder = Encoder::stream(io::sink()).start(Arc::clone(&schema));
        let encoder = encoder
            .map_err(|failed| refused(Fault::Undecodable { what: "schema", reason: failed.error().to_string() }))?;
        Ok(Self { dictionaries: Dictionaries::new(schema), values: None, encoder })
    }

    /// Decodes the body of the message that was returned last.
    ///
    /// # Errors
    ///
    /// If a merge would refuse it.
    pub(crate) fn take(&mut self, account: &mut Account<'_>, head: &Head, body: Buffer) -> Result<(), Damage> {
        if head.is_dictionary() {
            account.checksums().verify(head, &body)?;
            self.values = None;
            return self.dictionaries.take(head.clone(), body);
        }
        let dictionaries = match &self.values {
            Some(values) => Arc::clone(values),
            None => Arc::clone(self.values.insert(Arc::new(self.dictionaries.values(account)?.clone()))),
        };
        let (head, schema) = (head.clone(), Arc::clone(self.dictionaries.schema()));
        let checksums = account.checksums();
        let encoded = Encoded { input: Arc::from(""), head, body, checksums, schema, dictionaries };
        let (batch, metadata) = encoded.decode()?;
        let written = self.encoder.write_with_metadata(&batch, &metadata);
        written.map(drop).map_err(|error| {
            let fault = Fault::Undecodable { what: "record batch", reason: error.to_string() };
            Damage::new(encoded.head.place().offset, fault)
        })
    }
}
