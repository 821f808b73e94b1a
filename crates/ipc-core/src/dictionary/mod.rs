//! The dictionaries of an output: which ones readers have, and which ones a batch needs sent before it.
//!
//! Nothing here encodes or writes: the [batch encoder](crate::encode) encodes what [`decide`](mod@decide) asks for, and
//! the [ledger](crate::output::ledger) records what was written. Dictionaries that all batches share are in
//! [`unified`](mod@unified).
//!
//! See [Dictionary messages](https://arrow.apache.org/docs/format/Columnar.html#dictionary-messages).

pub(crate) mod batches;
pub(crate) mod decide;
pub(crate) mod sent;
pub(crate) mod unified;
pub(crate) mod visit;
