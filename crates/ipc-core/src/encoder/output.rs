//! A sink with an open output: the part of a started encoder that must not be dropped unseen.

use std::fmt;
use std::io::Write;

use crate::output::ledger::Ledger;

/// The sink and the ledger of an output that has a header and no end.
///
/// Dropped, it leaves the abort mark where the output is a stream. Whoever moves on takes the [parts](Self::into_parts)
/// out, and nothing is written.
pub struct Output<W> {
    /// There until they are taken out, which consumes this.
    parts: Option<Parts<W>>,
    /// [`Ledger::give_up`] for this sink, since a type's `Drop` may not ask for more than the type does.
    give_up: fn(&mut Ledger, &mut W),
}

/// What an output consists of.
pub(crate) struct Parts<W> {
    pub(crate) sink: W,
    pub(crate) ledger: Ledger,
}

impl<W> Output<W> {
    pub(crate) fn new(sink: W, ledger: Ledger) -> Self
    where
        W: Write,
    {
        Self { parts: Some(Parts { sink, ledger }), give_up: Ledger::give_up::<W> }
    }

    pub(crate) fn parts(&self) -> &Parts<W> {
        self.parts.as_ref().expect(THERE)
    }

    #[inline(always)]
    pub(crate) fn parts_mut(&mut self) -> &mut Parts<W> {
        self.parts.as_mut().expect(THERE)
    }

    pub(crate) fn into_parts(mut self) -> Parts<W> {
        self.parts.take().expect(THERE)
    }
}

impl<W> Drop for Output<W> {
    fn drop(&mut self) {
        if let Some(Parts { sink, ledger }) = &mut self.parts {
            (self.give_up)(ledger, sink);
        }
    }
}

impl<W> fmt::Debug for Output<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Output").field(&self.parts().ledger).finish()
    }
}

const THERE: &str = "the parts are there until they are taken out, which consumes the output";
