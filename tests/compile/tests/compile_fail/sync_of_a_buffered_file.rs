use std::fs::File;
use std::io::BufWriter;

use ipc_core::arrow_schema::SchemaRef;
use ipc_core::{Encoder, Error};

fn sync(sink: File, schema: &SchemaRef) -> Result<(), Error> {
    let mut encoder = Encoder::file(BufWriter::new(sink)).start(schema)?;
    encoder.sync()?; // offends
    encoder.flush()
}

fn main() {
    let _ = sync;
}
