use arrow_array::{RecordBatch, record_batch};
use ipc_core::Encoder;

fn main() {
    let batch: RecordBatch = record_batch!(("a", Int32, [1, 2, 3])).unwrap();
    #[allow(unused_mut)]
    let mut encoder = Encoder::stream(Vec::new());
    let encoder = encoder.start(batch.schema()).unwrap();
    drop(encoder);
}
