//! A copy of the workspace below its target directory, for mutants.
//!
//! - It has the packages, and what cargo needs to build them. It is made anew each time: no removed source stays, and
//!   cargo rebuilds each package, since its sources are newer than the last build.
//! - It has a target directory of its own, which is kept. Cargo identifies a package by its place in the workspace, so
//!   in a shared target directory it could run a program that was last built from a mutant.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// A copy of the workspace.
#[derive(Debug)]
pub(crate) struct Copy {
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    /// Copies the packages and what cargo needs to build them, into a folder of the target directory.
    pub(crate) fn of(workspace: &Workspace, folder: &str) -> Result<Self> {
        let folder = workspace.target().join(folder);
        let copy = Self { root: folder.join("workspace"), target: folder.join("built") };
        if copy.root.exists() {
            fs::remove_dir_all(&copy.root).map_err(|source| Error::Write { path: copy.root.clone(), source })?;
        }
        for file in ["Cargo.toml", "Cargo.lock", ".cargo/config.toml"] {
            copy.copy(workspace, Path::new(file))?;
        }
        for member in workspace.members() {
            let package = member.manifest.parent().expect("a manifest is in a directory");
            let package = package.strip_prefix(workspace.root()).expect("a member is within its workspace");
            copy.copy(workspace, package)?;
        }
        Ok(copy)
    }

    /// The copy of the workspace's directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the copy is built.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Runs `work` while a file of the copy is changed.
    pub(crate) fn with<R>(
        &self,
        file: &Path,
        spoil: impl FnOnce(&str) -> Result<String>,
        work: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        let path = self.root.join(file);
        let sound = fs::read_to_string(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let write = |text: &str| fs::write(&path, text).map_err(|source| Error::Write { path: path.clone(), source });
        write(&spoil(&sound)?)?;
        let result = work();
        write(&sound)?;
        result
    }

    /// Copies a file or a directory of the workspace.
    fn copy(&self, workspace: &Workspace, path: &Path) -> Result<()> {
        let (from, to) = (workspace.root().join(path), self.root.join(path));
        let failed = |source| Error::Write { path: to.clone(), source };
        if from.is_dir() {
            for entry in fs::read_dir(&from).map_err(failed)? {
                self.copy(workspace, &path.join(entry.map_err(failed)?.file_name()))?;
            }
            return Ok(());
        }
        let directory = to.parent().expect("the copy is in a directory");
        fs::create_dir_all(directory).and_then(|()| fs::copy(&from, &to)).map(drop).map_err(failed)
    }
}
