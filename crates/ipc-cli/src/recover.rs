//! `recover`: writes the whole messages of one input, with a proper end.
//!
//! [`ipc_recover`] does the work. Here, the input is opened, the output appears once it is complete, and what was kept
//! and cut is reported. An input that is refused leaves no output.

use std::fmt::Write;

use indicatif::{HumanBytes, HumanCount};
use ipc_recover::{Condition, Plan, RecoverOptions, Report, Tally};
use serde_json::{Value, json};

use crate::args::RecoverArguments;
use crate::counted::counted;
use crate::error::{Error, Result};
use crate::output::{Output, is_same_file};
use crate::source::{display_name, into_seekable, open};
use crate::summary::tell;

/// Runs the command.
pub(crate) fn run(arguments: &RecoverArguments) -> Result<()> {
    let RecoverArguments { input: path, output, salvage, json, quiet, confirmed, confirmed_only, .. } = arguments;
    let name = display_name(path);
    if is_same_file(path, output) {
        return Err(Error::input(&name, "is also the output"));
    }
    let mut options = RecoverOptions::default();
    if let Some(format) = arguments.format() {
        options = options.with_format(format);
    }
    if *salvage {
        options = options.with_salvage();
    }
    if let Some(bytes) = *confirmed {
        options = if *confirmed_only { options.with_confirmed_only(bytes) } else { options.with_confirmed(bytes) };
    }
    let mut source = into_seekable(open(path)?).map_err(|error| Error::input(&name, error))?;
    let plan = Plan::new(&mut source, &options).map_err(|error| refusal(&name, &error))?;
    let (written, mut sink) = Output::create(output)?;
    let report = plan.write(&mut source, &mut sink).map_err(|error| match error {
        ipc_recover::Error::Write(error) => Error::write(written.name(), &error),
        other => refusal(&name, &other),
    })?;
    drop(sink);
    written.complete()?;
    // Lost rows are reported even with `--quiet`.
    let quiet = *quiet && !report.leaves_rows_out();
    tell(output, *json, quiet, &in_json(arguments, &report), &in_words(&name, &report))?;
    if report.leaves_rows_out() { Err(Error::RowsLeftOut) } else { Ok(()) }
}

fn in_words_of_holes(holes: u64) -> String {
    format!("rows are missing between those kept, in {}", counted(holes, "place", "places"))
}

fn refusal(name: &str, error: &ipc_recover::Error) -> Error {
    match error {
        ipc_recover::Error::DamagedBeforeTail { .. } | ipc_recover::Error::ConfirmedDamaged { .. } => {
            Error::input(name, format!("{error}; --salvage keeps what is not damaged"))
        }
        ipc_recover::Error::OtherStream(_) => Error::input(
            name,
            format!(
                "{error}; `arrow-ipc merge` reads all of them if their columns are the same, --salvage keeps the first"
            ),
        ),
        ipc_recover::Error::NoFile(_) => Error::input(name, format!("{error}; --format stream keeps all of them")),
        other => Error::input(name, other),
    }
}

fn in_json(arguments: &RecoverArguments, report: &Report) -> Value {
    let cuts = report
        .cuts
        .iter()
        .map(|cut| json!({ "offset": cut.offset, "length": cut.length, "reason": cut.fault.to_string() }));
    json!({
        "input": arguments.input.to_string_lossy(),
        "input_format": report.input.name(),
        "condition": report.condition.name(),
        "leaves_rows_out": report.leaves_rows_out(),
        "streams": report.streams,
        "output": arguments.output.to_string_lossy(),
        "format": report.output.name(),
        "kept": tally(&report.kept),
        "cut": tally(&report.cut),
        "cuts": cuts.collect::<Vec<_>>(),
        "further_cuts": report.further_cuts,
        "holes": report.holes,
        "empty_dictionaries": report.empty_dictionaries,
        "written_bytes": report.written_bytes,
    })
}

fn tally(tally: &Tally) -> Value {
    json!({
        "messages": tally.messages,
        "record_batches": tally.record_batches,
        "rows": tally.rows,
        "dictionary_batches": tally.dictionary_batches,
        "bytes": tally.bytes,
    })
}

/// Returns whether only the end was wrong: a missing footer or marker.
fn cuts_nothing(report: &Report) -> bool {
    report.further_cuts == 0 && report.cuts.iter().all(|cut| cut.length == 0)
}

fn in_words(name: &str, report: &Report) -> String {
    let condition = match report.condition {
        Condition::Complete if report.streams > 1 => "complete streams, joined into one",
        Condition::Complete if report.cuts.is_empty() => "already complete, nothing to recover",
        Condition::Complete => "complete, and zeros follow",
        Condition::Torn if cuts_nothing(report) => "complete, but for its end",
        Condition::Torn => "torn at its end",
        Condition::Damaged => "damaged before its end",
        _ => "recovered",
    };
    let mut text = format!(
        "{name}: {condition}\nkept {} in {} ({}, {})",
        counted(report.kept.rows, "row", "rows"),
        counted(report.kept.record_batches, "record batch", "record batches"),
        counted(report.kept.messages, "message", "messages"),
        HumanBytes(report.kept.bytes),
    );
    for cut in &report.cuts {
        let _ = match cut.length {
            0 => write!(text, "\nat byte {}: {}", cut.offset, cut.fault),
            length => write!(text, "\ncut {} from byte {} on: {}", HumanBytes(length), cut.offset, cut.fault),
        };
    }
    if report.further_cuts > 0 {
        let _ = write!(text, "\ncut {} further pieces", HumanCount(report.further_cuts));
    }
    if report.empty_dictionaries > 0 {
        let added = counted(report.empty_dictionaries, "dictionary", "dictionaries");
        let _ = write!(text, "\nadded {added} without values, which the schema asks for");
    }
    if report.holes > 0 {
        let _ = write!(text, "\n{}", in_words_of_holes(report.holes));
    }
    text
}
