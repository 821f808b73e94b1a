//! The table of seeded faults, `loom-tests/mutants.toml`: what each one changes, and which model must notice.
//!
//! A mutant replaces one piece of text in one source file, so the code that ships knows nothing of it. The whole table
//! is checked before any of it is used. It is an error if a text does not occur exactly once in its file, if a model
//! does not exist, or if no mutant weakens an ordering. A test of this module finds these errors without building a
//! model.
//!
//! The chore [`mutants`](crate::chores::mutants) finds out whether a mutant is caught.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};

/// All mutants. Each of them applies, and names a model that exists.
#[derive(Debug)]
pub(crate) struct Table(Vec<Mutant>);

/// A fault to seed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutant {
    /// A name that says what is wrong, without spaces.
    pub(crate) name: String,
    /// The file that it changes, from the root of the workspace.
    pub(crate) file: PathBuf,
    find: String,
    replace: String,
    /// The model that must fail.
    pub(crate) model: Model,
    /// What the model must print. A model that fails for another reason has not caught the fault.
    pub(crate) says: String,
}

/// A test of the package `loom-tests`, written as `program::test`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Model {
    /// The test program: the stem of its file.
    pub(crate) program: String,
    /// The test in it.
    pub(crate) test: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    mutant: Vec<Mutant>,
}

impl Table {
    /// Reads and checks the table of the workspace at `root`.
    pub(crate) fn load(root: &Path) -> Result<Self> {
        let File { mutant: mutants } =
            toml::from_str(&read(&root.join(TABLE))?).map_err(|error| Error::Check(format!("{TABLE}: {error}")))?;
        let mut names = HashSet::new();
        for mutant in &mutants {
            if !names.insert(&mutant.name) {
                return Err(Error::Check(format!("{TABLE}: two mutants are called {}", mutant.name)));
            }
            if mutant.says.is_empty() {
                return Err(Error::Check(format!("{TABLE}: nothing is said that catches {}", mutant.name)));
            }
            mutant.apply(&read(&root.join(&mutant.file))?)?;
            mutant.model.exists(root)?;
        }
        let files: HashSet<_> = mutants.iter().map(|mutant| &mutant.file).collect();
        for file in files {
            let source = read(&root.join(file))?;
            let of_file: Vec<_> = mutants.iter().filter(|mutant| mutant.file == *file).collect();
            if let Some(line) = unweakened(&source, &of_file) {
                let file = file.display();
                return Err(Error::Check(format!("{file}:{line}: no mutant weakens this ordering")));
            }
        }
        Ok(Self(mutants))
    }

    /// The mutants whose names contain one of `parts`, or all, in the order of the table.
    pub(crate) fn named(&self, parts: &[String]) -> Result<Vec<&Mutant>> {
        let is_named = |mutant: &&Mutant| parts.is_empty() || parts.iter().any(|part| mutant.name.contains(part));
        let named: Vec<_> = self.0.iter().filter(is_named).collect();
        if named.is_empty() {
            return Err(Error::Check(format!("no mutant's name contains {}", parts.join(" or "))));
        }
        Ok(named)
    }
}

impl Mutant {
    /// The source with the fault in it.
    pub(crate) fn apply(&self, source: &str) -> Result<String> {
        let at = self.place_in(source)?;
        let (before, after) = (&source[..at], &source[at + self.find.len()..]);
        Ok([before, &self.replace, after].concat())
    }

    /// Where the text to replace starts.
    fn place_in(&self, source: &str) -> Result<usize> {
        let mut places = source.match_indices(&self.find);
        match (places.next(), places.next()) {
            (Some((at, _)), None) if self.find != self.replace => Ok(at),
            (Some(_), None) => Err(self.is_wrong("changes nothing")),
            (None, _) => Err(self.is_wrong("does not find its text")),
            (Some(_), Some(_)) => Err(self.is_wrong("finds its text more than once")),
        }
    }

    /// Whether this mutant weakens the ordering at `at`.
    fn weakens(&self, source: &str, at: usize) -> bool {
        let weaker = self.replace.matches("Relaxed").count() > self.find.matches("Relaxed").count();
        weaker && self.place_in(source).is_ok_and(|start| (start..start + self.find.len()).contains(&at))
    }

    fn is_wrong(&self, problem: &str) -> Error {
        Error::Check(format!("the mutant {} {problem} in {}", self.name, self.file.display()))
    }
}

impl Model {
    fn exists(&self, root: &Path) -> Result<()> {
        let file = root.join(MODELS).join(&self.program).with_extension("rs");
        if read(&file)?.contains(&format!("#[test]\nfn {}() {{", self.test)) {
            Ok(())
        } else {
            Err(Error::Check(format!("{TABLE}: there is no model {self}")))
        }
    }
}

impl TryFrom<String> for Model {
    type Error = String;

    fn try_from(name: String) -> std::result::Result<Self, String> {
        match name.split_once("::") {
            Some((program, test)) => Ok(Self { program: program.to_owned(), test: test.to_owned() }),
            None => Err(format!("a model is written `program::test`, not `{name}`")),
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.program, self.test)
    }
}

/// The line of the first acquire or release that none of the mutants weakens. Comments, imports, and the tests at the
/// end of a file do not count.
fn unweakened(source: &str, mutants: &[&Mutant]) -> Option<usize> {
    let mut start = 0;
    for (index, line) in source.split_inclusive('\n').enumerate() {
        let code = line.trim_start();
        if code.starts_with("#[cfg(all(test") {
            return None;
        }
        let is_statement = code.contains('(') && !code.starts_with("//");
        for ordering in ["Acquire", "Release"] {
            for (column, _) in line.match_indices(ordering).filter(|_| is_statement) {
                if !mutants.iter().any(|mutant| mutant.weakens(source, start + column)) {
                    return Some(index + 1);
                }
            }
        }
        start += line.len();
    }
    None
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

const TABLE: &str = "loom-tests/mutants.toml";
const MODELS: &str = "loom-tests/tests";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    const LOCK: &str = "crates/ipc-shared/src/lock.rs";

    fn mutant(find: &str, replace: &str) -> Mutant {
        Mutant {
            name: "some".to_owned(),
            file: "some.rs".into(),
            find: find.to_owned(),
            replace: replace.to_owned(),
            model: Model::try_from("lock::some".to_owned()).unwrap(),
            says: String::new(),
        }
    }

    #[test]
    fn replaces_the_only_place() {
        assert_eq!(mutant("b", "x").apply("a b c").unwrap(), "a x c");
        assert_eq!(mutant("b ", "").apply("a b c").unwrap(), "a c");
    }

    #[test]
    fn anything_but_one_place_is_an_error() {
        for (find, replace, problem) in
            [("d", "x", "does not find"), ("a", "x", "more than once"), ("b", "b", "changes nothing")]
        {
            let error = mutant(find, replace).apply("a b a").unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn an_ordering_without_a_mutant_is_found() {
        let source = "use sync::Acquire;\n// Acquire: (pairs)\nx.load(Acquire);\n";
        assert_eq!(unweakened(source, &[]), Some(3));
        assert_eq!(unweakened(source, &[&mutant("load(Acquire)", "load(Relaxed)")]), None);
        assert_eq!(unweakened(source, &[&mutant("load(Acquire)", "store(Acquire)")]), Some(3));
        assert_eq!(unweakened("#[cfg(all(test, any()))]\nx.load(Acquire);", &[]), None);
    }

    #[test]
    fn a_model_has_two_names() {
        assert!(Model::try_from("mutex_3".to_owned()).is_err());
        assert_eq!(Model::try_from("lock::mutex_3".to_owned()).unwrap().to_string(), "lock::mutex_3");
    }

    #[test]
    fn the_table_applies_to_the_sources_as_they_are_and_the_readme_shows_it() {
        let workspace = Workspace::load().unwrap();
        let table = Table::load(workspace.root()).unwrap();
        let readme = read(&workspace.root().join("loom-tests/README.md")).unwrap();
        let lock = read(&workspace.root().join(LOCK)).unwrap();
        for mutant in table.0 {
            let row = format!("| {} | {} |", mutant.name, mutant.model);
            assert!(readme.contains(&row), "loom-tests/README.md does not show: {row}");
            if mutant.file == Path::new(LOCK) && mutant.name.ends_with("-relaxed") {
                let Mutant { name, model: Model { test, .. }, .. } = mutant;
                let row = lock
                    .lines()
                    .find(|line| line.contains(&format!("`{name}`")) && line.contains(&format!("`{test}`")));
                assert!(row.is_some(), "the notes in {LOCK} do not name {name} with {test}");
            }
        }
    }
}
