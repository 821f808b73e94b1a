//! What no writer can do without: giving the bytes to the system, and compressing the buffers.

use std::io::{IoSlice, Write};
use std::sync::Mutex;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use ipc_core::parts::BatchEncoder;
use ipc_core::{Encoder, Options};
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

use crate::codec::Codec;
use crate::writers::turns::share;
use crate::writers::{Contender, END_OF_STREAM, Setup};

/// The bytes of ours as a stream, made beforehand, in one call for each batch, from so many threads. Batches with
/// dictionaries are not for it.
pub(super) fn writev<'b, W: Write + Send + 'b>(
    batches: &[RecordBatch],
    threads: usize,
    mut sink: W,
) -> Box<dyn Contender + 'b> {
    let stream = Encoder::stream(Vec::new()).start(batches[0].schema()).expect("the schema can be written");
    sink.write_all(&stream.abandon()).expect("the sink takes it");
    let mut encoder = BatchEncoder::new(&Options::default());
    let messages = batches.iter().map(|batch| {
        let message = encoder.encode(batch).expect("the batch can be written").into_owned();
        message.into_buffers()
    });
    Box::new(Writev { messages: messages.collect(), sink: Mutex::new(sink), nexts: vec![0; threads] })
}

struct Writev<W> {
    messages: Vec<Vec<Buffer>>,
    sink: Mutex<W>,
    /// The next message of each thread.
    nexts: Vec<usize>,
}

impl<W: Write + Send> Contender for Writev<W> {
    fn write(&mut self, batches: usize) {
        // The lists of pieces are made once for each call, not for each batch: they are not part of the floor.
        let messages: Vec<Vec<IoSlice<'_>>> =
            self.messages.iter().map(|message| message.iter().map(|piece| IoSlice::new(piece)).collect()).collect();
        let sink = &self.sink;
        share(&mut self.nexts, batches, |next, share| {
            for _ in 0..share {
                let message = &messages[*next];
                *next = (*next + 1) % messages.len();
                let length: usize = message.iter().map(|piece| piece.len()).sum();
                let sink = &mut *sink.lock().expect("no thread panics");
                let written = match message.get(..SLICES_AT_MOST) {
                    None => sink.write_vectored(message).expect("the sink takes it"),
                    Some(first) => sink.write_vectored(first).expect("the sink takes it"),
                };
                if written < length {
                    write_rest(sink, &mut message.clone(), written);
                }
            }
        });
    }

    fn close(self: Box<Self>) {
        let mut sink = self.sink.into_inner().expect("no thread panics");
        sink.write_all(&END_OF_STREAM).and_then(|()| sink.flush()).expect("the sink takes it");
    }
}

/// Writes all of `buffers` in as few calls as the sink allows.
pub(super) fn write_all(sink: &mut impl Write, buffers: &[Buffer]) {
    let mut slices: Vec<_> = buffers.iter().map(|buffer| IoSlice::new(buffer)).collect();
    write_rest(sink, &mut slices, 0);
}

/// Writes what is left of `slices` behind so many bytes.
fn write_rest(sink: &mut impl Write, slices: &mut [IoSlice<'_>], written: usize) {
    let mut rest = slices;
    IoSlice::advance_slices(&mut rest, written);
    while !rest.is_empty() {
        let call = rest.get(..SLICES_AT_MOST).unwrap_or(rest);
        let written = sink.write_vectored(call).expect("the sink takes it");
        IoSlice::advance_slices(&mut rest, written);
    }
}

/// The codec on so many threads.
pub(super) fn codec<'b>(setup: &Setup, batches: &[RecordBatch], threads: usize) -> Box<dyn Contender + 'b> {
    let buffers = uncompressed(batches);
    let threads = (0..threads).map(|_| Thread::new(setup.codec, &buffers)).collect();
    Box::new(Compressing { buffers, threads })
}

/// The codec on one thread, for its share of the batches.
pub(super) fn codec_times<'b>(setup: &Setup, batches: &[RecordBatch]) -> Box<dyn Contender + 'b> {
    Box::new(Share { one: codec(setup, batches, 1), of: setup.threads, owed: 0 })
}

struct Compressing {
    /// The buffers of each batch.
    buffers: Vec<Vec<Buffer>>,
    threads: Vec<Thread>,
}

struct Thread {
    codec: Context,
    frame: Vec<u8>,
    next: usize,
}

enum Context {
    Lz4 { small: CompressTable, large: CompressTable },
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Contender for Compressing {
    fn write(&mut self, batches: usize) {
        let buffers = &self.buffers;
        share(&mut self.threads, batches, |thread, share| {
            for _ in 0..share {
                buffers[thread.next].iter().for_each(|buffer| _ = thread.compress(buffer));
                thread.next = (thread.next + 1) % buffers.len();
            }
        });
    }

    fn close(self: Box<Self>) {}
}

impl Thread {
    fn new(codec: Codec, buffers: &[Vec<Buffer>]) -> Self {
        let longest = buffers.iter().flatten().map(Buffer::len).max().unwrap_or(0);
        let (codec, room) = match codec {
            Codec::Raw => unreachable!("a floor of compression needs a codec"),
            Codec::Lz4 => {
                let (small, large) = (CompressTable::small(), CompressTable::large());
                (Context::Lz4 { small, large }, get_maximum_output_size(longest))
            }
            Codec::Zstd(level) => {
                let context = zstd::bulk::Compressor::new(level).expect("the level exists");
                (Context::Zstd(context), zstd::zstd_safe::compress_bound(longest))
            }
        };
        Self { codec, frame: vec![0; room], next: 0 }
    }

    /// Compresses a buffer as one block, and returns the length of the block.
    fn compress(&mut self, buffer: &[u8]) -> usize {
        match &mut self.codec {
            Context::Lz4 { small, large } => {
                let table = if buffer.len() < usize::from(u16::MAX) { small } else { large };
                compress_into_with_table(buffer, &mut self.frame, table).expect("there is room")
            }
            Context::Zstd(context) => context.compress_to_buffer(buffer, &mut self.frame[..]).expect("there is room"),
        }
    }
}

struct Share {
    one: Box<dyn Contender>,
    of: usize,
    /// Batches that did not make a whole one yet.
    owed: usize,
}

impl Contender for Share {
    fn write(&mut self, batches: usize) {
        self.owed += batches;
        self.one.write(self.owed / self.of);
        self.owed %= self.of;
    }

    fn close(self: Box<Self>) {}
}

/// The buffers that a codec is given: those of the message's body, as they are without one.
fn uncompressed(batches: &[RecordBatch]) -> Vec<Vec<Buffer>> {
    let mut encoder = BatchEncoder::new(&Options::default());
    batches
        .iter()
        .map(|batch| {
            let message = encoder.encode(batch).expect("the batch can be written").into_owned();
            let pieces = message.into_buffers().into_iter().skip(1);
            pieces.filter(|piece| piece.len() > PADDING_AT_MOST).collect()
        })
        .collect()
}

/// Pieces of a body that are no longer are padding.
const PADDING_AT_MOST: usize = 63;

/// What a call may hold: the usual `IOV_MAX`.
const SLICES_AT_MOST: usize = 1024;
