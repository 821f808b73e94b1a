//! Values in the form in which a unified dictionary keeps them: just those asked for, in memory of their own, and with
//! ids in place of inner dictionaries.
//!
//! - A producer's array may be large and its memory shared, so what is kept is copied out of it. String and binary views
//!   are given buffers that hold nothing else.
//! - An inner dictionary becomes the column of its unified ids. Such a column is hashed, joined and written like any other
//!   numbers, and it is what the format wants there: a dictionary-encoded child is written as its keys. A key that no
//!   reader can see, since it is below a null, brings no value along.
//! - A producer's fields may carry other metadata than the stream's; what is kept has the stream's types throughout, so
//!   that it can be joined.

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

/// What gives the places of an inner dictionary's values: the dictionary by its turn, its values, and the rows asked for,
/// each once. A place is `None` where the unified dictionary does not have the value.
pub(crate) type Inner<'i> = dyn FnMut(usize, &ArrayRef, &[u32]) -> Result<Vec<Option<ValueId>>, Box<Error>> + 'i;

/// The rows `rows` of `values` as values of type `data_type`, which differs from theirs in metadata and key types at most.
/// `None` where an inner dictionary lacks one of them.
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
        // What is copied by its offsets is followed below nulls too, whose bytes nobody has looked up.
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

/// All of `arrays`, which are stored, as one. There is [room](crate::dictionary::unified::capacity) for them.
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

/// The type in which values of `data_type` are stored.
pub(crate) fn canonical_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(key, _) => (**key).clone(),
        other => map_children(other, &mut |child| child.clone().with_data_type(canonical_type(child.data_type()))),
    }
}

/// One value of type `data_type` that says nothing: of zeros, empty strings and empty lists. For what nobody can see, but
/// must be there.
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

/// The rows of a dictionary-encoded child that its parent uses, and which of them a reader can see.
type Seen = (Range<usize>, RowMask);

/// Appends, by turn, what can be seen of the keys of inner dictionaries.
fn keys_seen(array: &dyn Array, rows: Range<usize>, visible: &RowMask, seen: &mut Vec<Seen>) -> Result<(), Box<Error>> {
    let visible = visible.and_valid(array.nulls(), &rows);
    if let DataType::Dictionary(..) = array.data_type() {
        seen.push((rows, visible));
        return Ok(());
    }
    visible::children(array, &rows, &visible, &mut |child| keys_seen(child.array, child.rows, &child.visible, seen))
}

/// Views with buffers that hold nothing else. One that names no bytes becomes empty: had it been seen, it would have been
/// refused.
fn own_views<T: ByteViewType>(array: &GenericByteViewArray<T>) -> Result<ArrayData, Box<Error>> {
    let names_bytes = |view: &u128| views::bytes(view, array.data_buffers()).is_ok();
    if array.views().iter().all(names_bytes) {
        return Ok(array.gc().to_data());
    }
    // What follows views looks at those of nulls, too.
    let views: Vec<u128> = array.views().iter().map(|view| if names_bytes(view) { *view } else { 0 }).collect();
    let array = GenericByteViewArray::<T>::try_new(views.into(), array.data_buffers().to_vec(), array.nulls().cloned());
    Ok(array.map_err(|error| refused(&error))?.gc().to_data())
}

/// A walk through data and its type, side by side.
struct Form<'f, 'i> {
    /// How many inner dictionaries have been met.
    met: usize,
    /// What can be seen of each of them.
    seen: &'f [Seen],
    inner: &'f mut Inner<'i>,
}

impl Form<'_, '_> {
    /// `data`, which stands alone, as stored values of `data_type`.
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

    /// The ids that the keys of an inner dictionary stand for.
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
        // A key that nobody can see is of no account, but has to stand for some value unless it is null.
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

/// A row of dictionary values as it is noted.
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
