//! Replays losses of power, so many states of each scenario as the argument says: see [`ipc_tests::crash`].

use std::process::ExitCode;

use ipc_tests::crash::{Outcome, Table, replay};

fn main() -> ExitCode {
    let states: Vec<_> = std::env::args().skip(1).map(|argument| argument.parse()).collect();
    let [Ok(states)] = states[..] else {
        eprintln!("usage: crash STATES");
        return ExitCode::FAILURE;
    };
    let outcomes = replay(states);
    print!("{}", Table(&outcomes));
    if outcomes.iter().all(Outcome::holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
