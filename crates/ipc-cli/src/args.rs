//! The command-line arguments, and the job that they describe.
//!
//! Arguments that can be refused without looking at an input are refused here, as bad usage.

mod alternatives;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use ipc_core::{Alignment, Compression, DictionaryHandling, Options, Unify};
use ipc_recover::Kind;

use crate::input::{Rules, Told};
use crate::source::is_standard;

/// Merge, inspect and recover Arrow IPC files and streams.
#[derive(Debug, Parser)]
#[command(name = "arrow-ipc", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write the record batches of all inputs to one file or stream, from many threads
    #[command(after_help = MERGE_EXAMPLES)]
    Merge(MergeArguments),
    /// List the messages of a file or a stream, and check that `merge` would take all of them
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect(InspectArguments),
    /// Write the whole messages of a file or a stream that was cut off or never closed
    #[command(after_help = RECOVER_EXAMPLES)]
    Recover(RecoverArguments),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct MergeArguments {
    /// Files and streams, in any mix; `-` is the standard input
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,

    /// Where to write; `-` is the standard output. An existing file is replaced, once the new one is complete
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,

    /// The format to write [default: file for .arrow, .feather and .ipc, stream for .arrows and -]
    #[arg(long, value_enum)]
    format: Option<FormatArgument>,

    /// Compression: none, lz4, zstd, or zstd:LEVEL with a level of 1 to 22, or a negative one for speed
    #[arg(long, value_name = "CODEC", default_value = "none", value_parser = parse_compression)]
    compression: Compression,

    /// The number of threads that decode, encode and compress [default: one per core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// The order of the batches: that of the inputs, or the order in which they become ready
    #[arg(long, value_enum, default_value_t = OrderArgument::Input)]
    order: OrderArgument,

    /// How to write dictionaries that differ from batch to batch [default: unify for a file that cannot hold them
    /// otherwise, else resend]
    #[arg(long, value_enum)]
    dictionaries: Option<DictionariesArgument>,

    /// Write each unified dictionary of a file as one message after the batches, for readers that do not support deltas.
    /// The file can then no longer be read as a stream
    #[arg(long)]
    dictionaries_at_close: bool,

    /// Unify dictionaries, and replace keys of 8 or 16 bits by keys of 32 bits, for dictionaries with more values than
    /// the keys of the inputs can address
    #[arg(long)]
    widen_dictionary_keys: bool,

    /// Compress dictionaries, too. Some readers, such as nanoarrow, read a compressed dictionary as if it were not
    /// compressed, without an error
    #[arg(long)]
    compress_dictionaries: bool,

    /// Add a checksum of its body to each batch, which `inspect`, `recover` and `merge` verify
    #[arg(long)]
    checksums: bool,

    /// Pad messages and buffers to a multiple of this number of bytes: 8, 16, 32 or 64
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = parse_alignment)]
    alignment: Alignment,

    /// Skip bytes after the end of an input that are not another stream, instead of refusing the input. The exit status is
    /// then 3
    #[arg(long)]
    allow_trailing: bool,

    /// Refuse a stream without an end-of-stream marker, instead of printing a warning
    #[arg(long)]
    require_end: bool,

    /// Print the summary as a JSON object on the standard output, or on standard error if the data goes there
    #[arg(long)]
    json: bool,

    /// Print only errors, and warnings about rows that may be missing
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// A file or a stream; `-` is the standard input
    pub(crate) path: PathBuf,

    /// Do not read bodies. The input is then not called complete
    #[arg(long)]
    pub(crate) metadata_only: bool,

    /// Print a JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RecoverArguments {
    /// A file or a stream, which is not changed; `-` is the standard input
    #[arg(value_name = "DAMAGED")]
    pub(crate) input: PathBuf,

    /// Where to write; `-` is the standard output. An existing file is replaced, once the new one is complete
    #[arg(short, long, value_name = "FIXED")]
    pub(crate) output: PathBuf,

    /// The format to write [default: file for .arrow, .feather and .ipc, stream for .arrows, else that of the input]
    #[arg(long, value_enum)]
    pub(crate) format: Option<FormatArgument>,

    /// Also recover an input that is damaged before its end: the messages before the damage, and in a file with a footer
    /// every message that is not damaged
    #[arg(long)]
    pub(crate) salvage: bool,

    /// The number of bytes that a sync had confirmed before a loss of power. They are all kept; the first damage after them
    /// ends the input
    #[arg(long, value_name = "BYTES")]
    pub(crate) confirmed: Option<u64>,

    /// Keep only the confirmed bytes. Later data may look sound and still differ from what was written
    #[arg(long, requires = "confirmed")]
    pub(crate) confirmed_only: bool,

    /// Print what was kept and cut as a JSON object on the standard output, or on standard error if the data goes there
    #[arg(long)]
    pub(crate) json: bool,

    /// Print only errors, and what was cut if rows are missing
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// What a merge must do.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) inputs: Vec<PathBuf>,
    pub(crate) output: PathBuf,
    pub(crate) format: Kind,
    pub(crate) options: Options,
    /// The options to use instead, if the inputs have dictionaries that a file cannot keep.
    pub(crate) unifying: Option<Options>,
    pub(crate) threads: usize,
    pub(crate) keeps_order: bool,
    pub(crate) rules: Rules,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    /// The arguments that describe this job.
    arguments: MergeArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum FormatArgument {
    File,
    Stream,
}

impl From<FormatArgument> for Kind {
    fn from(format: FormatArgument) -> Self {
        match format {
            FormatArgument::File => Self::File,
            FormatArgument::Stream => Self::Stream,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum OrderArgument {
    Input,
    Arrival,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum DictionariesArgument {
    /// Send each again in full, which a file does not allow
    Resend,
    /// Extend a dictionary that grows by its new values; send any other in full, which a file does not allow
    Delta,
    /// Make one dictionary of all, which grows by new values
    Unify,
}

impl MergeArguments {
    /// Returns the job that these arguments describe, unless they contradict each other.
    pub(crate) fn resolve(self) -> Result<Job, clap::Error> {
        if self.inputs.iter().filter(|path| is_standard(path)).count() > 1 {
            return Err(usage(ErrorKind::ArgumentConflict, "the standard input can be read only once"));
        }
        let format = self.format()?;
        if self.dictionaries_at_close && format == Kind::Stream {
            return Err(usage(
                ErrorKind::ArgumentConflict,
                "--dictionaries-at-close needs a file: a stream has its dictionaries before the batches",
            ));
        }
        let unify = Unify::new().at_close(self.dictionaries_at_close).widen_keys(self.widen_dictionary_keys);
        let (dictionaries, unifying) = match self.dictionaries {
            Some(DictionariesArgument::Resend | DictionariesArgument::Delta) if unify.is_at_close() => {
                return Err(usage(ErrorKind::ArgumentConflict, "dictionaries at close have to be unified"));
            }
            Some(DictionariesArgument::Resend | DictionariesArgument::Delta) if unify.widens_keys() => {
                return Err(usage(
                    ErrorKind::ArgumentConflict,
                    "only the keys of unified dictionaries can be made wider",
                ));
            }
            Some(DictionariesArgument::Resend) => (DictionaryHandling::Resend, None),
            Some(DictionariesArgument::Delta) => (DictionaryHandling::Delta, None),
            Some(DictionariesArgument::Unify) => (unify.into(), None),
            None if unify != Unify::new() => (unify.into(), None),
            None if format == Kind::Stream => (DictionaryHandling::Resend, None),
            None => (DictionaryHandling::Resend, Some(unify.into())),
        };
        let cores = || thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Job {
            format,
            options: self.options(dictionaries)?,
            unifying: unifying.map(|dictionaries| self.options(dictionaries)).transpose()?,
            threads: self.threads.map_or_else(cores, usize::from),
            keeps_order: self.order == OrderArgument::Input,
            rules: Rules {
                allows_trailing: self.allow_trailing,
                requires_end: self.require_end,
                quiet: self.quiet,
                told: Some(Told::default()),
            },
            inputs: self.inputs.clone(),
            output: self.output.clone(),
            json: self.json,
            quiet: self.quiet,
            arguments: self,
        })
    }

    fn options(&self, dictionaries: DictionaryHandling) -> Result<Options, clap::Error> {
        let options = Options::builder()
            .compression(self.compression)
            .compress_dictionaries(self.compress_dictionaries)
            .checksums(self.checksums)
            .alignment(self.alignment)
            .dictionaries(dictionaries);
        options.build().map_err(|error| usage(ErrorKind::InvalidValue, error))
    }

    fn format(&self) -> Result<Kind, clap::Error> {
        match self.format {
            Some(format) => return Ok(format.into()),
            None if is_standard(&self.output) => return Ok(Kind::Stream),
            None => {}
        }
        match format_of_name(&self.output) {
            Some(format) => Ok(format),
            None => Err(usage(
                ErrorKind::MissingRequiredArgument,
                format!(
                    "the extension of the output ({}) does not tell its format: use --format file or --format stream",
                    self.output.display()
                ),
            )),
        }
    }
}

impl RecoverArguments {
    /// Returns the format to write; `None` for that of the input.
    pub(crate) fn format(&self) -> Option<Kind> {
        self.format.map(Kind::from).or_else(|| format_of_name(&self.output))
    }
}

/// Returns the format that the output's name implies.
fn format_of_name(output: &Path) -> Option<Kind> {
    match output.extension()?.to_str()? {
        "arrow" | "feather" | "ipc" => Some(Kind::File),
        "arrows" => Some(Kind::Stream),
        _ => None,
    }
}

fn usage(kind: ErrorKind, message: impl std::fmt::Display) -> clap::Error {
    let mut command = Arguments::command();
    command.build();
    let merge = command.find_subcommand_mut("merge").expect("`merge` is one of the commands above");
    merge.error(kind, message)
}

fn parse_compression(text: &str) -> Result<Compression, String> {
    match text.split_once(':') {
        None if text == "none" => Ok(Compression::None),
        None if text == "lz4" => Ok(Compression::Lz4),
        None if text == "zstd" => Ok(Compression::Zstd(ZSTD_DEFAULT_LEVEL)),
        Some(("zstd", level)) => {
            level.parse().map(Compression::Zstd).map_err(|_| format!("`{level}` is not a Zstandard level"))
        }
        _ => Err("expected none, lz4, zstd or zstd:LEVEL".to_owned()),
    }
}

fn parse_alignment(text: &str) -> Result<Alignment, String> {
    let bytes: usize = text.parse().map_err(|_| "expected 8, 16, 32 or 64".to_owned())?;
    Alignment::try_from(bytes).map_err(|_| "expected 8, 16, 32 or 64".to_owned())
}

/// The default level of Zstandard itself.
const ZSTD_DEFAULT_LEVEL: i32 = 3;

const EXAMPLES: &str = "\
Examples:
  arrow-ipc merge day1.arrow day2.arrows --output week.arrow --compression zstd
  arrow-ipc inspect week.arrow
  arrow-ipc recover torn.arrow --output whole.arrow

Exit status: 0 on success, 1 if an input or the output fails, 2 if the arguments are wrong, 3 if the output is complete but
rows are missing from it, which is printed.";

const MERGE_EXAMPLES: &str = "\
Examples:
  Merge a file and a stream into one file, on all cores:
    arrow-ipc merge a.arrow b.arrows --output all.arrow

  Compress a file with four threads:
    arrow-ipc merge plain.arrow --output small.arrow --compression zstd:9 --threads 4

  Read a stream from one program and hand a compressed one to the next:
    producer | arrow-ipc merge - --output - --compression lz4 | consumer

  Write batches in the order in which they become ready:
    arrow-ipc merge *.arrow --output all.arrows --order arrival

  For a reader that does not support deltas of dictionaries, such as polars:
    arrow-ipc merge *.arrow --output all.arrow --dictionaries-at-close

  For dictionaries that have more values together than their short keys can address:
    arrow-ipc merge *.arrow --output all.arrow --widen-dictionary-keys

All inputs must have the same columns: names, types, extension types and nullability. The schema's metadata is that of the
first input. The footer of a file keeps the key-value pairs that are the same in all inputs. An existing output is replaced.";

const INSPECT_EXAMPLES: &str = "\
Examples:
  arrow-ipc inspect data.arrow
  arrow-ipc inspect --json data.arrows | jq '.messages[] | select(.kind == \"dictionary_batch\")'
  producer | arrow-ipc inspect -

Offsets and lengths are in bytes; the length of the metadata includes its prefix and padding. Exit status 1, and
\"complete\": false, mean that `merge` would not read all of the input: it is damaged, has no end-of-stream marker or no footer,
or is followed by bytes that are not another stream.";

const RECOVER_EXAMPLES: &str = "\
Examples:
  arrow-ipc recover torn.arrow --output whole.arrow
  arrow-ipc recover torn.arrows --output whole.arrow --format file --json
  arrow-ipc recover broken.arrow --output rest.arrow --salvage
  arrow-ipc recover lost-power.arrow --output whole.arrow --confirmed 1048640

Whole messages are copied as they are. Values are not checked, except by checksums if the input has them. An input that is
damaged before its end, with whole messages after the damage, is refused with exit status 1 unless --salvage is given. A
complete input is copied, and consecutive streams are joined into one. Exit status 3 means that rows are missing that were
whole, or may have been, other than by --confirmed-only. An existing output is replaced.";

#[cfg(test)]
mod tests {
    use super::*;

    fn job(arguments: &[&str]) -> Result<Job, clap::Error> {
        let all = ["arrow-ipc", "merge"].iter().chain(arguments);
        match Arguments::try_parse_from(all)?.command {
            Command::Merge(merge) => merge.resolve(),
            Command::Inspect(_) | Command::Recover(_) => unreachable!("the command is `merge`"),
        }
    }

    #[test]
    fn definitions_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_output_tells_the_format_unless_told_otherwise() {
        for (output, expected) in [
            ("x.arrow", Kind::File),
            ("x.feather", Kind::File),
            ("x.ipc", Kind::File),
            ("x.arrows", Kind::Stream),
            ("-", Kind::Stream),
        ] {
            assert_eq!(job(&["in", "--output", output]).unwrap().format, expected, "{output}");
        }
        assert_eq!(job(&["in", "--output", "x.bin", "--format", "stream"]).unwrap().format, Kind::Stream);
        let error = job(&["in", "--output", "x.bin"]).unwrap_err();
        assert!(error.to_string().contains("--format") && error.exit_code() == 2, "{error}");
    }

    #[test]
    fn bad_usage_is_refused() {
        for arguments in [
            &["--output", "x.arrow"][..],
            &["in"],
            &["-", "-", "--output", "x.arrow"],
            &["in", "--output", "x.arrow", "--compression", "zstd:99"],
            &["in", "--output", "x.arrow", "--compression", "gzip"],
            &["in", "--output", "x.arrow", "--alignment", "24"],
            &["in", "--output", "x.arrow", "--threads", "0"],
            &["in", "--output", "x.arrow", "--order", "random"],
            &["in", "--output", "x.arrow", "--dictionaries", "delta", "--dictionaries-at-close"],
            &["in", "--output", "x.arrows", "--dictionaries-at-close"],
            &["in", "--output", "x.arrows", "--dictionaries", "resend", "--widen-dictionary-keys"],
        ] {
            assert_eq!(job(arguments).unwrap_err().exit_code(), 2, "{arguments:?}");
        }
    }

    #[test]
    fn dictionaries_are_unified_if_asked_for_or_if_need_be() {
        use DictionaryHandling::{Delta, Resend};
        let unify = Unify::new();
        for (arguments, expected, if_need_be) in [
            (&["--output", "x.arrow"][..], Resend, true),
            (&["--output", "x.arrows"], Resend, false),
            (&["--output", "x.arrow", "--dictionaries", "resend"], Resend, false),
            (&["--output", "x.arrow", "--dictionaries", "delta"], Delta, false),
            (&["--output", "x.arrows", "--dictionaries", "unify"], unify.into(), false),
            (&["--output", "x.arrow", "--dictionaries-at-close"], unify.at_close(true).into(), false),
            (&["--output", "x.arrows", "--widen-dictionary-keys"], unify.widen_keys(true).into(), false),
        ] {
            let job = job(&[&["in"], arguments].concat()).unwrap();
            assert_eq!((job.options.dictionaries(), job.unifying.is_some()), (expected, if_need_be), "{arguments:?}");
        }
    }

    #[test]
    fn levels_are_told_after_a_colon() {
        let compression =
            |text| job(&["in", "--output", "x.arrow", "--compression", text]).unwrap().options.compression();
        assert_eq!(compression("zstd:-5"), Compression::Zstd(-5));
        assert_eq!(compression("zstd"), Compression::Zstd(3));
    }
}
