//! The bench, as a program. `cargo xtask bench` and `cargo xtask counts` build it and run it.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ipc_bench::counts::{self, Who};
use ipc_bench::measure::{Bench, Effort};
use ipc_bench::probes::{self, Probe};
use ipc_bench::report::{self, machine::Machine};
use ipc_bench::{dictionaries, growth, latency, lines, locks};

#[derive(Parser)]
#[command(name = "ipc-bench")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measures, and writes the report.
    Run(Run),
    /// Counts ours, and compares with the stored baseline.
    Counts {
        /// Store what is counted as the baseline.
        #[arg(long)]
        renew: bool,
    },
    /// Measures what needs a process of its own.
    #[command(hide = true)]
    Probe { probe: Probe, batches: usize },
    /// Writes batches, to be counted from outside.
    #[command(hide = true)]
    Repeat { case: String, who: Who, batches: usize },
}

#[derive(clap::Args)]
struct Run {
    /// Only the lines that have a target, and few rounds: less than five minutes.
    #[arg(long)]
    quick: bool,

    /// One short round: shows that everything runs, and measures nothing.
    #[arg(long, conflicts_with = "quick")]
    smoke: bool,

    /// The folder for the report, and for files while they are measured.
    #[arg(long)]
    output: PathBuf,

    /// Only lines whose names contain one of these.
    filters: Vec<String>,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Run(arguments) => run(arguments),
        Task::Counts { renew: false } => counts::check(&baseline()).map_err(|differences| {
            format!("{differences}\nif that is meant, store it with `cargo xtask counts --renew`").into()
        }),
        Task::Counts { renew: true } => counts::renew(&baseline()).map_err(Into::into),
        Task::Probe { probe, batches } => {
            probe.run(batches);
            Ok(())
        }
        Task::Repeat { case, who, batches } => repeat(&case, who, batches),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Run) -> Result<(), Box<dyn Error>> {
    let Run { quick, smoke, output, filters } = arguments;
    let effort = match (quick, smoke) {
        (true, _) => Effort::Quick,
        (_, true) => Effort::Smoke,
        _ => Effort::Full,
    };
    fs::create_dir_all(&output)?;
    let machine = Machine::here();
    eprintln!("{machine}");
    let mut bench = Bench::new(effort, filters, &output);
    counts::run(&mut bench);
    lines::run_sizes(&mut bench, &lines::sizes());
    lines::run(&mut bench, &lines::targets());
    dictionaries::run(&mut bench);
    latency::run(&mut bench);
    locks::run(&mut bench);
    probes::run(&mut bench);
    let series = growth::run(&mut bench);
    if effort != Effort::Quick {
        lines::run(&mut bench, &lines::matrix());
    }
    if bench.figures().is_empty() {
        return Err("no line's name contains what is asked for".into());
    }
    for file in report::write(&output, &machine, bench.figures(), &series)? {
        println!("{}", file.display());
    }
    let missed: Vec<_> = bench.figures().iter().filter(|figure| figure.is_reached() == Some(false)).collect();
    println!("{} lines, {} of them not reached", bench.figures().len(), missed.len());
    missed.iter().for_each(|figure| println!("not reached: {figure}"));
    Ok(())
}

fn repeat(case: &str, who: Who, batches: usize) -> Result<(), Box<dyn Error>> {
    let setup = counts::setup_named(case).ok_or_else(|| format!("no case is called `{case}`"))?;
    counts::callgrind::repeat(who, &setup, batches);
    Ok(())
}

/// The stored counts.
fn baseline() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("counts.json")
}
