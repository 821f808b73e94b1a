//! Whatever a loss of power leaves, `recover` gives back all that a sync had confirmed, when it is told the position, with
//! every value as it was; with checksums, no batch comes back with other values at all.
//!
//! Some hundred states of each scenario; `cargo xtask crash` takes thousands, and makes the table of
//! `docs/RELIABILITY.md`. Fails where a sync confirms what cannot be recovered, where recovery cuts what was confirmed, or
//! where a body is not verified. So that it does not pass for want of faults, it asks for those that were there before.

use ipc_tests::crash::{Outcome, Table, replay};

#[test]
fn nothing_that_a_sync_confirmed_is_lost_with_the_power() {
    let outcomes = replay(150);
    let broken: Vec<_> = outcomes.iter().filter(|outcome| !outcome.holds()).cloned().collect();
    assert!(broken.is_empty(), "\n{}", Table(&broken));
    let sum = |of: fn(&Outcome) -> usize, checksums: bool| {
        outcomes.iter().filter(|outcome| outcome.checksums == checksums).map(of).sum::<usize>()
    };
    assert!(sum(|outcome| outcome.tally.states, true) > 2000);
    for (what, found) in [
        ("unconfirmed batches with other values", sum(|outcome| outcome.tally.wrong, false)),
        ("refused without a position", sum(|outcome| outcome.tally.refused, false)),
        ("cut without a position", sum(|outcome| outcome.tally.cut, false)),
    ] {
        assert!(found > 0, "no state shows what positions and checksums are for: {what}\n{}", Table(&outcomes));
    }
}
