//! arrow-rs's sans-I/O encoder, one for each thread, and a mutex around the sink: what a program can do today to encode
//! on all its threads. The output is a stream, whatever the setup says.

use std::io::Write;
use std::sync::Mutex;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::writer::StreamEncoder;

use crate::writers::floor::write_all;
use crate::writers::turns::{Turns, share};
use crate::writers::{Contender, END_OF_STREAM, Setup};

pub(super) fn open<'b, W: Write + Send + 'b>(
    setup: &Setup,
    batches: &'b [RecordBatch],
    mut sink: W,
) -> Box<dyn Contender + 'b> {
    let encoder = || {
        let encoder = StreamEncoder::try_new_with_options(&batches[0].schema(), setup.codec.arrow_rs_options());
        encoder.expect("the schema can be written")
    };
    let empty = encoder().finish().expect("the schema can be written");
    let mut header: Vec<u8> = empty.iter().flat_map(|buffer| buffer.iter().copied()).collect();
    header.truncate(header.len() - END_OF_STREAM.len());
    sink.write_all(&header).expect("the sink takes it");
    let threads = Turns::spread(batches, setup.threads)
        .map(|turns| Thread { encoder: encoder(), header: header.len(), turns })
        .collect();
    Box::new(StreamEncoders { sink: Mutex::new(sink), threads })
}

struct StreamEncoders<'b, W> {
    sink: Mutex<W>,
    threads: Vec<Thread<'b>>,
}

struct Thread<'b> {
    encoder: StreamEncoder,
    /// The length of the header that an encoder puts before its first batch, and that the sink has already.
    header: usize,
    turns: Turns<'b>,
}

impl<W: Write + Send> Contender for StreamEncoders<'_, W> {
    fn write(&mut self, batches: usize) {
        let sink = &self.sink;
        share(&mut self.threads, batches, |thread, share| {
            for batch in thread.turns.take(share) {
                let mut buffers = thread.encoder.encode(batch).expect("the batch can be written");
                if thread.header > 0 {
                    without(&mut buffers, thread.header);
                    thread.header = 0;
                }
                let sink = &mut *sink.lock().expect("no thread panics");
                write_all(sink, &buffers);
            }
        });
    }

    fn close(self: Box<Self>) {
        let sink = &mut *self.sink.lock().expect("no thread panics");
        sink.write_all(&END_OF_STREAM).and_then(|()| sink.flush()).expect("the sink takes it");
    }
}

/// Drops the first `length` bytes.
fn without(buffers: &mut Vec<Buffer>, length: usize) {
    let mut left = length;
    buffers.retain_mut(|buffer| {
        let gone = left.min(buffer.len());
        left -= gone;
        buffer.advance(gone);
        !buffer.is_empty()
    });
}
