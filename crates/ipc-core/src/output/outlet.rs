//! The way to the sink: whole groups of bytes, or none, or the end.
//!
//! [`Outlet`] takes a *group* (a record batch with the dictionaries it needs, or the header) and hands it to the sink in
//! one vectored write, or keeps it staged until there is enough to write. It counts what the sink takes, so that after
//! an error it knows whether the output still ends with a whole group. If it does, the error is the caller's to handle
//! and the outlet goes on; if not, the output is torn and nothing may follow, unless the sink takes the torn bytes back.
//!
//! | condition | means | a call gets | rolled back |
//! |---|---|---|---|
//! | `Sound` | the output ends with a whole group | what it asks for | is `Sound` |
//! | `Writing` | the sink never returned from a write: it panicked | `Poisoned` | is `Sound` |
//! | `Torn` | the sink stopped inside a group | `Poisoned` | is `Sound` |
//! | `Syncing` | the sink never returned from a sync: it panicked | `Poisoned` | stays so |
//! | `Unsynced` | a sync failed, so nobody knows which bytes the device has | `Poisoned` | stays so |
//! | `Ended` | the end-of-stream marker has been written | `Closed` | stays so |
//! | `Aborted` | the output was given up, and may have a mark that says so | `Aborted` | stays so |

use std::io::{self, ErrorKind, IoSlice, Write};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::message::segment::recycle;
use crate::output::storage::{Durable, Truncate};

/// Groups up to this length are staged, where staging is on.
pub(crate) const STAGED_AT_MOST: u64 = 64 << 10;
/// How much is staged before it is written.
const STAGE_CAPACITY: usize = 256 << 10;
/// What a call to the sink may hold: the usual `IOV_MAX`.
const SLICES_AT_MOST: usize = 1024;

/// Counts and orders what goes to a sink. The sink itself is given with each call.
#[derive(Debug)]
pub(crate) struct Outlet {
    /// Groups that have been accepted but not written.
    stage: Vec<u8>,
    /// Where each staged group ends in `stage`.
    staged: Vec<StagedGroup>,
    /// Bytes that the sink has taken.
    taken: u64,
    /// What the last sync has made durable.
    synced: Synced,
    condition: Condition,
    /// Memory for the slices of a write.
    slices: Vec<IoSlice<'static>>,
}

#[derive(Debug, Clone, Copy)]
struct StagedGroup {
    end: usize,
    /// Record batches in the group: 1, or 0 for the header and for dictionaries sent ahead.
    batches: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Synced {
    bytes: u64,
    batches: u64,
}

#[derive(Debug)]
enum Condition {
    Sound,
    Writing,
    Torn { offset: u64, unconfirmed: u64, source: Arc<io::Error> },
    Syncing { unconfirmed: u64 },
    Unsynced { unconfirmed: u64, source: Arc<io::Error> },
    Ended,
    Aborted { reason: Arc<str> },
}

impl Outlet {
    /// Nothing written, and nothing staged. Where groups will be, all the room for them is there from the start: later, it
    /// would be made while others wait.
    pub(crate) fn new(stages: bool) -> Self {
        Self {
            stage: Vec::with_capacity(if stages { STAGE_CAPACITY } else { 0 }),
            staged: Vec::new(),
            taken: 0,
            synced: Synced::default(),
            condition: Condition::Sound,
            slices: Vec::new(),
        }
    }

    /// How many bytes have been accepted: taken by the sink, or staged.
    pub(crate) fn position(&self) -> u64 {
        self.taken + self.stage.len() as u64
    }

    /// How many bytes the sink has taken, in whole groups.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// How many record batches are staged.
    pub(crate) fn staged_batches(&self) -> u64 {
        self.staged.iter().map(|group| group.batches).sum()
    }

    /// Whether the end has been written.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.condition, Condition::Ended)
    }

    /// Why nothing more may be written, if so.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        if matches!(self.condition, Condition::Sound) { Ok(()) } else { self.refuse() }
    }

    #[cold]
    fn refuse(&self) -> Result<()> {
        let (offset, unconfirmed, source) = match &self.condition {
            Condition::Sound => return Ok(()),
            Condition::Ended => return Err(Error::Closed),
            Condition::Aborted { reason } => return Err(Error::Aborted { reason: Arc::clone(reason) }),
            Condition::Writing => (self.taken, self.staged_batches(), panicked()),
            Condition::Torn { offset, unconfirmed, source } => (*offset, *unconfirmed, Arc::clone(source)),
            Condition::Syncing { unconfirmed } => (self.synced.bytes, *unconfirmed, panicked()),
            Condition::Unsynced { unconfirmed, source } => (self.synced.bytes, *unconfirmed, Arc::clone(source)),
        };
        Err(Error::Poisoned { offset, unconfirmed, source })
    }

    /// Accepts a group without writing it.
    pub(crate) fn stage<'s>(&mut self, pieces: impl Iterator<Item = &'s [u8]>, batches: u64) {
        pieces.for_each(|piece| self.stage.extend_from_slice(piece));
        self.staged.push(StagedGroup { end: self.stage.len(), batches });
    }

    /// Accepts a small group, writing those before it first where the stage is full.
    pub(crate) fn stage_within_capacity<'s>(
        &mut self,
        sink: &mut impl Write,
        pieces: impl Iterator<Item = &'s [u8]>,
        length: u64,
        batches: u64,
    ) -> Result<()> {
        self.check()?;
        if self.stage.len() as u64 + length > STAGE_CAPACITY as u64 {
            self.write_staged(sink)?;
        }
        self.stage(pieces, batches);
        Ok(())
    }

    /// Writes what is staged and `pieces`, which hold `length` bytes, in one call as far as the sink takes it.
    #[inline]
    pub(crate) fn write<'s>(
        &mut self,
        sink: &mut impl Write,
        pieces: impl Iterator<Item = &'s [u8]>,
        length: u64,
    ) -> Result<()> {
        self.check()?;
        let mut slices: Vec<IoSlice<'_>> = recycle(std::mem::take(&mut self.slices));
        let length = self.stage.len() as u64 + length;
        if !self.stage.is_empty() {
            slices.push(IoSlice::new(&self.stage));
        }
        #[expect(clippy::redundant_closure, reason = "the closure's slices live shorter than the function's would")]
        slices.extend(pieces.map(|piece| IoSlice::new(piece)));
        self.condition = Condition::Writing;
        let written = write_all_vectored(sink, &mut slices, length);
        self.slices = recycle(slices);
        self.settle(written.map(|()| length))
    }

    /// Writes what is staged.
    pub(crate) fn write_staged(&mut self, sink: &mut impl Write) -> Result<()> {
        self.check()?;
        if self.stage.is_empty() { Ok(()) } else { self.write(sink, std::iter::empty(), 0) }
    }

    /// Writes what is staged and makes all of it durable: `batches` record batches so far. Returns how many bytes that is.
    pub(crate) fn sync(&mut self, sink: &mut impl Durable, batches: u64) -> Result<u64> {
        self.write_staged(sink)?;
        sink.flush()?;
        let unconfirmed = batches - self.synced.batches;
        self.condition = Condition::Syncing { unconfirmed };
        match sink.sync() {
            Ok(()) => {
                self.synced = Synced { bytes: self.taken, batches };
                self.condition = Condition::Sound;
            }
            Err(source) => self.condition = Condition::Unsynced { unconfirmed, source: Arc::new(source) },
        }
        self.check().map(|()| self.synced.bytes)
    }

    /// Takes back what the sink has taken beyond whole groups. What is staged stays so.
    pub(crate) fn roll_back(&mut self, sink: &mut impl Truncate) -> Result<()> {
        if !matches!(self.condition, Condition::Writing | Condition::Torn { .. }) {
            return self.check();
        }
        sink.truncate(self.taken).map_err(Error::Rollback)?;
        self.condition = Condition::Sound;
        Ok(())
    }

    /// Nothing may follow what has been written.
    pub(crate) fn end(&mut self) {
        debug_assert!(self.stage.is_empty(), "the end is written behind everything else");
        self.condition = Condition::Ended;
    }

    /// Lets nothing follow, drops what is staged, and hands `mark` to the sink.
    pub(crate) fn abort(&mut self, sink: &mut impl Write, mark: &[u8], reason: &str) -> Result<()> {
        self.check()?;
        self.condition = Condition::Aborted { reason: reason.into() };
        (self.stage, self.staged) = (Vec::new(), Vec::new());
        let written = write_all_vectored(sink, &mut [IoSlice::new(mark)], mark.len() as u64);
        written.map_err(|interrupted| Error::Io(interrupted.source))
    }

    /// Draws the conclusions from a write that took all, or so many bytes before it failed.
    #[inline]
    fn settle(&mut self, written: Result<u64, Interrupted>) -> Result<()> {
        match written {
            Ok(taken) => {
                self.taken += taken;
                self.stage.clear();
                self.staged.clear();
                self.condition = Condition::Sound;
                Ok(())
            }
            Err(interrupted) => self.interrupted(interrupted),
        }
    }

    #[cold]
    fn interrupted(&mut self, interrupted: Interrupted) -> Result<()> {
        let Interrupted { taken: known, source } = interrupted;
        let taken = known.unwrap_or(0);
        let is_whole = |group: &&StagedGroup| group.end as u64 <= taken;
        let whole = self.staged.iter().take_while(is_whole).count();
        let end = whole.checked_sub(1).map_or(0, |last| self.staged[last].end);
        self.taken += end as u64;
        self.stage.drain(..end);
        self.staged.drain(..whole);
        self.staged.iter_mut().for_each(|group| group.end -= end);
        if known == Some(end as u64) {
            self.condition = Condition::Sound;
            return Err(Error::Io(source));
        }
        self.condition =
            Condition::Torn { offset: self.taken, unconfirmed: self.staged_batches(), source: Arc::new(source) };
        self.check()
    }
}

#[cold]
fn panicked() -> Arc<io::Error> {
    Arc::new(io::Error::other("the sink panicked"))
}

/// A write that failed, and how many bytes the sink had taken by then, unless its word cannot be trusted.
struct Interrupted {
    taken: Option<u64>,
    source: io::Error,
}

/// Writes all of `slices`, which hold `length` bytes, in as few calls as the sink allows.
fn write_all_vectored(sink: &mut impl Write, slices: &mut [IoSlice<'_>], length: u64) -> Result<(), Interrupted> {
    let mut rest = slices;
    let mut left = length;
    // What the next call offers. Kept up to date by the slices that enter it, since a sink may take one at a time.
    let mut offered = match rest.get(..SLICES_AT_MOST) {
        None => left,
        Some(call) => lengths(call.iter()),
    };
    while left > 0 {
        let source = match sink.write_vectored(&rest[..rest.len().min(SLICES_AT_MOST)]) {
            Ok(0) => io::Error::new(ErrorKind::WriteZero, "the sink took no bytes"),
            Ok(n) if n as u64 <= offered => {
                left -= n as u64;
                if left > 0 {
                    let count = rest.len();
                    IoSlice::advance_slices(&mut rest, n);
                    let passed = (count - rest.len()).min(SLICES_AT_MOST);
                    let entered = rest.iter().take(SLICES_AT_MOST).skip(SLICES_AT_MOST - passed);
                    offered = offered - n as u64 + lengths(entered);
                }
                continue;
            }
            Ok(n) => {
                let reason = format!("the sink claims to have taken {n} bytes of {offered}");
                return Err(Interrupted { taken: None, source: io::Error::other(reason) });
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => e,
        };
        return Err(Interrupted { taken: Some(length - left), source });
    }
    Ok(())
}

fn lengths<'s>(slices: impl Iterator<Item = &'s IoSlice<'s>>) -> u64 {
    slices.map(|slice| slice.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes of each call, and at last claims one more than it was offered.
    struct Sipping {
        step: usize,
        lies_at: usize,
        taken: Vec<u8>,
    }

    impl Write for Sipping {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            assert!(slices.len() <= SLICES_AT_MOST && slices.iter().any(|slice| !slice.is_empty()));
            let offered: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            if self.taken.len() >= self.lies_at {
                return Ok(offered.len() + 1);
            }
            let n = offered.len().min(self.step);
            self.taken.extend_from_slice(&offered[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_sink_that_takes_little_gets_all_and_is_not_believed_more() {
        let bytes: Vec<u8> = (0..5_000_u32).map(|byte| byte.to_le_bytes()[0]).collect();
        // 2,500 slices of 0 to 4 bytes.
        let pieces: Vec<&[u8]> =
            (0..500).flat_map(|i| [0, 1, 2, 3, 4].map(|n| &bytes[i * 10 + n * (n + 1) / 2 - n..][..n])).collect();
        for step in [2, 700, 1_500, 5_000] {
            for lies_at in [usize::MAX, 0, 1, 1_999, 3_000] {
                let mut sink = Sipping { step, lies_at, taken: Vec::new() };
                let result = Outlet::new(false).write(&mut sink, pieces.iter().copied(), 5_000);
                if lies_at == usize::MAX {
                    result.unwrap();
                    assert_eq!(sink.taken, bytes, "{step}");
                } else {
                    assert!(matches!(result, Err(Error::Poisoned { .. })), "{step}, {lies_at}: {result:?}");
                }
            }
        }
    }

    /// Takes `room` bytes, then fails.
    struct Full {
        room: usize,
        taken: Vec<u8>,
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            let n = bytes.len().min(self.room);
            self.room -= n;
            self.taken.extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Truncate for Full {
        fn truncate(&mut self, length: u64) -> io::Result<()> {
            if self.room == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.taken.truncate(usize::try_from(length).unwrap());
            Ok(())
        }
    }

    impl Durable for Full {
        fn sync(&mut self) -> io::Result<()> {
            if self.room == 0 { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }

    /// Three staged groups of 10 bytes, the first of them a header, and one more of 10 that is written with them.
    fn write_into(room: usize) -> (Outlet, Full, Result<()>) {
        let mut outlet = Outlet::new(false);
        outlet.stage([[1; 10].as_slice()].into_iter(), 0);
        outlet.stage([[2; 10].as_slice()].into_iter(), 1);
        outlet.stage([[3; 10].as_slice()].into_iter(), 1);
        let mut sink = Full { room, taken: Vec::new() };
        let result = outlet.write(&mut sink, [[4; 10].as_slice()].into_iter(), 10);
        (outlet, sink, result)
    }

    #[test]
    fn an_error_between_groups_loses_nothing() {
        for room in [0, 10, 20, 30] {
            let (mut outlet, mut sink, result) = write_into(room);
            assert!(matches!(result, Err(Error::Io(_))), "{room}: {result:?}");
            assert_eq!(outlet.position(), 30, "the staged groups stay accepted");
            sink.room = usize::MAX;
            outlet.write(&mut sink, [[4; 10].as_slice()].into_iter(), 10).unwrap();
            let expected: Vec<u8> = [1, 2, 3, 4].into_iter().flat_map(|i| [i; 10]).collect();
            assert_eq!(sink.taken, expected, "{room}");
        }
    }

    #[test]
    fn errors_between_groups_may_come_again_and_again() {
        let (mut outlet, mut sink, _) = write_into(10);
        for taken in [20, 30] {
            sink.room = 10;
            let result = outlet.write(&mut sink, [[4; 10].as_slice()].into_iter(), 10);
            assert!(matches!(result, Err(Error::Io(_))), "{taken}: {result:?}");
            assert_eq!((outlet.taken(), outlet.position()), (taken, 30));
        }
        sink.room = usize::MAX;
        outlet.write(&mut sink, [[4; 10].as_slice()].into_iter(), 10).unwrap();
        assert_eq!(sink.taken, [1, 2, 3, 4].into_iter().flat_map(|i| [i; 10]).collect::<Vec<u8>>());
    }

    #[test]
    fn a_sink_that_claims_too_much_is_not_trusted_again() {
        struct Liar;
        impl Write for Liar {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                Ok(bytes.len() + 1)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut outlet = Outlet::new(false);
        let result = outlet.write(&mut Liar, [[4; 10].as_slice()].into_iter(), 10);
        assert!(matches!(result, Err(Error::Poisoned { offset: 0, .. })), "{result:?}");
        assert!(matches!(outlet.check(), Err(Error::Poisoned { .. })));
    }

    #[test]
    fn an_error_inside_a_group_is_the_end() {
        for (room, good, missing) in [(1, 0, 2), (11, 10, 2), (25, 20, 1), (31, 30, 0), (39, 30, 0)] {
            let (mut outlet, mut sink, result) = write_into(room);
            for result in [result, outlet.write_staged(&mut sink), outlet.check()] {
                let Err(Error::Poisoned { offset, unconfirmed, source }) = result else { panic!("{room}: {result:?}") };
                assert_eq!((offset, unconfirmed, source.kind()), (good, missing, ErrorKind::StorageFull), "{room}");
            }
            assert_eq!(sink.taken.len(), room, "nothing follows torn bytes");
        }
    }

    #[test]
    fn what_was_accepted_is_written_after_a_rollback() {
        for room in [1, 11, 25, 31, 39] {
            let (mut outlet, mut sink, result) = write_into(room);
            assert!(matches!(result, Err(Error::Poisoned { .. })), "{room}: {result:?}");
            let failed = outlet.roll_back(&mut sink);
            assert!(matches!(failed, Err(Error::Rollback(_))), "{room}: {failed:?}");
            assert!(matches!(outlet.check(), Err(Error::Poisoned { .. })), "it is as it was");
            sink.room = usize::MAX;
            outlet.roll_back(&mut sink).unwrap();
            outlet.write(&mut sink, [[5; 10].as_slice()].into_iter(), 10).unwrap();
            let expected: Vec<u8> = [1, 2, 3, 5].into_iter().flat_map(|i| [i; 10]).collect();
            assert_eq!(sink.taken, expected, "{room}");
        }
    }

    #[test]
    fn a_failed_sync_is_the_end() {
        let (mut outlet, mut sink, _) = write_into(usize::MAX);
        assert_eq!(outlet.sync(&mut sink, 3).unwrap(), 40);
        outlet.stage([[5; 10].as_slice()].into_iter(), 1);
        // Room for the write, none for the sync.
        sink.room = 10;
        let failed = outlet.sync(&mut sink, 4);
        sink.room = usize::MAX;
        let again = outlet.sync(&mut sink, 4).map(drop);
        for result in [failed.map(drop), outlet.check(), again, outlet.roll_back(&mut sink)] {
            let Err(Error::Poisoned { offset, unconfirmed, source }) = result else { panic!("{result:?}") };
            assert_eq!(
                (offset, unconfirmed, source.kind()),
                (40, 1, ErrorKind::StorageFull),
                "what the first sync confirmed"
            );
        }
    }
}
