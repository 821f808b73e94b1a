//! A disk that is full, and gets room again: nothing that was confirmed is lost, and nothing is there twice.
//!
//! The disk is a tmpfs of 64 KiB, which only root may mount. Something else on it leaves more or less room, so that
//! it is full at another byte each time: inside a message, or between two. Then it grows, and the output is rolled
//! back.
//!
//! Fails where a write that the disk took in part is taken for whole or for nothing, where the file is not cut to its
//! last whole message or is filled up with zeros, or where what was staged is lost.

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use arrow_ipc::writer::StreamWriter;
use ipc_core::{FileTail, StreamFormat};
use ipc_shared::{CoreError, Error, Options, SharedWriter};
use ipc_tests::outside::{Pair, aloud, judge, skipped};
use ipc_tests::shared::{Mark, Output, Words, batch, marks, schema};
use ipc_tests::threads::{PATIENCE, together, within};
use tempfile::TempDir;

#[test]
fn what_was_confirmed_outlives_a_full_disk() {
    within(PATIENCE, || {
        let Some(disk) = SmallDisk::mount() else { return };
        let outputs = TempDir::new().unwrap();
        let mut pairs = Vec::new();
        let mut torn = 0;
        for free_pages in 1..16 {
            for (threads, is_staged) in [(1, false), (4, false), (4, true)] {
                let options = Options::builder().staging(is_staged).build().unwrap();
                let mut fill = |filled: Filled| {
                    torn += usize::from(filled.is_torn);
                    pairs.push(filled.save(outputs.path(), pairs.len()));
                };
                fill(disk.fill::<StreamFormat>(free_pages, threads, &options));
                fill(disk.fill::<ipc_core::FileFormat>(free_pages, threads, &options));
            }
        }
        aloud(format_args!("{torn} of {} outputs were torn by a full disk", pairs.len()));
        assert!(torn > pairs.len() / 2, "{torn} of {}", pairs.len());
        for (verdict, pair) in judge(&pairs).unwrap_or_default().iter().zip(&pairs) {
            assert_eq!(verdict, "equal", "{}", pair.written.display());
        }
    });
}

/// An output that met a full disk, and was completed.
struct Filled {
    is_torn: bool,
    bytes: Vec<u8>,
    found: Vec<Mark>,
}

impl Filled {
    /// Saves the output, and what must be in it as arrow's writer writes it.
    fn save(&self, folder: &Path, number: usize) -> Pair {
        let [read, written] = ["expected", "output"].map(|name| folder.join(format!("{number}-{name}")));
        let mut stream = StreamWriter::try_new(Vec::new(), &schema(Words::Equal)).unwrap();
        self.found.iter().for_each(|mark| stream.write(&batch(Words::Equal, *mark)).unwrap());
        fs::write(&read, stream.into_inner().unwrap()).unwrap();
        fs::write(&written, &self.bytes).unwrap();
        Pair::by_batches(&read, written)
    }
}

/// A file system of 64 KiB, until it is grown.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// `None`, said aloud, where it may not be mounted.
    fn mount() -> Option<Self> {
        let disk = Self { folder: TempDir::new().unwrap() };
        if !disk.mount_with("size=64k") {
            skipped("a tmpfs cannot be mounted: not root?");
            return None;
        }
        Some(disk)
    }

    fn mount_with(&self, options: &str) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(self.folder.path()).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes from this many threads until the disk is full, enlarges it, and lets them go on.
    fn fill<F: Output>(&self, free_pages: usize, threads: usize, options: &Options) -> Filled {
        let other = self.path("other");
        fs::write(&other, vec![0; 4096 * (16 - free_pages)]).unwrap();
        let output = self.path("output");
        let sink = FileTail::new(File::create(&output).unwrap()).unwrap();
        let writer = F::to(sink).options(options.clone()).build().unwrap();
        let each = BATCHES / threads;
        let written = together(threads, |thread| write_until_full(&writer, thread, 0..each));
        let is_torn = match writer.flush() {
            Err(Error::Poisoned { offset, .. }) => {
                assert!(offset < fs::metadata(&output).unwrap().len(), "something is torn");
                true
            }
            _ => false,
        };
        assert_eq!(writer.stats().record_batches, written.iter().sum::<usize>() as u64);
        assert!(self.mount_with("remount,size=1m"));
        writer.rollback().unwrap();
        let resumed = together(threads, |thread| write_until_full(&writer, thread, written[thread]..each));
        assert_eq!(resumed, vec![each; threads], "the disk has room");
        writer.close().unwrap();
        drop(writer);
        let bytes = fs::read(&output).unwrap();
        fs::remove_file(&other).unwrap();
        fs::remove_file(&output).unwrap();
        assert!(self.mount_with("remount,size=64k"));
        let found = marks(Words::Equal, &F::whole(&bytes));
        let mut sorted = found.clone();
        sorted.sort_unstable();
        let expected = (0..threads).flat_map(|thread| (0..each).map(move |number| (thread, number)));
        assert_eq!(sorted, expected.collect::<Vec<_>>(), "all that was accepted, before and after, once");
        Filled { is_torn, bytes, found }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.folder.path()).status();
    }
}

/// Writes the batches with these numbers, and returns the number of the first that was not accepted.
fn write_until_full<F: Output>(writer: &SharedWriter<FileTail, F>, thread: usize, mut numbers: Range<usize>) -> usize {
    let end = numbers.end;
    let is_refused = |number: &usize| match writer.write(&batch(Words::Equal, (thread, *number))) {
        Ok(_) => false,
        Err(Error::Poisoned { source, .. }) => is_full(&source),
        Err(Error::Core(CoreError::Io(source))) => is_full(&source),
        Err(error) => panic!("{error:?}"),
    };
    numbers.find(is_refused).unwrap_or(end)
}

#[track_caller]
fn is_full(error: &std::io::Error) -> bool {
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    true
}

/// How many batches all threads write: more than the small disk holds.
const BATCHES: usize = 100;
