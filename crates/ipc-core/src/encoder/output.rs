//! The sink and ledger of an open output, which write an abort mark when they are dropped.

use std::fmt;
use std::io::Write;

use crate::output::ledger::Ledger;

/// The sink and the ledger of an output that has no end yet. Its header may not have been written either.
///
/// When it is dropped, a stream gets the abort mark. To write nothing, take the [parts](Self::into_parts) out.
pub struct Output<W> {
    /// `None` only after `into_parts`, which consumes the output.
    parts: Option<Parts<W>>,
    /// [`Ledger::give_up`] for this sink: the impl of `Drop` cannot require `W: Write`, because the struct does not.
    give_up: fn(&mut Ledger, &mut W),
}

/// The sink of an encoder that is not started.
pub enum Opening<W> {
    /// The sink holds no byte of the output.
    Untouched(W),
    /// A failed start has left the header in the sink, whole or torn. Another header must not follow. If the header is
    /// whole, readers see a stream without batches.
    Begun(Box<Output<W>>),
}

impl<W: Write> Opening<W> {
    pub(crate) fn new(sink: W, ledger: Option<Ledger>) -> Self {
        match ledger.filter(|ledger| !is_untouched(ledger)) {
            None => Self::Untouched(sink),
            Some(ledger) => Self::Begun(Box::new(Output::new(sink, ledger))),
        }
    }
}

impl<W> Opening<W> {
    /// Returns the sink, and the ledger of the output that has been begun in it.
    pub(crate) fn into_parts(self) -> (W, Option<Ledger>) {
        match self {
            Self::Untouched(sink) => (sink, None),
            Self::Begun(output) => {
                let Parts { sink, ledger } = output.into_parts();
                (sink, if is_untouched(&ledger) { None } else { Some(ledger) })
            }
        }
    }
}

/// Returns whether the sink holds no byte of the output, so that it may still get another header.
fn is_untouched(ledger: &Ledger) -> bool {
    ledger.confirmed_bytes() == 0 && ledger.check().is_ok()
}

/// The sink and the ledger of an output.
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
