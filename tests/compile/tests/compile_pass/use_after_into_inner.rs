use arrow_array::{RecordBatch, record_batch};
use ipc_core::Encoder;

fn main() {
    let batch: RecordBatch = record_batch!(("a", Int32, [1, 2, 3])).unwrap();
    let encoder = Encoder::stream(Vec::new()).start(batch.schema()).unwrap().close().unwrap();
    let sink: Vec<u8> = encoder.into_inner();
    drop(sink);
}
