//! Arrays to broken ones: one number somewhere in their offsets, keys, run ends or views is changed, or their validity.
//!
//! Lengths of buffers stay, but for validity, since most constructors of arrays check them even where they are unsafe.

use std::sync::Arc;

use arbitrary::{Arbitrary, Result, Unstructured};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowDictionaryKeyType, BinaryType, BinaryViewType, ByteArrayType, ByteViewType, Int16Type, Int32Type, Int64Type,
    LargeBinaryType, LargeUtf8Type, RunEndIndexType, StringViewType, Utf8Type,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, DictionaryArray, FixedSizeListArray, GenericByteArray, GenericByteViewArray,
    GenericListArray, GenericListViewArray, MapArray, OffsetSizeTrait, PrimitiveArray, RunArray, StructArray,
    UnionArray, downcast_integer, downcast_primitive_array,
};
use arrow_buffer::{
    ArrowNativeType, BooleanBuffer, MutableBuffer, NullBuffer, OffsetBuffer, RunEndBuffer, ScalarBuffer,
};
use arrow_schema::DataType;

/// `array`, or something inside it, broken as `plan` says. What cannot be broken stays as it is.
///
/// # Errors
///
/// Where the bytes of the plan are used up.
pub fn tampered(array: &ArrayRef, plan: &mut Unstructured<'_>) -> Result<ArrayRef> {
    macro_rules! dictionary {
        ($key:ty) => {
            self::dictionary::<$key>(array, plan)
        };
    }
    match array.data_type() {
        DataType::Utf8 => bytes::<Utf8Type>(array, plan),
        DataType::LargeUtf8 => bytes::<LargeUtf8Type>(array, plan),
        DataType::Binary => bytes::<BinaryType>(array, plan),
        DataType::LargeBinary => bytes::<LargeBinaryType>(array, plan),
        DataType::Utf8View => views::<StringViewType>(array, plan),
        DataType::BinaryView => views::<BinaryViewType>(array, plan),
        DataType::List(_) => list::<i32>(array, plan),
        DataType::LargeList(_) => list::<i64>(array, plan),
        DataType::ListView(_) => list_view::<i32>(array, plan),
        DataType::LargeListView(_) => list_view::<i64>(array, plan),
        DataType::FixedSizeList(..) => fixed_size_list(array, plan),
        DataType::Map(..) => map(array, plan),
        DataType::Struct(_) => structs(array, plan),
        DataType::Union(..) => union(array, plan),
        DataType::Dictionary(key, _) => downcast_integer! {
            key.as_ref() => (dictionary),
            other => unreachable!("keys are integers: {other}")
        },
        DataType::RunEndEncoded(run_ends, _) => match run_ends.data_type() {
            DataType::Int16 => runs::<Int16Type>(array, plan),
            DataType::Int32 => runs::<Int32Type>(array, plan),
            _ => runs::<Int64Type>(array, plan),
        },
        _ => downcast_primitive_array!(
            array => primitive(array, plan),
            _ => Ok(Arc::clone(array))
        ),
    }
}

/// The same numbers, one of them changed to something near or far.
fn changed<T: ArrowNativeType>(numbers: &[T], plan: &mut Unstructured<'_>) -> Result<ScalarBuffer<T>> {
    let mut bytes = MutableBuffer::from_len_zeroed(size_of_val(numbers));
    let all = bytes.typed_data_mut::<T>();
    all.copy_from_slice(numbers);
    if !numbers.is_empty() {
        let at = plan.choose_index(numbers.len())?;
        let by = i8::arbitrary(plan)?;
        let bytes = &mut bytes.as_slice_mut()[at * size_of::<T>()..][..size_of::<T>()];
        // Its low byte, its high byte, or all.
        match u8::arbitrary(plan)? % 4 {
            0 => bytes.fill(by.cast_unsigned()),
            1 => bytes[bytes.len() - 1] ^= by.cast_unsigned(),
            _ => bytes[0] = bytes[0].wrapping_add_signed(by),
        }
    }
    let len = numbers.len();
    Ok(ScalarBuffer::new(bytes.into(), 0, len))
}

/// Validity as it is, or of another length, or with another count.
fn validity(array: &dyn Array, plan: &mut Unstructured<'_>) -> Result<Option<NullBuffer>> {
    let len = array.len();
    let bits = |len| BooleanBuffer::collect_bool(len, |bit| bit % 3 != 0);
    Ok(match u8::arbitrary(plan)? % 8 {
        0 => Some(NullBuffer::new(bits(len + 1))),
        1 => Some(NullBuffer::new(bits(len.saturating_sub(1)))),
        // SAFETY: counts are what an encoder has to doubt.
        2 => Some(unsafe { NullBuffer::new_unchecked(bits(len), usize::from(u8::arbitrary(plan)?)) }),
        _ => array.nulls().cloned(),
    })
}

fn offsets<O: ArrowNativeType>(offsets: &OffsetBuffer<O>, plan: &mut Unstructured<'_>) -> Result<OffsetBuffer<O>> {
    // SAFETY: order is what an encoder has to doubt.
    Ok(unsafe { OffsetBuffer::new_unchecked(changed(offsets, plan)?) })
}

/// Whether to break what is inside rather than what is here.
fn deeper(plan: &mut Unstructured<'_>) -> Result<bool> {
    bool::arbitrary(plan)
}

fn primitive<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, plan: &mut Unstructured<'_>) -> Result<ArrayRef> {
    let nulls = validity(array, plan)?;
    // SAFETY: for the encoder only, as all arrays here.
    let broken = unsafe { PrimitiveArray::<T>::new_unchecked(array.values().clone(), nulls) };
    Ok(Arc::new(broken.with_data_type(array.data_type().clone())))
}

fn bytes<T: ByteArrayType>(array: &ArrayRef, plan: &mut Unstructured<'_>) -> Result<ArrayRef> {
    let array = array.as_bytes::<T>();
    let (offsets, nulls) = (offsets(array.offsets(), plan)?, validity(array, plan)?);
    // SAFETY: as above.
    Ok(Arc::new(unsafe { GenericByteArray::<T>::new_unchecked(offsets, array.values().clone(), nulls) }))
}

fn views<T: ByteViewType>(array: &ArrayRef, plan: &mut Unstructured<'_>) -> Result<ArrayRef> {
    let array = array.as_byte_view::<T>();
    // Length, prefix, buffer and offset are changed alike.
    let words = ScalarBuffer::<u32>::new(array.views().inner().clone(), 0, 4 * array.len());
    let views = ScalarBuffer::new(changed(&words, plan)?.into_inner(), 0, array.len());
    let nulls = validity(array, plan)?;
    let buffers = Arc::clone(array.data_buffers());
    // SAFETY: as above.
    Ok(Arc::new(unsafe { GenericByteViewArray::<T>::new_unchecked(views, buffers, nulls) }))
}

fn list<O: OffsetSizeTrait>(array: &ArrayRef, plan: &mut Unstructured<'_>) -> Result<ArrayRef> {
    let array = array.as_list::<O>();
    let (field, mut offsets, mut values, mut nulls) = array.clone().into_parts();
    if deeper(plan)? {
        values = tampered(&values, plan)?;
    } else {
        (offsets, nulls) = (self::offsets(&offsets, plan)?, validity(array, plan)?);
    }
    // SAFETY: as above.
    Ok(Arc::new(unsafe { GenericListArray::<O>::new_unchecked(field, offsets, values, nulls) }))
}

fn list_view<O: OffsetSizeTrait>(array: &ArrayRef, plan: &mut Unstructured<'_>) -> Result<ArrayRef> {
    let array = array.as_list_view::<O>();
    let (field, mut offsets, mut sizes, mut values, mut nulls) = array.clone().into_parts();
    if deeper(plan)? {
        values = tampered(&values, plan)?;
    } else {
        (offsets, sizes) = (changed(&offsets, plan)?, changed(&sizes, plan)?);
        nulls = validity(array, plan)?;
    }
    // SAFETY: as above.
    Ok(Arc::new(unsafe { GenericListViewArray::<O>::new_unchecked(field, offsets, sizes, values, nulls) }))
}

fn fixed_size_list(array: &ArrayRef, plan: &mut Unstructured<'_>) -> Result<ArrayRef> {
    let array = array.as_fixed_size_list();
    let DataType::FixedSizeList(field, size) = array.data_type() else { unreachable!("a fixed-size list") };
    let (mut values, mut nulls) = (Arc::clone(array.values()), array.nulls().cloned());
    if deeper(plan)? {
        values = tampered(&values, plan)?;
    } else {
        values = values.slice(0, values.len().saturating_sub(usize::from(bool::arbitrary(plan)?)));
        nulls = validity(array, plan)?;
    }
    // SAFETY: as above.
    Ok(Arc::new(unsafe { FixedSizeListArray::new_unchecked(field.clone(), *size, values, nulls, array.len()) }))
}

fn map(array: &ArrayRef, plan: &mut Unstructured<'_>) -> Result<ArrayRef> {
    let array = array.as_map();
    let (field, mut offsets, mut entries, mut nulls, ordered) = array.clone().into_parts();
    if deeper(plan)? {
        let inside: ArrayRef = Arc::new(entries);
        entries = structs(&inside, plan)?.as_struct().clone();
    } else {
        (offsets, nulls) = (self::offsets(&offsets, plan)?, validity(array, plan)?);
    }
    // SAFETY: as above.
    Ok(Arc::new(unsafe { MapArray::new_unchecked(field, offsets, entries, nulls, ordered) }))
}

fn structs(array: &ArrayRef, plan: &mut Unstructured<'_>) -> Result<ArrayRef> {
    let array = array.as_struct();
    let (fields, mut columns, mut nulls) = array.clone().into_parts();
    if deeper(plan)? && !columns.is_empty() {
        let at = plan.choose_index(columns.len())?;
        columns[at] = match u8::arbitrary(plan)? % 4 {
            0 => columns[at].slice(0, columns[at].len().saturating_sub(1)),
            _ => tampered(&columns[at], plan)?,
        };
    } else {
        nulls = validity(array, plan)?;
    }
    // SAFETY: as above.
    Ok(Arc::new(unsafe { StructArray::new_unchecked_with_length(fields, columns, nulls, array.len()) }))
}

/// The children of a union stay as they are: its constructor takes them apart.
fn union(array: &ArrayRef, plan: &mut Unstructured<'_>) -> Result<ArrayRef> {
    let (fields, type_ids, offsets, children) = array.as_union().clone().into_parts();
    let type_ids = if bool::arbitrary(plan)? { changed(&type_ids, plan)? } else { type_ids };
    let offsets = offsets.map(|offsets| changed(&offsets, plan)).transpose()?;
    // SAFETY: as above.
    Ok(Arc::new(unsafe { UnionArray::new_unchecked(fields, type_ids, offsets, children) }))
}

fn dictionary<K: ArrowDictionaryKeyType>(array: &ArrayRef, plan: &mut Unstructured<'_>) -> Result<ArrayRef> {
    let array = array.as_dictionary::<K>();
    let (mut keys, mut values) = (array.keys().clone(), Arc::clone(array.values()));
    if deeper(plan)? {
        values = tampered(&values, plan)?;
    } else {
        let (numbers, nulls) = (changed(keys.values(), plan)?, validity(&keys, plan)?);
        // SAFETY: as above.
        keys = unsafe { PrimitiveArray::<K>::new_unchecked(numbers, nulls) };
    }
    // SAFETY: as above.
    Ok(Arc::new(unsafe { DictionaryArray::<K>::new_unchecked(keys, values) }))
}

fn runs<R: RunEndIndexType>(array: &ArrayRef, plan: &mut Unstructured<'_>) -> Result<ArrayRef> {
    let (data_type, mut ends, mut values) = array.as_run::<R>().clone().into_parts();
    if deeper(plan)? {
        values = tampered(&values, plan)?;
    } else {
        let numbers = changed(ends.values(), plan)?;
        // SAFETY: as above.
        ends = unsafe { RunEndBuffer::new_unchecked(numbers, ends.offset(), ends.len()) };
    }
    // SAFETY: as above.
    Ok(Arc::new(unsafe { RunArray::<R>::new_unchecked(data_type, ends, values) }))
}
