//! The machine, as far as the figures depend on it: cores, processor, memory, kernel, compiler, peers. No names of
//! hosts, people or folders.

use std::fmt;
use std::fs;
use std::process::Command;
use std::thread;

use crate::writers::pyarrow_version;

/// What the figures are from.
#[derive(Debug, Clone)]
pub struct Machine {
    cores: usize,
    processor: String,
    system: String,
    rustc: String,
    peers: String,
    load: Option<String>,
}

impl Machine {
    /// This one, now.
    #[must_use]
    pub fn here() -> Self {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let pyarrow =
            pyarrow_version().map_or_else(|| "no pyarrow".to_owned(), |(_, version)| format!("pyarrow {version}"));
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            processor: processor().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            system: format!("{} {}", std::env::consts::OS, version_of(&kernel)).trim().to_owned(),
            rustc: rustc(),
            peers: format!("arrow-rs {}, {pyarrow}", locked("arrow-ipc").unwrap_or("of no known version")),
            load: load(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, processor, system, rustc, peers, load } = self;
        write!(f, "{cores} cores, {processor}, {system}, {rustc}; {peers}")?;
        match load {
            Some(load) => write!(f, "; load before the run {load}"),
            None => Ok(()),
        }
    }
}

/// The compiler that is called here, which is cargo's.
#[must_use]
pub fn rustc() -> String {
    let output = Command::new("rustc").arg("--version").output().ok().filter(|output| output.status.success());
    let version = output.and_then(|output| String::from_utf8(output.stdout).ok());
    let version = version.as_deref().map(str::trim).unwrap_or("rustc of no known version");
    // What stands in brackets is the commit of a version that is known without.
    version.split(" (").next().unwrap_or(version).to_owned()
}

/// The numbers of a kernel's release, without what those who built it call it.
fn version_of(release: &str) -> &str {
    release.trim().split('-').next().unwrap_or_default()
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let (_, model) = text.lines().find(|line| line.starts_with("model name"))?.split_once(':')?;
    Some(model.trim().to_owned())
}

fn load() -> Option<String> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next().map(str::to_owned)
}

/// The version of a dependency in the workspace's lock file.
fn locked(package: &str) -> Option<&'static str> {
    let lines = include_str!("../../../../Cargo.lock").lines();
    let name = format!("name = \"{package}\"");
    let version = lines.skip_while(|line| *line != name).nth(1)?;
    version.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_known() {
        assert!(rustc().starts_with("rustc 1."), "{}", rustc());
        assert!(locked("arrow-ipc").is_some_and(|version| version.split('.').count() == 3));
        assert_eq!(locked("no-such-package"), None);
        assert_eq!(version_of("6.1.0-18-amd64\n"), "6.1.0");
    }
}
