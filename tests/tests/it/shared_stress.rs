//! Runs [`ipc_tests::stress`] for a few seconds. `cargo xtask stress` runs it for longer.

use std::time::Duration;

use ipc_tests::stress;

#[test]
fn every_round_reads_back() {
    let (rounds, batches) = stress::rounds(Duration::from_secs(4));
    println!("{rounds} rounds, {batches} batches");
    assert!(batches > 0);
}
