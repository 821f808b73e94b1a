//! A file that appears under its name only when it is complete, as a sink for Arrow IPC writers.
//!
//! An [`OutputFile`] is written under a temporary name in its folder. [`OutputFile::complete`] renames it, once all of
//! it is on the storage device. Until then, an existing file of that name stays. An output that is dropped before, for
//! example after an error, is removed.
//!
//! ```
//! use arrow_array::record_batch;
//! use ipc_output::OutputFile;
//! use ipc_shared::SharedWriter;
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("heights.arrow");
//! let writer = SharedWriter::file(OutputFile::create(&path)?).build()?;
//! writer.write(&record_batch!(("height", Int32, [154, 23])).unwrap())?;
//! writer.close()?;
//! assert!(!path.exists());
//! writer.into_inner()?.complete()?;
//! assert!(path.exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it works
//!
//! The file is synced, closed and renamed, and then its folder is synced. A rename within a folder replaces one file by
//! another in one step, so a reader sees the old file or the new one. Without the first sync, a power loss could leave
//! an empty file under the name; without the last one, the old file. On systems that cannot sync folders, such as
//! Windows and some network file systems, the file system decides when the rename is durable.
//!
//! A process that is killed leaves the file under its temporary name, `.arrow-ipc-*.tmp`. It is not an output, and may
//! be removed.
//!
//! A [sync](Durable::sync) before completion confirms bytes under the temporary name. The first one also syncs the
//! folder, so that this name survives a power loss.
//!
//! # What is kept of a file that is replaced
//!
//! Its mode, and its owner and group if the user may set them. Otherwise the user becomes the owner, and the mode is
//! narrowed, so that no other user has more rights to the new file than to the old one. Set-user-id, set-group-id and
//! the sticky bit are dropped. Until the output is complete, only the user may read it.
//!
//! Access control lists, extended attributes and further hard links are not kept. The mode of a file with an access
//! control list has the list's mask in place of the rights of its group, so the group may get rights that the list had
//! denied. If that matters, complete the output under a new name.
//!
//! # Limits
//!
//! Only regular files are replaced. Write to devices, pipes and the standard output directly. Two outputs of the same
//! name do not disturb each other: the one that completes last replaces the other.

#![forbid(unsafe_code)]

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, Write};
use std::path::{Path, PathBuf};

use ipc_core::{Durable, FileTail, Truncate};
use tempfile::TempPath;

mod inherited;

/// An unfinished file. It gets its name when it is [complete](Self::complete), and is removed if it is dropped before.
///
/// It can be [cut back](Truncate) and [synced](Durable), so a writer to it can roll back.
#[derive(Debug)]
pub struct OutputFile {
    file: FileTail,
    temporary: TempPath,
    path: PathBuf,
    /// The metadata of the file that will be replaced, as of the start.
    replaced: Option<Metadata>,
    /// The error of a failed sync: bytes may have been lost, and another sync would not report that.
    doubt: Option<ErrorKind>,
}

/// Why an output could not be completed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The output could not be synced or renamed, and has been removed. An existing file of its name is unchanged.
    #[error("the output could not be completed")]
    Incomplete(#[source] io::Error),

    /// The output is complete under its name, but its folder could not be synced: after a power loss, the name may
    /// refer to the old file again.
    #[error("the output is complete, but a loss of power may undo that")]
    Unsettled(#[source] io::Error),
}

impl OutputFile {
    /// Starts an output that will get the name `path` or, if that is a symbolic link, the name of the link's target. A
    /// relative path is resolved now, so a later change of the working directory has no effect.
    ///
    /// The output gets the mode and, if the user may set it, the owner of the file that it replaces. A new file gets
    /// the usual mode and owner.
    ///
    /// # Errors
    ///
    /// If the folder is missing or not writable, if the name belongs to something other than a regular file, or if no
    /// file can have that name.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        // Otherwise the error would come only after everything has been written.
        let ends_as_folder = path.as_os_str().to_string_lossy().ends_with(std::path::is_separator);
        if path.file_name().is_none() || ends_as_folder {
            return Err(io::Error::new(ErrorKind::InvalidInput, "is not the name of a file"));
        }
        let path = followed(&std::path::absolute(path)?);
        let replaced = match fs::metadata(&path) {
            Ok(found) if !found.is_file() => {
                return Err(io::Error::new(ErrorKind::InvalidInput, "is not a regular file"));
            }
            Ok(found) => Some(found),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        if replaced.is_some() {
            inherited::keep_private(&mut options);
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".arrow-ipc-").suffix(".tmp");
        let (file, temporary) = builder.make_in(folder_of(&path), |path| options.open(path))?.into_parts();
        let file = FileTail::new(file)?.in_folder(folder_of(&path));
        Ok(Self { file, temporary, path, replaced, doubt: None })
    }

    /// Returns the name that the output will have, as an absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the temporary name. A program that is ended by a signal can remove it.
    #[must_use]
    pub fn temporary_path(&self) -> &Path {
        &self.temporary
    }

    /// Returns the file.
    #[must_use]
    pub fn as_file(&self) -> &File {
        self.file.get_ref()
    }

    /// Syncs the output, and renames it to its name.
    ///
    /// # Errors
    ///
    /// [`Error::Incomplete`] if that failed, or an earlier sync had failed; [`Error::Unsettled`] if only the folder
    /// could not be synced.
    pub fn complete(self) -> Result<(), Error> {
        if let Some(kind) = self.doubt {
            return Err(Error::Incomplete(kind.into()));
        }
        // The metadata of the old file as it is now, or as it was at the start, if it has been removed since.
        if let Some(replaced) = fs::metadata(&self.path).ok().or_else(|| self.replaced.clone()) {
            inherited::inherit(self.file.get_ref(), &replaced);
        }
        self.as_file().sync_all().map_err(Error::Incomplete)?;
        drop(self.file);
        self.temporary.persist(&self.path).map_err(|error| Error::Incomplete(error.error))?;
        sync_folder(folder_of(&self.path)).map_err(Error::Unsettled)
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.file.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Truncate for OutputFile {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }
}

impl Durable for OutputFile {
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync().inspect_err(|error| self.doubt = Some(error.kind()))
    }
}

/// Returns the target of a symbolic link, which need not exist; of any other path, the path itself.
fn followed(path: &Path) -> PathBuf {
    /// The number of links that Linux follows.
    const LINKS_AT_MOST: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS_AT_MOST {
        match (fs::canonicalize(&path), fs::read_link(&path)) {
            (Ok(found), _) => return found,
            (Err(_), Ok(target)) => path = folder_of(&path).join(target),
            (Err(_), Err(_)) => break,
        }
    }
    path
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the names in a folder durable, if the system can.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn what_stood_there_stays_until_the_output_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, "before").unwrap();
        let mut output = OutputFile::create(&path).unwrap();
        output.write_all(b"new and torn").unwrap();
        output.truncate(3).unwrap();
        output.sync().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"before");
        output.complete().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), [path]);
    }

    /// No other test here has a relative path, so the working directory is nobody else's.
    #[test]
    fn the_working_directory_may_change_meanwhile() {
        let [here, there] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let before = std::env::current_dir().unwrap();
        std::env::set_current_dir(here.path()).unwrap();
        let mut output = OutputFile::create("out").unwrap();
        std::env::set_current_dir(there.path()).unwrap();
        output.write_all(b"new").unwrap();
        output.sync().unwrap();
        output.complete().unwrap();
        std::env::set_current_dir(before).unwrap();
        assert_eq!(fs::read(here.path().join("out")).unwrap(), b"new");
        assert!(names(there.path()).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn the_mode_of_a_file_that_is_replaced_is_kept() {
        use std::fs::Permissions;
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mode_of = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        for (mode, kept) in [
            (0o600, 0o600),
            (0o640, 0o640),
            (0o444, 0o444),
            (0o777, 0o777),
            (0o6755, 0o755), // other bytes are not what was trusted
            (0o1644, 0o644),
        ] {
            fs::write(folder.path().join("old"), "before").unwrap();
            fs::rename(folder.path().join("old"), &path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let mut output = OutputFile::create(&path).unwrap();
            output.write_all(b"new").unwrap();
            assert_eq!(mode_of(output.temporary_path()), 0o600, "nobody else reads it before that is known");
            output.complete().unwrap();
            assert_eq!((mode_of(&path), fs::read(&path).unwrap()), (kept, b"new".to_vec()));
        }
        // A new file gets what any new file gets.
        fs::write(folder.path().join("any"), "").unwrap();
        let new = folder.path().join("new");
        OutputFile::create(&new).unwrap().complete().unwrap();
        assert_eq!(mode_of(&new), mode_of(&folder.path().join("any")));
    }

    /// As root, to whom it belonged; as anybody else, who cannot give files away, it is replaced all the same.
    #[cfg(unix)]
    #[test]
    fn the_owner_of_a_file_that_is_replaced_is_kept_where_the_user_may() {
        use std::os::unix::fs::{MetadataExt, chown};

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, "before").unwrap();
        let may = chown(&path, Some(12), Some(34)).is_ok();
        let old = fs::metadata(&path).unwrap();
        OutputFile::create(&path).unwrap().complete().unwrap();
        let new = fs::metadata(&path).unwrap();
        assert_eq!((new.uid(), new.gid(), new.mode()), (old.uid(), old.gid(), old.mode()));
        assert!(!may || new.uid() == 12);
    }

    #[test]
    fn one_that_is_dropped_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut output = OutputFile::create(folder.path().join("out")).unwrap();
        output.write_all(b"new").unwrap();
        assert_eq!(names(folder.path()).len(), 1, "it is written where it belongs");
        drop(output);
        assert!(names(folder.path()).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_even_if_it_leads_to_nothing_yet() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        let [target, near, far] = ["target", "near", "far"].map(|name| folder.path().join(name));
        symlink("target", &near).unwrap();
        symlink(&near, &far).unwrap();
        for content in ["first", "second"] {
            let mut output = OutputFile::create(&far).unwrap();
            output.write_all(content.as_bytes()).unwrap();
            output.complete().unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), content);
            assert!([&near, &far].into_iter().all(|link| link.is_symlink()));
        }
        assert_eq!(names(folder.path()).len(), 3);
    }

    #[test]
    fn one_that_cannot_be_renamed_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let output = OutputFile::create(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(output.complete(), Err(Error::Incomplete(_))));
        assert_eq!(names(folder.path()), [path], "what came in between");
    }

    #[test]
    fn a_sync_that_failed_is_not_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut output = OutputFile::create(folder.path().join("out")).unwrap();
        output.doubt = Some(ErrorKind::StorageFull);
        assert!(matches!(output.complete(), Err(Error::Incomplete(error)) if error.kind() == ErrorKind::StorageFull));
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_name_that_no_file_can_have_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let long = "x".repeat(5000);
        for name in ["", "new/", "..", "a\0b", &long] {
            let path = if name.is_empty() { PathBuf::new() } else { folder.path().join(name) };
            let refused = OutputFile::create(&path).unwrap_err();
            assert_ne!(refused.kind(), ErrorKind::NotFound, "{name}");
            assert!(names(folder.path()).is_empty());
        }
    }

    #[test]
    fn nothing_but_a_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(OutputFile::create(folder.path()).unwrap_err().to_string(), "is not a regular file");
        let nowhere = OutputFile::create(folder.path().join("nowhere/out")).unwrap_err();
        assert_eq!(nowhere.kind(), ErrorKind::NotFound);
        assert!(!nowhere.to_string().contains("arrow-ipc"), "a name that nobody gave: {nowhere}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_its_target_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "before").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let mut output = OutputFile::create(&link).unwrap();
        output.write_all(b"new").unwrap();
        output.complete().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
