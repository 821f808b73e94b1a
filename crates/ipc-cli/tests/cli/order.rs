//! Batches come out in the order of the inputs, whatever the number of threads, or in the order of arrival, where that is
//! asked for; either way, each exactly once.

use std::fs;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;

use crate::support::{batch, file, folder, merge_well, put, read, stream};

/// Batches of very different size, so that workers finish out of order.
fn uneven(from: i64, count: i64) -> Vec<RecordBatch> {
    (from..from + count).map(|n| batch(n, if n % 7 == 0 { 3_000 } else { 3 })).collect()
}

#[test]
fn the_order_of_the_inputs_is_kept() {
    let folder = folder();
    let (first, second) = (uneven(0, 60), uneven(60, 60));
    let inputs = [put(&folder, "a.arrow", &file(&first)), put(&folder, "b.arrows", &stream(&second))];
    let inputs = [inputs[0].as_path(), inputs[1].as_path()];
    let expected = [first, second].concat();
    for extension in ["arrow", "arrows"] {
        let mut outputs = Vec::new();
        for threads in ["1", "2", "8"] {
            let output = folder.path().join(format!("out{threads}.{extension}"));
            merge_well(&inputs, &output, &["--threads", threads, "--compression", "lz4"]);
            assert_eq!(read(&output), expected, "{extension}, {threads} threads");
            outputs.push(fs::read(&output).unwrap());
        }
        assert!(outputs.iter().all(|output| *output == outputs[0]), "the number of threads leaves no trace");
    }
}

#[test]
fn in_the_order_of_arrival_each_batch_comes_once() {
    let folder = folder();
    let input = put(&folder, "a.arrow", &file(&uneven(0, 100)));
    let output = folder.path().join("out.arrow");
    merge_well(&[&input], &output, &["--order", "arrival", "--threads", "8"]);
    let mut batches = read(&output);
    batches.sort_by_key(|batch| batch.column(0).as_primitive::<Int64Type>().value(0));
    assert_eq!(batches, uneven(0, 100));
}
