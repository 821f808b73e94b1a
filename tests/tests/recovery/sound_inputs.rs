//! What is sound comes out as it went in, byte for byte, and nothing about it is called wrong.
//!
//! Fails where a check asks for more than the format does: of a layout, a version, a framing or a codec.

use std::fs;
use std::path::{Path, PathBuf};

use ipc_core::DictionaryHandling::{Delta, Resend};
use ipc_core::Options;
use ipc_recover::{Condition, Kind, RecoverOptions};
use ipc_tests::arrays::Sharing::{Changing, Equal, Growing, Shared};
use ipc_tests::batches::{Batches, arb_batches};
use ipc_tests::framing::messages;
use ipc_tests::options::arb_options;
use ipc_tests::value::assert_same_batches;
use ipc_tests::{encode, outside, read};
use proptest::prelude::{ProptestConfig, proptest};

use crate::support::recover;

/// All Arrow files and streams below `folder`.
fn inputs(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut inputs: Vec<_> = entries
        .flat_map(|path| if path.is_dir() { inputs(&path) } else { vec![path] })
        .filter(|path| path.extension().is_none_or(|extension| extension != "gz"))
        .collect();
    inputs.sort();
    inputs
}

#[test]
fn inputs_made_by_others_are_complete() {
    let mut tried = 0;
    let mut wrong = Vec::new();
    for folder in ["gold", "features", "real", "data"] {
        let Some(folder) = outside::data(folder) else { continue };
        for path in inputs(&folder) {
            let bytes = fs::read(&path).unwrap();
            tried += 1;
            match recover(&bytes, &RecoverOptions::default()) {
                Ok((output, report)) if report.condition == Condition::Complete && output == bytes => {}
                Ok((_, report)) => wrong.push(format!("{}: {report:?}", path.display())),
                Err(error) => wrong.push(format!("{}: {error}", path.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Recovers a sound input, which must stay as it is, and come out as the other format with the same batches.
fn check(bytes: &[u8], batches: &Batches, other: Kind, options: &Options) {
    let (output, report) = recover(bytes, &RecoverOptions::default()).unwrap();
    assert!(report.condition == Condition::Complete && output == bytes, "{report:?}");
    assert_eq!(report.kept.record_batches, batches.batches.len() as u64);
    assert_eq!(report.kept.rows, batches.batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>());
    let (output, report) = recover(bytes, &RecoverOptions::default().with_format(other)).unwrap();
    assert_eq!((report.condition, report.output), (Condition::Complete, other));
    let start = if other == Kind::File { 8 } else { 0 };
    for message in &messages(&output, start).messages[1..] {
        assert_eq!(message.body.start % options.alignment().bytes(), 0, "bodies keep their alignment");
    }
    let found = if other == Kind::File { read::file(&output) } else { read::stream(&output) }.unwrap();
    assert_eq!(found.schema, batches.schema);
    assert_same_batches(&batches.batches, &found.batches);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn our_streams_are_complete(
        batches in arb_batches(&[Shared, Equal, Growing, Changing]),
        options in arb_options(Resend),
    ) {
        let bytes = encode::stream(&batches.schema, &batches.batches, &options).unwrap();
        let (output, report) = recover(&bytes, &RecoverOptions::default()).unwrap();
        assert!(report.condition == Condition::Complete && output == bytes, "{report:?}");
    }

    #[test]
    fn our_streams_without_replacements_are_complete_and_files_too(
        batches in arb_batches(&[Shared, Equal, Growing]),
        options in arb_options(Delta),
    ) {
        let bytes = encode::stream(&batches.schema, &batches.batches, &options).unwrap();
        check(&bytes, &batches, Kind::File, &options);
    }

    #[test]
    fn our_files_are_complete_and_streams_too(
        batches in arb_batches(&[Shared, Equal, Growing]),
        options in arb_options(Delta),
    ) {
        let bytes = encode::file(&batches.schema, &batches.batches, &options).unwrap();
        check(&bytes, &batches, Kind::Stream, &options);
    }
}
