//! Sinks that can be cut back ([`Truncate`]) and sinks that can survive a loss of power ([`Durable`]).
//!
//! A plain [`File`] is durable but cannot be cut back: an encoder counts from the start of its output, so a file that
//! held something before would be cut in the wrong place. [`FileTail`] knows that start, and cuts only bytes it has
//! written.
//!
//! # What a sync covers
//!
//! A sync covers the bytes of the file. The *name* is in the folder, which must be synced as well: after a loss of
//! power, a new file may have its bytes but no name. A [`FileTail`] [made by name](FileTail::at) syncs the folder with
//! its first sync. A [`File`] does not know its name, so its owner must sync the folder.
//!
//! Confirmed bytes may share a sector (512 bytes or 4 KiB) with bytes that are appended after them. A storage device
//! that loses power while it writes a sector may lose all of it, unless it has power-safe overwrite, as drives and file
//! systems in wide use do. If that is in doubt, keep a copy elsewhere: no sync helps.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A sink that can take bytes back.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot take back bytes that it was given",
    label = "not a sink that can be cut back",
    note = "wrap a `std::fs::File` in `FileTail`, which knows where in the file the output starts"
)]
pub trait Truncate: Write {
    /// Cuts off all but the first `length` bytes of the output; what is written next follows them.
    ///
    /// `length` counts from the start of the output in the sink, not from the start of whatever the sink held before.
    /// The call may be repeated after an error.
    ///
    /// # Errors
    ///
    /// If the output could not be cut, or is shorter than `length`.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// A sink that can make what it has taken survive a loss of power.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot make durable what it was given",
    label = "not a sink that can be synced",
    note = "`std::fs::File` and `FileTail` are such sinks; for a `BufWriter`, give its file: an output needs no buffer"
)]
pub trait Durable: Write {
    /// Returns once the storage device has everything that was written.
    ///
    /// An encoder never repeats a call that failed. Many systems drop what they could not write and report it once, so
    /// that a second call succeeds with the bytes gone: see
    /// [Fsync Errors](https://wiki.postgresql.org/wiki/Fsync_Errors), and Rebello et al., [*Can Applications Recover
    /// from fsync Failures?*](https://www.usenix.org/conference/atc20/presentation/rebello), 2020.
    ///
    /// # Errors
    ///
    /// If some of it may not have arrived. It is unknown which part.
    fn sync(&mut self) -> io::Result<()>;
}

/// Syncs the data, and the metadata that is needed to find it, such as the length: `fdatasync`, if the system has it.
/// Does not sync the folder that has the name of a new file; a [`FileTail`] can do that.
impl Durable for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// A sink that appends to a file, and cuts off only bytes it has written itself.
///
/// A tail belongs to one output, because positions count from its start. For another output in the same file, make a
/// new tail of [`into_inner`](Self::into_inner).
///
/// ```
/// # use arrow_array::record_batch;
/// use ipc_core::{Encoder, Error, FileTail};
///
/// # let folder = std::env::temp_dir().join(format!("ipc-core-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("heights.arrow");
/// let batch = record_batch!(("height", Int32, [154, 23])).unwrap();
/// let sink = FileTail::new(std::fs::File::create(&path)?)?;
/// let mut encoder = Encoder::file(sink).start(batch.schema())?;
/// if let Err(Error::Poisoned { .. }) = encoder.write(&batch) {
///     // The disk was full, for example, and space has been freed since.
///     encoder.rollback()?;
///     encoder.write(&batch)?;
/// }
/// encoder.close()?;
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileTail {
    file: File,
    start: u64,
    /// The bytes that were written through this tail and not cut off again.
    written: u64,
    /// The folder that the next sync must sync as well.
    unsynced_folder: Option<PathBuf>,
}

/// The end of a file is not where its [`FileTail`] left it: something else has written to the file, or cut it. The tail
/// then cuts nothing, because it could cut bytes that are not its own.
///
/// It is the inner error of an [`io::Error`], which is the source of [`Error::Rollback`](crate::Error::Rollback).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file should end at byte {expected}, and ends at {found}: something else has changed it")]
#[non_exhaustive]
pub struct ForeignEnd {
    /// The length of the file when the tail last wrote to it or cut it.
    pub expected: u64,
    /// The length of the file now.
    pub found: u64,
}

impl FileTail {
    /// Starts a tail at the current end of `file`, which must be open for writing.
    ///
    /// # Errors
    ///
    /// If the file cannot seek: pipes and terminals cannot be cut back.
    pub fn new(mut file: File) -> io::Result<Self> {
        // The position of a file opened for appending is 0 until it is written to, so it does not tell the end.
        let start = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, start, written: 0, unsynced_folder: None })
    }

    /// Starts a tail at the end of the file at `path`, which is created if it is missing. The first
    /// [sync](Durable::sync) also syncs its folder, so that a new file keeps its name after a loss of power.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened or created, or cannot seek.
    pub fn at(path: impl AsRef<Path>) -> io::Result<Self> {
        // Absolute, because the working directory may change before the folder is synced.
        let path = std::path::absolute(path)?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
        Ok(Self::new(file)?.in_folder(path.parent().unwrap_or(&path)))
    }

    /// Returns the same tail; its first [sync](Durable::sync) also syncs `folder`, which has the file's name.
    #[must_use]
    pub fn in_folder(self, folder: impl Into<PathBuf>) -> Self {
        Self { unsynced_folder: Some(folder.into()), ..self }
    }

    /// Returns the position in the file at which the output starts. Add it to a position in the output, such as the one
    /// that a [sync](crate::Encoder::sync) confirms, to get the position in the file.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Returns the file.
    #[must_use]
    pub fn get_ref(&self) -> &File {
        &self.file
    }

    /// Returns the file, positioned after the last bytes written.
    #[must_use]
    pub fn into_inner(self) -> File {
        self.file
    }
}

impl Write for FileTail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.file.write(bytes)?;
        self.written += taken as u64;
        Ok(taken)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let taken = self.file.write_vectored(slices)?;
        self.written += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Refuses, with a [`ForeignEnd`], a file that does not end where this tail left it. Bytes that another process appends
/// between this check and the cut are cut off, too: processes that append to one file need a lock among them.
impl Truncate for FileTail {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let end = self.start.checked_add(length).ok_or(io::ErrorKind::InvalidInput)?;
        let expected = self.start + self.written;
        let found = self.file.metadata()?.len();
        if found != expected {
            return Err(io::Error::other(ForeignEnd { expected, found }));
        }
        // A length beyond the end would fill the gap with zeros.
        if found < end {
            return Err(io::Error::other(format!("the file should hold {end} bytes, and holds {found}")));
        }
        self.file.set_len(end)?;
        self.written = length;
        self.file.seek(SeekFrom::Start(end))?;
        Ok(())
    }
}

impl Durable for FileTail {
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        if let Some(folder) = &self.unsynced_folder {
            sync_folder(folder)?;
            self.unsynced_folder = None;
        }
        Ok(())
    }
}

/// Makes the names in a folder durable, where the system can.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some network file systems cannot sync folders, and keep names by other means.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

impl<W: Truncate + ?Sized> Truncate for &mut W {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        W::truncate(self, length)
    }
}

impl<W: Durable + ?Sized> Durable for &mut W {
    fn sync(&mut self) -> io::Result<()> {
        W::sync(self)
    }
}

impl<W: Truncate + ?Sized> Truncate for Box<W> {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        W::truncate(self, length)
    }
}

impl<W: Durable + ?Sized> Durable for Box<W> {
    fn sync(&mut self) -> io::Result<()> {
        W::sync(self)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    /// However the file was opened, what it held before stays, and what is written next follows the cut.
    #[test]
    fn a_tail_is_cut_back_to_its_own_start_at_most() {
        let folder = tempfile::tempdir().unwrap();
        for append in [false, true] {
            let path = folder.path().join(format!("append-{append}"));
            std::fs::write(&path, "before").unwrap();
            let file = OpenOptions::new().append(append).write(!append).open(&path).unwrap();
            let mut tail = FileTail::new(file).unwrap();
            assert_eq!(tail.write_vectored(&["good ", "torn"].map(|text| IoSlice::new(text.as_bytes()))).unwrap(), 9);
            tail.truncate(9).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"beforegood torn");
            tail.truncate(5).unwrap();
            tail.write_all(b"again").unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"beforegood again");
            tail.truncate(0).unwrap();
            tail.sync().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"before");
        }
    }

    #[test]
    fn a_reference_to_a_sink_or_a_box_with_one_can_do_the_same() {
        /// Counts what it is asked for.
        #[derive(Default)]
        struct Asked(Vec<u64>, usize);

        impl Write for Asked {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        impl Truncate for Asked {
            fn truncate(&mut self, length: u64) -> io::Result<()> {
                self.0.push(length);
                Ok(())
            }
        }

        impl Durable for Asked {
            fn sync(&mut self) -> io::Result<()> {
                self.1 += 1;
                Ok(())
            }
        }

        fn cut_and_synced(mut sink: impl Truncate + Durable, length: u64) {
            sink.truncate(length).unwrap();
            sink.sync().unwrap();
        }
        let mut asked = Asked::default();
        cut_and_synced(&mut asked, 4);
        cut_and_synced(Box::new(&mut asked), 3);
        assert_eq!((asked.0.as_slice(), asked.1), ([4, 3].as_slice(), 2));
    }

    /// However others have changed the file, a cut leaves all of it as it is, and says so by type.
    #[test]
    fn a_tail_cuts_nothing_that_it_has_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shared");
        for append in [false, true] {
            for (others, found) in [(Some("a line\n"), 18), (None, 9)] {
                std::fs::write(&path, "before").unwrap();
                let file = OpenOptions::new().append(append).write(!append).open(&path).unwrap();
                let mut tail = FileTail::new(file).unwrap();
                tail.write_all(b"own").unwrap();
                tail.write_all(b"torn").unwrap();
                tail.truncate(3).unwrap();
                tail.write_all(b"to").unwrap();
                match others {
                    Some(line) => {
                        let mut other = OpenOptions::new().append(true).open(&path).unwrap();
                        other.write_all(line.as_bytes()).unwrap();
                    }
                    None => tail.get_ref().set_len(9).unwrap(),
                }
                for length in [0, 3, 5] {
                    let refused = tail.truncate(length).unwrap_err();
                    let inner = refused.get_ref().and_then(|inner| inner.downcast_ref::<ForeignEnd>());
                    assert_eq!(inner, Some(&ForeignEnd { expected: 11, found }), "{refused}");
                }
                let expected = format!("beforeown{}", others.map_or(String::new(), |line| format!("to{line}")));
                assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
            }
        }
    }

    #[test]
    fn a_tail_by_name_syncs_the_folder_once() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let mut tail = FileTail::at(inner.join("new")).unwrap();
        assert_eq!(tail.start(), 0);
        tail.write_all(b"one").unwrap();
        tail.sync().unwrap();
        assert_eq!(tail.unsynced_folder, None);
        drop(tail);
        let mut tail = FileTail::at(inner.join("new")).unwrap();
        assert_eq!(tail.start(), 3, "what is there stays");
        // Where its folder cannot be synced, neither can the name, and it is said.
        std::fs::remove_dir_all(&inner).unwrap();
        if cfg!(unix) {
            assert_eq!(tail.sync().unwrap_err().kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn a_tail_that_others_have_shortened_is_not_filled_with_zeros() {
        let mut tail = FileTail::new(tempfile::tempfile().unwrap()).unwrap();
        tail.write_all(b"good").unwrap();
        tail.get_ref().set_len(2).unwrap();
        assert!(tail.truncate(4).is_err());
        assert_eq!(tail.get_ref().metadata().unwrap().len(), 2);
    }
}
