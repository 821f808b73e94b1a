//! Checks the commands of the documents that run tests and chores: what they name must exist.
//!
//! A filter that matches no test succeeds without running anything, so a test that was renamed would go unnoticed.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the number of commands that were checked, and a line for each that names something missing.
pub(crate) fn check(root: &Path, documents: &[PathBuf]) -> (usize, Vec<String>) {
    let (mut checked, mut broken) = (0, Vec::new());
    for document in documents {
        let text = fs::read_to_string(document).unwrap();
        for command in commands(&text) {
            checked += 1;
            let words: Vec<&str> = command.split_whitespace().collect();
            let result = match words[1] {
                "test" => tests(root, &words[2..]),
                _ => chore(root, words.get(2).copied().unwrap_or_default()),
            };
            if let Err(missing) = result {
                broken.push(format!("{}: {command}: {missing}", document.display()));
            }
        }
    }
    (checked, broken)
}

/// The commands that run tests or chores, without comments: whole lines of code, and code in a line of text.
fn commands(text: &str) -> Vec<String> {
    let starts = ["cargo test -p ", "cargo xtask "];
    let pieces = text.split(['\n', '`']).flat_map(|piece| piece.split("&&"));
    let commands = pieces.map(|piece| piece.split('#').next().unwrap_or(piece).trim());
    commands.filter(|command| starts.iter().any(|start| command.starts_with(start))).map(str::to_owned).collect()
}

fn chore(root: &Path, name: &str) -> Result<(), String> {
    let is_option = name.starts_with('-') || name.is_empty();
    let exists = is_option || root.join(format!("crates/xtask/src/chores/{}.rs", name.replace('-', "_"))).exists();
    if exists { Ok(()) } else { Err(format!("no chore {name}")) }
}

fn tests(root: &Path, words: &[&str]) -> Result<(), String> {
    let package = words.get(1).ok_or("no package")?;
    let folder = folder_of(root, package).ok_or(format!("no package {package}"))?;
    let mut names = Vec::new();
    let mut filters = Vec::new();
    let mut rest = words[2..].iter();
    while let Some(word) = rest.next() {
        match *word {
            "--test" => {
                let target = rest.next().ok_or("no name of a test")?;
                let modules = folder.join("tests").join(target);
                if !modules.with_extension("rs").exists() && !modules.join("main.rs").exists() {
                    return Err(format!("no test {target}"));
                }
                collect(&modules, "", &mut names);
            }
            option if option.starts_with('-') => {}
            // `NAME` stands for any.
            filter if filter.chars().all(char::is_uppercase) => {}
            filter => filters.push(filter),
        }
    }
    match filters.into_iter().find(|filter| !names.iter().any(|name: &String| name.contains(filter))) {
        Some(filter) => Err(format!("no test has {filter} in its name")),
        None => Ok(()),
    }
}

/// Returns the folder of a package, at most three levels below the root.
fn folder_of(root: &Path, package: &str) -> Option<PathBuf> {
    let mut folders = vec![root.to_owned()];
    for _ in 0..3 {
        let inner = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
        folders = inner.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
        let name = format!("name = \"{package}\"");
        let is_it = |folder: &&PathBuf| {
            let manifest = fs::read_to_string(folder.join("Cargo.toml"));
            manifest.is_ok_and(|manifest| manifest.lines().any(|line| line == name))
        };
        if let Some(found) = folders.iter().find(is_it) {
            return Some(found.clone());
        }
    }
    None
}

/// Collects the paths of the functions below a folder of modules.
fn collect(folder: &Path, module: &str, names: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            collect(&path, &format!("{module}{stem}::"), names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let module = if stem == "main" || stem == "mod" { module.to_owned() } else { format!("{module}{stem}::") };
            let source = fs::read_to_string(&path).unwrap();
            let functions = source.lines().filter_map(|line| line.trim_start().strip_prefix("fn "));
            names.extend(
                functions.filter_map(|line| line.split(['(', '<']).next()).map(|name| format!("{module}{name}")),
            );
        }
    }
}

#[test]
fn a_command_that_runs_nothing_is_found() {
    let root = crate::root();
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("page.md");
    let lines = [
        "cargo test -p ipc-docs --test documents links:: # right",
        "cargo test -p ipc-docs --test documents lynx::",
        "cargo test -p ipc-docs --test papers",
        "cargo xtask loom && cargo xtask tapestry",
    ];
    fs::write(&document, lines.join("\n")).unwrap();
    let (checked, broken) = check(&root, &[document]);
    assert_eq!((checked, broken.len()), (5, 3), "{broken:?}");
}
