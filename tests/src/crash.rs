//! Losses of power, replayed: every state that a storage device may be left in by one, as far as a run of a writer
//! tells, and what `recover` makes of it.
//!
//! A [scenario](scenarios) writes batches to a [`Device`](device::Device), which remembers each write, cut and sync. A
//! loss of power may come behind any of them. What a sync covered before is there then. Of the rest, any part may be:
//! all, nothing, a prefix, any blocks of 512 bytes or 4 KiB; in place of the others there are zeros, where the file had
//! grown, or what had stood there before. [`judge`] recovers each state, and compares what comes back with what was
//! written, cell by cell.
//!
//! What is *not* modelled: a device that loses a sector which it rewrites (one without power-safe overwrite), and one
//! that says a sync is done when it is not.

use std::fmt;

pub mod device;
pub mod judge;
pub mod scenarios;

use judge::Tally;
use scenarios::SCENARIOS;

/// What came of one scenario.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was written, and how.
    pub name: &'static str,
    /// Whether with checksums.
    pub checksums: bool,
    /// What became of the states.
    pub tally: Tally,
}

impl Outcome {
    /// Whether everything held that has to: nothing confirmed lost or wrong, no panic, and with checksums nothing that
    /// reads well and is wrong.
    #[must_use]
    pub fn holds(&self) -> bool {
        let Tally { lost, wrong_confirmed, panics, wrong, unreadable, .. } = self.tally;
        lost + wrong_confirmed + panics == 0 && (!self.checksums || wrong + unreadable == 0)
    }
}

/// Replays each scenario in so many states, without checksums and with them.
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

/// Outcomes, as the lines of a Markdown table.
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
