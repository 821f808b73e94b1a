//! Runs every fault at every call, and records the results of the writer's calls.

use crate::outside::aloud;
use crate::shared::{Mark, Output, Words, batch};
use crate::sink::{Fault, Faulty};
use crate::threads::{PATIENCE, within};
use ipc_core::{Compression, DictionaryHandling, Options, Unify};

use super::verdict::{self, Sample};
use super::writers::{Call, Handle, Poison, Trouble, Writers};

/// The reaction to a torn output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mending {
    /// None: the writer has ended.
    None,
    /// The output is rolled back, and the call that tore it is repeated.
    Rollback,
}

/// The results of the calls in one run.
#[derive(Debug, Default)]
pub struct Told {
    /// The batches whose write returned `Ok`. Those of one thread are in its order.
    pub accepted: Vec<Mark>,
    /// The batches that must be in the output, regardless of later failures.
    pub confirmed: Vec<Mark>,
    /// How the run ended.
    pub end: End,
}

/// How a run ended.
#[derive(Debug, Default, Clone, PartialEq)]
pub enum End {
    /// Complete.
    #[default]
    Closed,
    /// Poisoned, and not rolled back.
    Torn(Poison),
    /// A panic destroyed the writer, including its state.
    Gone,
}

/// Tries every fault at every call, and prints the number of runs.
pub fn every_call<W: Writers, F: Output>(mending: Mending) {
    let mut tried = 0;
    for case in cases::<F>() {
        let fault = case.fault;
        let mut torn = 0;
        for calls in 0.. {
            let (has_failed, sample) = one_run::<W, F>(mending, case.clone(), calls);
            torn += usize::from(!sample.is_closed);
            if !has_failed {
                assert!(sample.is_closed, "a run without a fault");
                assert!(calls > 0, "{fault:?} never happened");
                break;
            }
            tried += 1;
        }
        let harmful = matches!(fault, Fault::HalfThenError | Fault::Full | Fault::TooMany | Fault::PanicInFlush)
            || matches!(fault, Fault::Panic | Fault::HalfThenPanic);
        assert!(torn > 0 || !harmful || mending == Mending::Rollback, "{fault:?} tore nothing");
        assert!(torn == 0 || harmful, "{fault:?} tore {torn} outputs");
    }
    let format = if F::HAS_FOOTER { "a file" } else { "a stream" };
    aloud(format_args!("{tried} faults tried with {} of {format}, mending: {mending:?}", W::NAME));
}

/// Tries every fault at a call in the middle. Returns the whole part of each output.
#[must_use]
pub fn some_calls<W: Writers, F: Output>(mending: Mending) -> Vec<Sample> {
    cases::<F>().map(|case| one_run::<W, F>(mending, case, 2).1).collect()
}

/// A fault, and the options of the writer.
#[derive(Debug, Clone)]
pub struct Case {
    /// The fault.
    pub fault: Fault,
    /// Whether small messages are staged.
    pub is_staged: bool,
    /// Whether no batch can be read before the end is written.
    pub has_dictionaries_at_close: bool,
    /// The kind of strings written.
    pub words: Words,
    options: Options,
}

fn cases<F: Output>() -> impl Iterator<Item = Case> {
    let [resend, delta] = [DictionaryHandling::Resend, DictionaryHandling::Delta];
    let [unify, at_close] = [false, true].map(|at_close| Unify::new().at_close(at_close).into());
    let [none, lz4] = [Compression::None, Compression::Lz4];
    let [growing, nested] = [Words::Growing, Words::Nested];
    let anywhere = [
        (false, none, delta, growing),
        (true, none, unify, growing),
        (false, lz4, unify, growing),
        (true, lz4, delta, growing),
    ];
    let in_this_format = if F::HAS_FOOTER {
        [
            (false, lz4, at_close, growing),
            (true, none, at_close, growing),
            (false, none, at_close, nested),
            (true, lz4, at_close, nested),
        ]
    } else {
        [
            (false, none, resend, growing),
            (false, none, resend, nested),
            (false, lz4, delta, nested),
            (true, none, unify, nested),
        ]
    };
    anywhere.into_iter().chain(in_this_format).flat_map(move |(is_staged, compression, dictionaries, words)| {
        let options =
            Options::builder().staging(is_staged).compression(compression).dictionaries(dictionaries).build().unwrap();
        let has_dictionaries_at_close = dictionaries == at_close;
        Fault::ALL.map(|fault| Case { fault, is_staged, has_dictionaries_at_close, words, options: options.clone() })
    })
}

/// Does one run under the watchdog, and checks its output. Returns whether the fault happened.
fn one_run<W: Writers, F: Output>(mending: Mending, case: Case, calls: usize) -> (bool, Sample) {
    within(PATIENCE, move || {
        let mut sink = Faulty::new(case.fault, calls);
        let told = run::<W, F>(mending, &mut sink, &case);
        let context = format!("after {calls} calls, {mending:?}, {case:?}");
        (sink.has_failed, verdict::check::<F>(&sink, W::THREADS, &told, &case, &context))
    })
}

fn run<W: Writers, F: Output>(mending: Mending, sink: &mut Faulty, case: &Case) -> Told {
    let mut told = Told::default();
    let work = |thread: usize, writer: &mut dyn Handle| {
        let mut own = Told::default();
        own.end = write_all::<W>(thread, writer, mending, case, &mut own).err().unwrap_or_default();
        own
    };
    let (mut end, mut late) = (End::Closed, Vec::new());
    let finish = |writer: &mut dyn Handle| end = close(writer, mending, case.words, &mut late);
    let threads = W::run::<F, _>(sink, case.words, &case.options, work, finish);
    for own in threads {
        assert!(own.end == End::Closed || own.end == end, "all hear the same: {:?}, {end:?}", own.end);
        told.accepted.extend(own.accepted);
        told.confirmed.extend(own.confirmed);
    }
    told.accepted.extend(late);
    if end == End::Closed {
        told.confirmed.clone_from(&told.accepted);
    }
    told.end = end;
    told
}

/// Writes the batches of a thread, and flushes in the middle.
fn write_all<W: Writers>(
    thread: usize,
    writer: &mut dyn Handle,
    mending: Mending,
    case: &Case,
    told: &mut Told,
) -> Result<(), End> {
    for number in 0..BATCHES {
        let mark = (thread, number);
        let batch = batch(case.words, mark);
        mended(writer, mending, |writer: &mut dyn Handle| writer.write(&batch))?;
        told.accepted.push(mark);
        if number == BATCHES / 2 {
            mended(writer, mending, |writer: &mut dyn Handle| writer.flush())?;
        }
        if !case.is_staged && W::WRITES_AT_ONCE || number == BATCHES / 2 && W::FLUSH_CONFIRMS {
            told.confirmed.clone_from(&told.accepted);
        }
    }
    Ok(())
}

/// Closes the writer. After each failure, writes one more batch, with values of its own, before the next try. Batches
/// accepted there go to `late`; a shared writer accepts none by then.
fn close(writer: &mut dyn Handle, mending: Mending, words: Words, late: &mut Vec<Mark>) -> End {
    let mut tries = 0_usize;
    let close = |writer: &mut dyn Handle| {
        if let Some(failed) = tries.checked_sub(1)
            && writer.write(&batch(words, LATE[failed])) == Ok(())
        {
            late.push(LATE[failed]);
        }
        tries += 1;
        writer.close()
    };
    let end = mended(writer, mending, close).err().unwrap_or(End::Closed);
    if let End::Torn(first) = &end {
        // Every call returns the first error, and nothing is written.
        let batch = batch(words, (0, 0));
        let calls: [Call; 4] = [writer.write(&batch), writer.flush(), writer.close(), writer.close()];
        for told in calls {
            assert_eq!(told, Err(Trouble::Poisoned(first.clone())));
        }
    }
    end
}

/// Does `work`. Repeats it if the sink failed without tearing the output, or after a rollback if one is wanted.
fn mended(writer: &mut dyn Handle, mending: Mending, mut work: impl FnMut(&mut dyn Handle) -> Call) -> Result<(), End> {
    // One fault, and its consequences.
    for _ in 0..4 {
        match work(writer) {
            Ok(()) => return Ok(()),
            Err(Trouble::Repeat) => {}
            Err(Trouble::Gone) => return Err(End::Gone),
            Err(Trouble::Poisoned(_) | Trouble::Panicked) if mending == Mending::Rollback => {
                assert_eq!(writer.rollback(), Ok(()));
            }
            Err(Trouble::Poisoned(poison)) => return Err(End::Torn(poison)),
            // The call that panicked returned no error; the next one does.
            Err(Trouble::Panicked) => {}
        }
    }
    panic!("one fault made four calls fail")
}

/// The number of batches that each thread writes. The third is too large to be staged.
const BATCHES: usize = 5;
/// Batches with values that no earlier batch has, and enough rows for them. They count for no thread, since they may
/// precede batches that are parked in slots.
const LATE: [Mark; 3] = [(12, 7), (12, 9), (12, 14)];
