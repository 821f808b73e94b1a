//! Writing to a file in the page cache, over and over.

use std::io::{BufWriter, IoSlice, Write};

use arrow_array::RecordBatch;
use arrow_ipc::writer::FileWriter;
use ipc_core::{BatchEncoder, Encoder, Options};

use crate::batches::mixed;
use crate::measure::Bench;
use crate::sinks::Rewinding;

/// The buffer that a peer is given, where it is given one.
const BUFFER: usize = 256 << 10;

pub(crate) fn run(bench: &mut Bench) {
    let [tiny, small, large] = [64, 1024, 8192].map(mixed);
    bench.compare("file 350 KB, vs writev of the same bytes", 0.95, ours(&large), writev(&large));
    bench.compare("file 44 KB, vs writev of the same bytes", 0.93, ours(&small), writev(&small));
    bench.compare("file 1k rows, vs FileWriter", 3.0, ours(&small), file_writer(&small));
    bench.compare("file 1k rows, vs FileWriter + 256 KiB", 1.0, ours(&small), buffered(&small));
    bench.compare("file 64 rows, vs FileWriter + 256 KiB", 3.0, ours(&tiny), buffered(&tiny));
}

fn ours(batch: &RecordBatch) -> impl FnMut(usize) {
    let mut encoder = Encoder::file(Rewinding::new()).start(batch.schema()).expect("the disk has room");
    move |times| (0..times).for_each(|_| _ = encoder.write(batch).expect("the disk has room"))
}

fn file_writer(batch: &RecordBatch) -> impl FnMut(usize) {
    over(batch, Rewinding::new())
}

fn buffered(batch: &RecordBatch) -> impl FnMut(usize) {
    over(batch, BufWriter::with_capacity(BUFFER, Rewinding::new()))
}

fn over(batch: &RecordBatch, sink: impl Write) -> impl FnMut(usize) {
    let mut writer = FileWriter::try_new(sink, &batch.schema()).expect("the disk has room");
    move |times| (0..times).for_each(|_| writer.write(batch).expect("the disk has room"))
}

/// The floor: the bytes of the message, encoded beforehand, in one call each time.
fn writev(batch: &RecordBatch) -> impl FnMut(usize) {
    let message = BatchEncoder::new(&Options::default()).encode(batch).expect("the batch is sound").into_owned();
    let buffers = message.into_buffers();
    let mut file = Rewinding::new();
    move |times| {
        for _ in 0..times {
            let mut slices: Vec<_> = buffers.iter().map(|buffer| IoSlice::new(buffer)).collect();
            let mut rest = slices.as_mut_slice();
            while !rest.is_empty() {
                let written = file.write_vectored(rest).expect("the disk has room");
                IoSlice::advance_slices(&mut rest, written);
            }
        }
    }
}
