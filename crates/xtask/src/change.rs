//! A change of a source, as cargo-mutants lists it: a comparison turned round, a function that does nothing.
//!
//! cargo-mutants would try its changes itself, but not in the order, or with the tests, that tell most in least time: that
//! is the business of the chore [`core_mutants`](crate::chores::core_mutants).

use std::path::PathBuf;

use serde::Deserialize;

use crate::error::{Error, Result};

/// A change to make.
#[derive(Debug, Deserialize)]
pub(crate) struct Change {
    /// File, line, column, and what is changed there: no two changes have the same.
    pub(crate) name: String,
    /// The file that it changes, from the root of the workspace.
    pub(crate) file: PathBuf,
    span: Span,
    replacement: String,
}

#[derive(Debug, Deserialize)]
struct Span {
    start: Place,
    end: Place,
}

/// A place in a text, both counted from 1, the column in characters.
#[derive(Debug, Deserialize)]
struct Place {
    line: usize,
    column: usize,
}

impl Change {
    /// What `cargo mutants --list --json` prints.
    pub(crate) fn listed(list: &str) -> Result<Vec<Self>> {
        let mut changes: Vec<Self> = serde_json::from_str(list).map_err(|error| Error::Output(error.to_string()))?;
        changes.iter_mut().for_each(Self::know_steps);
        Ok(changes)
    }

    /// Says `Ok` where cargo-mutants, which cannot know that a `Step` is a `Result`, guesses what would not compile.
    fn know_steps(&mut self) {
        for (result, guess, right) in [("-> Step", "Default::default()", "Ok(())"), ("", "Step::new(", "Ok(")] {
            let (guessed, meant) = (format!("{result} with {guess}"), format!("{result} with {right}"));
            if self.name.contains(&guessed) {
                self.name = self.name.replacen(&guessed, &meant, 1);
                self.replacement = self.replacement.replacen(guess, right, 1);
            }
        }
    }

    /// The source with the change made to it.
    pub(crate) fn apply(&self, source: &str) -> Result<String> {
        let (start, end) = (self.span.start.within(source), self.span.end.within(source));
        match (start, end) {
            (Some(start), Some(end)) if start <= end => {
                Ok([&source[..start], &self.replacement, &source[end..]].concat())
            }
            _ => Err(Error::Check(format!("the source has no such place: {}", self.name))),
        }
    }
}

impl Place {
    /// Where the place is, in bytes.
    fn within(&self, source: &str) -> Option<usize> {
        let above = source.split_inclusive('\n').take(self.line.checked_sub(1)?).map(str::len).sum();
        let mut places = source[above..].char_indices().map(|(at, _)| at).chain([source.len() - above]);
        places.nth(self.column.checked_sub(1)?).map(|at| above + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"[
        {"name": "src/a.rs:2:3: replace - with +", "package": "a", "file": "src/a.rs", "function": null,
         "span": {"start": {"line": 2, "column": 3}, "end": {"line": 2, "column": 4}},
         "replacement": "+", "genre": "BinaryOperator"},
        {"name": "src/a.rs:1:2: replace f with ()", "package": "a", "file": "src/a.rs", "function": {},
         "span": {"start": {"line": 1, "column": 2}, "end": {"line": 2, "column": 5}},
         "replacement": "()", "genre": "FnValue"}]"#;

    #[test]
    fn a_change_replaces_its_place_and_nothing_else() {
        let [operator, body] = Change::listed(LIST).unwrap().try_into().unwrap();
        assert_eq!((operator.name.as_str(), operator.file), ("src/a.rs:2:3: replace - with +", "src/a.rs".into()));
        // Columns are characters, not bytes.
        let source = "é{\nä -b\n";
        let operator = Change { file: PathBuf::new(), ..operator };
        assert_eq!(operator.apply(source).unwrap(), "é{\nä +b\n");
        assert_eq!(body.apply(source).unwrap(), "é()\n");
    }

    #[test]
    fn a_step_is_known_to_be_a_result() {
        for (guess, meant) in [
            ("-> Step with Default::default()", "-> Step with Ok(())"),
            ("-> Step<bool> with Step::new(true)", "-> Step<bool> with Ok(true)"),
            ("-> Limits with Default::default()", "-> Limits with Default::default()"),
        ] {
            let replacement = guess.split_once("with ").unwrap().1;
            let list = LIST.replace("replace f with ()", &format!("replace f {guess}"));
            let [_, change] =
                Change::listed(&list.replace(r#""()""#, &format!("{replacement:?}"))).unwrap().try_into().unwrap();
            assert_eq!(change.name, format!("src/a.rs:1:2: replace f {meant}"));
            assert_eq!(change.replacement, meant.split_once("with ").unwrap().1);
        }
    }

    #[test]
    fn a_place_that_is_not_there_is_an_error() {
        for change in Change::listed(LIST).unwrap() {
            assert!(change.apply("ab").unwrap_err().to_string().ends_with(&change.name));
        }
        assert!(matches!(Change::listed("[{}]"), Err(Error::Output(_))));
    }
}
