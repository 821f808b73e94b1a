//! Replays losses of power: derives the states that one may leave a storage device in from the recorded run of a
//! writer, and recovers each.
//!
//! A [scenario](scenarios) writes batches to a [`Device`](device::Device), which remembers each write, cut and sync. A
//! loss of power may follow any of them. What a sync covered is then present. Of the rest, any part may be present:
//! all, nothing, a prefix, or any blocks of 512 bytes or 4 KiB, with zeros or the old contents in place of the others.
//! [`judge`] recovers each state, and compares the result with the batches written, cell by cell.
//!
//! *Not* modelled: a device that loses a sector which it rewrites (one without power-safe overwrite), and one that
//! reports a sync as done when it is not.

use std::fmt;

pub mod device;
pub mod judge;
pub mod scenarios;

use judge::Tally;
use scenarios::SCENARIOS;

/// The result of one scenario.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The name of the scenario.
    pub name: &'static str,
    /// Whether the run wrote checksums.
    pub checksums: bool,
    /// The outcomes of its states.
    pub tally: Tally,
}

impl Outcome {
    /// Returns whether nothing confirmed was lost or wrong, nothing panicked and, with checksums, nothing wrong was
    /// read without an error.
    #[must_use]
    pub fn holds(&self) -> bool {
        let Tally { lost, wrong_confirmed, panics, wrong, unreadable, .. } = self.tally;
        lost + wrong_confirmed + panics == 0 && (!self.checksums || wrong + unreadable == 0)
    }
}

/// Replays each scenario in up to `limit` states, without checksums and with them.
#[must_use]
pub fn replay(states: usize) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for scenario in &SCENARIOS {
        for checksums in [false, true] {
            let run = scenario.run(checksums);
            let mut tally = Tally::default();
            for (state, crash) in run.states(states) {
                tally.add(&run, &state, &crash);
            }
            outcomes.push(Outcome { name: scenario.name, checksums, tally });
        }
    }
    outcomes
}

/// Formats outcomes as the lines of a Markdown table.
#[derive(Debug)]
pub struct Table<'o>(pub &'o [Outcome]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| run | checksums | states | confirmed lost | confirmed wrong | panics | unconfirmed wrong, reads silently \
             | output that readers refuse | refused without a position | confirmed cut without one |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|")?;
        for checksums in [false, true] {
            let mut all = Tally::default();
            for Outcome { name, tally, .. } in self.0.iter().filter(|outcome| outcome.checksums == checksums) {
                writeln!(f, "| {name} | {} | {tally} |", yes(checksums))?;
                all.join(tally);
            }
            writeln!(f, "| **all** | {} | {all} |", yes(checksums))?;
        }
        Ok(())
    }
}

fn yes(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}
