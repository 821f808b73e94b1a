//! The states of an [`Encoder`](crate::Encoder). Each holds what exists only in that state.

use arrow_schema::SchemaRef;

use crate::dictionary::unified::UnifiedDictionaries;
use crate::encode::BatchEncoder;
use crate::encoder::output::{Opening, Output};
use crate::output::receipt::Stats;

/// A state of an [`Encoder`](crate::Encoder): [`Unstarted`], [`Started`] or [`Closed`]. Sealed.
pub trait State: sealed::Sealed {
    /// The type that holds the sink in this state.
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

/// The sink may already hold the header, if a start failed.
impl State for Unstarted {
    type Sink<W> = Opening<W>;
}

/// The output has a header and no end: dropping the sink writes the abort mark.
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
