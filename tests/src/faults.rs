//! Every fault of a sink at every call, under every writer, and what must be in the output then.
//!
//! - [`writers`] gives the encoder and the shared writer one face.
//! - [`sweep`] has the faults, and follows what the callers are told.
//! - [`verdict`] holds the bytes against that.

pub mod sweep;
pub mod verdict;
pub mod writers;
