//! Every fault at every call, and what the callers are told meanwhile.

use crate::outside::aloud;
use crate::shared::{Mark, Output, Words, batch};
use crate::sink::{Fault, Faulty};
use crate::threads::{PATIENCE, within};
use ipc_core::{Compression, DictionaryHandling, Options};

use super::verdict::{self, Sample};
use super::writers::{Call, Handle, Poison, Trouble, Writers};

/// What is done about a torn output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mending {
    /// Nothing: the writer has ended.
    None,
    /// It is rolled back, and the call that tore it is repeated.
    Rollback,
}

/// What the callers were told in one run.
#[derive(Debug, Default)]
pub struct Told {
    /// The batches whose write returned `Ok`. Those of one thread are in its order.
    pub accepted: Vec<Mark>,
    /// Those that must be in the output, whatever came later.
    pub confirmed: Vec<Mark>,
    /// How it ended.
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
    /// A panic took the writer with it, and with that all that it could tell.
    Gone,
}

/// Has every fault at every call, and says how many were tried.
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

/// Has every fault at a call in the middle. Returns what is whole then.
#[must_use]
pub fn some_calls<W: Writers, F: Output>(mending: Mending) -> Vec<Sample> {
    cases::<F>().map(|case| one_run::<W, F>(mending, case, 2).1).collect()
}

/// A fault, and the options of the writer that meets it.
#[derive(Debug, Clone)]
pub struct Case {
    /// What goes wrong.
    pub fault: Fault,
    /// Whether small messages wait.
    pub is_staged: bool,
    /// Whether no batch can be read before the end is there.
    pub has_dictionaries_at_close: bool,
    options: Options,
}

fn cases<F: Output>() -> impl Iterator<Item = Case> {
    let [delta, unify] = [DictionaryHandling::Delta, DictionaryHandling::Unify];
    let anywhere = [
        (false, Compression::None, delta, false),
        (true, Compression::None, unify, false),
        (false, Compression::Lz4, unify, false),
        (true, Compression::Lz4, delta, false),
    ];
    let at_close = F::HAS_FOOTER.then_some((false, Compression::Lz4, unify, true));
    anywhere.into_iter().chain(at_close).flat_map(
        |(is_staged, compression, dictionaries, has_dictionaries_at_close)| {
            let options = Options::builder().staging(is_staged).compression(compression).dictionaries(dictionaries);
            let options = options.dictionaries_at_close(has_dictionaries_at_close).build().unwrap();
            Fault::ALL.map(|fault| Case { fault, is_staged, has_dictionaries_at_close, options: options.clone() })
        },
    )
}

/// One run under the watchdog, held against the bytes. Returns whether the fault came.
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
        own.end = write_all::<W>(thread, writer, mending, !case.is_staged, &mut own).err().unwrap_or_default();
        own
    };
    let mut end = End::Closed;
    let finish = |writer: &mut dyn Handle| end = close(writer, mending);
    let threads = W::run::<F, _>(sink, &case.options, work, finish);
    for own in threads {
        assert!(own.end == End::Closed || own.end == end, "all hear the same: {:?}, {end:?}", own.end);
        told.accepted.extend(own.accepted);
        told.confirmed.extend(own.confirmed);
    }
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
    is_unstaged: bool,
    told: &mut Told,
) -> Result<(), End> {
    for number in 0..BATCHES {
        let mark = (thread, number);
        let batch = batch(Words::Growing, mark);
        mended(writer, mending, |writer: &mut dyn Handle| writer.write(&batch))?;
        told.accepted.push(mark);
        if number == BATCHES / 2 {
            mended(writer, mending, |writer: &mut dyn Handle| writer.flush())?;
        }
        if is_unstaged && W::WRITES_AT_ONCE || number == BATCHES / 2 && W::FLUSH_CONFIRMS {
            told.confirmed.clone_from(&told.accepted);
        }
    }
    Ok(())
}

fn close(writer: &mut dyn Handle, mending: Mending) -> End {
    let end = mended(writer, mending, |writer: &mut dyn Handle| writer.close()).err().unwrap_or(End::Closed);
    if let End::Torn(first) = &end {
        // Whoever calls whatever hears of the first error, and nothing is written.
        let batch = batch(Words::Growing, (0, 0));
        let calls: [Call; 4] = [writer.write(&batch), writer.flush(), writer.close(), writer.close()];
        for told in calls {
            assert_eq!(told, Err(Trouble::Poisoned(first.clone())));
        }
    }
    end
}

/// Does `work`, again if the sink failed without harm, and after a rollback if that is to be done.
fn mended(writer: &mut dyn Handle, mending: Mending, mut work: impl FnMut(&mut dyn Handle) -> Call) -> Result<(), End> {
    // One fault, and what follows from it.
    for _ in 0..4 {
        match work(writer) {
            Ok(()) => return Ok(()),
            Err(Trouble::Repeat) => {}
            Err(Trouble::Gone) => return Err(End::Gone),
            Err(Trouble::Poisoned(_) | Trouble::Panicked) if mending == Mending::Rollback => {
                assert_eq!(writer.rollback(), Ok(()));
            }
            Err(Trouble::Poisoned(poison)) => return Err(End::Torn(poison)),
            // The call that panicked told nothing; the next one does.
            Err(Trouble::Panicked) => {}
        }
    }
    panic!("one fault made four calls fail")
}

/// How many batches each thread writes. The third is too large to be staged.
const BATCHES: usize = 5;
