//! Reports what was written, to people and to programs.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use indicatif::HumanBytes;
use ipc_core::{Compression, Stats};
use serde_json::{Value, json};

use crate::args::Job;
use crate::counted::counted;
use crate::error::{Error, Result};
use crate::input::Told;
use crate::metadata::Dropped;
use crate::output::is_standard_output;

/// The counts of a merge.
pub(crate) struct MergeReport<'j> {
    pub(crate) job: &'j Job,
    pub(crate) stats: Stats,
    /// The number of bytes of messages that were read.
    pub(crate) read_bytes: u64,
    pub(crate) dropped: &'j Dropped,
    pub(crate) elapsed: Duration,
}

impl MergeReport<'_> {
    pub(crate) fn json(&self) -> Value {
        let Self { job, stats, read_bytes, dropped, elapsed } = self;
        json!({
            "inputs": job.inputs.len(),
            "output": job.output.to_string_lossy(),
            "format": job.format.name(),
            "compression": compression(job.options.compression()),
            "threads": job.threads,
            "order": if job.keeps_order { "input" } else { "arrival" },
            "messages": stats.messages,
            "record_batches": stats.record_batches,
            "rows": stats.rows,
            "dictionary_batches": stats.dictionary_batches,
            "deltas": stats.deltas,
            "replacements": stats.replacements,
            "unused_values": stats.unused_values,
            "dropped_metadata": dropped.json(),
            "read_bytes": read_bytes,
            "raw_bytes": stats.raw_bytes,
            "written_bytes": stats.written_bytes,
            "warnings": job.rules.told.as_ref().map(Told::json),
            "seconds": elapsed.as_secs_f64(),
        })
    }

    pub(crate) fn text(&self) -> String {
        let Self { job, stats, read_bytes, elapsed, .. } = self;
        format!(
            "{} in {} from {}: {} -> {} ({}), {:.2} s on {}",
            counted(stats.rows, "row", "rows"),
            counted(stats.record_batches, "batch", "batches"),
            counted(job.inputs.len() as u64, "input", "inputs"),
            HumanBytes(*read_bytes),
            HumanBytes(stats.written_bytes),
            compression(job.options.compression()),
            elapsed.as_secs_f64(),
            counted(job.threads as u64, "thread", "threads"),
        )
    }
}

fn compression(compression: Compression) -> String {
    match compression {
        Compression::None => "none".to_owned(),
        Compression::Lz4 => "lz4".to_owned(),
        Compression::Zstd(level) => format!("zstd:{level}"),
        other => format!("{other:?}"),
    }
}

/// Reports the output at this path: as JSON, as text, or not at all.
pub(crate) fn tell(output: &Path, as_json: bool, quiet: bool, json: &Value, text: &str) -> Result<()> {
    if as_json && is_standard_output(output) {
        eprintln!("{json}");
    } else if as_json {
        writeln!(io::stdout(), "{json}").map_err(|error| Error::write("standard output", &error))?;
    } else if !quiet {
        eprintln!("{text}");
    }
    Ok(())
}
