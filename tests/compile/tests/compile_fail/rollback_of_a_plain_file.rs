use std::fs::File;

use ipc_core::arrow_schema::SchemaRef;
use ipc_core::{Encoder, Error};

fn roll_back(sink: File, schema: &SchemaRef) -> Result<(), Error> {
    let mut encoder = Encoder::file(sink).start(schema)?;
    encoder.rollback()?; // offends
    encoder.flush()
}

fn main() {
    let _ = roll_back;
}
