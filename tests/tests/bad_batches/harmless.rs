//! What looks wrong and is not, and what is right: full validation refuses neither, and writes the same bytes.

use std::sync::Arc;

use arrow_array::types::Int8Type;
use arrow_array::{ArrayRef, DictionaryArray, Int8Array, StringArray, StringViewArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use ipc_core::DictionaryHandling::Resend;
use ipc_core::{Error, Options, Validation};
use ipc_tests::arrays::Sharing::{Changing, Equal, Shared};
use ipc_tests::batches::arb_batches;
use ipc_tests::cases::cases;
use ipc_tests::encode;
use proptest::prelude::proptest;

use super::wraps::{WRAPS, batch};
use super::writers::{options, refusal};

#[test]
fn what_a_null_row_holds_need_not_make_sense() {
    let nulls = || Some(NullBuffer::from(vec![true, false]));
    // SAFETY: the null row is what is wrong, and who reads values asks for its validity first.
    let columns: [(&str, ArrayRef); 3] = unsafe {
        let keys = Int8Array::new(vec![0, 100].into(), nulls());
        let values: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        let offsets = OffsetBuffer::from_lengths([1, 1]);
        let views = vec![0, u128::MAX].into();
        [
            ("a key", Arc::new(DictionaryArray::<Int8Type>::new_unchecked(keys, values))),
            ("text", Arc::new(StringArray::new_unchecked(offsets, Buffer::from(b"a\xff"), nulls()))),
            ("a view", Arc::new(StringViewArray::new_unchecked(views, [].into(), nulls()))),
        ]
    };
    for (what, column) in columns {
        for wrap in &WRAPS {
            let field = arrow_schema::Field::new("x", column.data_type().clone(), true);
            let batch = batch((wrap.wrap)(field, Arc::clone(&column)), true);
            let cleared = Options::builder().validation(Validation::Full).clear_nulls(true).build().unwrap();
            for options in [options(Validation::Layout), cleared] {
                let refusal = refusal(&batch.slice(0, 1), 1, &batch, &options);
                assert!(refusal.is_none(), "{what} in {}: {refusal:?}", wrap.path);
            }
            // Readers look at bytes below nulls, but not at keys.
            let refusal = refusal(&batch.slice(0, 1), 1, &batch, &options(Validation::Full));
            assert_eq!(refusal.is_none(), what == "a key", "{what} in {}: {refusal:?}", wrap.path);
        }
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn full_validation_changes_no_byte_of_what_is_valid(batches in arb_batches(&[Shared, Equal, Changing])) {
        let written = |validation| {
            let options = Options::builder().validation(validation).dictionaries(Resend).build().unwrap();
            encode::stream(&batches.schema, &batches.batches, &options)
        };
        match written(Validation::Full) {
            Ok(stream) => assert!(stream == written(Validation::Layout).unwrap()),
            // The generator sends dense unions anywhere, which the format forbids and `arrow-rs` allows.
            Err(Error::InvalidArray { expected, .. }) => assert_eq!(expected, "offsets in order within each type"),
            Err(error) => panic!("{error:?}"),
        }
    }
}
