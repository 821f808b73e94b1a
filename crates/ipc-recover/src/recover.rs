//! Writes a recovered output: copies the whole messages that [`Plan`] found, byte for byte, and ends the output
//! properly.
//!
//! Only what surrounds the batches is new: the magic, the end-of-stream marker, the footer, and the padding after the
//! schema message. That padding grows so that bodies keep their alignment of up to 64 bytes.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Read, Write};

use ipc_core::MetadataVersion;
use ipc_core::format::{CONTINUATION, end_of_stream};
use ipc_core::{FileFormat, Format};

use crate::checksums::Checksums;
use crate::confirmed::Confirmed;
use crate::contents::refuse_replacements;
use crate::empty::EmptyDictionary;
use crate::error::{Damage, Error};
use crate::format::{Framing, Kind, Place};
use crate::layout::Dictionary;
use crate::reframe::{reframe, reframed_length};
use crate::report::{Condition, Report, Tally};
use crate::schema::{Item, Role};
use crate::source::Source;
use crate::survey::Survey;
use crate::wrap::Wrapped;

/// The options of a recovery.
#[derive(Debug, Default, Clone)]
pub struct RecoverOptions {
    format: Option<Kind>,
    salvages: bool,
    confirmed: Option<Confirmed>,
}

/// A recovery that has been planned, before anything is written.
#[derive(Debug)]
pub struct Plan {
    survey: Survey,
    output: Kind,
}

/// Writes the whole messages of `input`, which must be able to seek, to `output`.
///
/// # Errors
///
/// As [`Plan::new`] and [`Plan::write`].
pub fn recover(input: &mut Source<'_>, output: &mut impl Write, options: &RecoverOptions) -> Result<Report, Error> {
    Plan::new(input, options)?.write(input, output)
}

impl RecoverOptions {
    /// Sets the format of the output. By default, it is that of the input.
    #[must_use]
    pub fn with_format(mut self, format: Kind) -> Self {
        self.format = Some(format);
        self
    }

    /// Also recovers an input that is damaged before its end. Keeps the messages before the damage and, in a file with
    /// a footer, all messages that verify.
    #[must_use]
    pub fn with_salvage(mut self) -> Self {
        self.salvages = true;
        self
    }

    /// Never cuts the first `bytes` of the input, which a [sync](ipc_core::Encoder::sync) confirmed before a power
    /// loss. A fault after them counts as the end of the input, even if something whole follows it. If the file held
    /// something before the output, `bytes` counts from the start of the file: add [the start of the
    /// output](ipc_core::FileTail::start). An earlier stream in the same file that was left torn is cut as usual.
    ///
    /// Whole messages after that position are kept as well. Without [checksums](crate::Checksums), they need not be
    /// what was written.
    #[must_use]
    pub fn with_confirmed(mut self, bytes: u64) -> Self {
        self.confirmed = Some(Confirmed { bytes, is_all: false });
        self
    }

    /// Keeps the first `bytes` of the input, as [`with_confirmed`](Self::with_confirmed), and nothing else.
    #[must_use]
    pub fn with_confirmed_only(mut self, bytes: u64) -> Self {
        self.confirmed = Some(Confirmed { bytes, is_all: true });
        self
    }
}

impl Plan {
    /// Surveys `input`, which must be able to seek, and plans its recovery.
    ///
    /// # Errors
    ///
    /// [`Error::Hopeless`] if there is no schema; [`Error::DamagedBeforeTail`] unless damage is to be salvaged;
    /// [`Error::NoFile`] if a file is to be written and a dictionary is replaced; and [`Error::Read`]. With a confirmed
    /// position: [`Error::ConfirmedMissing`] and, unless damage is to be salvaged, [`Error::ConfirmedDamaged`] and
    /// [`Error::NoConfirmedPosition`].
    pub fn new(input: &mut Source<'_>, options: &RecoverOptions) -> Result<Self, Error> {
        if input.length().is_none() {
            return Err(Error::Read(io::ErrorKind::NotSeekable.into()));
        }
        let mut survey = match options.confirmed {
            None => Survey::of(input, options.salvages)?,
            Some(confirmed) => confirmed.survey(input, options.salvages)?,
        };
        let output = options.format.unwrap_or(survey.kind);
        match (survey.kind, output) {
            (Kind::Stream, Kind::File) => {
                let kept = &mut survey.collected.kept;
                let dictionaries = kept.iter().filter(|item| item.is_dictionary()).map(|item| item.place);
                let repeated = refuse_replacements(dictionaries, &survey.schema, input)?;
                kept.retain(|item| repeated.binary_search(&item.place.offset).is_err());
            }
            // A stream has its dictionaries first. In a file, their order relative to the batches does not matter.
            (Kind::File, Kind::Stream) if survey.collected.has_late_dictionaries => {
                survey.collected.kept.sort_by_key(|item| !item.is_dictionary());
            }
            _ => {}
        }
        Ok(Self { survey, output })
    }

    /// Returns the condition of the input.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.survey.condition
    }

    /// Writes the output.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], [`Error::Write`], and [`Error::TooLarge`] for a footer of more than 2 GiB.
    pub fn write(self, input: &mut Source<'_>, output: &mut impl Write) -> Result<Report, Error> {
        let Survey { kind, collected, .. } = &self.survey;
        let mut target = Target { output: BufWriter::with_capacity(BUFFERED, output), position: 0 };
        let mut kept = Tally::default();
        let mut empty_dictionaries = 0;
        let sound = self.survey.sound_length(input.length().unwrap_or(0)).filter(|_| *kind == self.output);
        if let Some(length) = sound {
            target.copy(input, 0, length)?;
            kept.add_schema(self.survey.schema_length);
        } else {
            let (schema_length, empty) = self.write_messages(input, &mut target)?;
            kept.add_schema(schema_length);
            empty_dictionaries = empty;
        }
        collected.kept.iter().for_each(|item| kept.add(item));
        let written_bytes = target.position;
        target.output.flush().map_err(Error::Write)?;
        let Survey { kind, collected, condition, streams, .. } = self.survey;
        Ok(Report {
            input: kind,
            output: self.output,
            condition,
            streams,
            kept,
            cut: collected.cuts.tally,
            cuts: collected.cuts.list,
            further_cuts: collected.cuts.further,
            holes: collected.holes,
            empty_dictionaries,
            written_bytes,
        })
    }

    /// Writes an output that is not a copy of the input. Returns the length of the schema message, and the number of
    /// empty dictionaries that follow it.
    fn write_messages<W: Write>(&self, input: &mut Source<'_>, target: &mut Target<W>) -> Result<(u64, u64), Error> {
        let kept = &self.survey.collected.kept;
        if self.output == Kind::File {
            target.write(FileFormat::MAGIC)?;
        }
        let schema = self.schema_message(target.position, kept.first().map(|item| item.place.offset))?;
        target.write(&schema)?;
        let mut empty = Vec::new();
        for (id, dictionary) in self.lacking() {
            let (version, framing) = (self.survey.schema.version(), self.survey.schema.framing());
            let has_checksum = self.survey.schema.checksums() == Checksums::All;
            let message = EmptyDictionary::new(id, &dictionary.values, version, framing, has_checksum)?;
            empty.push(message.place(target.position));
            target.write(&message.bytes)?;
        }
        let count = empty.len() as u64;
        let batches_at = target.position;
        let (framing, version) = (self.survey.schema.framing(), self.survey.schema.version());
        let are_one_run = |item: &Item, next: &Item| {
            item.place.end() == next.place.offset && item.reframed.is_none() && next.reframed.is_none()
        };
        for run in kept.chunk_by(are_one_run) {
            if run[0].reframed.is_some() {
                let head =
                    run[0].place.head(input).map_err(|Damage { fault, .. }| Error::Read(io::Error::other(fault)))?;
                target.write(&reframe(&head, framing, version)?)?;
                target.copy(input, run[0].place.body(), run[0].place.body_length)?;
                continue;
            }
            let length = run.iter().map(|item| item.place.length()).sum();
            target.copy(input, run[0].place.offset, length)?;
        }
        target.write(end_of_stream(match self.survey.schema.framing() {
            Framing::Marked => MetadataVersion::V5,
            Framing::Legacy => MetadataVersion::V4Legacy,
        }))?;
        if self.output == Kind::File {
            let dictionaries: Vec<_> = empty.into_iter().chain(placed(kept, batches_at, framing, true)).collect();
            let record_batches: Vec<_> = placed(kept, batches_at, framing, false).collect();
            let (dictionaries, record_batches) = (dictionaries.into_iter(), record_batches.into_iter());
            let length = self.wrapped().write_footer(&mut target.output, dictionaries, record_batches)?;
            target.position += length;
        }
        Ok((schema.len() as u64, count))
    }

    /// Returns the dictionaries that readers expect and that are not kept, inner ones first. For a stream, these
    /// include dictionaries that are not kept before the first record batch.
    fn lacking(&self) -> Vec<(i64, &Dictionary)> {
        let kept = &self.survey.collected.kept;
        let Some(first) = kept.iter().position(|item| !item.is_dictionary()) else { return Vec::new() };
        let searched = if self.output == Kind::File { &kept[..] } else { &kept[..first] };
        let ids = searched.iter().filter_map(|item| match item.role {
            Role::DictionaryBatch { id, .. } => Some(id),
            Role::RecordBatch { .. } => None,
        });
        let there: BTreeSet<_> = ids.collect();
        let mut dictionaries = self.survey.schema.layout().dictionaries();
        dictionaries.retain(|(id, _)| !there.contains(id));
        dictionaries
    }

    /// Returns the schema message for `position` of the output. Its padding makes the messages after it move by a
    /// multiple of 64 bytes.
    fn schema_message(&self, position: u64, next_stood_at: Option<u64>) -> Result<Vec<u8>, Error> {
        let schema = &self.survey.schema;
        let flatbuffer = match schema.message() {
            Some(head) => head.flatbuffer().to_vec(),
            None => self.wrapped().message()?,
        };
        let prefix = schema.framing().length();
        let end = position + prefix + flatbuffer.len() as u64;
        let stood_at = next_stood_at.or_else(|| schema.message().map(|head| head.place().end())).unwrap_or(0);
        let shift = |boundary: u64| (boundary + stood_at % boundary - end % boundary) % boundary;
        let moved = if shift(8) == 0 { shift(64) } else { (8 - end % 8) % 8 };
        let too_large = Error::TooLarge { what: "schema message" };
        let length = i32::try_from(flatbuffer.len() as u64 + moved).map_err(|_| too_large)?;
        let mut message = Vec::new();
        if schema.framing() == Framing::Marked {
            message.extend_from_slice(&CONTINUATION);
        }
        message.extend_from_slice(&length.to_le_bytes());
        message.extend_from_slice(&flatbuffer);
        message.resize(message.len() + usize::try_from(moved).expect("less than 64"), 0);
        Ok(message)
    }

    fn wrapped(&self) -> Wrapped<'_> {
        let schema = &self.survey.schema;
        Wrapped {
            bytes: schema.holder(),
            schema: schema.at(),
            metadata: schema.footer_metadata_at(),
            version: schema.version(),
            has_checksums: schema.checksums() == Checksums::All,
        }
    }
}

/// An output and its length so far.
struct Target<W: Write> {
    output: BufWriter<W>,
    position: u64,
}

impl<W: Write> Target<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.output.write_all(bytes).map_err(Error::Write)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Copies `length` bytes of the input, starting at `offset`.
    fn copy(&mut self, input: &mut Source<'_>, offset: u64, length: u64) -> Result<(), Error> {
        let mut block = vec![0; usize::try_from(length).map_or(COPIED_AT_ONCE, |length| length.min(COPIED_AT_ONCE))];
        let mut left = length;
        input.seek(offset).map_err(Error::Read)?;
        while left > 0 {
            let next = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
            // Fails if the input has shrunk since the survey.
            input.read_exact(&mut block[..next]).map_err(Error::Read)?;
            self.write(&block[..next])?;
            left -= next as u64;
        }
        Ok(())
    }
}

/// Returns the positions of the dictionary batches, or of the record batches, if the kept messages start at `start` and
/// have this framing.
fn placed(kept: &[Item], start: u64, framing: Framing, is_dictionary: bool) -> impl Iterator<Item = Place> {
    let mut end = start;
    let moved = kept.iter().map(move |item| {
        let metadata_length = match item.reframed {
            None => item.place.metadata_length,
            Some(own) => reframed_length(item.place.metadata_length.saturating_sub(own.length()), framing),
        };
        let place = Place { offset: end, metadata_length, ..item.place };
        end = place.end();
        (item, place)
    });
    moved.filter(move |(item, _)| item.is_dictionary() == is_dictionary).map(|(_, place)| place)
}

/// The number of bytes of small pieces that are written at once: a block of a footer has 24.
const BUFFERED: usize = 64 * 1024;

/// The number of bytes that are copied at once.
const COPIED_AT_ONCE: usize = 256 * 1024;
