//! A small generator of numbers (SplitMix64), so that a whole batch follows from one seed. It can be fed with numbers
//! that somebody else chose, such as a fuzzer, and goes on by itself when they are used up.
//!
//! proptest shrinks schemas and row counts; values need no shrinking, and made this way they cost little.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A stream of numbers that its seed determines.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
    fed: std::vec::IntoIter<u8>,
}

impl Random {
    /// The stream of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::fed(&[], seed)
    }

    /// The numbers `food`, and behind them the stream of `seed`.
    #[must_use]
    pub fn fed(food: &[u8], seed: u64) -> Self {
        Self { state: seed, fed: Vec::from(food).into_iter() }
    }

    /// The stream of `seed` for one purpose, independent of those for others.
    #[must_use]
    pub fn labelled(seed: u64, label: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        (seed, label).hash(&mut hasher);
        Self::new(hasher.finish())
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        if let Some(number) = self.fed.next() {
            return number.into();
        }
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.draw() % limit as u64).expect("below a usize")
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of `choices`.
    pub fn pick<'c, T>(&mut self, choices: &'c [T]) -> &'c T {
        &choices[self.below(choices.len())]
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.draw().to_le_bytes()[..chunk.len()]);
        }
    }
}
