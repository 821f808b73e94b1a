//! Handles paths that name an open file of a process: `/dev/stdout`, `/dev/fd/3`, `/proc/self/fd/3`, and links to
//! these.
//!
//! Such a path means the open file, not the name under which it was opened: the file may have no name any more, may be
//! open for appending, or may have been written to. So such an output is written from the position of the open file,
//! and nothing is replaced or truncated.
//!
//! The standard streams are duplicated. Other descriptors cannot be duplicated without unsafe code. Linux opens the
//! same file again instead, so position and mode are read from `/proc`. On other systems, opening `/dev/fd/3`
//! duplicates the descriptor.

use std::fs::File;
use std::io;
use std::path::Path;

/// Returns the open file that `path` names, ready to be written from its position; `None` for any other path.
///
/// # Errors
///
/// If the file is not open for writing, or cannot be opened a second time, as sockets cannot.
#[cfg(unix)]
pub(crate) fn named_by(path: &Path) -> io::Result<Option<File>> {
    unix::find(path).map(|open| open.for_writing()).transpose()
}

#[cfg(not(unix))]
pub(crate) fn named_by(_: &Path) -> io::Result<Option<File>> {
    Ok(None)
}

/// Returns the standard output without the standard library's line buffer.
///
/// # Errors
///
/// If it is closed. In its place, the standard library opens the null device for reading and writing before `main`. A
/// user who wants to discard the data opens the null device for writing only, as shells do.
#[cfg(unix)]
pub(crate) fn standard_output() -> io::Result<File> {
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};

    let mut file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let found = file.metadata()?;
    let is_null = found.file_type().is_char_device()
        && std::fs::metadata("/dev/null").is_ok_and(|null| null.rdev() == found.rdev());
    if is_null && file.read(&mut [0]).is_ok() {
        return Err(io::Error::other("is closed (or the null device; --output /dev/null writes to that)"));
    }
    Ok(file)
}

#[cfg(windows)]
pub(crate) fn standard_output() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(File::from(io::stdout().as_handle().try_clone_to_owned()?))
}

#[cfg(unix)]
mod unix {
    use std::fs::{self, File, OpenOptions};
    use std::io::{self, Seek, SeekFrom};
    use std::os::fd::{AsFd, BorrowedFd};
    use std::path::{Path, PathBuf};

    use crate::open_file::standard_output;

    /// An entry in a folder of open files.
    pub(super) struct OpenFile {
        folder: PathBuf,
        number: u32,
    }

    /// What Linux says about a descriptor.
    struct State {
        position: u64,
        flags: u32,
    }

    /// Returns the open file that `path` names, if it names one. Follows symbolic links, but not the links in a folder
    /// of open files, whose targets may have been replaced by other files.
    pub(super) fn find(path: &Path) -> Option<OpenFile> {
        let mut path = path.to_owned();
        for _ in 0..LINKS_AT_MOST {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let (folder, name) = (fs::canonicalize(parent).ok()?, path.file_name()?);
            if holds_open_files(&folder) {
                let number = name.to_str()?.parse().ok()?;
                return Some(OpenFile { folder, number });
            }
            path = folder.join(fs::read_link(folder.join(name)).ok()?);
        }
        None
    }

    fn holds_open_files(folder: &Path) -> bool {
        folder == Path::new("/dev/fd") || (folder.starts_with("/proc") && folder.ends_with("fd"))
    }

    impl OpenFile {
        pub(super) fn for_writing(&self) -> io::Result<File> {
            let duplicate = |standard: BorrowedFd<'_>| Ok(File::from(standard.try_clone_to_owned()?));
            match self.number {
                0 if self.is_ours() => duplicate(io::stdin().as_fd()),
                1 if self.is_ours() => standard_output(),
                2 if self.is_ours() => duplicate(io::stderr().as_fd()),
                _ => self.opened_anew(),
            }
        }

        fn is_ours(&self) -> bool {
            let ours = fs::canonicalize("/proc/self").is_ok_and(|process| self.folder.starts_with(process));
            ours || self.folder == Path::new("/dev/fd")
        }

        fn opened_anew(&self) -> io::Result<File> {
            let path = self.folder.join(self.number.to_string());
            let Some(state) = self.state() else { return OpenOptions::new().write(true).open(path) };
            if state.flags & ACCESS_MODE == READ_ONLY {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "is open for reading only"));
            }
            let appends = state.flags & APPEND != 0;
            let mut file = OpenOptions::new().write(true).append(appends).open(path)?;
            if !appends && file.metadata()?.is_file() {
                file.seek(SeekFrom::Start(state.position))?;
            }
            Ok(file)
        }

        /// `None` on systems where opening the path duplicates the descriptor.
        fn state(&self) -> Option<State> {
            let told = fs::read_to_string(self.folder.with_file_name("fdinfo").join(self.number.to_string())).ok()?;
            let value = |key: &str| told.lines().find_map(|line| Some(line.strip_prefix(key)?.trim()));
            let position = value("pos:")?.parse().ok()?;
            let flags = u32::from_str_radix(value("flags:")?, 8).ok()?;
            Some(State { position, flags })
        }
    }

    /// The number of links that Linux follows.
    const LINKS_AT_MOST: usize = 40;

    /// Flags of an open file on Linux: `O_ACCMODE`, `O_RDONLY` and `O_APPEND`.
    const ACCESS_MODE: u32 = 0o3;
    const READ_ONLY: u32 = 0;
    /// MIPS, SPARC and Alpha have flags of their own; of these, Rust's standard library runs on the first two.
    const APPEND: u32 =
        if cfg!(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64")) { 0o10 } else { 0o2000 };
}
