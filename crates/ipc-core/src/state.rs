//! The states of an [`Encoder`](crate::Encoder) and what each of them owns.

use arrow_schema::SchemaRef;

use crate::batch::BatchEncoder;
use crate::ledger::Ledger;
use crate::receipt::Stats;
use crate::unify::UnifiedDictionaries;

/// A state of an [`Encoder`](crate::Encoder). Sealed: [`Unstarted`], [`Started`] and [`Closed`] are all there are.
pub trait State: sealed::Sealed {}

/// No schema yet, so nothing to write.
#[derive(Debug)]
pub struct Unstarted {
    /// What a start that failed has left: bytes of a header are in the sink, so another header must not follow.
    pub(crate) begun: Option<Ledger>,
}

/// The header is settled; record batches may follow.
#[derive(Debug)]
pub struct Started {
    pub(crate) batches: BatchEncoder,
    pub(crate) ledger: Ledger,
    /// There where a field has a unified dictionary.
    pub(crate) unified: Option<UnifiedDictionaries>,
}

/// The end has been written; nothing may follow.
#[derive(Debug)]
pub struct Closed {
    pub(crate) stats: Stats,
    pub(crate) schema: SchemaRef,
}

impl State for Unstarted {}
impl State for Started {}
impl State for Closed {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Unstarted {}
    impl Sealed for super::Started {}
    impl Sealed for super::Closed {}
}
