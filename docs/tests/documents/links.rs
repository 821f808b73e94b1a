//! Checks the relative links of all documents, without a tool and without the network.

use std::fs;
use std::path::{Path, PathBuf};

use crate::markdown;

/// What a check has found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) documents: usize,
    /// Relative links; those to the web are not checked.
    pub(crate) links: usize,
    /// A line for each link that leads nowhere.
    pub(crate) broken: Vec<String>,
}

/// Checks every document below `root`.
pub(crate) fn check(root: &Path) -> Report {
    let mut report = Report::default();
    for document in documents(root) {
        report.documents += 1;
        let text = fs::read_to_string(&document).unwrap();
        let links = markdown::links(&text).into_iter().filter(|link| !link.contains("://"));
        for link in links {
            report.links += 1;
            if let Err(reason) = follow(&document, &text, &link) {
                let name = document.strip_prefix(root).unwrap().display();
                report.broken.push(format!("{name}: {link}: {reason}"));
            }
        }
    }
    report
}

/// Follows a link from `document`, which has this text.
fn follow(document: &Path, text: &str, link: &str) -> Result<(), &'static str> {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = document.parent().unwrap().join(path);
    if !path.is_empty() && !target.exists() {
        return Err("no such file");
    }
    let Some(anchor) = anchor else { return Ok(()) };
    let anchors = if path.is_empty() {
        markdown::anchors(text)
    } else {
        markdown::anchors(&fs::read_to_string(&target).map_err(|_| "an anchor in what is no text")?)
    };
    if anchors.iter().any(|known| known == anchor) { Ok(()) } else { Err("no such anchor") }
}

/// The Markdown files below a folder, without what is built, hidden or installed there.
pub(crate) fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy();
        if name.starts_with('.') || name == "target" || name == "mutants.out" {
            continue;
        }
        if path.is_dir() {
            found.extend(documents(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_broken_link_is_found() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("inner")).unwrap();
    fs::write(folder.path().join("inner/page.md"), "# Heading\n[up](../top.md#there) [down](missing.md)").unwrap();
    fs::write(folder.path().join("top.md"), "# There\n[a](inner/page.md#heading) [b](inner/page.md#no) [c](#here)")
        .unwrap();
    let report = check(folder.path());
    assert_eq!((report.documents, report.links), (2, 5));
    let expected = [
        "inner/page.md: missing.md: no such file",
        "top.md: inner/page.md#no: no such anchor",
        "top.md: #here: no such anchor",
    ];
    assert_eq!(report.broken, expected);
}
