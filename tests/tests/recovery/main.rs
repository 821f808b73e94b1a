//! What `ipc-recover` promises. One promise to a file.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cuts;
mod sound_inputs;
mod support;
