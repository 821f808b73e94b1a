//! A storage device that records its calls, and the states that a loss of power may leave it in.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind, IoSlice, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use ipc_core::{Durable, Truncate};

use crate::random::Random;

/// A call of the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Appends these bytes.
    Write(Vec<u8>),
    /// Truncates the file to this length.
    Truncate(u64),
    /// Makes everything so far durable.
    Sync,
}

/// A sink that writes to such a device. Clones share one device.
#[derive(Debug, Clone, Default)]
pub struct Device(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    /// The numbers of the writes that take half of their bytes; after each, the device is full.
    tears: Vec<usize>,
    writes: usize,
    is_full: bool,
}

impl Device {
    /// Returns a device that becomes full in the middle of the writes with these numbers, until it is truncated.
    #[must_use]
    pub fn tearing(tears: &[usize]) -> Self {
        let device = Self::default();
        device.state().tears = tears.to_vec();
        device
    }

    /// Returns the calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// Returns the bytes that the device holds.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        let calls = self.calls();
        Crash::behind(&calls, calls.len()).since.pop().unwrap_or_default()
    }

    /// Returns the number of calls so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state().calls.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it is locked")
    }
}

impl Write for Device {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state();
        if state.is_full {
            return Err(ErrorKind::StorageFull.into());
        }
        let mut bytes = slices.iter().map(|slice| &**slice).collect::<Vec<_>>().concat();
        state.is_full = state.tears.contains(&state.writes);
        state.writes += 1;
        if state.is_full {
            bytes.truncate(bytes.len().div_ceil(2));
        }
        let length = bytes.len();
        state.calls.push(Call::Write(bytes));
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Truncate for Device {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.state();
        state.is_full = false;
        state.calls.push(Call::Truncate(length));
        Ok(())
    }
}

impl Durable for Device {
    fn sync(&mut self) -> io::Result<()> {
        self.state().calls.push(Call::Sync);
        Ok(())
    }
}

/// A loss of power after the first N calls.
#[derive(Debug)]
pub struct Crash {
    /// The bytes that the last sync before the crash covered.
    durable: Vec<u8>,
    /// The contents of the file after each call since; the first is `durable`.
    since: Vec<Vec<u8>>,
    /// The bytes that may still be on the device where the file was truncated, or had not yet reached.
    stale: Vec<u8>,
}

impl Crash {
    /// Returns the crash after the first `count` of these calls.
    #[must_use]
    pub fn behind(calls: &[Call], count: usize) -> Self {
        let (mut content, mut stale) = (Vec::new(), Vec::new());
        let mut since = vec![Vec::new()];
        for call in &calls[..count] {
            match call {
                Call::Write(bytes) => content.extend_from_slice(bytes),
                Call::Truncate(length) => {
                    overlay(&mut stale, &content);
                    content.truncate(usize::try_from(*length).expect("what is in memory fits it"));
                }
                Call::Sync => since.clear(),
            }
            since.push(content.clone());
        }
        // Bytes of other files.
        let longest = since.iter().map(Vec::len).max().unwrap_or(0);
        let from = stale.len();
        stale.resize(longest.max(from), 0);
        Random::new(count as u64).fill(&mut stale[from..]);
        Self { durable: since[0].clone(), since, stale }
    }

    /// Returns the states in which writes arrived in order: whole, in part, or as a longer file only.
    #[must_use]
    pub fn in_order(&self) -> Vec<Vec<u8>> {
        let mut states = self.since.clone();
        let longest = self.since.iter().map(Vec::len).max().unwrap_or(0);
        for pair in self.since.windows(2) {
            // A part of the write arrived, or the file has grown and no bytes arrived.
            if pair[1].len() > pair[0].len() {
                let half = pair[0].len() + (pair[1].len() - pair[0].len()) / 2;
                states.extend([pair[1][..half].to_vec(), grown(&pair[0], pair[1].len()), grown(&pair[0], longest)]);
                states.push(grown(&pair[1][..half], pair[1].len()));
            }
        }
        states
    }

    /// Returns a state in which random blocks of the written bytes have arrived.
    #[must_use]
    pub fn in_blocks(&self, random: &mut Random) -> Vec<u8> {
        let target = random.pick(&self.since);
        let block = *random.pick(&[512, 4096]);
        let is_grown = random.one_in(2);
        let size = if is_grown { self.since.iter().map(Vec::len).max().unwrap_or(0) } else { target.len() };
        let leaves_zeros = random.one_in(2);
        let rarely = 2 + random.below(4);
        let mut state = grown(target, size);
        for start in (0..size).step_by(block) {
            let end = size.min(start + block);
            if !random.one_in(rarely) {
                continue;
            }
            // This block did not arrive: it holds the synced bytes and, after them, the old contents of the device.
            for (at, byte) in state.iter_mut().enumerate().take(end).skip(start) {
                let before = if leaves_zeros { 0 } else { self.stale[at] };
                *byte = self.durable.get(at).copied().unwrap_or(before);
            }
        }
        state
    }

    /// Returns whether there was any call since the last sync.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.since.len() > 1
    }
}

/// Returns up to `limit` different states of the device after crashes, each with the number of calls before the crash.
#[must_use]
pub fn states(calls: &[Call], limit: usize) -> Vec<(Vec<u8>, usize)> {
    let crashes: Vec<_> = (0..=calls.len()).map(|count| (Crash::behind(calls, count), count)).collect();
    let mut seen = HashSet::new();
    let mut states = Vec::new();
    let mut add = |state: Vec<u8>, count: usize| {
        let mut hasher = DefaultHasher::new();
        (&state, count).hash(&mut hasher);
        if seen.insert(hasher.finish()) {
            states.push((state, count));
        }
        states.len() >= limit
    };
    let mut random = Random::new(7);
    // A part of the limit is for writes in order, spread over all crashes; the rest is for random blocks.
    let mut in_order: Vec<_> =
        crashes.iter().flat_map(|(crash, count)| crash.in_order().into_iter().map(|state| (state, *count))).collect();
    while in_order.len() > limit / 3 {
        in_order.swap_remove(random.below(in_order.len()));
    }
    in_order.into_iter().for_each(|(state, count)| _ = add(state, count));
    let unsettled: Vec<_> = crashes.iter().filter(|(crash, _)| crash.is_unsettled()).collect();
    // Some states occur more than once.
    for _ in 0..4 * limit {
        let (crash, count) = *random.pick(&unsettled);
        if add(crash.in_blocks(&mut random), *count) {
            break;
        }
    }
    states
}

fn grown(content: &[u8], size: usize) -> Vec<u8> {
    let mut content = content.to_vec();
    content.resize(size.max(content.len()), 0);
    content
}

fn overlay(below: &mut Vec<u8>, above: &[u8]) {
    below.resize(below.len().max(above.len()), 0);
    below[..above.len()].copy_from_slice(above);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_is_in_every_state_and_what_was_not_in_some() {
        let calls = [
            Call::Write(vec![1; 1000]),
            Call::Sync,
            Call::Write(vec![2; 3000]),
            Call::Truncate(1500),
            Call::Write(vec![3; 5000]),
        ];
        let states = states(&calls, 300);
        assert!(states.len() > 150, "{}", states.len());
        let behind_the_sync: Vec<_> = states.iter().filter(|(_, count)| *count > 1).map(|(state, _)| state).collect();
        assert!(behind_the_sync.iter().all(|state| state.len() >= 1000 && state[..1000] == [1; 1000]));
        for expected in [0, 2, 3] {
            assert!(behind_the_sync.iter().any(|state| state.len() > 1500 && state[1600] == expected), "{expected}");
        }
        assert!(states.iter().any(|(state, _)| state.is_empty()), "nothing may have arrived before the sync");
        assert!(behind_the_sync.iter().any(|state| state.len() == 1000), "nor behind it");
        assert!(behind_the_sync.iter().any(|state| state.len() == 6500 && state[6499] == 3), "or all of it");
    }
}
