use arrow_array::{RecordBatch, record_batch};
use ipc_core::Encoder;

fn main() {
    let batch: RecordBatch = record_batch!(("a", Int32, [1, 2, 3])).unwrap();
    let (encoder, _receipt) = Encoder::file(Vec::new()).start_with(&batch).unwrap();
    drop(encoder);
}
