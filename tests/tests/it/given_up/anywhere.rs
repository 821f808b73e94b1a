//! Gives up an encoder in every state, in every way, with a sink that fails at any call.
//!
//! What must be in the sink follows from the bytes that were there before, held against those of a run without a fault:
//! a mark follows whole groups, once, and only if the end was not written.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use ipc_core::parts::StreamSchema;
use ipc_core::{Closed, Encoder, Error, FileFormat, Options, Started, StreamFormat, Unify, Unstarted};
use ipc_tests::byte_faults::{Fault, Log, Sink, sink};
use ipc_tests::outside::aloud;
use ipc_tests::shared::{Output, Words, batch, schema};

const REASON: &str = "no room";

/// What is done before the encoder is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Start,
    StartWith,
    Write(usize),
    Flush,
    Close,
}

const SCRIPTS: [&[Step]; 2] = [
    &[Step::Start, Step::Write(0), Step::Flush, Step::Write(1), Step::Close],
    &[Step::StartWith, Step::Write(1), Step::Close],
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Drop,
    DropInPanic,
    Abort,
    /// `into_inner` or `abandon`.
    Keep,
}

impl Way {
    const ALL: [Self; 4] = [Self::Drop, Self::DropInPanic, Self::Abort, Self::Keep];

    fn reason(self, is_started: bool) -> &'static str {
        match self {
            // What is not started can only be dropped.
            _ if !is_started && self != Self::DropInPanic => Self::Drop.reason(true),
            Self::Drop => "the writer was dropped before it was closed",
            Self::DropInPanic => "the writer was dropped by a panic",
            Self::Abort | Self::Keep => REASON,
        }
    }
}

/// An encoder in one of its states.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Any<F: Output> {
    Unstarted(Encoder<Sink, F, Unstarted>),
    Started(Encoder<Sink, F, Started>),
    Closed(Encoder<Sink, F, Closed>),
    /// Taken along by a panic.
    Gone,
}

/// One run.
#[derive(Debug, Clone, Copy)]
struct Case<'c> {
    fault: Fault,
    steps: &'c [Step],
    /// Whether a step that fails is rolled back and repeated, once.
    mends: bool,
    options: &'c Options,
    /// Whether the options require a mark.
    marks: bool,
    way: Way,
}

/// Where the groups of a run without a fault end: the header, each batch, the output.
struct Ends {
    groups: Vec<usize>,
    output: usize,
}

#[derive(Debug, Default)]
struct Tally {
    runs: usize,
    whole_marks: usize,
    failed_marks: usize,
    /// Given up with a header, and rightly without a mark.
    without: usize,
}

fn options(stages: bool, marks: bool) -> Options {
    let options = Options::builder().dictionaries(Unify::new()).staging(stages).abort_mark(marks);
    options.build().unwrap()
}

#[test]
fn a_stream_has_a_mark_where_it_must_and_nowhere_else() {
    let tally = sweep::<StreamFormat>();
    assert!(tally.whole_marks > 500 && tally.failed_marks > 200 && tally.without > 500, "{tally:?}");
    aloud(format_args!("{tally:?}"));
}

#[test]
fn a_file_has_no_mark_anywhere() {
    let tally = sweep::<FileFormat>();
    assert!(tally.whole_marks + tally.failed_marks == 0 && tally.without > 500, "{tally:?}");
    aloud(format_args!("{tally:?}"));
}

fn sweep<F: Output>() -> Tally {
    let mut tally = Tally::default();
    for (stages, marks) in [(false, true), (false, false), (true, true), (true, false)] {
        let options = options(stages, marks);
        for script in SCRIPTS {
            let ends = ends::<F>(script);
            let near = ends.groups.iter().chain([&ends.output]).flat_map(|end| [end - 1, *end, end + 1]);
            let bytes = near.chain([0, 1]).flat_map(Fault::all_at);
            let flushes = (0..3).flat_map(|nth| [Fault::Flush(nth), Fault::PanicInFlush(nth)]);
            for fault in bytes.chain(flushes).chain([Fault::None]) {
                for steps in (0..=script.len()).map(|count| &script[..count]) {
                    let ways = Way::ALL.map(|way| (false, way)).into_iter();
                    for (mends, way) in ways.chain([(true, Way::Drop), (true, Way::Abort)]) {
                        one::<F>(Case { fault, steps, mends, options: &options, marks, way }, &ends, &mut tally);
                    }
                }
            }
        }
    }
    tally
}

fn ends<F: Output>(script: &[Step]) -> Ends {
    let options = options(false, false);
    let (sink, watch) = sink(Fault::None);
    let mut any = Any::Unstarted(F::encoder(sink).with_options(options.clone()));
    let mut lengths = Vec::new();
    for step in script {
        any = take(any, *step).0;
        lengths.push(watch.look().taken.len());
    }
    let output = lengths.pop().unwrap();
    // The header of one that starts with a batch.
    lengths.push(F::encoder(Vec::new()).with_options(options).start(schema(Words::Growing)).unwrap().get_ref().len());
    lengths.retain(|length| *length > 0);
    Ends { groups: lengths, output }
}

fn one<F: Output>(case: Case<'_>, ends: &Ends, tally: &mut Tally) {
    let (sink, watch) = sink(case.fault);
    let mut any = Any::Unstarted(F::encoder(sink).with_options(case.options.clone()));
    // Whether the encoder may know that the sink holds whole groups, if it does.
    let mut is_trusted = true;
    for step in case.steps {
        let (mut left, mut failure) = catch_unwind(AssertUnwindSafe(|| take(any, *step))).unwrap_or((Any::Gone, None));
        if case.mends && failure.is_some() {
            roll_back(&mut left);
            (left, failure) = take(left, *step);
            assert!(failure.is_none(), "there is one fault: {failure:?} in {case:?}");
        }
        any = left;
        is_trusted = !matches!(failure, Some(Failure::Panic | Failure::Poisoned));
        if failure.is_some() || matches!(any, Any::Gone) {
            break;
        }
    }
    tally.runs += 1;
    let before = watch.look();
    let at = before.taken.len();
    if let Any::Gone = any {
        let is_of_flush = matches!(case.fault, Fault::PanicInFlush(_));
        assert!(is_of_flush && at == ends.output || case.fault == Fault::Panic(at), "nothing follows: {case:?}");
        return;
    }
    let is_started = matches!(any, Any::Started(_));
    let has_ended = at == ends.output && is_trusted;
    let is_whole = ends.groups.contains(&at) && is_trusted;
    let gets_mark = !F::HAS_FOOTER && case.marks && case.way != Way::Keep && is_whole && !has_ended;
    let left = leave(any, case.way);
    let after = watch.look();
    if !gets_mark {
        assert_eq!((&after.taken, after.writes), (&before.taken, before.writes), "no mark, no call: {case:?}");
        assert_eq!(after.flushes, before.flushes, "{case:?}");
        tally.without += usize::from(at > 0);
    } else {
        check_mark(case, is_started, &before, &after, tally);
    }
    if case.way == Way::Abort && is_started {
        let fails_now = after.has_failed && !before.has_failed;
        let expected = match left {
            Left::Panicked => matches!(case.fault, Fault::Panic(_) | Fault::PanicInFlush(_)) && gets_mark,
            Left::Refused(Error::Closed) => has_ended,
            Left::Refused(Error::Poisoned { .. }) => !is_trusted,
            Left::Refused(_) => gets_mark && fails_now,
            Left::Done => is_trusted && !has_ended && (!fails_now || matches!(case.fault, Fault::Interrupted(_))),
        };
        assert!(expected, "{case:?}");
    } else {
        assert!(matches!(left, Left::Done), "nobody hears of it: {case:?}");
    }
}

fn check_mark(case: Case<'_>, is_started: bool, before: &Log, after: &Log, tally: &mut Tally) {
    let schema = StreamSchema::try_new(schema(Words::Growing), case.options).unwrap();
    let mark = schema.abort_mark(case.options, case.way.reason(is_started));
    let rest = after.taken.strip_prefix(before.taken.as_slice()).expect("nothing is taken back");
    assert!(mark.starts_with(rest), "one mark, or a part of it: {case:?}");
    let fails_now = after.has_failed && !before.has_failed;
    let is_harmless = matches!(case.fault, Fault::Interrupted(_) | Fault::Flush(_) | Fault::PanicInFlush(_));
    if fails_now && !is_harmless {
        assert_eq!(after.flushes, before.flushes, "{case:?}");
        tally.failed_marks += 1;
        return;
    }
    assert_eq!(rest, mark, "{case:?}");
    assert!(after.writes == before.writes + 1 || fails_now, "one call: {case:?}");
    assert_eq!(after.flushes - before.flushes, usize::from(case.way == Way::Abort && is_started), "{case:?}");
    tally.whole_marks += 1;
}

/// Why a step failed.
#[derive(Debug)]
enum Failure {
    Io,
    Poisoned,
    Panic,
}

fn failure(error: &Error) -> Option<Failure> {
    match error {
        Error::Io(_) => Some(Failure::Io),
        Error::Poisoned { .. } => Some(Failure::Poisoned),
        error => panic!("{error:?}"),
    }
}

fn take<F: Output>(any: Any<F>, step: Step) -> (Any<F>, Option<Failure>) {
    match (any, step) {
        (Any::Unstarted(encoder), Step::Start) => match encoder.start(schema(Words::Growing)) {
            Ok(started) => (Any::Started(started), None),
            Err(failed) => {
                let (error, back) = failed.into_parts();
                (Any::Unstarted(back), failure(&error))
            }
        },
        (Any::Unstarted(encoder), Step::StartWith) => match encoder.start_with(&batch(Words::Growing, (0, 0))) {
            Ok((started, _)) => (Any::Started(started), None),
            Err(failed) => {
                let (error, back) = failed.into_parts();
                (Any::Unstarted(back), failure(&error))
            }
        },
        (Any::Started(mut encoder), Step::Write(_) | Step::Flush) => {
            let work = || match step {
                Step::Write(number) => encoder.write(&batch(Words::Growing, (0, number))).map(drop),
                _ => encoder.flush(),
            };
            let failure = match catch_unwind(AssertUnwindSafe(work)) {
                Ok(done) => done.err().and_then(|error| failure(&error)),
                // All bytes before the flush are taken.
                Err(_) if step == Step::Flush && encoder.stats().written_bytes == encoder_length(&encoder) => {
                    Some(Failure::Io)
                }
                Err(_) => Some(Failure::Panic),
            };
            (Any::Started(encoder), failure)
        }
        (Any::Started(encoder), Step::Close) => match encoder.close() {
            Ok(closed) => (Any::Closed(closed), None),
            Err(failed) => {
                let (error, back) = failed.into_parts();
                (Any::Started(back), failure(&error))
            }
        },
        (any, step) => panic!("{step:?} in {}", any.name()),
    }
}

impl<F: Output> Any<F> {
    fn name(&self) -> &'static str {
        match self {
            Self::Unstarted(_) => "unstarted",
            Self::Started(_) => "started",
            Self::Closed(_) => "closed",
            Self::Gone => "gone",
        }
    }
}

fn encoder_length<F: Output>(encoder: &Encoder<Sink, F, Started>) -> u64 {
    encoder.get_ref().watch().look().taken.len() as u64
}

fn roll_back<F: Output>(any: &mut Any<F>) {
    match any {
        Any::Unstarted(encoder) => encoder.rollback().unwrap(),
        // An end that is there is not taken back.
        Any::Started(encoder) => assert!(matches!(encoder.rollback(), Ok(()) | Err(Error::Closed))),
        Any::Closed(_) | Any::Gone => {}
    }
}

enum Left {
    Done,
    Refused(Error),
    Panicked,
}

fn leave<F: Output>(any: Any<F>, way: Way) -> Left {
    let work = || match (any, way) {
        (Any::Started(encoder), Way::Abort) => match encoder.abort(REASON) {
            Ok(_) => Left::Done,
            Err(failed) => Left::Refused(failed.into_parts().0),
        },
        (any, Way::DropInPanic) => {
            let _any = any;
            resume_unwind(Box::new("on purpose"))
        }
        (Any::Started(encoder), Way::Keep) => {
            drop(encoder.abandon());
            Left::Done
        }
        (Any::Unstarted(encoder), Way::Keep) => {
            drop(encoder.into_inner());
            Left::Done
        }
        (Any::Closed(encoder), Way::Keep) => {
            drop(encoder.into_inner());
            Left::Done
        }
        (any, _) => {
            drop(any);
            Left::Done
        }
    };
    let left = catch_unwind(AssertUnwindSafe(work));
    match left {
        Ok(left) => left,
        Err(payload) if payload.downcast_ref() == Some(&"on purpose") => Left::Done,
        Err(_) => Left::Panicked,
    }
}
