//! Many threads, one output.

use std::io::{BufWriter, Write};
use std::sync::Mutex;
use std::thread;

use arrow_array::RecordBatch;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use ipc_shared::{Compression, Options, SharedWriter};

use crate::batches::mixed;
use crate::measure::Bench;
use crate::sinks::{Counting, Rewinding};

pub(crate) fn run(bench: &mut Bench) {
    let batch = mixed(1024);
    bench.compare("lz4 1k rows, 2 threads vs 1, no I/O", 1.7, counting(&batch, 2), counting(&batch, 1));
    for (name, ours, theirs, target) in [
        ("none", Compression::None, None, 3.0),
        ("lz4", Compression::Lz4, Some(CompressionType::LZ4_FRAME), 3.0),
        ("zstd 3", Compression::Zstd(3), Some(CompressionType::ZSTD), 1.7),
    ] {
        let name = format!("2 threads, file, {name}, vs Mutex<FileWriter");
        bench.compare(&format!("{name}>"), target, shared(&batch, ours), mutex(&batch, theirs, Rewinding::new));
        let buffered = || BufWriter::with_capacity(256 << 10, Rewinding::new());
        bench.compare(&format!("{name} + 256 KiB>"), 1.0, shared(&batch, ours), mutex(&batch, theirs, buffered));
    }
}

fn options(compression: Compression) -> Options {
    Options::builder().compression(compression).build().expect("the codec is built in")
}

/// Ours with so many threads, each of which writes its share.
fn counting(batch: &RecordBatch, threads: usize) -> impl FnMut(usize) {
    let writer = SharedWriter::stream(Counting::default()).options(options(Compression::Lz4)).build();
    let writer = writer.expect("nothing is written yet");
    move |times| {
        thread::scope(|scope| {
            for index in 0..threads {
                let mut producer = writer.producer();
                let share = times / threads + usize::from(index < times % threads);
                scope.spawn(move || (0..share).for_each(|_| _ = producer.write(batch).expect("counting never fails")));
            }
        });
    }
}

fn shared(batch: &RecordBatch, compression: Compression) -> impl FnMut(usize) {
    let writer = SharedWriter::file(Rewinding::new()).options(options(compression)).build();
    let writer = writer.expect("nothing is written yet");
    move |times| {
        thread::scope(|scope| {
            for share in [times / 2, times - times / 2] {
                let mut producer = writer.producer();
                scope.spawn(move || (0..share).for_each(|_| _ = producer.write(batch).expect("the disk has room")));
            }
        });
    }
}

fn mutex<W: Write + Send>(
    batch: &RecordBatch,
    compression: Option<CompressionType>,
    sink: impl Fn() -> W,
) -> impl FnMut(usize) {
    let options = IpcWriteOptions::default().try_with_compression(compression).expect("the codec is built in");
    let writer = FileWriter::try_new_with_options(sink(), &batch.schema(), options).expect("the disk has room");
    let writer = Mutex::new(writer);
    move |times| {
        thread::scope(|scope| {
            for share in [times / 2, times - times / 2] {
                let writer = &writer;
                let write = || writer.lock().expect("nobody panics").write(batch).expect("the disk has room");
                scope.spawn(move || (0..share).for_each(|_| write()));
            }
        });
    }
}
