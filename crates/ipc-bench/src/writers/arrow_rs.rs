//! arrow-rs's writers: alone, behind a mutex, behind a channel.

use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use arrow_array::{RecordBatch, RecordBatchWriter};
use arrow_ipc::writer::{FileWriter, StreamWriter};

use crate::writers::turns::{Turns, share};
use crate::writers::{Contender, Output, Setup, Sharing};

/// How many batches wait in the channel.
const IN_FLIGHT: usize = 16;

pub(super) fn open<'b, W: Write + Send + 'static>(
    setup: &Setup,
    sharing: Sharing,
    batches: &'b [RecordBatch],
    sink: W,
) -> Box<dyn Contender + 'b> {
    let (schema, options) = (batches[0].schema(), setup.codec.arrow_rs_options());
    match setup.output {
        Output::File => {
            let writer = FileWriter::try_new_with_options(sink, &schema, options).expect("the sink takes it");
            open_writer(setup, sharing, batches, writer)
        }
        Output::Stream => {
            let writer = StreamWriter::try_new_with_options(sink, &schema, options).expect("the sink takes it");
            open_writer(setup, sharing, batches, writer)
        }
    }
}

fn open_writer<'b, T: RecordBatchWriter + Send + 'static>(
    setup: &Setup,
    sharing: Sharing,
    batches: &'b [RecordBatch],
    writer: T,
) -> Box<dyn Contender + 'b> {
    let turns = Turns::spread(batches, setup.threads).collect();
    match sharing {
        Sharing::Alone => Box::new(Alone { writer, turns: Turns::new(batches) }),
        Sharing::StdMutex => Box::new(Locked { writer: Mutex::new(writer), turns }),
        Sharing::ParkingLot => Box::new(Locked { writer: parking_lot::Mutex::new(writer), turns }),
        Sharing::Channel => Box::new(Channel::to(writer, turns)),
    }
}

struct Alone<'b, T> {
    writer: T,
    turns: Turns<'b>,
}

impl<T: RecordBatchWriter> Contender for Alone<'_, T> {
    fn write(&mut self, batches: usize) {
        self.turns.take(batches).for_each(|batch| self.writer.write(batch).expect("the sink takes it"));
    }

    fn close(self: Box<Self>) {
        self.writer.close().expect("the sink takes it");
    }
}

/// A mutex, whoever made it.
trait Lock: Sync {
    type Inside: RecordBatchWriter;

    fn write(&self, batch: &RecordBatch);
    fn into_inside(self) -> Self::Inside;
}

impl<T: RecordBatchWriter + Send> Lock for Mutex<T> {
    type Inside = T;

    fn write(&self, batch: &RecordBatch) {
        self.lock().expect("no thread panics").write(batch).expect("the sink takes it");
    }

    fn into_inside(self) -> T {
        self.into_inner().expect("no thread panics")
    }
}

impl<T: RecordBatchWriter + Send> Lock for parking_lot::Mutex<T> {
    type Inside = T;

    fn write(&self, batch: &RecordBatch) {
        self.lock().write(batch).expect("the sink takes it");
    }

    fn into_inside(self) -> T {
        self.into_inner()
    }
}

struct Locked<'b, L> {
    writer: L,
    turns: Vec<Turns<'b>>,
}

impl<L: Lock> Contender for Locked<'_, L> {
    fn write(&mut self, batches: usize) {
        let writer = &self.writer;
        share(&mut self.turns, batches, |turns, share| turns.take(share).for_each(|batch| writer.write(batch)));
    }

    fn close(self: Box<Self>) {
        self.writer.into_inside().close().expect("the sink takes it");
    }
}

/// A thread that writes what comes through a channel.
struct Channel<'b> {
    sender: SyncSender<Parcel>,
    thread: JoinHandle<()>,
    turns: Vec<Turns<'b>>,
}

enum Parcel {
    Batch(RecordBatch),
    /// To be answered once all before it are written.
    Receipt(SyncSender<()>),
}

impl<'b> Channel<'b> {
    fn to(mut writer: impl RecordBatchWriter + Send + 'static, turns: Vec<Turns<'b>>) -> Self {
        let (sender, receiver) = sync_channel(IN_FLIGHT);
        let thread = thread::spawn(move || {
            for parcel in receiver {
                match parcel {
                    Parcel::Batch(batch) => writer.write(&batch).expect("the sink takes it"),
                    Parcel::Receipt(sender) => sender.send(()).expect("somebody waits for it"),
                }
            }
            writer.close().expect("the sink takes it");
        });
        Self { sender, thread, turns }
    }

    fn send(sender: &SyncSender<Parcel>, parcel: Parcel) {
        assert!(sender.send(parcel).is_ok(), "the writing thread has ended");
    }
}

impl Contender for Channel<'_> {
    fn write(&mut self, batches: usize) {
        let sender = &self.sender;
        share(&mut self.turns, batches, |turns, share| {
            turns.take(share).for_each(|batch| Self::send(sender, Parcel::Batch(batch.clone())));
        });
        let (written, is_written) = sync_channel(1);
        Self::send(sender, Parcel::Receipt(written));
        is_written.recv().expect("the writing thread answers");
    }

    fn close(self: Box<Self>) {
        let Self { sender, thread, .. } = *self;
        drop(sender);
        thread.join().expect("the writing thread does not panic");
    }
}
