//! Writes batches to a file and syncs behind each, then closes: for a test that has the system refuse a sync. Prints
//! each call, how long the file was then, and what came of it. Behind a call that failed come all others, once each.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test that runs it")]

use std::env;
use std::fs::{self, File};
use std::process::ExitCode;

use arrow_array::RecordBatch;
use ipc_core::{Encoder, FileTail, Started};
use ipc_shared::{Error, Format, SharedWriter, StreamFormat};
use ipc_tests::shared::{Output, Words, batch, schema};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["encoder", "stream", path] => run(path, &mut encoder::<StreamFormat>(path)),
        ["encoder", "file", path] => run(path, &mut encoder::<ipc_core::FileFormat>(path)),
        ["shared", "stream", path] => run(path, &mut shared::<StreamFormat>(path)),
        ["shared", "file", path] => run(path, &mut shared::<ipc_core::FileFormat>(path)),
        _ => {
            eprintln!("usage: synced encoder|shared stream|file PATH");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// A writer to a file.
trait Writer {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error>;
    fn flush(&mut self) -> Result<(), Error>;
    fn sync(&mut self) -> Result<u64, Error>;
    fn rollback(&mut self) -> Result<(), Error>;
    fn close(&mut self) -> Result<(), Error>;
}

fn run(path: &str, writer: &mut dyn Writer) {
    let tell = |call: &str, result: Result<(), Error>| {
        let length = fs::metadata(path).unwrap().len();
        let told = match &result {
            Ok(()) => "ok".to_owned(),
            Err(Error::Poisoned { offset, unconfirmed, source }) => {
                format!("poisoned at {offset}, {unconfirmed} unconfirmed: {source}")
            }
            Err(error) => format!("failed: {error}"),
        };
        println!("{call} {length} {told}");
        result.is_ok()
    };
    // A sync confirms all of a file that holds nothing else.
    let sync = |writer: &mut dyn Writer| {
        let synced = writer.sync().map(|confirmed| assert_eq!(confirmed, fs::metadata(path).unwrap().len()));
        tell("sync", synced)
    };
    for number in 0..BATCHES {
        let batch = batch(Words::Equal, (0, number));
        let is_written = tell("write", writer.write(&batch));
        if !is_written || !sync(writer) {
            sync(writer);
            tell("rollback", writer.rollback());
            tell("write", writer.write(&batch));
            tell("flush", writer.flush());
            sync(writer);
            break;
        }
    }
    tell("close", writer.close());
}

fn tail(path: &str) -> FileTail {
    FileTail::new(File::create(path).unwrap()).unwrap()
}

fn encoder<F: Output>(path: &str) -> Alone<F> {
    Alone { encoder: Some(F::encoder(tail(path)).start(schema(Words::Equal)).unwrap()) }
}

fn shared<F: Output>(path: &str) -> SharedWriter<FileTail, F> {
    F::to(tail(path)).build().unwrap()
}

/// An encoder until it is closed.
struct Alone<F: Format> {
    encoder: Option<Encoder<FileTail, F, Started>>,
}

impl<F: Output> Alone<F> {
    fn encoder(&mut self) -> Result<&mut Encoder<FileTail, F, Started>, Error> {
        self.encoder.as_mut().ok_or(Error::Closed)
    }
}

impl<F: Output> Writer for Alone<F> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        Ok(self.encoder()?.write(batch).map(drop)?)
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(self.encoder()?.flush()?)
    }

    fn sync(&mut self) -> Result<u64, Error> {
        Ok(self.encoder()?.sync()?)
    }

    fn rollback(&mut self) -> Result<(), Error> {
        Ok(self.encoder()?.rollback()?)
    }

    fn close(&mut self) -> Result<(), Error> {
        let encoder = self.encoder.take().ok_or(Error::Closed)?;
        encoder.close().map(drop).map_err(|failed| {
            let (error, encoder) = failed.into_parts();
            self.encoder = Some(encoder);
            error.into()
        })
    }
}

impl<F: Output> Writer for SharedWriter<FileTail, F> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        Self::write(self, batch).map(drop)
    }

    fn flush(&mut self) -> Result<(), Error> {
        Self::flush(self)
    }

    fn sync(&mut self) -> Result<u64, Error> {
        Self::sync(self)
    }

    fn rollback(&mut self) -> Result<(), Error> {
        Self::rollback(self)
    }

    fn close(&mut self) -> Result<(), Error> {
        Self::close(self).map(drop)
    }
}

/// How many batches are written.
const BATCHES: usize = 4;
