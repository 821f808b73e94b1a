//! Appends encoded messages to a sink, and records what was written.

pub(crate) mod footer;
pub(crate) mod ledger;
pub(crate) mod outlet;
pub(crate) mod receipt;
pub(crate) mod storage;
