//! What became of changes, kept in a file as they come, so that a run that is interrupted loses nothing.
//!
//! A verdict holds as long as the source that was changed is what it was: behind an edit, all of its changes are tried anew.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::change::Change;
use crate::error::{Error, Result};

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// A test failed, or did not end in time.
    Noticed,
    /// The compiler refused it.
    DoesNotCompile,
    /// The quick tests passed; the others were not asked.
    Left,
    /// All tests passed.
    Survived,
}

/// The verdicts on the sources as they are, and where new ones go.
#[derive(Debug)]
pub(crate) struct Verdicts {
    path: PathBuf,
    file: File,
    /// By the change's name, and what it was made to.
    known: HashMap<String, Verdict>,
    /// For each file of the workspace, what tells its text from others.
    sources: HashMap<PathBuf, u64>,
}

impl Verdicts {
    /// Reads the file `path`, or begins it, for changes of the workspace at `root`.
    pub(crate) fn load(path: PathBuf, root: &Path, changes: &[Change]) -> Result<Self> {
        let mut sources = HashMap::new();
        for Change { file, .. } in changes {
            if !sources.contains_key(file) {
                let path = root.join(file);
                let text = fs::read(&path).map_err(|source| Error::Read { path, source })?;
                let mut hasher = DefaultHasher::new();
                text.hash(&mut hasher);
                sources.insert(file.clone(), hasher.finish());
            }
        }
        let open = || -> io::Result<(File, String)> {
            fs::create_dir_all(path.parent().expect("a file is in a directory"))?;
            let file = OpenOptions::new().append(true).create(true).open(&path)?;
            Ok((file, fs::read_to_string(&path)?))
        };
        let (file, text) = open().map_err(|source| Error::Write { path: path.clone(), source })?;
        Ok(Self { path, file, known: parsed(&text), sources })
    }

    /// What became of a change, where that is known.
    pub(crate) fn of(&self, change: &Change) -> Option<Verdict> {
        self.known.get(&self.key(change)).copied()
    }

    /// Keeps what became of a change.
    pub(crate) fn keep(&mut self, change: &Change, verdict: Verdict) -> Result<()> {
        let key = self.key(change);
        writeln!(self.file, "{verdict}\t{key}").map_err(|source| Error::Write { path: self.path.clone(), source })?;
        self.known.insert(key, verdict);
        Ok(())
    }

    /// A table of the changes by file, and below it the names of those that survived.
    pub(crate) fn table(&self, changes: &[Change]) -> String {
        let mut rows: Vec<(&Path, Counts)> = Vec::new();
        let mut survivors = String::new();
        for change in changes {
            if rows.last().is_none_or(|(file, _)| *file != change.file) {
                rows.push((&change.file, Counts::default()));
            }
            let (_, counts) = rows.last_mut().expect("pushed where there was none");
            match self.of(change) {
                Some(Verdict::Noticed) => counts.noticed += 1,
                Some(Verdict::DoesNotCompile) => counts.not_compiling += 1,
                Some(Verdict::Survived) => {
                    counts.survived += 1;
                    survivors += &format!("- {}\n", change.name);
                }
                None | Some(Verdict::Left) => counts.not_tried += 1,
            }
        }
        let mut table =
            "| file | changes | noticed | do not compile | survived | not tried to the end |\n|---|---|---|---|---|---|\n"
                .to_owned();
        let mut all = Counts::default();
        for (file, counts) in &rows {
            table += &format!("| `{}` {counts}\n", file.display());
            all = all.and(*counts);
        }
        format!("{table}| all {all}\n\n{survivors}")
    }

    fn key(&self, Change { name, file, .. }: &Change) -> String {
        format!("{:016x}\t{name}", self.sources[file])
    }
}

/// Lines of verdicts; the last on a change is the one that holds. One that was cut off is none.
fn parsed(text: &str) -> HashMap<String, Verdict> {
    let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let pairs = whole.filter_map(|line| line.split_once('\t'));
    pairs.filter_map(|(verdict, key)| Some((key.to_owned(), Verdict::parse(verdict)?))).collect()
}

impl Verdict {
    const ALL: [Self; 4] = [Self::Noticed, Self::DoesNotCompile, Self::Left, Self::Survived];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.to_string() == text)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Noticed => "noticed",
            Self::DoesNotCompile => "does not compile",
            Self::Left => "left for all tests",
            Self::Survived => "survived",
        })
    }
}

/// A row of the table.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    noticed: usize,
    not_compiling: usize,
    survived: usize,
    not_tried: usize,
}

impl Counts {
    fn and(self, other: Self) -> Self {
        Self {
            noticed: self.noticed + other.noticed,
            not_compiling: self.not_compiling + other.not_compiling,
            survived: self.survived + other.survived,
            not_tried: self.not_tried + other.not_tried,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { noticed, not_compiling, survived, not_tried } = self;
        let changes = noticed + not_compiling + survived + not_tried;
        write!(f, "| {changes} | {noticed} | {not_compiling} | {survived} | {not_tried} |")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes of `a.rs` and `b.rs` with these names.
    fn changes(names: &[(&str, &str)]) -> Vec<Change> {
        let place = r#"{"line": 1, "column": 1}"#;
        let change = |(file, name)| {
            format!(
                r#"{{"name": "{file}: {name}", "file": "{file}", "replacement": "",
                    "span": {{"start": {place}, "end": {place}}}}}"#
            )
        };
        let list: Vec<_> = names.iter().copied().map(change).collect();
        Change::listed(&format!("[{}]", list.join(","))).unwrap()
    }

    /// A folder with `a.rs` and `b.rs`, below the target directory.
    fn sources(name: &str) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/verdicts").join(name);
        _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        for file in ["a.rs", "b.rs"] {
            fs::write(root.join(file), file).unwrap();
        }
        root
    }

    fn load(root: &Path, changes: &[Change]) -> Verdicts {
        Verdicts::load(root.join("kept/verdicts"), root, changes).unwrap()
    }

    #[test]
    fn a_verdict_is_kept_until_its_source_changes() {
        let root = sources("kept_until");
        let changes = changes(&[("a.rs", "one"), ("b.rs", "two"), ("b.rs", "three")]);
        let mut verdicts = load(&root, &changes);
        verdicts.keep(&changes[0], Verdict::Survived).unwrap();
        verdicts.keep(&changes[0], Verdict::Noticed).unwrap();
        verdicts.keep(&changes[1], Verdict::DoesNotCompile).unwrap();
        let expected = [Some(Verdict::Noticed), Some(Verdict::DoesNotCompile), None];
        let of = |verdicts: Verdicts| changes.iter().map(|change| verdicts.of(change)).collect::<Vec<_>>();
        assert_eq!(of(verdicts), expected);
        assert_eq!(of(load(&root, &changes)), expected);
        fs::write(root.join("a.rs"), "edited").unwrap();
        assert_eq!(of(load(&root, &changes)), [None, expected[1], None]);
    }

    #[test]
    fn a_line_that_was_cut_off_is_no_verdict() {
        let all = parsed("noticed\t0\ta: one\nsurvived\t0\ta: two\nsurvived\t0\ta: th");
        assert_eq!(
            all,
            HashMap::from([("0\ta: one".into(), Verdict::Noticed), ("0\ta: two".into(), Verdict::Survived)])
        );
        assert_eq!(parsed("perhaps\t0\ta: one\nnoticed\n"), HashMap::new());
    }

    #[test]
    fn the_table_counts_by_file_and_names_what_survived() {
        let root = sources("table");
        let changes = changes(&[("a.rs", "one"), ("a.rs", "two"), ("b.rs", "three"), ("b.rs", "four")]);
        let mut verdicts = load(&root, &changes);
        for (change, verdict) in changes.iter().zip([Verdict::Noticed, Verdict::Survived, Verdict::DoesNotCompile]) {
            verdicts.keep(change, verdict).unwrap();
        }
        let expected = "| file | changes | noticed | do not compile | survived | not tried to the end |\n\
            |---|---|---|---|---|---|\n\
            | `a.rs` | 2 | 1 | 0 | 1 | 0 |\n\
            | `b.rs` | 2 | 0 | 1 | 0 | 1 |\n\
            | all | 4 | 1 | 1 | 1 | 1 |\n\n\
            - a.rs: two\n";
        assert_eq!(verdicts.table(&changes), expected);
    }
}
