//! Gives the encoder and the shared writer one interface, whose errors say whether to repeat, to roll back, or to give
//! up.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crate::shared::{Output, Words, schema};
use crate::sink::Faulty;
use arrow_array::RecordBatch;
use ipc_core::{Encoder, Error, Failed, Started, Unstarted};
use ipc_shared::{Options, SharedWriter, Slot};

/// Why a call failed.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// The sink failed between two messages: the call may be repeated.
    Repeat,
    /// The output is torn.
    Poisoned(Poison),
    /// The sink panicked.
    Panicked,
    /// A panic destroyed the writer.
    Gone,
}

/// The contents of a `Poisoned` error.
#[derive(Debug, Clone, PartialEq)]
pub struct Poison {
    /// The position up to which the bytes are whole.
    pub offset: u64,
    /// The number of accepted batches that are not in them.
    pub unconfirmed: u64,
    /// The text of the first error.
    pub first_error: String,
}

/// The result of a call.
pub type Call = Result<(), Trouble>;

/// One thread's handle on a writer.
pub trait Handle {
    /// Writes a batch.
    fn write(&mut self, batch: &RecordBatch) -> Call;
    /// Flushes.
    fn flush(&mut self) -> Call;
    /// Closes.
    fn close(&mut self) -> Call;
    /// Rolls back.
    fn rollback(&mut self) -> Call;
}

/// A kind of writer.
pub trait Writers: 'static {
    /// The name in messages.
    const NAME: &'static str;
    /// The number of threads that write.
    const THREADS: usize;
    /// Whether a batch is in the output, and not only accepted, once its unstaged write has returned `Ok`.
    const WRITES_AT_ONCE: bool = true;
    /// Whether a flush confirms the earlier batches of its thread. Batches parked after another thread's slot stay
    /// unconfirmed.
    const FLUSH_CONFIRMS: bool = true;

    /// Runs `work` on each thread with a handle on a writer to `sink`, and then `finish` on one of them. Returns their
    /// results.
    fn run<F: Output, R: Send>(
        sink: &mut Faulty,
        words: Words,
        options: &Options,
        work: impl Fn(usize, &mut dyn Handle) -> R + Sync,
        finish: impl FnOnce(&mut dyn Handle),
    ) -> Vec<R>;
}

/// An encoder.
#[derive(Debug)]
pub enum Alone {}

/// A shared writer with this many threads.
#[derive(Debug)]
pub enum Together<const THREADS: usize> {}

impl Writers for Alone {
    const NAME: &'static str = "the encoder";
    const THREADS: usize = 1;

    fn run<F: Output, R: Send>(
        sink: &mut Faulty,
        words: Words,
        options: &Options,
        work: impl Fn(usize, &mut dyn Handle) -> R + Sync,
        finish: impl FnOnce(&mut dyn Handle),
    ) -> Vec<R> {
        let unstarted = F::encoder(sink).with_options(options.clone());
        let mut encoder = One::<F> { words, state: OneState::Unstarted(unstarted) };
        let made = work(0, &mut encoder);
        finish(&mut encoder);
        vec![made]
    }
}

impl<const THREADS: usize> Writers for Together<THREADS> {
    const NAME: &'static str =
        if THREADS == 1 { "the shared writer, 1 thread" } else { "the shared writer, 4 threads" };
    const THREADS: usize = THREADS;

    fn run<F: Output, R: Send>(
        sink: &mut Faulty,
        _words: Words,
        options: &Options,
        work: impl Fn(usize, &mut dyn Handle) -> R + Sync,
        finish: impl FnOnce(&mut dyn Handle),
    ) -> Vec<R> {
        let mut writer = F::to(sink).options(options.clone()).build().unwrap();
        let made = crate::threads::together(THREADS, |thread| work(thread, &mut writer.clone()));
        finish(&mut writer);
        made
    }
}

/// A shared writer with this many threads, each of which holds a slot all the time.
#[derive(Debug)]
pub enum Reserving<const THREADS: usize> {}

impl<const THREADS: usize> Writers for Reserving<THREADS> {
    const NAME: &'static str =
        if THREADS == 1 { "the shared writer's slots, 1 thread" } else { "the shared writer's slots, 4 threads" };
    const THREADS: usize = THREADS;
    const WRITES_AT_ONCE: bool = false;
    const FLUSH_CONFIRMS: bool = THREADS == 1;

    fn run<F: Output, R: Send>(
        sink: &mut Faulty,
        _words: Words,
        options: &Options,
        work: impl Fn(usize, &mut dyn Handle) -> R + Sync,
        finish: impl FnOnce(&mut dyn Handle),
    ) -> Vec<R> {
        let mut writer = F::to(sink).options(options.clone()).window(2 * THREADS).build().unwrap();
        let made = crate::threads::together(THREADS, |thread| {
            let mut placed = Placed { writer: writer.clone(), out: None, back: None };
            let made = work(thread, &mut placed);
            // A panic of the sink poisons the writer, and the other threads return that error.
            let _ = placed.give_up();
            made
        });
        finish(&mut writer);
        made
    }
}

/// A shared writer whose batches wait for an unfilled slot. They are appended when that slot is dropped, at the next
/// call.
struct Placed<'s, F: Output> {
    writer: SharedWriter<&'s mut Faulty, F>,
    out: Option<Slot<&'s mut Faulty, F>>,
    /// The slot whose write has failed: the next batch is written there.
    back: Option<Slot<&'s mut Faulty, F>>,
}

impl<F: Output> Placed<'_, F> {
    fn give_up(&mut self) -> Call {
        let out = self.out.take();
        call(|| {
            drop(out);
            Ok(())
        })
    }
}

impl<F: Output> Handle for Placed<'_, F> {
    fn write(&mut self, batch: &RecordBatch) -> Call {
        self.give_up()?;
        call(|| {
            // A thread that waits for a slot holds none, so the others can free one.
            let slot = match self.back.take() {
                Some(back) => back,
                None => {
                    let first = self.writer.reserve().map_err(shared_trouble)?;
                    match self.writer.try_reserve().map_err(shared_trouble)? {
                        Some(behind) => {
                            self.out = Some(first);
                            behind
                        }
                        None => first,
                    }
                }
            };
            slot.write(batch).map_err(|failed| {
                let (error, back) = failed.into_parts();
                self.back = Some(back);
                shared_trouble(error)
            })
        })
    }

    fn flush(&mut self) -> Call {
        self.give_up()?;
        Handle::flush(&mut self.writer)
    }

    fn close(&mut self) -> Call {
        self.give_up()?;
        Handle::close(&mut self.writer)
    }

    fn rollback(&mut self) -> Call {
        Handle::rollback(&mut self.writer)
    }
}

/// An encoder that starts with the schema of these words.
struct One<'s, F: Output> {
    words: Words,
    state: OneState<'s, F>,
}

/// An encoder in any state.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum OneState<'s, F: Output> {
    Unstarted(Encoder<&'s mut Faulty, F, Unstarted>),
    Started(Encoder<&'s mut Faulty, F, Started>),
    /// Closed, or destroyed by a panic.
    Gone,
}

impl<'s, F: Output> One<'s, F> {
    /// Returns the encoder. Starts it if necessary.
    fn started(&mut self) -> Result<&mut Encoder<&'s mut Faulty, F, Started>, Trouble> {
        let words = self.words;
        if let OneState::Unstarted(_) = self.state {
            self.consume(|one| match one {
                OneState::Unstarted(encoder) => match encoder.start(schema(words)) {
                    Ok(started) => (OneState::Started(started), Ok(())),
                    Err(failed) => back(failed, OneState::Unstarted),
                },
                other => (other, Ok(())),
            })?;
        }
        match &mut self.state {
            OneState::Started(encoder) => Ok(encoder),
            _ => Err(Trouble::Gone),
        }
    }

    /// Runs `step`, which consumes the encoder and returns its new state. A panic destroys the encoder.
    fn consume(&mut self, step: impl FnOnce(OneState<'s, F>) -> (OneState<'s, F>, Result<(), Error>)) -> Call {
        let taken = std::mem::replace(&mut self.state, OneState::Gone);
        let (left, result) = catch_unwind(AssertUnwindSafe(|| step(taken))).map_err(|_| Trouble::Gone)?;
        self.state = left;
        result.map_err(trouble)
    }
}

impl<F: Output> Handle for One<'_, F> {
    fn write(&mut self, batch: &RecordBatch) -> Call {
        let encoder = self.started()?;
        call(|| encoder.write(batch).map(drop).map_err(trouble))
    }

    fn flush(&mut self) -> Call {
        let encoder = self.started()?;
        call(|| encoder.flush().map_err(trouble))
    }

    fn close(&mut self) -> Call {
        self.started()?;
        self.consume(|one| match one {
            OneState::Started(encoder) => match encoder.close() {
                Ok(_) => (OneState::Gone, Ok(())),
                Err(failed) => back(failed, OneState::Started),
            },
            other => (other, Err(Error::Closed)),
        })
    }

    fn rollback(&mut self) -> Call {
        match &mut self.state {
            OneState::Unstarted(encoder) => call(|| encoder.rollback().map_err(trouble)),
            OneState::Started(encoder) => call(|| encoder.rollback().map_err(trouble)),
            OneState::Gone => Err(Trouble::Gone),
        }
    }
}

fn back<T, S>(failed: Failed<T>, state: impl FnOnce(T) -> S) -> (S, Result<(), Error>) {
    let (error, left) = failed.into_parts();
    (state(left), Err(error))
}

impl<F: Output> Handle for SharedWriter<&mut Faulty, F> {
    fn write(&mut self, batch: &RecordBatch) -> Call {
        call(|| Self::write(self, batch).map(drop).map_err(shared_trouble))
    }

    fn flush(&mut self) -> Call {
        call(|| Self::flush(self).map_err(shared_trouble))
    }

    fn close(&mut self) -> Call {
        call(|| {
            let closed = match Self::close(self) {
                // The slot that a thread was filling when the sink panicked.
                Err(ipc_shared::Error::Gaps { .. }) => self.close_with_gaps(),
                closed => closed,
            };
            closed.map(drop).map_err(shared_trouble)
        })
    }

    fn rollback(&mut self) -> Call {
        call(|| Self::rollback(self).map_err(shared_trouble))
    }
}

fn call(work: impl FnOnce() -> Call) -> Call {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(payload) if payload.is::<&str>() => Err(Trouble::Panicked),
        Err(payload) => resume_unwind(payload),
    }
}

fn trouble(error: Error) -> Trouble {
    match error {
        Error::Io(source) => {
            assert_ne!(
                source.kind(),
                std::io::ErrorKind::Interrupted,
                "a signal is no error that a caller should hear of"
            );
            Trouble::Repeat
        }
        Error::Poisoned { offset, unconfirmed, source } => poisoned(offset, unconfirmed, &source),
        Error::Closed => Trouble::Gone,
        error => panic!("{error:?}"),
    }
}

fn shared_trouble(error: ipc_shared::Error) -> Trouble {
    match error {
        ipc_shared::Error::Core(error) => trouble(error),
        ipc_shared::Error::Poisoned { offset, unconfirmed, source } => poisoned(offset, unconfirmed, &source),
        ipc_shared::Error::Closed => Trouble::Gone,
        error => panic!("{error:?}"),
    }
}

fn poisoned(offset: u64, unconfirmed: u64, source: &Arc<std::io::Error>) -> Trouble {
    Trouble::Poisoned(Poison { offset, unconfirmed, first_error: source.to_string() })
}
