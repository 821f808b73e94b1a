//! Measures what checksums cost: `cargo run --release -p ipc-core --example checksums`.
//!
//! Prints how much longer encoding takes with checksums, next to one plain CRC-32C pass over the same bodies: in one
//! piece of memory, and in the segments that a body consists of. The last few hundred bytes of each segment are summed
//! one word at a time, so short segments take longer per byte. That is the lower bound for small batches.

use std::error::Error;
use std::hint::black_box;
use std::io::{self, IoSlice, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use ipc_core::format::Checksum;
use ipc_core::parts::BatchEncoder;
use ipc_core::{Encoder, Options};

/// Discards all bytes without reading them.
struct Nowhere;

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "{:>8} {:>10} {:>12} {:>12} {:>7} {:>12} {:>7}",
        "rows", "body", "checksums", "one piece", "ratio", "in pieces", "ratio"
    );
    for rows in [1_000, 8_000, 64_000] {
        let batch = batch(rows)?;
        let [mut with, mut without] = [true, false].map(|yes| encoder(&batch, yes));
        let mut encoder = BatchEncoder::new(&Options::default());
        let message = encoder.encode(&batch)?;
        let pieces: Vec<&[u8]> = message.slices().skip(1).collect();
        let body: Vec<u8> = pieces.concat();
        let repeats = 32_000_000 / body.len() + 1;
        // In turns, so that other load on the machine affects all four alike.
        let mut best = [Duration::MAX; 4];
        for _ in 0..40 {
            let times = [
                timed(repeats, || drop(black_box(with.as_mut().map(|encoder| encoder.write(&batch))))),
                timed(repeats, || drop(black_box(without.as_mut().map(|encoder| encoder.write(&batch))))),
                timed(repeats, || {
                    let mut checksum = Checksum::default();
                    checksum.update(black_box(&body));
                    black_box(checksum);
                }),
                timed(repeats, || {
                    let mut checksum = Checksum::default();
                    pieces.iter().for_each(|piece| checksum.update(black_box(piece)));
                    black_box(checksum);
                }),
            ];
            best.iter_mut().zip(times).for_each(|(best, time)| *best = time.min(*best));
        }
        let [with, without, plain, floor] = best;
        let cost = with.saturating_sub(without);
        let [ratio, to_floor] = [plain, floor].map(|pass| cost.as_secs_f64() / pass.as_secs_f64());
        println!("{rows:>8} {:>10} {cost:>12?} {plain:>12?} {ratio:>7.2} {floor:>12?} {to_floor:>7.2}", body.len());
    }
    Ok(())
}

fn encoder(batch: &RecordBatch, checksums: bool) -> Result<Encoder<Nowhere, ipc_core::StreamFormat>, ipc_core::Error> {
    let options = Options::builder().checksums(checksums).build()?;
    Ok(Encoder::stream(Nowhere).with_options(options).start(batch.schema())?)
}

/// Returns the time of one call, averaged over `repeats` calls.
fn timed(repeats: usize, mut call: impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..repeats).for_each(|_| call());
    start.elapsed() / u32::try_from(repeats).unwrap_or(u32::MAX)
}

fn batch(rows: usize) -> Result<RecordBatch, Box<dyn Error>> {
    let numbers: ArrayRef = Arc::new((0..rows).map(|row| i64::try_from(row).ok()).collect::<Int64Array>());
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![0.5; rows]));
    let text: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("row number {row}"))));
    Ok(RecordBatch::try_from_iter([("number", numbers), ("float", floats), ("text", text)])?)
}
