//! `cargo xtask tsan`: the stress test under ThreadSanitizer, which sees races between real threads.
//!
//! The models cannot see into arc-swap, parkers and mutexes, and have few threads; ThreadSanitizer takes one schedule
//! of many threads, and reports each access that no release and acquire order, whatever the processor made of it.
//!
//! It would report races in a standard library that is not instrumented, so `std` is built too. That needs the sources
//! of `std` and a compiler of exactly their version. Debian has both, in the packages of `rustc-web`; they are unpacked
//! below the target directory, and nothing is installed. The sanitizer's runtime comes from the compiler that runs this
//! chore, which must use the same LLVM.
//!
//! With `--mutant`, the chore seeds that fault into a copy of the sources, and fails unless a race is reported.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cargo::Cargo;
use crate::chores::stress;
use crate::copy::Copy;
use crate::error::{Error, Result};
use crate::mutant::Table;
use crate::workspace::Workspace;

/// Runs the stress test under ThreadSanitizer.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// How long to run.
    #[arg(long, default_value_t = 20)]
    seconds: u64,

    /// Seeds the faults of `cargo xtask mutants` whose names contain this, one at a time, and expects a race of each.
    #[arg(long)]
    mutant: Option<String>,
}

/// Gets the compiler if it is missing, and runs the test.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let compiler = Compiler::of(workspace)?;
    let Some(name) = &arguments.mutant else {
        return compiler.stress(workspace.root(), &compiler.directory.join("target"), arguments.seconds).run();
    };
    let table = Table::load(workspace.root())?;
    let copy = Copy::of(workspace, "tsan/mutants")?;
    for mutant in table.named(std::slice::from_ref(name))? {
        match copy.with(
            &mutant.file,
            |sound| mutant.apply(sound),
            || compiler.stress(copy.root(), copy.target(), arguments.seconds).run(),
        ) {
            Err(Error::Exit { status, .. }) if status.code() == Some(RACE) => println!("{}: reported", mutant.name),
            Err(error) => return Err(error),
            Ok(()) => return Err(Error::Check(format!("{}: no race is reported", mutant.name))),
        }
    }
    Ok(())
}

/// A compiler below the target directory, with the sources of its standard library.
struct Compiler {
    directory: PathBuf,
    rustc: PathBuf,
}

impl Compiler {
    fn of(workspace: &Workspace) -> Result<Self> {
        let directory = workspace.target().join("tsan");
        let compiler = Self { rustc: directory.join("rustc"), directory };
        // Written last, so that it is there only when all else is.
        if !compiler.rustc.exists() {
            compiler.make()?;
        }
        Ok(compiler)
    }

    /// The stress test of the workspace at `root`, built into `target`.
    fn stress(&self, root: &Path, target: &Path, seconds: u64) -> Cargo {
        Cargo::within(root, stress::COMMAND)
            .args(["-Zbuild-std", "--target", TARGET, "--target-dir"])
            .arg(target)
            .arg("--")
            .arg(seconds.to_string())
            .env("RUSTC", &self.rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("TSAN_OPTIONS", format!("halt_on_error=1 exitcode={RACE}"))
            .rustflags("-Zsanitizer=thread")
    }

    /// Downloads the packages, unpacks them and adds what they lack.
    fn make(&self) -> Result<()> {
        let packages = self.directory.join("packages");
        let root = self.directory.join("root");
        for directory in [&packages, &root] {
            fs::create_dir_all(directory).map_err(|source| Error::Write { path: directory.clone(), source })?;
        }
        let library = dependency("libstd-rust-web-dev", LIBRARY)?;
        is_new_enough(&library)?;
        let llvm = dependency(&library, "libllvm")?;
        let names = ["rustc-web", "rust-web-src", "libstd-rust-web-dev", &library, &llvm];
        output(Command::new("apt-get").arg("download").args(names).current_dir(&packages))?;
        for entry in fs::read_dir(&packages).map_err(|source| Error::Read { path: packages.clone(), source })? {
            let package = entry.map_err(|source| Error::Read { path: packages.clone(), source })?.path();
            output(Command::new("dpkg-deb").arg("-x").arg(package).arg(&root))?;
        }

        let sysroot = Command::new("rustc").args(["--print", "sysroot"]).current_dir(&self.directory).output();
        let sysroot = sysroot.map_err(|source| Error::Start { command: "rustc --print sysroot".to_owned(), source })?;
        let runtime = Path::new("lib/rustlib").join(TARGET).join("lib").join(RUNTIME);
        let from = Path::new(String::from_utf8_lossy(&sysroot.stdout).trim()).join(&runtime);
        let to = root.join("usr").join(runtime);
        fs::copy(&from, to).map_err(|source| Error::Read { path: from, source })?;

        // The compiler finds its libraries, and nobody else does.
        let usr = root.join("usr");
        let script = format!(
            "#!/bin/sh\nLD_LIBRARY_PATH='{0}/lib/x86_64-linux-gnu' exec '{0}/bin/rustc' \"$@\"\n",
            usr.display()
        );
        let written = fs::write(&self.rustc, script)
            .and_then(|()| fs::set_permissions(&self.rustc, fs::Permissions::from_mode(0o755)));
        written.map_err(|source| Error::Write { path: self.rustc.clone(), source })
    }
}

/// Checks, by the name of its library, that the compiler of the packages can build this workspace.
fn is_new_enough(library: &str) -> Result<()> {
    let minor = |version: &str| version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    let (found, needed) = (library.trim_start_matches(LIBRARY), env!("CARGO_PKG_RUST_VERSION"));
    if minor(found) < minor(needed) {
        return Err(Error::Check(format!("the packages have Rust {found}, and this takes {needed}: {MISSING}")));
    }
    Ok(())
}

/// The dependency of a package whose name starts so.
fn dependency(package: &str, start: &str) -> Result<String> {
    let list = output(Command::new("apt-cache").args(["depends", package]))?;
    let found =
        list.lines().filter_map(|line| line.trim().strip_prefix("Depends: ")).find(|name| name.starts_with(start));
    found.map(str::to_owned).ok_or_else(|| Error::Check(format!("the package {package} depends on no {start}*")))
}

/// The output of a command of the package manager.
fn output(command: &mut Command) -> Result<String> {
    let shown = format!("{} {:?}", command.get_program().display(), command.get_args().collect::<Vec<_>>());
    println!("$ {shown}");
    match command.stdin(Stdio::null()).stderr(Stdio::inherit()).output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(_) => Err(Error::Check(format!("`{shown}` failed: {MISSING}"))),
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            Err(Error::Check(format!("there is no {}: {MISSING}", command.get_program().display())))
        }
        Err(source) => Err(Error::Start { command: shown, source }),
    }
}

/// The name of the package of the standard library, without its version.
const LIBRARY: &str = "libstd-rust-web-";
const MISSING: &str = "ThreadSanitizer needs an instrumented standard library, which is built with a compiler and sources \
    from the packages rustc-web, rust-web-src and libstd-rust-web-dev of Debian 12 (`apt-get update` makes them known)";
const TARGET: &str = "x86_64-unknown-linux-gnu";
const RUNTIME: &str = "librustc-stable_rt.tsan.a";
/// The exit code of the test after a race was reported.
const RACE: i32 = 66;
