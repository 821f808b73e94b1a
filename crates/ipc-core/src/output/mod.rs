//! Appends encoded messages to a sink, and records what was written.

mod abort_mark;
pub(crate) mod footer;
pub(crate) mod group_writer;
pub(crate) mod ledger;
pub(crate) mod receipt;
pub(crate) mod storage;
mod vectored;
