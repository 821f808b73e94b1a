//! Writes the sample inputs in `examples/data`, which the README's commands merge.
//!
//! `cargo run --example sample_data` writes them again. The bytes are the same on every machine, and a test compares
//! them with the files.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampSecondArray};
use ipc_core::Encoder;

/// One day of measurements per file: its name, its midnight in seconds, and how much warmer it is than Monday.
const DAYS: [(&str, i64, f64); 2] = [("monday.arrows", 1_767_571_200, 0.0), ("tuesday.arrows", 1_767_657_600, 1.5)];
const CITIES: [&str; 3] = ["Lima", "Oslo", "Pune"];
/// One batch each: the hour, and the temperatures of the three cities. Pune's sensor fails at noon.
const HOURS: [(i64, [Option<f64>; 3]); 3] = [
    (6, [Some(18.5), Some(-4.0), Some(15.0)]),
    (12, [Some(24.0), Some(-1.5), None]),
    (18, [Some(21.5), Some(-6.5), Some(22.0)]),
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/data");
    for (name, bytes) in samples()? {
        fs::write(folder.join(name), &bytes)?;
        println!("examples/data/{name}: {} bytes", bytes.len());
    }
    Ok(())
}

/// The name and the contents of each file.
pub(crate) fn samples() -> Result<[(&'static str, Vec<u8>); 2], ipc_core::Error> {
    let [monday, tuesday] = DAYS;
    Ok([sample(monday)?, sample(tuesday)?])
}

fn sample((name, midnight, warmer): (&'static str, i64, f64)) -> Result<(&'static str, Vec<u8>), ipc_core::Error> {
    let batches = HOURS
        .map(|(hour, celsius)| batch(midnight + hour * 3600, celsius.map(|value| value.map(|value| value + warmer))));
    let mut encoder = Encoder::stream(Vec::new()).start(batches[0].schema())?;
    for batch in &batches {
        encoder.write(batch)?;
    }
    Ok((name, encoder.close()?.into_inner()))
}

fn batch(second: i64, celsius: [Option<f64>; 3]) -> RecordBatch {
    let time = TimestampSecondArray::from(vec![second; CITIES.len()]).with_timezone("UTC");
    RecordBatch::try_from_iter_with_nullable([
        ("time", Arc::new(time) as ArrayRef, false),
        ("city", Arc::new(StringArray::from(CITIES.to_vec())), false),
        ("celsius", Arc::new(Float64Array::from(celsius.to_vec())), true),
    ])
    .expect("the columns are equally long")
}
