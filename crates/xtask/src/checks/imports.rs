//! Imports between the files of a crate never run in a circle, so that a file can be read after those it imports.
//!
//! - A file imports another where it names a path into it, in a `use` or elsewhere. Such a path starts with `crate`,
//!   `super` or `self`, and leads to the deepest module that it names. Declaring a module does not import it.
//! - Comments do not count, nor do tests: a module `tests` at the end of a file, or a file `tests.rs`.
//! - Paths are found in the text. What a macro expands to is not seen.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// The packages that are checked.
const PACKAGES: [&str; 6] = ["ipc-core", "ipc-shared", "ipc-recover", "ipc-output", "ipc-cli", "xtask"];

/// Checks all packages, and returns an error that shows one circle of each package that has any.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut circles = Vec::new();
    for name in PACKAGES {
        let member = workspace.members().iter().find(|member| member.name == name);
        let member = member.ok_or_else(|| Error::Check(format!("there is no package `{name}`")))?;
        let sources = member.manifest.with_file_name("src");
        let imports = Imports::of(&sources)?;
        match imports.circle() {
            None => println!("{name}: {} files, no circle of imports", imports.0.len()),
            Some(circle) => circles.push(format!("{name}: {}", circle.join(" -> "))),
        }
    }
    if circles.is_empty() { Ok(()) } else { Err(Error::Check(format!("circles of imports: {}", circles.join("; ")))) }
}

/// The path of a module, from the root of its crate.
type Module = Vec<String>;

/// What each file imports.
#[derive(Debug)]
struct Imports(BTreeMap<Module, Vec<Module>>);

impl Imports {
    fn of(sources: &Path) -> Result<Self> {
        let mut texts = BTreeMap::new();
        collect(sources, &mut Vec::new(), &mut texts)?;
        Ok(Self::between(&texts))
    }

    /// The imports of files with these texts.
    fn between(texts: &BTreeMap<Module, String>) -> Self {
        let imports = texts.iter().map(|(module, text)| {
            let mut found: Vec<Module> = paths(module, &code(text)).iter().map(|path| file_of(path, texts)).collect();
            found.sort();
            found.dedup();
            found.retain(|other| other != module);
            (module.clone(), found)
        });
        Self(imports.collect())
    }

    /// The files of a circle, the first one again at its end.
    fn circle(&self) -> Option<Vec<String>> {
        let mut done = Vec::new();
        self.0.keys().find_map(|module| self.circle_from(module, &mut Vec::new(), &mut done))
    }

    fn circle_from<'i>(
        &'i self,
        module: &'i Module,
        trail: &mut Vec<&'i Module>,
        done: &mut Vec<&'i Module>,
    ) -> Option<Vec<String>> {
        if let Some(first) = trail.iter().position(|passed| *passed == module) {
            return Some(trail[first..].iter().chain([&module]).map(|module| name(module)).collect());
        }
        if done.contains(&module) {
            return None;
        }
        trail.push(module);
        let circle = self.0.get(module)?.iter().find_map(|other| self.circle_from(other, trail, done));
        trail.pop();
        done.push(module);
        circle
    }
}

/// Reads the files of a folder, by their modules.
fn collect(folder: &Path, module: &mut Module, texts: &mut BTreeMap<Module, String>) -> Result<()> {
    let failed = |path: &Path, source| Error::Read { path: path.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|source| failed(folder, source))? {
        paths.push(entry.map_err(|source| failed(folder, source))?.path());
    }
    paths.sort();
    for path in paths {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            module.push(stem);
            collect(&path, module, texts)?;
            module.pop();
        } else if path.extension().is_some_and(|extension| extension == "rs") && stem != "tests" {
            let text = fs::read_to_string(&path).map_err(|source| failed(&path, source))?;
            let named = (!matches!(stem.as_str(), "lib" | "main" | "mod")).then_some(stem);
            texts.insert(module.iter().cloned().chain(named).collect(), text);
        }
    }
    Ok(())
}

/// The text without comments and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The paths into the crate that the code of a module names, from the crate's root.
fn paths(module: &Module, code: &str) -> Vec<Module> {
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let continues_a_path =
                code[..at].ends_with(|before: char| before.is_alphanumeric() || "_:$".contains(before));
            let is_a_string = code[at + start.len()..].starts_with('"');
            if !continues_a_path && !is_a_string {
                tree(&code[at..], &Vec::new(), &mut found);
            }
        }
    }
    found.iter().map(|path| from_root(module, path)).collect()
}

/// Adds the paths of a use tree that starts here, such as `a::{b, c::d}`. Returns what follows it.
fn tree<'c>(mut code: &'c str, parent: &Module, found: &mut Vec<Module>) -> &'c str {
    let mut path = parent.clone();
    loop {
        code = code.trim_start();
        if let Some(mut group) = code.strip_prefix('{') {
            loop {
                group = tree(group, &path, found).trim_start();
                match group.strip_prefix(',') {
                    Some(more) => group = more,
                    None => return group.strip_prefix('}').unwrap_or(group),
                }
            }
        }
        let length = code.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len());
        if length > 0 {
            path.push(code[..length].to_owned());
        }
        code = &code[length..];
        match code.strip_prefix("::") {
            Some(more) => code = more,
            None => break,
        }
    }
    if let Some((_, renamed)) = code.split_once(" as ").filter(|(before, _)| before.trim().is_empty()) {
        let length = renamed.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(renamed.len());
        code = &renamed[length..];
    }
    if path.len() > parent.len() || !parent.is_empty() {
        found.push(path);
    }
    code
}

/// A path that starts with `crate`, `super` or `self`, in a module, from the crate's root.
fn from_root(module: &Module, path: &Module) -> Module {
    let mut absolute = if path.first().is_some_and(|first| first == "crate") { Vec::new() } else { module.clone() };
    for segment in path {
        match segment.as_str() {
            "crate" | "self" => {}
            "super" => _ = absolute.pop(),
            name => absolute.push(name.to_owned()),
        }
    }
    absolute
}

/// The deepest module on a path that is a file.
fn file_of(path: &Module, texts: &BTreeMap<Module, String>) -> Module {
    let lengths = (0..=path.len()).rev();
    lengths.map(|length| path[..length].to_vec()).find(|module| texts.contains_key(module)).unwrap_or_default()
}

fn name(module: &Module) -> String {
    if module.is_empty() { "lib".to_owned() } else { module.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circle(files: &[(&str, &str)]) -> Option<String> {
        let module = |name: &str| name.split('/').filter(|part| *part != "lib").map(str::to_owned).collect();
        let texts = files.iter().map(|(name, text)| (module(name), (*text).to_owned())).collect();
        Imports::between(&texts).circle().map(|circle| circle.join(" -> "))
    }

    #[test]
    fn imports_that_lead_downwards_are_no_circle() {
        let files = [("lib", "mod a; pub use a::A;"), ("a", "use crate::b::{B, c::C};"), ("b", "mod c;"), ("b/c", "")];
        assert_eq!(circle(&files), None);
    }

    #[test]
    fn a_circle_is_found_however_it_is_written() {
        for back in [
            "use crate::a::A;",
            "use super::{b::B, a::{self, A}};",
            "fn f() -> crate::a::A {}",
            "use crate::{\n    a::A,\n};",
        ] {
            assert_eq!(
                circle(&[("lib", ""), ("a", "use crate::b::B;"), ("b", back)]).as_deref(),
                Some("a -> b -> a"),
                "{back}"
            );
        }
        let parent = [("lib", ""), ("a", "use self::b::B;"), ("a/b", "use super::A;")];
        assert_eq!(circle(&parent).as_deref(), Some("a -> a/b -> a"));
        let root = [("lib", "use crate::a::A;"), ("a", "use crate::Item;")];
        assert_eq!(circle(&root).as_deref(), Some("lib -> a -> lib"));
    }

    #[test]
    fn comments_tests_and_other_crates_do_not_count() {
        for back in [
            "// use crate::a::A;",
            "#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}",
            "use other_crate::a::A;",
            "use other::super_a::A;",
        ] {
            assert_eq!(circle(&[("lib", ""), ("a", "use crate::b::B;"), ("b", back)]), None, "{back}");
        }
    }

    #[test]
    fn a_string_is_no_import() {
        for prefix in ["crate", "super"] {
            let text = format!("const PREFIX: &str = \"{prefix}::\";");
            assert_eq!(circle(&[("lib", "use crate::a::A;"), ("a", &text)]), None, "{text}");
        }
    }
}
