//! Makes values canonical, the form in which a unified dictionary keeps them: copied, and with ids in place of inner
//! dictionaries.
//!
//! - A producer's array may be large, and share its memory, so the values are copied. String and binary views get
//!   buffers that hold nothing else.
//! - An inner dictionary becomes the column of its unified ids. It is hashed, joined and written like any other
//!   numbers, and it is what the format wants there: a dictionary-encoded child is written as its keys. A key that no
//!   reader can see, since a null hides it, brings no value.
//! - Fields get the metadata of the output's schema throughout, so that values of all batches can be joined.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, ByteViewType};
use arrow_array::{
    Array, ArrayRef, GenericByteViewArray, PrimitiveArray, downcast_integer, downcast_integer_array, make_array,
};
use arrow_buffer::ArrowNativeType;
use arrow_data::ArrayData;
use arrow_data::transform::MutableArrayData;
use arrow_schema::{ArrowError, DataType};

use crate::arrays::validate::{self, Checks};
use crate::arrays::views;
use crate::arrays::visible::{self, RowMask};
use crate::dictionary::unified::value_id::ValueId;
use crate::error::{Error, Result};
use crate::schema::types::{children, map_children};

/// Returns the ids of an inner dictionary's values. The arguments are the dictionary's turn, its values, and the rows
/// in question, each once. An id is `None` if the unified dictionary lacks the value.
pub(crate) type Inner<'i> = dyn FnMut(usize, &ArrayRef, &[u32]) -> Result<Vec<Option<ValueId>>, Box<Error>> + 'i;

/// Returns the rows `rows` of `values` as canonical values of type `data_type`, which differs from theirs in metadata
/// and key types at most. Returns `None` if an inner dictionary lacks a value.
pub(crate) fn canonical(
    values: &dyn Array,
    rows: &[u32],
    data_type: &DataType,
    inner: &mut Inner<'_>,
) -> Result<Option<ArrayRef>, Box<Error>> {
    let data = values.to_data();
    let mut selected = MutableArrayData::new(vec![&data], false, rows.len());
    let mut rest = rows;
    while let Some(&first) = rest.first() {
        let length = rest.iter().zip(first..).take_while(|(row, expected)| *row == expected).count();
        let start = first.as_usize();
        // Copying follows offsets and views of null rows, too, and no lookup has checked those.
        validate::dictionary(values, &(start..start + length), Checks::Indices)?;
        selected.try_extend(0, start, start + length).map_err(|error| refused(&error))?;
        rest = &rest[length..];
    }
    let selected = make_array(selected.freeze());
    let mut seen = Vec::new();
    keys_seen(selected.as_ref(), 0..selected.len(), &RowMask::ALL, &mut seen)?;
    let mut form = Form { met: 0, seen: &seen, inner };
    Ok(form.of(selected.to_data(), data_type)?.map(make_array))
}

/// Returns all of `arrays`, which are canonical, as one array. There is
/// [capacity](crate::dictionary::unified::capacity) for them.
pub(crate) fn joined(arrays: &[&ArrayRef]) -> Result<ArrayRef, Box<Error>> {
    let first = arrays.first().expect("there is something to join");
    let data: Vec<ArrayData> = arrays.iter().map(Array::to_data).collect();
    let length = data.iter().map(ArrayData::len).sum();
    let mut all = MutableArrayData::new(data.iter().collect(), false, length);
    for (index, data) in data.iter().enumerate() {
        all.try_extend(index, 0, data.len()).map_err(|error| refused(&error))?;
    }
    let mut inner = |_, _: &ArrayRef, _: &[u32]| unreachable!("what is stored has ids for dictionaries");
    let mut form = Form { met: 0, seen: &[], inner: &mut inner };
    let whole = form.of(all.freeze(), first.data_type())?;
    Ok(make_array(whole.expect("without dictionaries nothing is lacking")))
}

/// Returns the type of the canonical values of `data_type`.
pub(crate) fn canonical_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(key, _) => (**key).clone(),
        other => map_children(other, &mut |child| child.clone().with_data_type(canonical_type(child.data_type()))),
    }
}

/// Returns one blank value of type `data_type`: zeros, empty strings and empty lists. Hidden keys refer to it.
pub(crate) fn blank(data_type: &DataType) -> ArrayRef {
    fn without_nulls(data: &ArrayData) -> Result<ArrayData, ArrowError> {
        let children = match data.data_type() {
            DataType::Dictionary(_, values) => vec![blank(values).to_data()],
            _ => data.child_data().iter().map(without_nulls).collect::<Result<_, _>>()?,
        };
        data.clone().into_builder().nulls(None).child_data(children).build()
    }
    let blank = without_nulls(&ArrayData::new_null(data_type, 1));
    make_array(blank.expect("without validity, a null is a value of zeros"))
}

/// The rows of a dictionary-encoded child that its parent uses, and the visible ones of them.
type Seen = (Range<usize>, RowMask);

/// Appends the visible rows of each inner dictionary, in turn.
fn keys_seen(array: &dyn Array, rows: Range<usize>, visible: &RowMask, seen: &mut Vec<Seen>) -> Result<(), Box<Error>> {
    let visible = visible.and_valid(array.nulls(), &rows);
    if let DataType::Dictionary(..) = array.data_type() {
        seen.push((rows, visible));
        return Ok(());
    }
    visible::children(array, &rows, &visible, &mut |child| keys_seen(child.array, child.rows, &child.visible, seen))
}

/// Returns views over buffers that hold nothing else. A view of bytes that do not exist becomes empty: it is hidden,
/// since a visible one would have been refused.
fn own_views<T: ByteViewType>(array: &GenericByteViewArray<T>) -> Result<ArrayData, Box<Error>> {
    let names_bytes = |view: &u128| views::bytes(view, array.data_buffers()).is_ok();
    if array.views().iter().all(names_bytes) {
        return Ok(array.gc().to_data());
    }
    // Copying follows views of null rows, too.
    let views: Vec<u128> = array.views().iter().map(|view| if names_bytes(view) { *view } else { 0 }).collect();
    let array = GenericByteViewArray::<T>::try_new(views.into(), array.data_buffers().to_vec(), array.nulls().cloned());
    Ok(array.map_err(|error| refused(&error))?.gc().to_data())
}

/// A walk over data and its type, side by side.
struct Form<'f, 'i> {
    /// The number of inner dictionaries met so far.
    met: usize,
    /// The visible rows of each of them.
    seen: &'f [Seen],
    inner: &'f mut Inner<'i>,
}

impl Form<'_, '_> {
    /// Returns `data`, which is not shared, as canonical values of `data_type`.
    fn of(&mut self, data: ArrayData, data_type: &DataType) -> Result<Option<ArrayData>, Box<Error>> {
        match data_type {
            DataType::Dictionary(key, _) => self.ids(data, key),
            DataType::Utf8View => own_views(make_array(data).as_string_view()).map(Some),
            DataType::BinaryView => own_views(make_array(data).as_binary_view()).map(Some),
            _ if data.child_data().is_empty() => Ok(Some(data)),
            _ => {
                let mut parts = Vec::with_capacity(data.child_data().len());
                for (child, field) in data.child_data().iter().zip(children(data_type)) {
                    let Some(part) = self.of(child.clone(), field.data_type())? else { return Ok(None) };
                    parts.push(part);
                }
                let whole = data.into_builder().data_type(canonical_type(data_type)).child_data(parts);
                whole.build().map(Some).map_err(|error| refused(&error))
            }
        }
    }

    /// Returns the unified ids of the keys of an inner dictionary, as a column.
    fn ids(&mut self, data: ArrayData, key: &DataType) -> Result<Option<ArrayData>, Box<Error>> {
        let turn = self.met;
        self.met += 1;
        let (span, visible) = &self.seen[turn];
        let array = make_array(data);
        let array = array.as_any_dictionary();
        let (keys, values) = (array.keys(), array.values());
        let nulls = keys.nulls();
        let keys: Vec<usize> = downcast_integer_array!(
            keys => keys.values().iter().map(|key| key.as_usize()).collect(),
            other => unreachable!("keys are integers: {other}")
        );
        let mut rows = Vec::new();
        for key in visible.rows(span.len()).map(|row| keys[span.start + row]) {
            if key >= values.len() {
                return Err(Error::invalid(format!("keys below {}", values.len()), key.to_string()));
            }
            rows.push(row_number(key)?);
        }
        rows.sort_unstable();
        rows.dedup();
        let are_null = nulls.is_some_and(|nulls| nulls.null_count() == nulls.len());
        let found = if rows.is_empty() && !are_null && !keys.is_empty() {
            (self.inner)(turn, &blank(values.data_type()), &[0])?
        } else {
            (self.inner)(turn, values, &rows)?
        };
        let Some(ids) = found.into_iter().collect::<Option<Vec<ValueId>>>() else { return Ok(None) };
        // A hidden key does not matter, but it must refer to some value unless it is null.
        let new_keys = keys.iter().map(|key| {
            let known = rows.binary_search_by(|row| row.as_usize().cmp(key));
            known.map_or(0, |at| ids[at].get())
        });
        macro_rules! column {
            ($t:ty) => {{
                let new_keys = new_keys.map(|id| <$t as ArrowPrimitiveType>::Native::usize_as(id.as_usize()));
                PrimitiveArray::<$t>::new(new_keys.collect(), nulls.cloned()).to_data()
            }};
        }
        Ok(Some(downcast_integer! {
            key => (column),
            other => unreachable!("keys are integers: {other}"),
        }))
    }
}

/// Returns a row of dictionary values as 32 bits.
pub(crate) fn row_number(row: usize) -> Result<u32, Box<Error>> {
    u32::try_from(row).map_err(|_| {
        let (path, what, count, limit) = (String::new(), "values to unify", row as u64, u32::MAX.into());
        Box::new(Error::DictionaryTooLarge { path, what, count, limit })
    })
}

fn refused(error: &ArrowError) -> Box<Error> {
    Error::invalid("values that can be copied", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_rows_than_can_be_noted_are_refused_by_their_column() {
        assert_eq!(row_number(u32::MAX.as_usize()).unwrap(), u32::MAX);
        let told = row_number(1 << 32).unwrap_err().at("word").to_string();
        let expected =
            "the dictionary of column `word` would have 4294967296 values to unify; one array of its type holds";
        assert!(told.starts_with(expected), "{told}");
    }
}
