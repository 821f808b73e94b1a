//! Ours: the encoder on one thread, the shared writer on more.

use std::io::Write;

use arrow_array::RecordBatch;
use ipc_core::{Encoder, Format, Unstarted};
use ipc_shared::{Builder, Producer, SharedWriter};

use crate::writers::turns::{Turns, share};
use crate::writers::{Contender, Output, Setup};

pub(super) fn open<'b, W: Write + Send + 'static>(
    setup: &Setup,
    batches: &'b [RecordBatch],
    sink: W,
) -> Box<dyn Contender + 'b> {
    match (setup.threads, setup.output) {
        (1, Output::File) => alone(setup, batches, Encoder::file(sink)),
        (1, Output::Stream) => alone(setup, batches, Encoder::stream(sink)),
        (_, Output::File) => shared(setup, batches, SharedWriter::file(sink)),
        (_, Output::Stream) => shared(setup, batches, SharedWriter::stream(sink)),
    }
}

struct Alone<'b, W: Write, F: Format> {
    encoder: Encoder<W, F>,
    turns: Turns<'b>,
}

fn alone<'b, W: Write + 'b, F: Format + 'b>(
    setup: &Setup,
    batches: &'b [RecordBatch],
    encoder: Encoder<W, F, Unstarted>,
) -> Box<dyn Contender + 'b> {
    let encoder = encoder.with_options(setup.codec.options(setup.staging)).start(batches[0].schema());
    Box::new(Alone { encoder: encoder.expect("the sink takes it"), turns: Turns::new(batches) })
}

impl<W: Write, F: Format> Contender for Alone<'_, W, F> {
    fn write(&mut self, batches: usize) {
        self.turns.take(batches).for_each(|batch| _ = self.encoder.write(batch).expect("the sink takes it"));
    }

    fn close(self: Box<Self>) {
        self.encoder.close().map_err(ipc_core::Error::from).expect("the sink takes it");
    }
}

struct Shared<'b, W: Write + Send, F: Format> {
    writer: SharedWriter<W, F>,
    producers: Vec<(Producer<W, F>, Turns<'b>)>,
}

fn shared<'b, W: Write + Send + 'static, F: Format + 'b>(
    setup: &Setup,
    batches: &'b [RecordBatch],
    builder: Builder<W, F>,
) -> Box<dyn Contender + 'b> {
    let builder = builder.options(setup.codec.options(setup.staging)).schema(batches[0].schema());
    let writer = builder.build().map_err(|failed| failed.error().to_string()).expect("the sink takes it");
    let producers = Turns::spread(batches, setup.threads).map(|turns| (writer.producer(), turns)).collect();
    Box::new(Shared { writer, producers })
}

impl<W: Write + Send, F: Format> Contender for Shared<'_, W, F> {
    fn write(&mut self, batches: usize) {
        share(&mut self.producers, batches, |(producer, turns), share| {
            turns.take(share).for_each(|batch| _ = producer.write(batch).expect("the sink takes it"));
        });
    }

    fn close(self: Box<Self>) {
        self.writer.close().expect("the sink takes it");
    }
}
