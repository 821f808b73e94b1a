//! Everything that writes, and what has to hold of it when it refuses.

use arrow_array::RecordBatch;
use ipc_core::{Encoder, Error, Options, Unstarted, Validation};
use ipc_shared::{FileFormat, StreamFormat};
use ipc_tests::shared::Output;

/// Options with this validation, that write at once, so that the sink shows what was written.
pub(crate) fn options(validation: Validation) -> Options {
    Options::builder().validation(validation).staging(false).build().unwrap()
}

/// The same without full validation, but clearing what is below nulls, which follows offsets and views.
pub(crate) fn clearing() -> Options {
    Options::builder().clear_nulls(true).staging(false).build().unwrap()
}

/// Lets every kind of writer write a `good` batch so many times, a `bad` one, and the good one again. Returns why the
/// bad one was refused, which is the same for all, after checking that they left no trace of it; `None` where all took
/// it.
#[track_caller]
pub(crate) fn refusal(good: &RecordBatch, before: usize, bad: &RecordBatch, options: &Options) -> Option<Error> {
    let refusals = [
        encoded(Encoder::stream(Vec::new()), good, before, bad, options),
        encoded(Encoder::file(Vec::new()), good, before, bad, options),
        shared::<StreamFormat>(good, before, bad, options),
        shared::<FileFormat>(good, before, bad, options),
    ];
    let texts: Vec<_> = refusals.iter().map(|refusal| refusal.as_ref().map(ToString::to_string)).collect();
    assert!(texts.iter().all(|text| *text == texts[0]), "all refuse alike: {texts:?}");
    refusals.into_iter().next().flatten()
}

fn encoded<F: Output>(
    encoder: Encoder<Vec<u8>, F, Unstarted>,
    good: &RecordBatch,
    before: usize,
    bad: &RecordBatch,
    options: &Options,
) -> Option<Error> {
    let mut encoder = encoder.with_options(options.clone()).start(good.schema()).unwrap();
    (0..before).for_each(|_| _ = encoder.write(good).unwrap());
    let (written, stats) = (encoder.get_ref().clone(), encoder.stats());
    let Some(refusal) = encoder.write(bad).err() else {
        assert_framed::<F>(&encoder.close().unwrap().into_inner());
        return None;
    };
    assert!((encoder.get_ref(), encoder.stats()) == (&written, stats), "a refusal leaves no trace");
    encoder.write(good).unwrap();
    assert_eq!(F::whole(&encoder.close().unwrap().into_inner()), vec![good.clone(); before + 1]);
    Some(refusal)
}

/// A shared writer writes the bad batch in each of its ways.
fn shared<F: Output>(good: &RecordBatch, before: usize, bad: &RecordBatch, options: &Options) -> Option<Error> {
    let writer = F::to(Vec::new()).options(options.clone()).schema(good.schema()).build().unwrap();
    (0..before).for_each(|_| _ = writer.write(good).unwrap());
    let stats = writer.stats();
    let ways: [&dyn Fn() -> ipc_shared::Result<()>; 4] = [
        &|| writer.write(bad).map(drop),
        &|| writer.producer().write(bad).map(drop),
        &|| Ok(writer.reserve()?.write(bad)?),
        &|| {
            // Not its turn: what could not be appended later is refused now.
            let first = writer.reserve()?;
            let refusal = writer.reserve()?.write(bad).map_err(ipc_shared::Error::from);
            drop(first);
            refusal
        },
    ];
    let refusals = ways.map(|write| match write() {
        Ok(()) => None,
        Err(ipc_shared::Error::Core(error)) => Some(error),
        Err(error) => panic!("{error:?}"),
    });
    if refusals.iter().all(Option::is_none) {
        writer.close().unwrap();
        assert_framed::<F>(&writer.into_inner().unwrap());
        return None;
    }
    assert_eq!(writer.stats(), stats, "a refusal leaves no trace");
    writer.write(good).unwrap();
    writer.close().unwrap();
    assert_eq!(F::whole(&writer.into_inner().unwrap()), vec![good.clone(); before + 1]);
    refusals.map(|refusal| refusal.expect("what one way refuses, all refuse")).into_iter().next()
}

/// Batches that readers may refuse are framed like all others.
fn assert_framed<F: Output>(output: &[u8]) {
    assert!(F::framing(output).end.is_some());
}
