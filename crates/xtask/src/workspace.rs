//! What cargo knows about this workspace: where it is, its packages and their examples.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cargo::Cargo;
use crate::error::{Error, Result};

/// The workspace around the current directory.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    members: Vec<Member>,
}

/// A package of the workspace.
#[derive(Debug, PartialEq)]
pub(crate) struct Member {
    /// The package's name.
    pub(crate) name: String,
    /// Its `Cargo.toml`.
    pub(crate) manifest: PathBuf,
    /// Whether a command that names no package includes it.
    pub(crate) default: bool,
    /// Its examples, by name.
    pub(crate) examples: Vec<Example>,
}

/// A program in a package's folder of examples.
#[derive(Debug, PartialEq)]
pub(crate) struct Example {
    /// The name to run it by.
    pub(crate) name: String,
    /// The features that the manifest requires for it.
    pub(crate) features: Vec<String>,
}

impl Workspace {
    /// Finds the workspace around the current directory.
    pub(crate) fn load() -> Result<Self> {
        Self::parse(&Cargo::anywhere("metadata --format-version 1 --no-deps").capture()?)
    }

    /// `cargo ARGUMENTS`, run in the root of the workspace. White space separates the arguments.
    pub(crate) fn cargo(&self, arguments: &str) -> Cargo {
        Cargo::within(&self.root, arguments)
    }

    /// The directory of the workspace's manifest.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The directory that cargo builds into.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The packages.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    fn parse(metadata: &str) -> Result<Self> {
        let metadata = json(metadata)?;
        let defaults = list(&metadata, "workspace_default_members")?;
        let members = list(&metadata, "packages")?
            .iter()
            .map(|package| {
                Ok(Member {
                    name: text(package, "name")?.to_owned(),
                    manifest: text(package, "manifest_path")?.into(),
                    default: defaults.contains(&package["id"]),
                    examples: examples(package)?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            root: text(&metadata, "workspace_root")?.into(),
            target: text(&metadata, "target_directory")?.into(),
            members,
        })
    }
}

/// Parses a JSON document that cargo printed.
pub(crate) fn json(document: &str) -> Result<Value> {
    serde_json::from_str(document).map_err(|error| Error::Output(error.to_string()))
}

/// The string at `key`.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().ok_or_else(|| Error::Output(format!("no string `{key}`")))
}

/// The array at `key`.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value]> {
    value[key].as_array().map(Vec::as_slice).ok_or_else(|| Error::Output(format!("no array `{key}`")))
}

fn examples(package: &Value) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    for target in list(package, "targets")? {
        if list(target, "kind")?.iter().any(|kind| kind == "example") {
            let features = target["required-features"].as_array().map(Vec::as_slice).unwrap_or_default();
            examples.push(Example {
                name: text(target, "name")?.to_owned(),
                features: features.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            });
        }
    }
    Ok(examples)
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{
        "packages": [
            {"name": "core", "id": "core#1", "manifest_path": "/w/core/Cargo.toml", "targets": [
                {"kind": ["lib"], "name": "core"},
                {"kind": ["example"], "name": "hello"},
                {"kind": ["example"], "name": "squeeze", "required-features": ["lz4", "zstd"]}]},
            {"name": "bench", "id": "bench#1", "manifest_path": "/w/bench/Cargo.toml", "targets": []}],
        "workspace_default_members": ["core#1"],
        "workspace_root": "/w",
        "target_directory": "/w/target"}"#;

    #[test]
    fn members_and_their_examples() {
        let workspace = Workspace::parse(METADATA).unwrap();
        assert_eq!((workspace.root(), workspace.target()), (Path::new("/w"), Path::new("/w/target")));
        let [core, bench] = workspace.members() else { panic!("{workspace:?}") };
        assert!(core.default && !bench.default);
        let squeeze = vec!["lz4".to_owned(), "zstd".to_owned()];
        assert_eq!(
            core.examples,
            [
                Example { name: "hello".to_owned(), features: vec![] },
                Example { name: "squeeze".to_owned(), features: squeeze },
            ]
        );
        assert_eq!(bench.examples, []);
    }

    #[test]
    fn unknown_output_is_an_error() {
        for output in ["", "{}", r#"{"packages": 1}"#] {
            assert!(matches!(Workspace::parse(output), Err(Error::Output(_))), "{output}");
        }
    }

    #[test]
    fn this_workspace_has_this_package() {
        let workspace = Workspace::load().unwrap();
        assert!(workspace.members().iter().any(|member| member.name == env!("CARGO_PKG_NAME")));
    }

    /// Without a `rust-version`, clippy would let a package use newer parts of the standard library.
    #[test]
    fn each_package_states_the_same_oldest_rust() {
        let metadata = json(&Cargo::anywhere("metadata --format-version 1 --no-deps").capture().unwrap()).unwrap();
        let packages = list(&metadata, "packages").unwrap();
        let stated = text(&packages[0], "rust_version").unwrap();
        for package in packages {
            assert_eq!(package["rust_version"], stated, "{}", package["name"]);
        }
    }
}
