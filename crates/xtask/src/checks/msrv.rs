//! The minimum supported Rust version is stated in one place, the workspace's manifest, and is no idle claim.
//!
//! - Every package inherits it. Then clippy holds our code to it too (`incompatible_msrv`).
//! - No package that we depend on says it needs a newer Rust.
//!
//! Building with that version proves more, and is left to those who have it installed.

use std::fmt;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::workspace::{Workspace, json, list, text};

/// Checks the manifests, then what cargo says of all packages.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    for member in workspace.members() {
        inherits(&read(&member.manifest)?)
            .map_err(|problem| Error::Check(format!("the manifest of {} {problem}", member.name)))?;
    }
    let stated = stated(&read(&workspace.root().join("Cargo.toml"))?)?;

    let version = workspace.cargo("--version --verbose").capture()?;
    let metadata = workspace.cargo("metadata --format-version 1 --filter-platform").arg(host(&version)?).capture()?;
    dependencies(&json(&metadata)?, stated)?;
    println!("{stated} is stated once, and no dependency needs a newer Rust");
    Ok(())
}

/// A version of Rust. Ordered as versions are.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Rust(u32, u32, u32);

impl fmt::Display for Rust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(major, minor, patch) = self;
        write!(f, "Rust {major}.{minor}")?;
        if *patch > 0 { write!(f, ".{patch}") } else { Ok(()) }
    }
}

impl Rust {
    fn parse(version: &str) -> Result<Self> {
        let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
        match parts.as_deref() {
            Some(&[major]) => Ok(Self(major, 0, 0)),
            Some(&[major, minor]) => Ok(Self(major, minor, 0)),
            Some(&[major, minor, patch]) => Ok(Self(major, minor, patch)),
            _ => Err(Error::Output(format!("`{version}` is no version of Rust"))),
        }
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// Whether a member's manifest takes the version from the workspace and nowhere else.
fn inherits(manifest: &str) -> std::result::Result<(), &'static str> {
    match manifest.lines().filter(|line| line.trim_start().starts_with(KEY)).collect::<Vec<_>>()[..] {
        [line] if line.replace(' ', "").starts_with("rust-version.workspace=true") => Ok(()),
        [] => Err("does not inherit `rust-version` from the workspace"),
        _ => Err("states a `rust-version` of its own"),
    }
}

/// The version that the workspace's manifest states.
fn stated(manifest: &str) -> Result<Rust> {
    let mut values = manifest
        .lines()
        .filter_map(|line| line.strip_prefix(KEY)?.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"'))
        .filter_map(|value| value.split('"').next());
    match (values.next(), values.next()) {
        (Some(version), None) => Rust::parse(version),
        (None, _) => Err(Error::Check(format!("the workspace states no `{KEY}`"))),
        (Some(_), Some(_)) => Err(Error::Check(format!("the workspace states `{KEY}` more than once"))),
    }
}

/// The target triple in the output of `cargo --version --verbose`.
fn host(version: &str) -> Result<&str> {
    let line = version.lines().find_map(|line| line.strip_prefix("host: "));
    line.ok_or_else(|| Error::Output("cargo does not tell its host".to_owned()))
}

fn dependencies(metadata: &Value, stated: Rust) -> Result<()> {
    for package in list(metadata, "packages")? {
        if let Some(needed) = package["rust_version"].as_str()
            && Rust::parse(needed)? > stated
        {
            let (name, version) = (text(package, "name")?, text(package, "version")?);
            return Err(Error::Check(format!("{name} {version} needs Rust {needed}, newer than the stated {stated}")));
        }
    }
    Ok(())
}

const KEY: &str = "rust-version";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_must_inherit() {
        assert_eq!(inherits("[package]\nname = \"a\"\nrust-version.workspace = true\n"), Ok(()));
        assert!(inherits("[package]\nname = \"a\"\n").is_err());
        assert!(inherits("rust-version = \"1.90\"\n").is_err());
        assert!(inherits("rust-version.workspace = true\nrust-version = \"1.90\"\n").is_err());
    }

    #[test]
    fn the_workspace_states_it_once() {
        assert_eq!(stated("# rust-version\nrust-version = \"1.88\" # why\n").unwrap(), Rust(1, 88, 0));
        assert!(stated("[workspace.package]\n").is_err());
        assert!(stated("rust-version = \"1.88\"\nrust-version = \"1.89\"\n").is_err());
        assert!(stated("rust-version = \"new\"\n").is_err());
    }

    #[test]
    fn dependencies_must_not_need_more() {
        let needs = |version: &str| {
            let package = format!(r#"{{"name": "a", "version": "1.0.0", "rust_version": {version}}}"#);
            json(&format!(r#"{{"packages": [{package}]}}"#)).unwrap()
        };
        for fine in ["null", r#""1.88""#, r#""1.88.0""#, r#""1.9""#] {
            assert!(dependencies(&needs(fine), Rust(1, 88, 0)).is_ok(), "{fine}");
        }
        for newer in [r#""1.88.1""#, r#""1.89""#, r#""1.100""#, r#""2""#] {
            assert!(dependencies(&needs(newer), Rust(1, 88, 0)).is_err(), "{newer}");
        }
    }

    #[test]
    fn host_is_found() {
        assert_eq!(host("cargo 1.88.0\nrelease: 1.88.0\nhost: a-b-c\nos: d\n").unwrap(), "a-b-c");
        assert!(host("cargo 1.88.0\n").is_err());
    }
}
