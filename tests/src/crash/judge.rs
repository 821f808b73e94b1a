//! Recovers the file that a loss of power left, and compares it with the batches written.

use std::fmt;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::RecordBatch;
use arrow_ipc::reader::FileReader;
use ipc_recover::{Error, Kind, RecoverOptions, Report, Source};

use crate::crash::scenarios::{Confirmed, Run};
use crate::read;
use crate::value::{Value, value};

/// A batch as a reader sees it: rows of cells.
pub type Cells = Vec<Vec<Value>>;

/// Returns `batch` as a reader sees it.
#[must_use]
pub fn cells(batch: &RecordBatch) -> Cells {
    let row = |row| batch.columns().iter().map(|column| value(column.as_ref(), row)).collect();
    (0..batch.num_rows()).map(row).collect()
}

/// Counts the outcomes of states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// The number of states.
    pub states: usize,
    /// States in which a confirmed batch was lost, although `recover` had the position.
    pub lost: usize,
    /// States in which a confirmed batch came back with other values.
    pub wrong_confirmed: usize,
    /// States in which something panicked.
    pub panics: usize,
    /// States in which an unconfirmed batch came back with other values and without an error.
    pub wrong: usize,
    /// States whose recovered output a reader refuses, in part or as a whole.
    pub unreadable: usize,
    /// States that `recover` refuses without the position.
    pub refused: usize,
    /// States in which a confirmed batch is lost without the position.
    pub cut: usize,
}

impl Tally {
    /// Recovers a state and counts its outcome.
    pub fn add(&mut self, run: &Run, state: &[u8], confirmed: &Confirmed) {
        self.states += 1;
        let judged = catch_unwind(AssertUnwindSafe(|| {
            let mut one = Self::default();
            one.judge(run, state, confirmed);
            one
        }));
        match judged {
            Ok(one) => self.join(&one),
            Err(_) => self.panics += 1,
        }
    }

    /// Adds the counts of another.
    pub fn join(&mut self, other: &Self) {
        let Self { states, lost, wrong_confirmed, panics, wrong, unreadable, refused, cut } = other;
        self.states += states;
        self.lost += lost;
        self.wrong_confirmed += wrong_confirmed;
        self.panics += panics;
        self.wrong += wrong;
        self.unreadable += unreadable;
        self.refused += refused;
        self.cut += cut;
    }

    fn judge(&mut self, run: &Run, state: &[u8], confirmed: &Confirmed) {
        let Confirmed { bytes, batches, .. } = *confirmed;
        let expected = &run.batches[..batches];
        if bytes > 0 {
            // The confirmed batches, and nothing else.
            match recover(state, &RecoverOptions::default().with_confirmed_only(bytes)) {
                Err(_) => self.lost = 1,
                Ok((output, _)) => {
                    let found = Found::in_output(run.kind, &output);
                    self.lost = usize::from(found.batches.len() != batches || found.is_refused);
                    self.wrong_confirmed = usize::from(found.batches.iter().zip(expected).any(|(a, b)| a != b));
                }
            }
            // The confirmed batches, and every whole batch after them.
            match recover(state, &RecoverOptions::default().with_confirmed(bytes)) {
                Err(_) => self.lost = 1,
                Ok((output, report)) => {
                    let found = Found::in_output(run.kind, &output);
                    self.lost |= usize::from(report.kept.record_batches < batches as u64);
                    self.unreadable = usize::from(found.is_refused && report.kept.record_batches > 0);
                    let both = found.batches.iter().zip(expected);
                    self.wrong_confirmed |= usize::from(both.into_iter().any(|(a, b)| a != b));
                    self.wrong |= usize::from(found.has_others(run, batches));
                }
            }
        }
        match recover(state, &RecoverOptions::default()) {
            Err(_) => self.refused = 1,
            Ok((output, report)) => {
                let found = Found::in_output(run.kind, &output);
                self.cut = usize::from(report.kept.record_batches < batches as u64);
                // Half a schema message, followed by zeros, reads as a schema without columns. Then no batch is kept.
                self.unreadable |= usize::from(found.is_refused && report.kept.record_batches > 0);
                self.wrong |= usize::from(found.has_others(run, 0));
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, lost, wrong_confirmed, panics, wrong, unreadable, refused, cut } = self;
        write!(f, "{states} | {lost} | {wrong_confirmed} | {panics} | {wrong} | {unreadable} | {refused} | {cut}")
    }
}

fn recover(state: &[u8], options: &RecoverOptions) -> Result<(Vec<u8>, Report), Error> {
    let mut output = Vec::new();
    let report = ipc_recover::recover(&mut Source::from(state), &mut output, options)?;
    Ok((output, report))
}

/// The batches that a reader finds in an output.
struct Found {
    batches: Vec<Cells>,
    /// Whether the reader stopped before its end.
    is_refused: bool,
}

impl Found {
    fn in_output(kind: Kind, output: &[u8]) -> Self {
        let (batches, error) = match kind {
            Kind::Stream => read::readable_prefix(output),
            Kind::File => match FileReader::try_new(Cursor::new(output), None) {
                Err(error) => (Vec::new(), Some(error)),
                Ok(reader) => {
                    let mut batches = Vec::new();
                    let stopped = reader.into_iter().find_map(|batch| batch.map(|batch| batches.push(batch)).err());
                    (batches, stopped)
                }
            },
        };
        Self { batches: batches.iter().map(cells).collect(), is_refused: error.is_some() }
    }

    /// Returns whether the batches from index `from` on include one that was not written, or are in another order.
    fn has_others(&self, run: &Run, from: usize) -> bool {
        let mut written = run.batches[from..].iter();
        !self.batches.iter().skip(from).all(|found| written.any(|written| written == found))
    }
}
