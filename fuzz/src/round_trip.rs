//! Batches come back as they were, from a stream and from a file, whoever wrote them.

use arbitrary::{Arbitrary, Unstructured};
use ipc_core::{Error, Format, Options, Unify, Validation};
use ipc_shared::{Builder, FileFormat, SharedWriter, StreamFormat};
use ipc_tests::batches::Batches;
use ipc_tests::value::assert_same_batches;
use ipc_tests::{encode, read};

use crate::input;

/// Writes and reads back.
pub fn run(data: &[u8]) {
    let _ = parsed(data).map(|(batches, options, reversed)| {
        let stream = encode::stream(&batches.schema, &batches.batches, &options);
        if let Some(bytes) = accepted(stream, &options) {
            assert_comes_back(&batches, &read::stream(&bytes).unwrap());
            let shared = shared(SharedWriter::<Vec<u8>, StreamFormat>::stream(Vec::new()), &batches, &options, false);
            assert!(shared == bytes, "a shared writer that one thread uses writes what an encoder does");
            let slots =
                self::shared(SharedWriter::<Vec<u8>, StreamFormat>::stream(Vec::new()), &batches, &options, reversed);
            assert_comes_back(&batches, &read::stream(&slots).unwrap());
        }
        let file = encode::file(&batches.schema, &batches.batches, &options);
        if let Some(bytes) = accepted(file, &options) {
            assert_comes_back(&batches, &read::file(&bytes).unwrap());
            assert_comes_back(&batches, &read::stream(&bytes[8..]).unwrap());
            let shared = shared(SharedWriter::<Vec<u8>, FileFormat>::file(Vec::new()), &batches, &options, false);
            assert!(shared == bytes, "a shared writer that one thread uses writes what an encoder does");
        }
    });
}

fn parsed(data: &[u8]) -> arbitrary::Result<(Batches, Options, bool)> {
    let mut u = Unstructured::new(data);
    let (options, reversed) = (input::options(&mut u)?, bool::arbitrary(&mut u)?);
    Ok((input::batches(&mut u)?, options, reversed))
}

/// What was written, unless it was refused for a reason that valid batches give.
fn accepted(written: Result<Vec<u8>, Error>, options: &Options) -> Option<Vec<u8>> {
    match written {
        Ok(bytes) => Some(bytes),
        Err(Error::DictionaryReplacement { .. }) => None,
        // Keys may be too narrow for all values together, and a file cannot have a dictionary with others inside unified.
        Err(Error::DictionaryOverflow { .. } | Error::Unsupported { .. })
            if options.dictionaries() == Unify::new().into() =>
        {
            None
        }
        // Dense unions go anywhere here, which the format forbids and arrow-rs allows.
        Err(Error::InvalidArray { expected, .. })
            if options.validation() == Validation::Full && expected == "offsets that do not decrease within a type" =>
        {
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

fn assert_comes_back(batches: &Batches, found: &read::Contents) {
    assert_eq!(batches.schema, found.schema);
    assert_same_batches(&batches.batches, &found.batches);
}

/// What a shared writer writes: batch by batch, or into places that are filled from last to first.
fn shared<F: Format>(
    builder: Builder<Vec<u8>, F>,
    Batches { schema, batches, .. }: &Batches,
    options: &Options,
    reversed: bool,
) -> Vec<u8> {
    let writer = builder.options(options.clone()).schema(schema.clone()).window(batches.len()).build().unwrap();
    if reversed {
        let slots: Vec<_> = batches.iter().map(|_| writer.reserve().unwrap()).collect();
        slots.into_iter().zip(batches).rev().for_each(|(slot, batch)| slot.write(batch).unwrap());
    } else {
        batches.iter().for_each(|batch| _ = writer.write(batch).unwrap());
    }
    writer.close().unwrap();
    writer.into_inner().unwrap()
}
