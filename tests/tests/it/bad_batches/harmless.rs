//! Valid batches, including those that only look wrong: full validation refuses none, and writes the same bytes.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int8Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Int8Array, Int32Array, ListArray, RecordBatch, StringArray, StringViewArray,
    StructArray,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Metadata};
use ipc_core::DictionaryHandling::Resend;
use ipc_core::Unify;
use ipc_core::{Error, Options, Validation};
use ipc_tests::arrays::Sharing::{Changing, Equal, Shared};
use ipc_tests::batches::arb_batches;
use ipc_tests::by_hand::{field, schema, unchecked};
use ipc_tests::cases::cases;
use ipc_tests::value::assert_same_batches;
use ipc_tests::{encode, read};
use proptest::prelude::proptest;

use super::wraps::{WRAPS, batch};
use super::writers::{options, refusal};

#[test]
fn what_a_null_row_holds_need_not_make_sense() {
    let nulls = || Some(NullBuffer::from(vec![true, false]));
    // SAFETY: only the null row is wrong, and readers of values check validity first.
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
            let field = Field::new("x", column.data_type().clone(), true);
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

#[test]
fn what_a_hidden_value_of_a_unified_dictionary_holds_need_not_make_sense() {
    let text = "longer than what a view holds itself";
    let good = StringViewArray::from(vec![text]);
    let buffers = || good.data_buffers().to_vec();
    let nulls = || Some(NullBuffer::from(vec![true, false]));
    // Bytes beyond the buffer, and in no buffer.
    for wrong in [400, u128::MAX] {
        let views = || vec![good.views()[0], wrong].into();
        // SAFETY: only the second row is wrong, and readers of values check validity first.
        let (null, plain) = unsafe {
            let new = |nulls| StringViewArray::new_unchecked(views(), buffers().into(), nulls);
            (new(nulls()), new(None))
        };
        let below = vec![Field::new("text", DataType::Utf8View, true)].into();
        let below_a_null = StructArray::new(below, vec![Arc::new(plain)], nulls());
        let columns: [ArrayRef; 2] = [Arc::new(null), Arc::new(below_a_null)];
        for values in columns {
            let dictionary = DictionaryArray::<Int8Type>::new(Int8Array::from(vec![0, 1]), values);
            let batch = RecordBatch::try_from_iter([("x", Arc::new(dictionary) as ArrayRef)]).unwrap();
            let options = Options::builder().dictionaries(Unify::new()).build().unwrap();
            let stream = encode::stream(&batch.schema(), std::slice::from_ref(&batch), &options).unwrap();
            let read = read::stream(&stream).unwrap().batches;
            assert_same_batches(&[batch], &read);
            let values = read[0].column(0).as_any_dictionary().values();
            let views = values.as_struct_opt().map_or(values, |values| values.column(0));
            let bytes: usize = views.as_string_view().data_buffers().iter().map(Buffer::len).sum();
            assert_eq!(bytes, text.len(), "nothing else gets out");
        }
    }
}

#[test]
fn columns_may_have_other_metadata_than_their_fields() {
    let list = |metadata: &str| {
        let item = Field::new("item", DataType::Int32, true).with_metadata(Metadata::from([("k", metadata)]));
        ListArray::new(Arc::new(item), OffsetBuffer::from_lengths([2]), Arc::new(Int32Array::from(vec![1, 2])), None)
    };
    let schema = schema(vec![field("x", list("one").data_type().clone())]);
    let batch = unchecked(schema, vec![Arc::new(list("another"))], 1);
    for validation in [Validation::Layout, Validation::Full] {
        let refusal = refusal(&batch, 1, &batch, &options(validation));
        assert!(refusal.is_none(), "{refusal:?}");
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
            Err(Error::InvalidArray { expected, .. }) => assert_eq!(expected, "offsets that do not decrease within a type"),
            Err(error) => panic!("{error:?}"),
        }
    }
}
