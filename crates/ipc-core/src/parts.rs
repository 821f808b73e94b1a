//! The low-level interface: the parts that [`Encoder`](crate::Encoder) consists of, for programs that put them together
//! in another way.
//!
//! Data flows one way: record batch, group, ledger, sink.
//!
//! - [`BatchEncoder`] encodes a record batch to a [`Group`]: a record batch [`Message`], with the [`DictionaryBatches`]
//!   that must precede it. It needs no access to the output, only to what readers [have](SentDictionaries) of its
//!   dictionaries.
//! - [`Ledger`] appends groups to a sink. It knows the output's position, what readers have, and what the footer will
//!   say. It records only what was written.
//! - [`StreamSchema`] is a schema that can be written, with its message. It also says [what
//!   becomes](StreamSchema::change) of a dictionary that differs, and [which
//!   metadata](StreamSchema::metadata_differences) of another schema is lost.
//! - [`UnifiedDictionaries`] are the dictionaries that all batches of an output share, where the options
//!   [unify](crate::DictionaryHandling::Unify) them. [`UnifiedStore`] lets several threads share them.
//!
//! # Encoding on many threads
//!
//! Encoding is the work, and it needs no lock: give each thread a batch encoder. The ledger and the sink belong under
//! one lock. Publish a clone of [`Ledger::sent`] whenever its [version](SentDictionaries::version) changes, and
//!
//! 1. outside the lock, [encode a group](BatchEncoder::encode_group) against the published dictionaries;
//! 2. inside, ask whether the ledger [accepts](Ledger::accepts) the group. If it does, [append](Ledger::append) it;
//! 3. if not, release the lock, [encode its dictionaries again](BatchEncoder::reencode_dictionaries), and go back to 2.
//!    From the second time on, [send everything](Sending::Everything): in a stream, such a group is always accepted.
//!
//! `ipc-shared` is built this way.
//!
//! # Writing elsewhere
//!
//! A message need not go through a ledger: [`Message::into_owned`] shares its batch's memory, and
//! [`Message::into_buffers`] returns its bytes as buffers, for an object store or a remote procedure call.
//! [`StreamSchema::message`] has the bytes that such messages must follow.

pub use crate::arrays::compare::Comparison;
pub use crate::dictionary::batches::{DictionaryBatches, Sending};
pub use crate::dictionary::decide::Change;
pub use crate::dictionary::sent::SentDictionaries;
pub use crate::dictionary::unified::{AddedValues, NewValues, UnifiedDictionaries, UnifiedSnapshot, UnifiedStore};
pub use crate::encode::BatchEncoder;
pub use crate::encode::group::Group;
pub use crate::message::Message;
pub use crate::message::segment::Slice;
pub use crate::output::ledger::Ledger;
pub use crate::schema::StreamSchema;
pub use crate::schema::difference::MetadataDifference;
