//! The id of a value in a unified dictionary.

use std::num::NonZero;

/// The id of a value: its place in the order in which values were added. It never changes, and has at most 31 bits.
///
/// It is kept as one more, so that an absent id takes no room beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ValueId(NonZero<u32>);

impl ValueId {
    /// The id with this number; `None` where ids are exhausted.
    pub(crate) fn new(id: usize) -> Option<Self> {
        u32::try_from(id).ok().and_then(|id| NonZero::new(id.checked_add(1)?)).map(Self)
    }

    /// Its number.
    pub(crate) fn get(self) -> u32 {
        self.0.get() - 1
    }

    /// How many values a dictionary has at least that has this one.
    pub(crate) fn required(self) -> u32 {
        self.0.get()
    }
}
