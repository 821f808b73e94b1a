//! `cargo xtask fuzz`: every fuzz target for some seconds, with the address sanitizer.
//!
//! cargo-fuzz needs compiler flags that a stable compiler accepts only with `RUSTC_BOOTSTRAP`. Inputs that reach new
//! code are kept in the target directory for the next run; the corpus in the repository is read and not changed. The
//! path of an input that fails is printed. Add that input to the corpus, together with the fix.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::steps::Report;
use crate::tools::Tool;
use crate::workspace::Workspace;

/// Runs the fuzz targets, one after the other.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u64,

    /// Only these targets.
    targets: Vec<String>,
}

/// Runs all targets, also after one of them failed.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    Tool::FUZZ.require()?;
    let all = targets(workspace)?;
    let unknown = |name: &&String| !all.contains(name);
    if let Some(name) = arguments.targets.iter().find(unknown) {
        return Err(Error::Check(format!("no target is called `{name}`; there are {}", all.join(", "))));
    }
    let names = if arguments.targets.is_empty() { &all } else { &arguments.targets };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let report = Report::run(&names, false, |target| fuzz(workspace, target, arguments.seconds));
    println!("\n{report}");
    report.into_result()
}

fn fuzz(workspace: &Workspace, target: &str, seconds: u64) -> Result<()> {
    let found = workspace.target().join("fuzz").join("corpus").join(target);
    let failed = workspace.target().join("fuzz").join("artifacts").join(target);
    for folder in [&found, &failed] {
        fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.clone(), source })?;
    }
    let seeds = workspace.root().join("fuzz").join("corpus").join(target);
    workspace
        .cargo("fuzz run --fuzz-dir fuzz --target-dir")
        .arg(workspace.target().join("fuzz"))
        .env("RUSTC_BOOTSTRAP", "1")
        // Optimising across crates takes minutes and finds nothing.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .arg(target)
        .args([&found, &seeds])
        .arg("--")
        .args([
            format!("-max_total_time={seconds}"),
            "-print_final_stats=1".to_owned(),
            "-timeout=20".to_owned(),
            "-print_funcs=0".to_owned(),
        ])
        .arg(format!("-artifact_prefix={}/", failed.display()))
        .run()
}

/// The names of the targets: those of the files in `fuzz/fuzz_targets`.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root().join("fuzz").join("fuzz_targets");
    let read = |source| Error::Read { path: folder.clone(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        names.extend(name(&path));
    }
    names.sort();
    if names.is_empty() { Err(Error::Check("there are no fuzz targets".to_owned())) } else { Ok(names) }
}

fn name(path: &Path) -> Option<String> {
    let is_source = path.extension().is_some_and(|extension| extension == "rs");
    path.file_stem().filter(|_| is_source).map(|stem| stem.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_targets() {
        assert_eq!(name(Path::new("/w/fuzz/fuzz_targets/broken.rs")).as_deref(), Some("broken"));
        assert_eq!(name(Path::new("/w/fuzz/fuzz_targets/README.md")), None);
    }
}
