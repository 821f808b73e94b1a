//! `inspect`: lists every message of a file or a stream, and whether the input is complete.
//!
//! Whatever the input contains, this ends, and lists the messages before the damage. A file without a footer is read
//! from the front. An input is called complete only if a merge would take all of it. So bodies are
//! [decoded](crate::bodies): those of a stream while it is listed, those of a file afterwards, since its messages are
//! listed in another order than they are read. If bodies are not read, no input is called complete.

use std::io::{self, BufWriter, Write};

use indicatif::{HumanBytes, HumanCount};
use ipc_recover::scan::{self, Content, Head, MessageKind};
use ipc_recover::{Damage, Ending, Input, Kind, Part, Trailing};
use serde_json::{Value, json};

use crate::args::InspectArguments;
use crate::bodies::Bodies;
use crate::counted::counted;
use crate::description::Description;
use crate::error::{Error, Result, one_line};
use crate::input::refused;
use crate::source::{display_name, into_seekable, open};

/// Runs the command.
pub(crate) fn run(arguments: &InspectArguments) -> Result<()> {
    let name = display_name(&arguments.path);
    let mut source = open(&arguments.path)?;
    let kind = scan::recognize(&mut source).map_err(|damage| refused(&name, &damage))?;
    if kind == Kind::File {
        source = into_seekable(source).map_err(|error| Error::input(&name, error))?;
    }
    let (input, broken) = Input::open_broken(source).map_err(|damage| refused(&name, &damage))?;
    let input = input.in_stored_order();
    let input = if arguments.metadata_only { input } else { input.with_a_look_at_bodies() };
    let out = BufWriter::new(io::stdout().lock());
    let mut listing = Listing {
        out,
        json: arguments.json,
        reads_bodies: !arguments.metadata_only,
        bodies: None,
        description: None,
        schema: None,
        totals: Totals::default(),
        streams: Vec::new(),
        broken,
        undecodable: None,
    };
    listing
        .print(&name, input)
        .and_then(|()| listing.out.flush())
        .map_err(|error| Error::write("standard output", &error))?;
    listing.broken.map_or(Ok(()), |damage| Err(Error::input(&name, damage)))
}

/// A list, while it is built.
struct Listing<W> {
    out: W,
    json: bool,
    reads_bodies: bool,
    /// The decoder of the current stream's bodies; `None` once nothing more can be learned from bodies.
    bodies: Option<Bodies>,
    /// The schema of the current stream, or of the file.
    description: Option<Description>,
    /// The first schema, for programs.
    schema: Option<Value>,
    totals: Totals,
    streams: Vec<Stream>,
    /// Why a merge would not take all of the input, if that is known already.
    broken: Option<Damage>,
    /// The first body that cannot be decoded. Messages after it are still listed.
    undecodable: Option<Damage>,
}

/// A stream, or the file, that has been listed.
#[derive(Debug, Default)]
struct Stream {
    offset: u64,
    record_batches: u64,
    rows: u64,
    /// How it ended, in a word and in a sentence, if its end was reached.
    ending: Option<(&'static str, String)>,
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
    /// Prints the list.
    fn print(&mut self, name: &str, mut input: Input<'_>) -> io::Result<()> {
        self.start(name, input.kind(), input.length())?;
        loop {
            match input.next() {
                Ok(Some(Part::Schema(head))) => {
                    let offset = head.as_ref().map_or_else(|| input.schema_offset(), |head| head.place().offset);
                    self.streams.push(Stream { offset, ..Stream::default() });
                    self.describe(&input)?;
                    if input.kind() == Kind::Stream {
                        self.begin_bodies(&input);
                    }
                    head.map_or(Ok(()), |head| self.message(&head))?;
                }
                Ok(Some(Part::Message(head))) => {
                    self.message(&head)?;
                    if let Err(damage) = self.body(&mut input, &head) {
                        self.broken = Some(damage);
                        break;
                    }
                }
                Ok(Some(Part::End { ending, at })) => self.ended(&ending, at),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(damage) => {
                    self.broken = Some(damage);
                    break;
                }
            }
        }
        let (kind, trailing) = (input.kind(), input.trailing().cloned());
        if let Some(trailing) = trailing.as_ref().filter(|trailing| !trailing.is_zero) {
            self.broken.get_or_insert(trailing.damage());
        }
        if self.undecodable.is_some() {
            self.broken = self.undecodable.take();
        }
        if kind == Kind::File && self.broken.is_none() && self.reads_bodies {
            self.broken = self.bodies_of_file(input).err();
        }
        self.finish(kind, trailing.as_ref())
    }

    /// Reads the bodies of a new stream, unless something before it was wrong.
    fn begin_bodies(&mut self, input: &Input<'_>) {
        self.bodies = None;
        if self.reads_bodies && self.broken.is_none() && self.undecodable.is_none() {
            match Bodies::begin(input) {
                Ok(bodies) => self.bodies = Some(bodies),
                Err(damage) => self.broken = Some(damage),
            }
        }
    }

    /// Reads the body of a listed message. If its values are damaged, the messages after it are listed all the same.
    fn body(&mut self, input: &mut Input<'_>, head: &Head) -> Result<(), Damage> {
        let Some(bodies) = &mut self.bodies else { return Ok(()) };
        let body = input.read_body(head)?;
        if let Err(damage) = bodies.take(input, head, body) {
            self.undecodable = Some(damage);
            self.bodies = None;
        }
        Ok(())
    }

    /// Reads the bodies of a listed file, in the order in which a merge reads them.
    fn bodies_of_file(&self, input: Input<'_>) -> Result<(), Damage> {
        let mut input = input.reopen()?;
        let mut bodies = Bodies::begin(&input)?;
        while let Some(part) = input.next()? {
            if let Part::Message(head) = part {
                let body = input.read_body(&head)?;
                bodies.take(&mut input, &head, body)?;
            }
        }
        Ok(())
    }

    fn ended(&mut self, ending: &Ending, at: u64) {
        let damage = ending.damage(at);
        if let Some(stream) = self.streams.last_mut() {
            let sentence = damage.as_ref().map_or_else(|| "ended".to_owned(), Damage::to_string);
            stream.ending = Some((word(ending), sentence));
        }
        self.broken = self.broken.take().or(damage);
    }

    /// Describes the schema of a new stream, or of the file. A schema that cannot be decoded is damage, but its
    /// messages are still listed. Later streams have the schema of the first one, except for dictionary ids.
    fn describe(&mut self, input: &Input<'_>) -> io::Result<()> {
        match Description::of(input) {
            Ok(description) if self.streams.len() == 1 && !self.json => {
                description.write(&mut self.out)?;
                writeln!(self.out)?;
                self.description = Some(description);
            }
            Ok(description) => {
                if self.json && self.schema.is_none() {
                    self.schema = Some(description.json());
                }
                self.description = Some(description);
            }
            Err(damage) => {
                self.description = None;
                self.broken.get_or_insert(damage);
            }
        }
        if self.streams.len() == 1 && !self.json {
            let head = ["#", "kind", "offset", "metadata", "body", "rows", "codec", "dictionary"];
            writeln!(self.out, "{}", row(head).trim_end())?;
        }
        Ok(())
    }

    fn start(&mut self, name: &str, kind: Kind, length: Option<u64>) -> io::Result<()> {
        if self.json {
            return write!(self.out, "{{\"format\":{},\"messages\":[", json!(kind.name()));
        }
        let length = length.map_or(String::new(), |length| format!(", {} bytes", HumanCount(length)));
        writeln!(self.out, "{name}: {}{length}\n", kind.name())
    }

    fn message(&mut self, head: &Head) -> io::Result<()> {
        let (number, place) = (self.totals.messages, head.place());
        // The input has checked that the message has a content.
        let Ok(content) = head.content() else { return Ok(()) };
        self.totals.add(head, &content);
        if let (Some(stream), MessageKind::RecordBatch) = (self.streams.last_mut(), content.kind) {
            stream.record_batches += 1;
            stream.rows = stream.rows.saturating_add(rows(&content));
        }
        let described = self.description.as_ref().zip(content.dictionary_id);
        let column = described.and_then(|(description, id)| description.column(id));
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
                    "dictionary_column": column,
                    "is_delta": content.is_delta,
                    "codec": content.codec,
                })
            );
        }
        let delta = if content.is_delta { " delta" } else { "" };
        let dictionary = content.dictionary_id.map_or_else(String::new, |id| {
            format!("{id}{delta}{}", column.map_or_else(String::new, |column| format!(" `{}`", one_line(column))))
        });
        let cells = [
            number.to_string(),
            content.kind.name().replace('_', " "),
            place.offset.to_string(),
            place.metadata_length.to_string(),
            place.body_length.to_string(),
            content.rows.map_or_else(String::new, |rows| rows.to_string()),
            if place.body_length > 0 { content.codec.to_owned() } else { String::new() },
            dictionary,
        ];
        writeln!(self.out, "{}", row(cells.each_ref().map(String::as_str)).trim_end())
    }

    fn finish(&mut self, kind: Kind, trailing: Option<&Trailing>) -> io::Result<()> {
        let totals = &self.totals;
        let stopped = self.broken.as_ref();
        if self.json {
            let stopped = stopped.map(|damage| json!({ "offset": damage.offset, "reason": damage.fault.to_string() }));
            let trailing = trailing.map(|trailing| {
                json!({
                    "offset": trailing.offset,
                    "length": trailing.length,
                    "is_zero": trailing.is_zero,
                    "words": trailing.words,
                })
            });
            let streams: Vec<_> = self.streams.iter().map(Stream::json).collect();
            let tail = json!({
                "complete": if stopped.is_none() && !self.reads_bodies { None } else { Some(stopped.is_none()) },
                "bodies_read": self.reads_bodies,
                "stopped": stopped,
                "schema": self.schema,
                "streams": streams,
                "trailing": trailing,
                "totals": totals.json(),
            });
            // The rest of the object that `start` opened.
            return writeln!(self.out, "\n],{}", tail.to_string().trim_start_matches('{'));
        }
        let is_worth_a_word = self.streams.len() > 1 || stopped.is_some();
        for (stream, number) in self.streams.iter().zip(1..).filter(|_| is_worth_a_word && kind == Kind::Stream) {
            let newline = if number == 1 { "\n" } else { "" };
            writeln!(
                self.out,
                "{newline}stream {number} from byte {} on: {} in {}; {}",
                HumanCount(stream.offset),
                counted(stream.rows, "row", "rows"),
                counted(stream.record_batches, "record batch", "record batches"),
                stream.ending.as_ref().map_or("not read to its end", |(_, sentence)| sentence),
            )?;
        }
        if let Some(trailing) = trailing {
            let length = trailing.length.map_or_else(|| "bytes".to_owned(), |length| counted(length, "byte", "bytes"));
            writeln!(self.out, "\n{length} behind the end: {}", trailing.damage())?;
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
            match stopped {
                Some(_) => "NOT complete",
                None if self.reads_bodies => "complete",
                None => "no fault in the metadata, bodies not read",
            },
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
                self.rows = self.rows.saturating_add(rows(content));
            }
            MessageKind::DictionaryBatch => {
                self.dictionary_batches += 1;
                self.deltas += u64::from(content.is_delta);
            }
            _ => {}
        }
    }

    fn json(&self) -> Value {
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

impl Stream {
    fn json(&self) -> Value {
        let (word, sentence) = self.ending.as_ref().map(|(word, sentence)| (*word, sentence)).unzip();
        json!({
            "offset": self.offset,
            "record_batches": self.record_batches,
            "rows": self.rows,
            "ending": word,
            "reason": sentence.filter(|_| word != Some("ended")),
        })
    }
}

/// Returns how a stream ended, in a word.
fn word(ending: &Ending) -> &'static str {
    match ending {
        Ending::Marker(_) => "ended",
        Ending::Aborted(_) => "aborted",
        _ => "unterminated",
    }
}

fn rows(content: &Content) -> u64 {
    content.rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0)
}

/// A line of the table.
fn row(cells: [&str; 8]) -> String {
    let [number, kind, offset, metadata, body, rows, codec, dictionary] = cells;
    format!("{number:>6}  {kind:<16}  {offset:>12}  {metadata:>8}  {body:>12}  {rows:>10}  {codec:<5}  {dictionary}")
}
