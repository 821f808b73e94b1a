//! Everything at once, for as many seconds as the argument says: see [`ipc_tests::stress`].

use std::process::ExitCode;
use std::time::Duration;

use ipc_tests::stress;

fn main() -> ExitCode {
    let seconds: Vec<_> = std::env::args().skip(1).map(|argument| argument.parse()).collect();
    let [Ok(seconds)] = seconds[..] else {
        eprintln!("usage: stress SECONDS");
        return ExitCode::FAILURE;
    };
    let (rounds, batches) = stress::rounds(Duration::from_secs(seconds));
    println!("{rounds} rounds of {} threads, {batches} batches, all read back", stress::THREADS);
    ExitCode::SUCCESS
}
