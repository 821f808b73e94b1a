//! `inspect`: every message of a file or a stream, and what they come to.
//!
//! Only metadata is read; bodies are passed over. Whatever the input holds, this ends, takes no more memory than there is
//! input, and shows what stands before the damage. A file whose footer is gone is read from the front.

use std::io::{self, BufWriter, Write};

use indicatif::{HumanBytes, HumanCount};
use ipc_recover::scan::{self, Content, Head, MessageKind};
use ipc_recover::{Damage, Kind, Source, list};
use serde_json::json;

use crate::args::InspectArguments;
use crate::error::{Error, Result, warn};
use crate::input::refused;
use crate::source::{display_name, into_seekable, open};
use crate::summary::counted;

/// Inspects.
pub(crate) fn run(arguments: &InspectArguments) -> Result<()> {
    let name = display_name(&arguments.path);
    let mut source = open(&arguments.path)?;
    let kind = scan::recognize(&mut source).map_err(|damage| refused(&name, &damage))?;
    if kind == Kind::File {
        source = into_seekable(source).map_err(|error| Error::input(&name, error))?;
    }
    let mut listing =
        Listing { out: BufWriter::new(io::stdout().lock()), json: arguments.json, totals: Totals::default() };
    listing
        .print(&name, kind, source)
        .and_then(|stopped| listing.out.flush().map(|()| stopped))
        .map_err(|error| Error::write("standard output", &error))?
        .map_or(Ok(()), |damage| Err(Error::input(&name, damage)))
}

/// A list in the making.
struct Listing<W> {
    out: W,
    json: bool,
    totals: Totals,
}

#[derive(Debug, Default)]
struct Totals {
    messages: u64,
    record_batches: u64,
    rows: u64,
    dictionary_batches: u64,
    deltas: u64,
    metadata_bytes: u64,
    body_bytes: u64,
}

impl<W: Write> Listing<W> {
    /// Prints the list, and returns where and why it stops before its end, if it does.
    fn print(&mut self, name: &str, kind: Kind, mut source: Source<'_>) -> io::Result<Option<Damage>> {
        self.begin(name, kind, source.length())?;
        let walked = list(&mut source, kind, |head, content| self.message(head, content))?;
        if kind == Kind::Stream
            && walked.is_none()
            && let Some(more) = source.length().map(|length| length - source.position())
            && more > 0
        {
            warn(name, format_args!("{more} bytes stand behind the end-of-stream marker"));
        }
        self.end(walked.as_ref())?;
        Ok(walked)
    }

    fn begin(&mut self, name: &str, kind: Kind, length: Option<u64>) -> io::Result<()> {
        if self.json {
            return write!(self.out, "{{\"format\":{},\"messages\":[", json!(kind.name()));
        }
        let length = length.map_or(String::new(), |length| format!(", {} bytes", HumanCount(length)));
        writeln!(self.out, "{name}: {}{length}\n", kind.name())?;
        writeln!(
            self.out,
            "{}",
            row(["#", "kind", "offset", "metadata", "body", "rows", "codec", "dictionary"]).trim_end()
        )
    }

    fn message(&mut self, head: &Head, content: &Content) -> io::Result<()> {
        let (number, place) = (self.totals.messages, head.place());
        self.totals.add(head, content);
        if self.json {
            let separator = if number == 0 { "" } else { "," };
            return write!(
                self.out,
                "{separator}\n{}",
                json!({
                    "kind": content.kind.name(),
                    "offset": place.offset,
                    "metadata_length": place.metadata_length,
                    "body_length": place.body_length,
                    "rows": content.rows,
                    "dictionary_id": content.dictionary_id,
                    "is_delta": content.is_delta,
                    "codec": content.codec,
                })
            );
        }
        let delta = if content.is_delta { " delta" } else { "" };
        let cells = [
            number.to_string(),
            content.kind.name().replace('_', " "),
            place.offset.to_string(),
            place.metadata_length.to_string(),
            place.body_length.to_string(),
            content.rows.map_or_else(String::new, |rows| rows.to_string()),
            if place.body_length > 0 { content.codec.to_owned() } else { String::new() },
            content.dictionary_id.map_or_else(String::new, |id| format!("{id}{delta}")),
        ];
        writeln!(self.out, "{}", row(cells.each_ref().map(String::as_str)).trim_end())
    }

    fn end(&mut self, stopped: Option<&Damage>) -> io::Result<()> {
        let totals = &self.totals;
        if self.json {
            let stopped = stopped.map(|damage| json!({ "offset": damage.offset, "reason": damage.fault.to_string() }));
            let tail =
                json!({ "complete": stopped.is_none(), "stopped": stopped, "totals": totals.json() }).to_string();
            // The rest of the object that `begin` opened.
            return writeln!(self.out, "\n],{}", tail.trim_start_matches('{'));
        }
        writeln!(
            self.out,
            "\n{} in {}; {}, {} of them deltas",
            counted(totals.rows, "row", "rows"),
            counted(totals.record_batches, "record batch", "record batches"),
            counted(totals.dictionary_batches, "dictionary batch", "dictionary batches"),
            HumanCount(totals.deltas),
        )?;
        writeln!(
            self.out,
            "{}: {} of metadata, {} of bodies; {}",
            counted(totals.messages, "message", "messages"),
            HumanBytes(totals.metadata_bytes),
            HumanBytes(totals.body_bytes),
            if stopped.is_none() { "complete" } else { "NOT complete" },
        )
    }
}

impl Totals {
    fn add(&mut self, head: &Head, content: &Content) {
        let place = head.place();
        self.messages += 1;
        self.metadata_bytes += place.metadata_length;
        self.body_bytes = self.body_bytes.saturating_add(place.body_length);
        match content.kind {
            MessageKind::RecordBatch => {
                self.record_batches += 1;
                let rows = content.rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0);
                self.rows = self.rows.saturating_add(rows);
            }
            MessageKind::DictionaryBatch => {
                self.dictionary_batches += 1;
                self.deltas += u64::from(content.is_delta);
            }
            _ => {}
        }
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "messages": self.messages,
            "record_batches": self.record_batches,
            "rows": self.rows,
            "dictionary_batches": self.dictionary_batches,
            "deltas": self.deltas,
            "metadata_bytes": self.metadata_bytes,
            "body_bytes": self.body_bytes,
        })
    }
}

/// A line of the table.
fn row(cells: [&str; 8]) -> String {
    let [number, kind, offset, metadata, body, rows, codec, dictionary] = cells;
    format!("{number:>6}  {kind:<16}  {offset:>12}  {metadata:>8}  {body:>12}  {rows:>10}  {codec:<5}  {dictionary}")
}
