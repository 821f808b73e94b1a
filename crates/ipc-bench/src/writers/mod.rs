//! The ways to write batches: ours, the peers, and the floor.
//!
//! A [`Setup`] says what is written how and where to, a [`Way`] by whom. Both are plain values, so that tables of
//! lines are data; [`open`] turns them into a [`Contender`], which is warm from its first call on. All contenders of a
//! setup write the same batches into the same kind of sink.
//!
//! - `ours`: the encoder on one thread, the shared writer on more.
//! - `arrow_rs`: arrow-rs's writers, alone, buffered, behind either mutex, behind a channel.
//! - `encoders`: arrow-rs's sans-I/O encoder, one for each thread.
//! - `pyarrow`: pyarrow, in a process of its own.
//! - `floor`: what no writer can do without, alone.

mod arrow_rs;
mod encoders;
mod floor;
mod ours;
mod pyarrow;
mod turns;

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;

use crate::batches::Shape;
use crate::codec::{Codec, Staging};
use crate::sinks::{BATCHES_PER_VEC, Captured, Counting, Rewinding, Sink, TMPFS, drained_pipe};

pub use pyarrow::version as pyarrow_version;

/// Somebody who writes batches, in turn, over and over.
pub trait Contender {
    /// Writes so many batches, and returns when all are written.
    fn write(&mut self, batches: usize);

    /// Writes the end.
    fn close(self: Box<Self>);
}

/// What is written, how, and where to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setup {
    /// The batches.
    pub shape: Shape,
    /// File or stream.
    pub output: Output,
    /// The compression.
    pub codec: Codec,
    /// Whether ours gathers small messages.
    pub staging: Staging,
    /// The kind of sink.
    pub sink: Sink,
    /// How many threads write.
    pub threads: usize,
}

impl Setup {
    /// One thread, no compression, the defaults, a file in the page cache.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        let (output, codec, staging, sink) = (Output::File, Codec::Raw, Staging::Default, Sink::File);
        Self { shape, output, codec, staging, sink, threads: 1 }
    }

    /// Whether a batch takes so little that no codec, no system and no other thread hides where its memory lies.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.codec == Codec::Raw && self.sink == Sink::Counting && self.threads == 1
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shape, output, codec, staging, sink, threads } = self;
        write!(f, "{shape}, {codec}, {sink}")?;
        if *output == Output::Stream {
            f.write_str(", stream")?;
        }
        if *staging == Staging::Off {
            f.write_str(", unstaged")?;
        }
        if *threads > 1 {
            write!(f, ", {threads} threads")?;
        }
        Ok(())
    }
}

/// The format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// With a footer.
    File,
    /// Without.
    Stream,
}

/// By whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Ours.
    Ours,
    /// Ours, on another number of threads.
    OursOn(usize),
    /// arrow-rs's `FileWriter` or `StreamWriter`.
    ArrowRs {
        /// Over a `BufWriter` of 256 KiB.
        buffered: bool,
        /// How threads share it.
        sharing: Sharing,
    },
    /// A `StreamEncoder` of arrow-rs for each thread, and a mutex around the sink.
    StreamEncoders,
    /// pyarrow's writer behind a lock, from threads.
    Pyarrow,
    /// One vectored write of the bytes that ours writes, encoded beforehand.
    Writev,
    /// The codec on the batches' buffers, on all threads at once, without writing anything.
    Codec,
    /// The codec on one thread, doing its share only: a machine whose threads cost each other nothing.
    CodecTimes,
}

/// How threads share arrow-rs's writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// There is one thread.
    Alone,
    /// `std::sync::Mutex`.
    StdMutex,
    /// `parking_lot::Mutex`.
    ParkingLot,
    /// A bounded channel to a thread that writes.
    Channel,
}

impl Way {
    /// arrow-rs's writer alone.
    pub const WRITER: Self = Self::ArrowRs { buffered: false, sharing: Sharing::Alone };
    /// The same with a buffer: the honest peer.
    pub const BUFFERED: Self = Self::ArrowRs { buffered: true, sharing: Sharing::Alone };
    /// What most programs do.
    pub const MUTEX: Self = Self::ArrowRs { buffered: false, sharing: Sharing::StdMutex };
    /// The same with a buffer: the honest peer of many threads.
    pub const MUTEX_BUFFERED: Self = Self::ArrowRs { buffered: true, sharing: Sharing::StdMutex };
    /// With another mutex.
    pub const PARKING_LOT: Self = Self::ArrowRs { buffered: true, sharing: Sharing::ParkingLot };
    /// A writer thread.
    pub const CHANNEL: Self = Self::ArrowRs { buffered: true, sharing: Sharing::Channel };

    /// Its name in `setup`.
    #[must_use]
    pub fn name(self, setup: &Setup) -> String {
        match self {
            Self::Ours => "ours".to_owned(),
            Self::OursOn(1) => "ours, 1 thread".to_owned(),
            Self::OursOn(threads) => format!("ours, {threads} threads"),
            Self::ArrowRs { buffered, sharing } => {
                let writer = match setup.output {
                    Output::File => "FileWriter",
                    Output::Stream => "StreamWriter",
                };
                let writer = if buffered { format!("{writer} + 256 KiB") } else { writer.to_owned() };
                match sharing {
                    Sharing::Alone => writer,
                    Sharing::StdMutex => format!("Mutex<{writer}>"),
                    Sharing::ParkingLot => format!("parking_lot::Mutex<{writer}>"),
                    Sharing::Channel => format!("channel to {writer}"),
                }
            }
            Self::StreamEncoders => "StreamEncoders + Mutex".to_owned(),
            Self::Pyarrow => "pyarrow".to_owned(),
            Self::Writev if setup.threads > 1 => "Mutex<writev of the same bytes>".to_owned(),
            Self::Writev => "writev of the same bytes".to_owned(),
            Self::Codec => "the codec alone".to_owned(),
            Self::CodecTimes => format!("{} x the codec alone", setup.threads),
        }
    }
}

/// Opens an output in `folder`, if it takes one, for `way` to write `batches` to; `None`, said aloud, where this system
/// lacks what that takes.
///
/// # Panics
///
/// Where the system fails in what it should do.
pub fn open<'b>(
    way: Way,
    setup: &Setup,
    batches: &'b [RecordBatch],
    folder: &'b Path,
) -> Option<Box<dyn Contender + 'b>> {
    let setup = *setup;
    match (way, setup.sink) {
        (Way::Pyarrow, _) => pyarrow::open(&setup, batches, folder),
        (_, Sink::Counting) => Some(open_over(way, &setup, batches, Counting::default())),
        (_, Sink::File) => Some(open_boxed(way, &setup, batches, Rewinding::new(folder))),
        (_, Sink::Tmpfs) if setup.sink.is_here() => {
            Some(open_boxed(way, &setup, batches, Rewinding::new(Path::new(TMPFS))))
        }
        (_, Sink::Tmpfs) => {
            eprintln!("skipped: {setup}: no {TMPFS} here");
            None
        }
        (_, Sink::Pipe) => Some(open_boxed(way, &setup, batches, drained_pipe())),
        (_, Sink::Vec | Sink::GrowingVec) => {
            let each = if setup.sink == Sink::Vec { 1 } else { BATCHES_PER_VEC };
            let open = move || open_boxed(way, &setup, batches, Vec::new());
            Some(Box::new(Renewed { each, open }))
        }
        (_, Sink::NewFile) => {
            let open = move || open_boxed(way, &setup, batches, NewFile::create(folder));
            Some(Box::new(Renewed { each: usize::MAX, open }))
        }
    }
}

/// What `way` writes when it writes so many of `batches`: from header to end, where it writes such a thing at all.
///
/// # Panics
///
/// As [`open`].
#[must_use]
pub fn written(way: Way, setup: &Setup, batches: &[RecordBatch], folder: &Path, count: usize) -> Option<Vec<u8>> {
    match way {
        Way::Codec | Way::CodecTimes => None,
        Way::Pyarrow => pyarrow::written(setup, batches, folder, count),
        _ => {
            let sink = Captured::default();
            let mut contender = open_boxed(way, setup, batches, sink.clone());
            contender.write(count);
            contender.close();
            Some(sink.take())
        }
    }
}

/// Opens an output over a sink that costs more than the call of it: behind a pointer, so that the writers are compiled
/// once for all of them, and not for each.
pub(crate) fn open_boxed<'b>(
    way: Way,
    setup: &Setup,
    batches: &'b [RecordBatch],
    sink: impl Write + Send + 'static,
) -> Box<dyn Contender + 'b> {
    open_over::<Box<dyn Write + Send>>(way, setup, batches, Box::new(sink))
}

/// Opens an output over `sink`, whatever sink the setup names.
fn open_over<'b, W: Write + Send + 'static>(
    way: Way,
    setup: &Setup,
    batches: &'b [RecordBatch],
    sink: W,
) -> Box<dyn Contender + 'b> {
    match way {
        Way::Ours => ours::open(setup, batches, sink),
        Way::OursOn(threads) => ours::open(&Setup { threads, ..*setup }, batches, sink),
        Way::ArrowRs { buffered: false, sharing } => arrow_rs::open(setup, sharing, batches, sink),
        Way::ArrowRs { buffered: true, sharing } => {
            arrow_rs::open(setup, sharing, batches, io::BufWriter::with_capacity(BUFFER, sink))
        }
        Way::StreamEncoders => encoders::open(setup, batches, sink),
        Way::Writev => floor::writev(batches, setup.threads, sink),
        Way::Codec => floor::codec(setup, batches, setup.threads),
        Way::CodecTimes => floor::codec_times(setup, batches),
        Way::Pyarrow => unreachable!("pyarrow cannot write to a sink of ours"),
    }
}

/// Opens an output anew for every so many batches, and for every call.
struct Renewed<O> {
    each: usize,
    open: O,
}

impl<'b, O: Fn() -> Box<dyn Contender + 'b>> Contender for Renewed<O> {
    fn write(&mut self, batches: usize) {
        let mut left = batches;
        while left > 0 {
            let share = left.min(self.each);
            let mut contender = (self.open)();
            contender.write(share);
            contender.close();
            left -= share;
        }
    }

    fn close(self: Box<Self>) {}
}

/// A file that is created when it is opened and removed when it is dropped.
struct NewFile {
    file: File,
    path: PathBuf,
}

impl NewFile {
    fn create(folder: &Path) -> Self {
        let path = folder.join("new.arrow");
        Self { file: File::create(&path).expect("the folder can be written to"), path }
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.file.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // A file that stays behind is overwritten by the next.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The buffer that a peer is given, where it is given one.
const BUFFER: usize = 256 << 10;

/// What a stream ends with.
const END_OF_STREAM: [u8; 8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
