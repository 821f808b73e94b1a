//! Options that contradict each other are refused when they are built; those that are built write what can be read.

use std::sync::LazyLock;

use arbitrary::Unstructured;
use arrow_schema::Metadata;
use ipc_core::{Error, Unify};
use ipc_tests::arrays::Sharing;
use ipc_tests::batches::{Batches, Plan, every_kind};
use ipc_tests::value::assert_same_batches;
use ipc_tests::{encode, read};

use crate::input;

/// Columns of every kind.
static BATCHES: LazyLock<Batches> = LazyLock::new(|| {
    let (metadata, rows) = (Metadata::new(), vec![20, 0, 3]);
    Batches::new(Plan { fields: every_kind(), metadata, rows, sharing: Sharing::Shared, seed: 11 })
});

/// Builds, and writes if that succeeds.
pub fn run(data: &[u8]) {
    let Ok(builder) = input::any_options(&mut Unstructured::new(data)) else { return };
    let options = match builder.build() {
        Ok(options) => options,
        Err(Error::InvalidOptions(_)) => return,
        Err(error) => panic!("{error:?}"),
    };
    let Batches { schema, batches, .. } = &*BATCHES;
    match encode::file(schema, batches, &options) {
        Ok(file) => {
            assert_same_batches(batches, &read::file(&file).unwrap().batches);
            assert_same_batches(batches, &read::stream(&file[8..]).unwrap().batches);
        }
        Err(Error::NestingTooDeep { limit, .. }) => assert!(limit < 4),
        // In a file, a dictionary with others inside cannot be unified.
        Err(Error::Unsupported { .. }) => assert_eq!(options.dictionaries(), Unify::new().into()),
        Err(Error::InvalidArray { expected, .. }) => assert_eq!(expected, "offsets that do not decrease within a type"),
        Err(error) => panic!("{error:?}"),
    }
}
