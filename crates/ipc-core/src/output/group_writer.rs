//! Writes whole groups to a sink, and tells after an error whether the output still ends with a whole one.
//!
//! A group is the header, or a record batch with the dictionaries it needs. It is written in one vectored write, or
//! staged until there is enough to write. Counting the bytes that the sink takes tells where an error left the output:
//!
//! | condition | meaning | a call returns | after a rollback |
//! |---|---|---|---|
//! | `Sound` | the output ends with a whole group | its result | `Sound` |
//! | `Writing` | the sink panicked in a write | `Poisoned` | `Sound` |
//! | `Torn` | the sink failed inside a group | `Poisoned` | `Sound` |
//! | `Syncing` | the sink panicked in a sync | `Poisoned` | unchanged |
//! | `Unsynced` | a sync failed, so it is unknown which bytes the device has | `Poisoned` | unchanged |
//! | `Ended` | the end-of-stream marker has been written | `Closed` | unchanged |
//! | `Aborted` | the output was aborted, and may have a mark | `Aborted` | unchanged |

use std::io::{self, IoSlice, Write};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::message::segment::recycle;
use crate::output::storage::{Durable, Truncate};
use crate::output::vectored::{Interrupted, write_all_vectored};

/// The longest group that is staged, if staging is on.
pub(crate) const STAGED_AT_MOST: u64 = 64 << 10;
/// The most bytes that are staged before they are written.
const STAGE_CAPACITY: usize = 256 << 10;
/// Writes groups to a sink, which each call is given.
#[derive(Debug)]
pub(crate) struct GroupWriter {
    /// Groups that were accepted but not written.
    stage: Vec<u8>,
    /// The end of each staged group in `stage`.
    staged: Vec<StagedGroup>,
    /// The bytes that the sink has taken, in whole groups.
    taken: u64,
    /// What the last sync confirmed.
    synced: Synced,
    condition: Condition,
    /// Memory for the slices of the next write.
    slices: Vec<IoSlice<'static>>,
}

#[derive(Debug, Clone, Copy)]
struct StagedGroup {
    end: usize,
    /// The record batches in the group: 1, or 0 for the header and for dictionaries that are sent ahead.
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

impl GroupWriter {
    /// Returns a writer that has nothing written and nothing staged.
    ///
    /// If it `stages`, the memory is allocated now. Later, other threads might wait for the allocation.
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

    /// Returns the bytes that were accepted: taken by the sink, or staged.
    pub(crate) fn position(&self) -> u64 {
        self.taken + self.stage.len() as u64
    }

    /// Returns the bytes that the sink has taken, in whole groups.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Returns the number of staged record batches.
    pub(crate) fn staged_batches(&self) -> u64 {
        self.staged.iter().map(|group| group.batches).sum()
    }

    /// Returns whether the end has been written.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.condition, Condition::Ended)
    }

    /// Fails if nothing more may be written.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        if matches!(self.condition, Condition::Sound) { Ok(()) } else { self.check_unsound() }
    }

    #[cold]
    fn check_unsound(&self) -> Result<()> {
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

    /// Accepts a small group. If the stage is full, writes the groups in it first.
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

    /// Writes the staged groups and `pieces`, which hold `length` bytes, in one call if the sink takes all of it.
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
        self.record_write(written.map(|()| length))
    }

    /// Writes the staged groups.
    pub(crate) fn write_staged(&mut self, sink: &mut impl Write) -> Result<()> {
        self.check()?;
        if self.stage.is_empty() { Ok(()) } else { self.write(sink, std::iter::empty(), 0) }
    }

    /// Writes the staged groups and syncs the output, which has `batches` record batches by then. Returns the length of
    /// the output in bytes.
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

    /// Cuts off the bytes that the sink has taken beyond whole groups. Staged groups stay staged.
    pub(crate) fn roll_back(&mut self, sink: &mut impl Truncate) -> Result<()> {
        if !matches!(self.condition, Condition::Writing | Condition::Torn { .. }) {
            return self.check();
        }
        sink.truncate(self.taken).map_err(Error::Rollback)?;
        self.condition = Condition::Sound;
        Ok(())
    }

    /// Records that the end has been written.
    pub(crate) fn end(&mut self) {
        debug_assert!(self.stage.is_empty(), "the end is written after everything else");
        self.condition = Condition::Ended;
    }

    /// Drops the staged groups, writes `mark`, and refuses all further writes.
    pub(crate) fn abort(&mut self, sink: &mut impl Write, mark: &[u8], reason: &str) -> Result<()> {
        self.check()?;
        self.condition = Condition::Aborted { reason: reason.into() };
        (self.stage, self.staged) = (Vec::new(), Vec::new());
        let written = write_all_vectored(sink, &mut [IoSlice::new(mark)], mark.len() as u64);
        written.map_err(|interrupted| Error::Io(interrupted.source))
    }

    /// Records a write of the stage and more: all of it, or the part that the sink took before it failed.
    #[inline]
    fn record_write(&mut self, written: Result<u64, Interrupted>) -> Result<()> {
        match written {
            Ok(taken) => {
                self.taken += taken;
                self.stage.clear();
                self.staged.clear();
                self.condition = Condition::Sound;
                Ok(())
            }
            Err(interrupted) => self.record_failure(interrupted),
        }
    }

    #[cold]
    fn record_failure(&mut self, interrupted: Interrupted) -> Result<()> {
        let Interrupted { taken: known, source } = interrupted;
        let taken = known.unwrap_or(0);
        // Staged groups that the sink has taken in full count as written. The rest stays staged.
        let is_whole = |group: &&StagedGroup| group.end as u64 <= taken;
        let whole = self.staged.iter().take_while(is_whole).count();
        let end = whole.checked_sub(1).map_or(0, |last| self.staged[last].end);
        self.taken += end as u64;
        self.stage.drain(..end);
        self.staged.drain(..whole);
        self.staged.iter_mut().for_each(|group| group.end -= end);
        if known == Some(end as u64) {
            // The sink stopped between two groups.
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

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

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
    fn write_into(room: usize) -> (GroupWriter, Full, Result<()>) {
        let mut outlet = GroupWriter::new(false);
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
        let mut outlet = GroupWriter::new(false);
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
