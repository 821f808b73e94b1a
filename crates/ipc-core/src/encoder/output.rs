//! A sink with an open output: the part of an encoder that must not be dropped unseen.

use std::fmt;
use std::io::Write;

use crate::output::ledger::Ledger;

/// The sink and the ledger of an output that has a header, or is about to get it, and no end.
///
/// Dropped, it leaves the abort mark where the output is a stream. Whoever moves on takes the [parts](Self::into_parts)
/// out, and nothing is written.
pub struct Output<W> {
    /// There until they are taken out, which consumes this.
    parts: Option<Parts<W>>,
    /// [`Ledger::give_up`] for this sink, since a type's `Drop` may not ask for more than the type does.
    give_up: fn(&mut Ledger, &mut W),
}

/// The sink of an encoder that is not started.
pub enum Opening<W> {
    /// It holds no byte of the output.
    Untouched(W),
    /// A start that failed has left the header in it, whole or torn: another one must not follow, and where it is whole,
    /// readers take it for a stream without batches.
    Begun(Output<W>),
}

impl<W: Write> Opening<W> {
    pub(crate) fn new(sink: W, ledger: Option<Ledger>) -> Self {
        match ledger.filter(|ledger| !is_untouched(ledger)) {
            None => Self::Untouched(sink),
            Some(ledger) => Self::Begun(Output::new(sink, ledger)),
        }
    }
}

impl<W> Opening<W> {
    /// The sink, and what has been begun in it.
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

/// Whether the sink holds no byte of the output, so that a header may still be another one.
fn is_untouched(ledger: &Ledger) -> bool {
    ledger.confirmed_bytes() == 0 && ledger.check().is_ok()
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
