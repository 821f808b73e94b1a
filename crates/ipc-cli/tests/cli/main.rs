//! What `arrow-ipc` promises, shown by running it. One promise to a file.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod advice;
mod arguments;
mod behind_the_end;
mod cases;
mod changing;
mod checksums;
mod complete_or_absent;
mod confirmed;
mod consecutive;
mod documents;
mod errors;
mod extension_types;
mod given_up;
mod guide_on_readers;
mod inputs;
mod inspect;
mod killed;
mod memory;
mod metadata;
mod open_outputs;
mod order;
mod pipes;
mod power;
mod progress;
mod readers;
mod real_data;
mod recover;
mod refused_by_the_system;
mod support;
mod unify;
mod words;
