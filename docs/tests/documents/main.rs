//! What readers of the documents rely on: links that lead somewhere, a complete book, samples that are as their generator
//! writes them, and a `cargo add` line that is enough for the examples below it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod commands;
mod links;
mod markdown;

use std::fs;
use std::path::{Path, PathBuf};

#[allow(dead_code, reason = "`main` is for those who run it")]
#[path = "../../../crates/ipc-core/examples/sample_data.rs"]
mod sample_data;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_link_leads_to_a_file_and_an_anchor_that_exist() {
    let report = links::check(&root());
    assert!(report.documents >= 15 && report.links >= 55, "{report:?}");
    assert!(report.broken.is_empty(), "{}", report.broken.join("\n"));
}

#[test]
fn commands_for_tests_and_chores_run_something() {
    let (checked, broken) = commands::check(&root(), &links::documents(&root()));
    assert!(checked >= 40, "{checked} commands");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The pages of the book are also published by themselves, so they link to each other and to the web only.
#[test]
fn links_of_the_guide_stay_in_the_guide() {
    let book = root().join("docs/guide/src");
    let mut outside = Vec::new();
    for page in links::documents(&book) {
        for link in markdown::links(&fs::read_to_string(&page).unwrap()) {
            if link.starts_with("..") || link.starts_with('/') {
                outside.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(outside.is_empty(), "{}", outside.join("\n"));
}

#[test]
fn the_guide_lists_every_page_and_tests_every_example() {
    let (summary, tested) = (read("docs/guide/src/SUMMARY.md"), read("docs/src/lib.rs"));
    let pages = links::documents(&root().join("docs/guide/src"));
    assert!(pages.len() >= 8, "{pages:?}");
    for page in pages {
        let name = page.file_name().unwrap().to_str().unwrap();
        if name != "SUMMARY.md" {
            assert!(summary.contains(&format!("({name})")), "SUMMARY.md lacks {name}");
            assert!(tested.contains(&format!("guide/src/{name}\")")), "docs/src/lib.rs lacks {name}");
        }
    }
}

#[test]
fn the_samples_are_what_their_generator_writes() {
    for (name, bytes) in sample_data::samples().unwrap() {
        let stored = fs::read(root().join("examples/data").join(name)).unwrap();
        assert!(stored == bytes, "{name} differs: run `cargo run --example sample_data`");
    }
}

/// An example that is pasted into a new project compiles if the project has the crates that the example names.
#[test]
fn cargo_add_lines_name_every_crate_of_the_examples_that_follow() {
    for document in ["README.md", "docs/guide/src/first-programs.md"] {
        let text = read(document);
        let (mut examples, mut added) = (0, Vec::new());
        for section in text.split("\n## ") {
            // A section without such a line goes on in the project of the one before.
            added = Some(added_crates(section)).filter(|crates| !crates.is_empty()).unwrap_or(added);
            for example in markdown::blocks(section, "rust") {
                examples += 1;
                for name in used_crates(&example) {
                    assert!(added.contains(&name), "{document}: no `cargo add` of {name} in the section of\n{example}");
                }
            }
        }
        assert!(examples >= 2, "{document}: {examples} examples");
    }
}

/// Who searches our documentation for a name of arrow-rs finds what takes its place.
#[test]
fn names_of_arrow_rs_in_the_migration_table_are_doc_aliases() {
    let (page, mut names) = (read("docs/guide/src/migrating.md"), 0);
    let aliases = aliases();
    for row in
        page.lines().skip_while(|line| !line.starts_with("|---")).skip(1).take_while(|line| line.starts_with('|'))
    {
        let cells: Vec<&str> = row.split('|').collect();
        for name in called(cells[1]) {
            names += 1;
            let is_ours = cells[2..].iter().any(|cell| called(cell).contains(&name));
            assert!(is_ours || aliases.iter().any(|alias| *alias == name), "no doc alias `{name}`: {row}");
        }
    }
    assert!(names >= 15, "{names}");
}

/// What is called, or named alone, in the code of a table's cell.
fn called(cell: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut names = Vec::new();
    for code in cell.split('`').skip(1).step_by(2) {
        let mut rest = code;
        while let Some(start) = rest.find(is_name) {
            let length = rest[start..].find(|c| !is_name(c)).unwrap_or(rest.len() - start);
            let (name, after) = rest[start..].split_at(length);
            if (after.starts_with(['(', ':']) || name == code) && name != "Some" {
                names.push(name);
            }
            rest = after;
        }
    }
    names
}

/// The aliases in the libraries' sources.
fn aliases() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("crates/ipc-core/src"), root().join("crates/ipc-shared/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            let lines = source.lines().filter_map(|line| line.trim().strip_prefix("#[doc(alias = \""));
            found.extend(lines.filter_map(|line| line.split_once('"')).map(|(alias, _)| alias.to_owned()));
        }
    }
    found
}

/// The crates that the `cargo add` lines of a section name, with underscores.
fn added_crates(section: &str) -> Vec<String> {
    let lines = section.split(['\n', '&']).filter_map(|line| line.trim().strip_prefix("cargo add "));
    let words = lines.flat_map(str::split_whitespace).filter(|word| !word.starts_with('-'));
    words
        .map(|word| {
            let name = word.trim_matches('"').rsplit('/').next().unwrap_or(word);
            name.split('@').next().unwrap_or(name).replace('-', "_")
        })
        .collect()
}

/// The crates that an example names in its paths, and those that macros name in theirs.
fn used_crates(example: &str) -> Vec<String> {
    let words = example.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    let mut used: Vec<String> = words
        .filter_map(|word| word.split_once("::"))
        .map(|(first, _)| first.to_owned())
        .filter(|first| first.starts_with("arrow_") || first.starts_with("ipc_"))
        .collect();
    if example.contains("record_batch!") {
        used.push("arrow_schema".to_owned());
    }
    used
}
