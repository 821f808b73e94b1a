//! The states of an [`Encoder`](crate::Encoder) and what each of them owns.

use arrow_schema::SchemaRef;

use crate::dictionary::unified::UnifiedDictionaries;
use crate::encode::BatchEncoder;
use crate::encoder::output::{Opening, Output};
use crate::output::receipt::Stats;

/// A state of an [`Encoder`](crate::Encoder). Sealed: [`Unstarted`], [`Started`] and [`Closed`] are all there are.
pub trait State: sealed::Sealed {
    /// What the sink is kept in.
    #[doc(hidden)]
    type Sink<W>;
}

/// No schema yet, so nothing to write.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unstarted;

/// The header is settled; record batches may follow.
#[derive(Debug)]
pub struct Started {
    pub(crate) batches: BatchEncoder,
    pub(crate) unified: UnifiedDictionaries,
}

/// The end has been written; nothing may follow.
#[derive(Debug)]
pub struct Closed {
    pub(crate) stats: Stats,
    pub(crate) schema: SchemaRef,
}

/// A start that failed may have left a header.
impl State for Unstarted {
    type Sink<W> = Opening<W>;
}

/// The state with a header and no end: here a sink is not dropped unseen.
impl State for Started {
    type Sink<W> = Output<W>;
}

impl State for Closed {
    type Sink<W> = W;
}

impl sealed::Sealed for Unstarted {}

impl sealed::Sealed for Started {}

impl sealed::Sealed for Closed {}

mod sealed {
    pub trait Sealed {}
}
