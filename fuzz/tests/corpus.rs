//! The corpus is replayed: inputs that once failed, and inputs that reach far.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use std::path::Path;

use ipc_fuzz::replay::replay;

fn replay_all(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let count = replay(&folder, run).unwrap();
    assert!(count > 0, "a corpus has inputs");
}

#[test]
fn round_trip() {
    replay_all("round_trip", ipc_fuzz::round_trip::run);
}

#[test]
fn options() {
    replay_all("options", ipc_fuzz::options::run);
}

#[test]
fn recover() {
    replay_all("recover", ipc_fuzz::recover::run);
}

#[test]
fn broken() {
    replay_all("broken", ipc_fuzz::broken::run);
}
