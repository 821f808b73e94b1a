//! Aborts a writer in every state, in every way, with a sink that fails at any call, and while other threads wait in
//! every call that can wait.
//!
//! What must be in the sink follows from the bytes that were there before, held against those of a run without a fault:
//! a mark follows whole groups, once, and only if the end was not written.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use arrow_ipc::MessageHeader;
use ipc_core::parts::StreamSchema;
use ipc_shared::{Error, FileFormat, Options, SharedWriter, Slot, StreamFormat, Unify};
use ipc_tests::byte_faults::{Fault, Log, Sink, Watch, sink};
use ipc_tests::framing::Framed;
use ipc_tests::gate::{Act, gate};
use ipc_tests::outside::aloud;
use ipc_tests::read;
use ipc_tests::shared::{Output, Words, batch, schema, unstaged};
use ipc_tests::threads::{PATIENCE, let_others_park, together, within};

use super::in_both_formats;

in_both_formats!(whoever_waits_hears_of_one_end);

const REASON: &str = "no room";
const DROPPED: &str = "the writer was dropped before it was closed";

/// What is done before the writer is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Write(usize),
    /// Reserves two places, and writes to the second.
    Wait(usize),
    /// Drops the unfilled slot, after which a batch is parked.
    GoOn,
    Flush,
    Close,
}

const SCRIPTS: [&[Step]; 2] = [
    &[Step::Write(0), Step::Wait(1), Step::Flush, Step::Write(3), Step::GoOn, Step::Close],
    &[Step::Wait(0), Step::Write(3), Step::Close],
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// All handles are dropped, places first.
    Drop,
    Abort,
    /// Two threads at the same time.
    AbortTwice,
    IntoInner,
}

/// One run.
#[derive(Debug, Clone, Copy)]
struct Case<'c> {
    fault: Fault,
    steps: &'c [Step],
    has_schema: bool,
    /// Whether a step that fails is rolled back and repeated, once.
    mends: bool,
    options: &'c Options,
    /// Whether the options require a mark.
    marks: bool,
    way: Way,
}

#[derive(Debug, Default)]
struct Tally {
    runs: usize,
    whole_marks: usize,
    failed_marks: usize,
    /// Given up with bytes in the sink, and rightly without a mark.
    without: usize,
}

fn options(stages: bool, marks: bool) -> Options {
    let options = Options::builder().dictionaries(Unify::new()).staging(stages).abort_mark(marks);
    options.build().unwrap()
}

#[test]
fn a_stream_has_a_mark_where_it_must_and_nowhere_else() {
    let tally = within(4 * PATIENCE, sweep::<StreamFormat>);
    assert!(tally.whole_marks > 500 && tally.failed_marks > 100 && tally.without > 500, "{tally:?}");
    aloud(format_args!("{tally:?}"));
}

#[test]
fn a_file_has_no_mark_anywhere() {
    let tally = within(4 * PATIENCE, sweep::<FileFormat>);
    assert!(tally.whole_marks + tally.failed_marks == 0 && tally.without > 500, "{tally:?}");
    aloud(format_args!("{tally:?}"));
}

fn sweep<F: Output>() -> Tally {
    let mut tally = Tally::default();
    let [long, short] = SCRIPTS;
    let writers =
        [(long, true, false, true), (short, false, false, true), (long, true, true, true), (short, true, false, false)];
    for (script, has_schema, stages, marks) in writers {
        let options = options(stages, marks);
        let ends = ends::<F>(script, has_schema);
        // At each end of a message; and inside one after the first and the last, since it is the same inside others.
        let last = ends[ends.len() - if F::HAS_FOOTER { 3 } else { 2 }];
        let bytes = ends.iter().copied().chain([0, ends[0] + 1, last + 1]).flat_map(Fault::all_at);
        let flushes = (0..2).flat_map(|nth| [Fault::Flush(nth), Fault::PanicInFlush(nth)]);
        // A file has no mark, so no call can fail there.
        let is_tried = |fault: &Fault| !F::HAS_FOOTER || !matches!(fault, Fault::Nothing(_) | Fault::Interrupted(_));
        for fault in bytes.chain(flushes).chain([Fault::None]).filter(is_tried) {
            for steps in (0..=script.len()).map(|count| &script[..count]) {
                let twice = matches!(fault, Fault::None | Fault::Error(_) | Fault::Panic(_)).then_some(Way::AbortTwice);
                let ways = [Way::Drop, Way::Abort, Way::IntoInner].into_iter().chain(twice);
                for (mends, way) in ways.map(|way| (false, way)).chain([(true, Way::Abort)]) {
                    let case = Case { fault, steps, has_schema, mends, options: &options, marks, way };
                    one::<F>(case, &mut tally);
                }
            }
        }
    }
    tally
}

/// A writer and the place that is out.
struct Run<F: Output> {
    writer: SharedWriter<Sink, F>,
    out: Option<Slot<Sink, F>>,
}

impl<F: Output> Run<F> {
    fn take(&mut self, step: Step) -> Result<(), Error> {
        match step {
            Step::Write(number) => self.writer.write(&batch(Words::Growing, (0, number))).map(drop),
            Step::Wait(number) => {
                if self.out.is_none() {
                    self.out = Some(self.writer.reserve()?);
                }
                Ok(self.writer.reserve()?.write(&batch(Words::Growing, (0, number)))?)
            }
            Step::GoOn => {
                drop(self.out.take());
                Ok(())
            }
            Step::Flush => self.writer.flush(),
            Step::Close => self.writer.close_with_gaps().map(drop),
        }
    }
}

fn start<F: Output>(sink: Sink, has_schema: bool, options: &Options) -> Option<Run<F>> {
    let builder = F::to(sink).options(options.clone()).window(3);
    let builder = if has_schema { builder.schema(schema(Words::Growing)) } else { builder };
    let writer = catch_unwind(AssertUnwindSafe(|| builder.build().ok())).ok().flatten()?;
    Some(Run { writer, out: None })
}

/// Where faults are worth a try: where a message ends in a run without one.
fn ends<F: Output>(script: &[Step], has_schema: bool) -> Vec<usize> {
    let (sink, watch) = sink(Fault::None);
    let mut run = start::<F>(sink, has_schema, &options(false, false)).unwrap();
    script.iter().for_each(|step| run.take(*step).unwrap());
    let taken = watch.look().taken;
    let framing = F::framing(&taken);
    let mut ends: Vec<_> =
        framing.messages.iter().map(Framed::end).chain([framing.end.unwrap(), taken.len()]).collect();
    // Nothing follows the marker of a stream.
    ends.dedup();
    ends
}

/// The state of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Empty,
    /// It ends inside a group of messages, or inside its end.
    Torn,
    /// It ends with a whole group: its header, or a record batch.
    Whole,
    Ended,
}

fn standing<F: Output>(bytes: &[u8]) -> Standing {
    let mut offset = F::MAGIC.len();
    let mut last = None;
    while offset < bytes.len() {
        let Some(length) = bytes.get(offset + 4..offset + 8) else { return Standing::Torn };
        let length = usize::try_from(u32::from_le_bytes(length.try_into().unwrap())).unwrap();
        offset += 8;
        if length == 0 {
            let is_complete = if F::HAS_FOOTER { read::file(bytes).is_ok() } else { offset == bytes.len() };
            return if is_complete { Standing::Ended } else { Standing::Torn };
        }
        let Some(flatbuffer) = bytes.get(offset..offset + length) else { return Standing::Torn };
        let message = arrow_ipc::root_as_message(flatbuffer).unwrap();
        offset += length + usize::try_from(message.bodyLength()).unwrap();
        last = Some(message.header_type());
    }
    match last {
        None if bytes.is_empty() => Standing::Empty,
        Some(MessageHeader::Schema | MessageHeader::RecordBatch) if offset == bytes.len() => Standing::Whole,
        _ => Standing::Torn,
    }
}

fn one<F: Output>(case: Case<'_>, tally: &mut Tally) {
    let (sink, watch) = sink(case.fault);
    // A writer that cannot be built gives the sink back, and has left nothing that could be marked.
    let Some(mut run) = start::<F>(sink, case.has_schema, case.options) else { return };
    let mut is_mended = false;
    for step in case.steps {
        if let Ok(Ok(())) = catch_unwind(AssertUnwindSafe(|| run.take(*step))) {
            continue;
        }
        if !case.mends {
            break;
        }
        assert!(!is_mended, "there is one fault: {case:?}");
        is_mended = true;
        run.writer.rollback().unwrap();
        run.take(*step).unwrap();
    }
    if matches!(case.way, Way::Drop | Way::IntoInner) {
        drop(run.out.take());
    }
    tally.runs += 1;
    let before = watch.look();
    let at = before.taken.len();
    let breaks_trust = matches!(case.fault, Fault::Panic(_) | Fault::TooMany(_));
    let is_trusted = !(before.has_failed && breaks_trust && !is_mended);
    let standing = standing::<F>(&before.taken);
    let has_ended = is_trusted && standing == Standing::Ended;
    let is_poisoned_and_whole = before.has_failed && matches!(case.fault, Fault::PanicInFlush(_)) && !is_mended;
    let gets_mark = !F::HAS_FOOTER && case.marks && is_trusted && standing == Standing::Whole;
    let Run { writer, out } = run;
    match case.way {
        Way::IntoInner => {
            let taken_out = writer.into_inner().unwrap();
            assert_same(&before, &taken_out.watch().look(), case);
            drop(taken_out);
            assert_same(&before, &watch.look(), case);
            tally.without += usize::from(at > 0);
        }
        Way::Drop => {
            assert!(catch_unwind(AssertUnwindSafe(|| drop(writer))).is_ok(), "nobody hears of it: {case:?}");
            check_end(case, DROPPED, gets_mark, &before, &watch, tally);
        }
        Way::Abort | Way::AbortTwice => {
            let abort = |_| catch_unwind(AssertUnwindSafe(|| writer.abort(REASON)));
            let results = if case.way == Way::Abort { vec![abort(0)] } else { together(2, abort) };
            let aborts = gets_mark && !is_poisoned_and_whole;
            let after = watch.look();
            check_end(case, REASON, aborts, &before, &watch, tally);
            let fails_now = after.has_failed && !before.has_failed && !matches!(case.fault, Fault::Interrupted(_));
            let mut firsts = 0;
            for result in results {
                match result {
                    Ok(Err(Error::Aborted { reason })) => assert_eq!(&*reason, REASON, "the second: {case:?}"),
                    Ok(Err(Error::Closed)) => assert!(has_ended, "{case:?}"),
                    Ok(Err(Error::Poisoned { .. })) => {
                        assert!(standing == Standing::Torn || is_poisoned_and_whole || !is_trusted, "{case:?}");
                    }
                    Ok(Err(Error::Core(_))) | Err(_) => {
                        assert!(aborts && fails_now, "{case:?}");
                        firsts += 1;
                    }
                    Ok(Ok(())) => {
                        assert!(!fails_now, "{case:?}");
                        firsts += 1;
                    }
                    Ok(Err(error)) => panic!("{error:?}: {case:?}"),
                }
            }
            if firsts > 0 {
                assert_eq!(firsts, 1, "one gives up: {case:?}");
                assert_all_hear_of_it(&writer, out, case);
            } else {
                drop(out);
            }
            assert_eq!(watch.look().taken, after.taken, "nothing for those who come late: {case:?}");
            assert!(catch_unwind(AssertUnwindSafe(|| drop(writer))).is_ok());
            if is_poisoned_and_whole && gets_mark {
                check_end(case, DROPPED, true, &after, &watch, tally);
            } else {
                assert_eq!(watch.look().taken, after.taken, "no second mark: {case:?}");
            }
        }
    }
}

fn assert_same(before: &Log, after: &Log, case: Case<'_>) {
    assert_eq!(
        (&after.taken, after.writes, after.flushes),
        (&before.taken, before.writes, before.flushes),
        "no call: {case:?}"
    );
}

/// Checks that the sink was given the mark once, or not called at all.
fn check_end(case: Case<'_>, reason: &str, gets_mark: bool, before: &Log, watch: &Watch, tally: &mut Tally) {
    let after = watch.look();
    if !gets_mark {
        assert_same(before, &after, case);
        tally.without += usize::from(!before.taken.is_empty());
        return;
    }
    let schema = StreamSchema::try_new(schema(Words::Growing), case.options).unwrap();
    let mark = schema.abort_mark(case.options, reason);
    let rest = after.taken.strip_prefix(before.taken.as_slice()).expect("nothing is taken back");
    assert!(mark.starts_with(rest), "one mark, or a part of it: {case:?}");
    let fails_now = after.has_failed && !before.has_failed;
    if fails_now && !matches!(case.fault, Fault::Interrupted(_) | Fault::Flush(_) | Fault::PanicInFlush(_)) {
        assert_eq!(after.flushes, before.flushes, "{case:?}");
        tally.failed_marks += 1;
        return;
    }
    assert_eq!(rest, mark, "{case:?}");
    assert!(after.writes == before.writes + 1 || fails_now, "one call: {case:?}");
    assert_eq!(after.flushes - before.flushes, usize::from(reason == REASON), "{case:?}");
    tally.whole_marks += 1;
}

fn assert_all_hear_of_it<F: Output>(writer: &SharedWriter<Sink, F>, out: Option<Slot<Sink, F>>, case: Case<'_>) {
    let late = batch(Words::Growing, (0, 9));
    let results = [
        writer.write(&late).map(drop),
        writer.producer().write(&late).map(drop),
        writer.reserve().map(drop),
        writer.try_reserve().map(drop),
        writer.flush(),
        writer.rollback(),
        writer.close().map(drop),
        writer.close_with_gaps().map(drop),
        writer.abort("another"),
    ];
    let of_slot = out.map(|out| out.write(&late).map_err(Error::from));
    for result in results.into_iter().chain(of_slot) {
        assert!(matches!(&result, Err(Error::Aborted { reason }) if &**reason == REASON), "{result:?}: {case:?}");
    }
    assert!(writer.is_closed());
}

/// Threads wait in every call there is, behind one that is inside the sink, when two others give the output up. Then
/// the call in hand ends well or badly. Everybody comes back, with what is true of the output.
fn whoever_waits_hears_of_one_end<F: Output>(threads: usize) {
    for act in [Act::Take, Act::Fail, Act::Tear, Act::Panic, Act::TearAndPanic] {
        for closes in [false, true] {
            crowd::<F>(threads, act, closes);
        }
    }
}

/// A call of some thread. Returns how many batches it has had accepted.
type Call<'c> = Box<dyn FnOnce() -> Result<usize, Error> + Send + 'c>;

fn spawn<'s, 'c: 's>(scope: &'s thread::Scope<'s, 'c>, call: Call<'c>) -> Running<'s> {
    scope.spawn(move || catch_unwind(AssertUnwindSafe(call)))
}

type Running<'s> = thread::ScopedJoinHandle<'s, thread::Result<Result<usize, Error>>>;

fn crowd<F: Output>(threads: usize, act: Act, closes: bool) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(2).build().unwrap();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    let out = writer.reserve().unwrap();
    writer.reserve().unwrap().write(&batch(Words::Plain, (0, 1))).unwrap();
    gate.shut();
    gate.plan([act]);
    let write = |number: usize| batch(Words::Plain, (1, number));
    let writer_of = &writer;
    let mut waiting: Vec<(&str, Call<'_>)> = Vec::new();
    for thread in 0..threads {
        waiting.push(("write", Box::new(move || writer_of.write(&write(1 + thread)).map(|_| 1))));
        waiting.push(("producer", Box::new(move || writer_of.producer().write(&write(20 + thread)).map(|_| 1))));
        waiting.push(("reserve", Box::new(move || writer_of.reserve().map(|_| 0))));
        waiting.push(("flush", Box::new(move || writer_of.flush().map(|()| 0))));
        waiting.push(("sync", Box::new(move || writer_of.sync().map(|_| 0))));
    }
    // Accepted in a slot, it may be dropped yet.
    waiting.push(("slot", Box::new(move || Ok(out.write(&write(40)).map(|()| 0)?))));
    if closes {
        waiting.push(("close", Box::new(move || writer_of.close().map(|_| 0))));
    }
    let outcomes: Vec<(&str, thread::Result<Result<usize, Error>>)> = thread::scope(|scope| {
        let run = |(name, call)| (name, spawn(scope, call));
        let inside: Call<'_> = Box::new(move || writer_of.write(&write(0)).map(|_| 1));
        let mut running = vec![run(("inside", inside))];
        gate.wait_until_occupied();
        running.extend(waiting.into_iter().map(run));
        let_others_park();
        for _ in 0..2 {
            running.push(run(("abort", Box::new(move || writer_of.abort(REASON).map(|()| 0)))));
        }
        let_others_park();
        gate.open();
        running.into_iter().map(|(name, running)| (name, running.join().unwrap())).collect()
    });
    let context = format!("{act:?}, closes: {closes}, {outcomes:?}");
    let mut accepted = 1;
    let (mut aborts, mut panics, mut is_closed) = (0, 0, false);
    let is_torn = matches!(act, Act::Tear | Act::Panic | Act::TearAndPanic);
    for (name, outcome) in &outcomes {
        match outcome {
            Err(_) => panics += 1,
            Ok(Ok(count)) => {
                accepted += count;
                aborts += usize::from(*name == "abort");
                is_closed |= *name == "close";
            }
            Ok(Err(Error::Poisoned { .. })) => assert!(is_torn, "{name}: {context}"),
            Ok(Err(Error::Aborted { reason })) => assert!(!is_torn && &**reason == REASON, "{name}: {context}"),
            Ok(Err(Error::Closed)) => assert!(closes, "{name}: {context}"),
            Ok(Err(Error::Core(_))) => assert_eq!((*name, act), ("inside", Act::Fail), "{context}"),
            Ok(Err(error)) => panic!("{name}, {error:?}: {context}"),
        }
    }
    assert_eq!(panics, usize::from(matches!(act, Act::Panic | Act::TearAndPanic)), "{context}");
    let taken = gate.taken();
    drop(writer);
    assert_eq!(gate.taken(), taken, "nothing more: {context}");
    if is_torn {
        assert!(aborts == 0 && !is_closed, "{context}");
        return;
    }
    assert_eq!(aborts, usize::from(!is_closed), "there is one end: {context}");
    let framing = F::framing(&taken);
    assert_eq!(framing.end.is_some(), is_closed, "{context}");
    let mark = framing.mark.as_ref().map(|(_, reason)| reason.as_str());
    assert_eq!(mark, (!F::HAS_FOOTER && !is_closed).then_some(REASON), "{context}");
    // And up to two of slots.
    let found = framing.record_batches().len();
    assert!((accepted..=accepted + 2).contains(&found), "{found} of {accepted}: {context}");
}
