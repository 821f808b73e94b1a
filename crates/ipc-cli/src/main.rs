//! `arrow-ipc`: merges Arrow IPC files and streams into one, lists their messages, and recovers damaged ones.
//!
//! `merge` is the shortest way to use [`ipc_shared::SharedWriter`] on real data. One thread reads messages and reserves
//! a place in the output for each batch. Any number of threads decode, encode and compress. The writer puts everything
//! in order. `inspect` lists the messages of a file or a stream, and says whether a merge would take all of it.
//! `recover` is a thin layer around [`ipc_recover`].
//!
//! # Parts
//!
//! Data flows one way: source, input, decode, pipeline, output.
//!
//! - [`source`] opens the inputs that the command line names; [`ipc_recover`] finds the messages in them, and trusts
//!   none.
//! - [`input`] is a file or a stream as a sequence of encoded batches, each with the [`dictionaries`] at its position.
//! - [`decode`] decodes a record batch, and catches panics about damaged input; [`blame`] names the column that is
//!   refused.
//! - [`description`] shows a schema and its metadata.
//! - [`bodies`] decodes all bodies of an input, only to check them.
//! - [`survey`] looks at all inputs before anything is written; [`advice`] finds the arguments that help if the output
//!   cannot have their dictionaries.
//! - [`pipeline`] runs one reading thread and many workers, with bounded memory, until the first error.
//! - [`output`] appears under its name only when complete, or is an [`open_file`]; [`signals`] cleans it up when the
//!   program is told to stop.
//! - [`large`] messages, which some readers refuse, are reported.
//! - [`metadata`] of all inputs becomes that of the output, if they agree.
//! - [`merge`], [`inspect`] and [`recover`] are the commands, put together from these.
//!
//! # Exit status
//!
//! 0 if all went well; 1 if an input or the output is bad; 2 if the arguments are; 3 if the output is complete, but
//! rows, or bytes that may have been rows, were left out, which is reported.

#![forbid(unsafe_code)]

mod advice;
mod args;
mod blame;
mod bodies;
mod catch_panic;
mod counted;
mod decode;
mod description;
mod dictionaries;
mod error;
mod input;
mod inspect;
mod large;
mod merge;
mod metadata;
mod open_file;
mod output;
mod pipeline;
mod progress;
mod recover;
mod signals;
mod source;
mod summary;
mod survey;
mod values;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command};
use crate::error::Error;

fn main() -> ExitCode {
    catch_panic::silence_caught_panics();
    signals::let_writes_fail();
    let done = match Arguments::parse().command {
        Command::Merge(arguments) => {
            let job = arguments.resolve().unwrap_or_else(|usage| usage.exit());
            merge::run(&job)
        }
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Recover(arguments) => recover::run(&arguments),
    };
    signals::let_the_signal_end_it();
    match done {
        Ok(()) | Err(Error::BrokenPipe) => ExitCode::SUCCESS,
        Err(Error::RowsLeftOut) => ExitCode::from(3),
        Err(error) => {
            error.print();
            ExitCode::FAILURE
        }
    }
}
