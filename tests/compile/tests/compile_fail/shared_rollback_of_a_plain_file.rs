use std::fs::File;

use ipc_shared::{Error, SharedWriter};

fn roll_back(sink: File) -> Result<(), Error> {
    let writer = SharedWriter::file(sink).build()?;
    writer.rollback()?; // offends
    writer.flush()
}

fn main() {
    let _ = roll_back;
}
