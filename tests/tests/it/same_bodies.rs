//! The bodies of uncompressed record batches are those of `arrow-rs`, byte for byte, where it has no known fault.
//!
//! Fails where a buffer is longer than its rows need, padded otherwise, in another order or in another place.
//!
//! Four layouts are left out, and only where they differ:
//! - `arrow-rs` writes the children of list views and of dense unions whole. An array is compared as long as each list
//!   view and each dense union in it uses its children from the first row to the last.
//! - `arrow-rs` leaves the bits behind the last row of a bitmap as they are in the array, where a slice has cut off rows.
//! - `arrow-rs` announces the data buffers of views inside a run-end encoded array without rows, but does not write
//!   them.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, GenericListArray, GenericListViewArray, OffsetSizeTrait, RecordBatch, RunArray, types};
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, SchemaRef};
use ipc_core::Options;
use ipc_tests::arrays::Sharing::{Changing, Shared};
use ipc_tests::arrays::contains;
use ipc_tests::batches::arb_batches_of;
use ipc_tests::cases::cases;
use ipc_tests::encode;
use ipc_tests::framing::{Framed, messages};
use proptest::prelude::proptest;
use proptest::prop_assume;

/// Whether `arrow-rs` writes just what `array`'s rows use.
fn is_comparable(array: &dyn Array) -> bool {
    match array.data_type() {
        DataType::List(_) => list(array.as_list::<i32>()),
        DataType::LargeList(_) => list(array.as_list::<i64>()),
        DataType::ListView(_) => list_view(array.as_list_view::<i32>()),
        DataType::LargeListView(_) => list_view(array.as_list_view::<i64>()),
        DataType::FixedSizeList(_, size) => {
            let array = array.as_fixed_size_list();
            let size = usize::try_from(*size).unwrap();
            // A fixed-size list that is sliced holds the slice of its values.
            is_comparable(&array.values().slice(0, array.len() * size))
        }
        DataType::Map(..) => {
            let array = array.as_map();
            let (first, last) = (array.value_offsets()[0], array.value_offsets()[array.len()]);
            is_comparable(&array.entries().slice(to_usize(first), to_usize(last - first)))
        }
        DataType::Struct(_) => array.as_struct().columns().iter().all(|column| is_comparable(column)),
        DataType::Union(fields, _) => {
            let array = array.as_union();
            let mut used: HashMap<i8, (usize, usize)> = HashMap::new();
            for row in 0..array.len() {
                let (offset, entry) = (array.value_offset(row), used.entry(array.type_id(row)));
                let (first, end) = entry.or_insert((offset, offset + 1));
                (*first, *end) = (offset.min(*first), (offset + 1).max(*end));
            }
            fields.iter().all(|(id, _)| {
                let child = array.child(id);
                let is_whole = used.get(&id).copied().unwrap_or((0, 0)) == (0, child.len());
                (array.offsets().is_none() || is_whole) && is_comparable(child)
            })
        }
        DataType::RunEndEncoded(run_ends, _) => match run_ends.data_type() {
            DataType::Int16 => runs(array.as_run::<Int16Type>()),
            DataType::Int32 => runs(array.as_run::<Int32Type>()),
            _ => runs(array.as_run::<Int64Type>()),
        },
        // The values of a dictionary stand in messages of their own.
        _ => true,
    }
}

fn list<O: OffsetSizeTrait>(array: &GenericListArray<O>) -> bool {
    let (first, last) = (array.value_offsets()[0].as_usize(), array.value_offsets()[array.len()].as_usize());
    is_comparable(&array.values().slice(first, last - first))
}

fn list_view<O: OffsetSizeTrait>(array: &GenericListViewArray<O>) -> bool {
    let views = array.offsets().iter().zip(array.sizes()).filter(|(_, size)| **size > O::zero());
    let views = views.map(|(offset, size)| (offset.as_usize(), (*offset + *size).as_usize()));
    let used = views.reduce(|(first, end), (offset, behind)| (first.min(offset), end.max(behind)));
    if array.is_empty() {
        // An array without rows has no child for `arrow-rs` either.
        return is_comparable(&array.values().slice(0, 0));
    }
    used.unwrap_or((0, 0)) == (0, array.values().len()) && is_comparable(array.values())
}

fn runs<R: types::RunEndIndexType>(array: &RunArray<R>) -> bool {
    if array.is_empty() {
        let is_view = |data_type: &DataType| matches!(data_type, DataType::Utf8View | DataType::BinaryView);
        return !contains(array.values().data_type(), &is_view);
    }
    let runs = array.run_ends();
    let (first, last) = (runs.get_start_physical_index(), runs.get_end_physical_index());
    is_comparable(&array.values().slice(first, last + 1 - first))
}

fn to_usize(offset: i32) -> usize {
    usize::try_from(offset).unwrap()
}

fn written_by_peer(schema: &SchemaRef, batches: &[RecordBatch]) -> Vec<u8> {
    let options = IpcWriteOptions::try_new(64, false, arrow_ipc::MetadataVersion::V5).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), schema, options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

fn body<'b>(bytes: &'b [u8], message: &Framed) -> &'b [u8] {
    &bytes[message.body.clone()]
}

/// `theirs`, without the bits at the end of a buffer's last byte that only `theirs` has set. That such bits are those
/// behind the last row of a bitmap, whoever reads `ours` back finds out.
fn without_bits_behind(message: &Framed, ours: &[u8], theirs: &[u8]) -> Vec<u8> {
    let mut cleared = theirs.to_vec();
    for (offset, length) in &message.buffers {
        let end = usize::try_from(offset + length).unwrap();
        if *length > 0 && theirs[end - 1] & lowest(ours[end - 1]) == ours[end - 1] {
            cleared[end - 1] = ours[end - 1];
        }
    }
    cleared
}

/// The bits up to the highest that is set in `byte`.
fn lowest(byte: u8) -> u8 {
    u8::MAX.checked_shr(byte.leading_zeros()).unwrap_or(0)
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn bodies_are_those_of_arrow_rs(batches in arb_batches_of(1..=2, &[Shared, Changing])) {
        let (schema, batches) = (&batches.schema, &batches.batches);
        prop_assume!(batches.iter().flat_map(RecordBatch::columns).all(|column| is_comparable(column)));
        let ours = encode::stream(schema, batches, &Options::default()).unwrap();
        let theirs = written_by_peer(schema, batches);
        let (our_messages, their_messages) = (messages(&ours, 0), messages(&theirs, 0));
        let (our_batches, their_batches) = (our_messages.record_batches(), their_messages.record_batches());
        assert_eq!(our_batches.len(), their_batches.len());
        for (our, their) in our_batches.into_iter().zip(their_batches) {
            assert_eq!(our.buffers, their.buffers);
            assert_eq!(body(&ours, our), without_bits_behind(our, body(&ours, our), body(&theirs, their)));
        }
    }
}
