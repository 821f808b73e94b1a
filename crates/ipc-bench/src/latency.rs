//! How long the unluckiest writes take, when many threads write to one file.

use std::io::Write;
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_ipc::writer::FileWriter;
use ipc_shared::SharedWriter;

use crate::batches::Shape;
use crate::codec::{Codec, Staging};
use crate::figure::{Line, Metric};
use crate::measure::{Bench, Effort};
use crate::sinks::Rewinding;
use crate::writers::{Setup, Way};

const THREADS: usize = 16;

/// Compares the tail of the writes of 16 threads with a mutex around arrow-rs's writer.
///
/// # Panics
///
/// Where the files cannot be written.
pub fn run(bench: &mut Bench) {
    for (rows, codec, target) in
        [(65_536, Codec::Raw, Some(4.0)), (65_536, Codec::Lz4, Some(4.0)), (1024, Codec::Lz4, None)]
    {
        let setup = Setup { codec, threads: THREADS, ..Setup::new(Shape::Mixed(rows)) };
        let line = Line::new(setup.to_string(), Metric::Tail, Way::MUTEX.name(&setup)).at_least_if(target);
        if !bench.wants(&line) {
            continue;
        }
        let batches = setup.shape.batches().expect("it is made here");
        let writes = if bench.effort() == Effort::Smoke { 2 } else { 125 };
        let ours = SharedWriter::file(Rewinding::new(bench.folder())).options(codec.options(Staging::Default)).build();
        let ours = ours.map_err(|failed| failed.error().to_string()).expect("nothing is written yet");
        let peer = Mutex::new(file_writer(&batches[0], codec, Rewinding::new(bench.folder())));
        let produce = || {
            let mut producer = ours.producer();
            move |batch: &RecordBatch| _ = producer.write(batch).expect("the disk has room")
        };
        let lock =
            || |batch: &RecordBatch| peer.lock().expect("nobody panics").write(batch).expect("the disk has room");
        bench.compare_samples(line, || tail(writes, &batches[0], produce), || tail(writes, &batches[0], lock));
    }
}

fn file_writer<W: Write>(batch: &RecordBatch, codec: Codec, sink: W) -> FileWriter<W> {
    FileWriter::try_new_with_options(sink, &batch.schema(), codec.arrow_rs_options()).expect("the disk has room")
}

/// The time in seconds within which 999 of 1,000 writes return, where each thread does so many.
fn tail<F: FnMut(&RecordBatch) + Send>(writes: usize, batch: &RecordBatch, writer: impl Fn() -> F) -> f64 {
    let start = Barrier::new(THREADS);
    let mut took: Vec<Duration> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let (mut write, start) = (writer(), &start);
                scope.spawn(move || {
                    start.wait();
                    let timed = |_| {
                        let start = Instant::now();
                        write(batch);
                        start.elapsed()
                    };
                    (0..writes).map(timed).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no writer panics")).collect()
    });
    took.sort();
    took[took.len() - 1 - took.len() / 1000].as_secs_f64()
}
