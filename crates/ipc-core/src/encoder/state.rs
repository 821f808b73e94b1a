//! The states of an [`Encoder`](crate::Encoder), each with what exists only in it.

use arrow_schema::SchemaRef;

use crate::dictionary::unified::UnifiedDictionaries;
use crate::encode::BatchEncoder;
use crate::encoder::output::{Opening, Output};
use crate::output::receipt::Stats;

/// A state of an [`Encoder`](crate::Encoder): [`Unstarted`], [`Started`] or [`Closed`]. Sealed.
pub trait State: sealed::Sealed {
    /// How the sink is kept.
    #[doc(hidden)]
    type Sink<W>;
}

/// No schema yet, so nothing can be written.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unstarted;

/// The schema is known, and record batches may follow.
#[derive(Debug)]
pub struct Started {
    pub(crate) batches: BatchEncoder,
    pub(crate) unified: UnifiedDictionaries,
}

/// The end has been written, and nothing may follow.
#[derive(Debug)]
pub struct Closed {
    pub(crate) stats: Stats,
    pub(crate) schema: SchemaRef,
}

/// A start that failed may have written the header.
impl State for Unstarted {
    type Sink<W> = Opening<W>;
}

/// A header without an end: if the sink is dropped, the output gets a mark.
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
