//! Computes which rows readers can see: those that are not null, and that no parent hides.
//!
//! A parent hides a row of its child if it is null there, if none of its rows uses that row (a gap between list views),
//! or if its row has another type (in a union). Hidden rows do not matter to readers: a null there breaks no promise of
//! its field, and its bytes may be anything.
//!
//! Masks are allocated. A batch that is written with the defaults needs none, unless it has nulls where its schema
//! denies them, or brings new values with dictionaries inside to be unified.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::RunEndIndexType;
use arrow_array::{Array, GenericListViewArray, OffsetSizeTrait, RunArray, UnionArray, downcast_run_array};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, BooleanBufferBuilder, NullBuffer};
use arrow_schema::{DataType, Field};

use crate::arrays::shape;
use crate::arrays::spans;
use crate::error::{Error, Result};

/// The visible ones of a range of rows.
#[derive(Debug, Clone)]
pub(crate) struct RowMask(Option<BooleanBuffer>);

impl RowMask {
    /// All rows of any range.
    pub(crate) const ALL: Self = Self(None);

    /// Whether a row is visible, counted from the first of the range.
    pub(crate) fn sees(&self, row: usize) -> bool {
        self.0.as_ref().is_none_or(|mask| mask.value(row))
    }

    /// Returns a bit for each row, in words of 64, lowest first, with zeros at the end; `None` if all rows are visible.
    pub(crate) fn words(&self) -> Option<impl Iterator<Item = u64>> {
        let chunks = self.0.as_ref()?.bit_chunks();
        Some(chunks.iter().chain([chunks.remainder_bits()]))
    }

    /// Whether all rows are visible.
    pub(crate) fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the visible rows of a range of `length` rows.
    pub(crate) fn rows(&self, length: usize) -> impl Iterator<Item = usize> {
        (0..length).filter(|row| self.sees(*row))
    }

    /// Returns the number of visible rows of `length` rows.
    pub(crate) fn count(&self, length: usize) -> usize {
        self.0.as_ref().map_or(length, BooleanBuffer::count_set_bits)
    }

    /// Returns a bit for each of `length` rows, set if it is visible.
    pub(crate) fn bits(&self, length: usize) -> BooleanBuffer {
        self.0.clone().unwrap_or_else(|| BooleanBuffer::new_set(length))
    }

    /// Returns `bits`, one for each row, with those of hidden rows unset.
    pub(crate) fn mask(&self, bits: &BooleanBuffer) -> BooleanBuffer {
        self.0.as_ref().map_or_else(|| bits.clone(), |mask| mask & bits)
    }

    /// Returns the mask without null rows. `nulls` is the validity of the whole array, and `rows` the range in it.
    pub(crate) fn and_valid(&self, nulls: Option<&NullBuffer>, rows: &Range<usize>) -> Self {
        let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else {
            return self.clone();
        };
        let valid = nulls.inner().slice(rows.start, rows.len());
        Self(Some(match &self.0 {
            None => valid,
            Some(mask) => mask & &valid,
        }))
    }

    /// Returns the mask of the ranges that `name` calls its argument with, counted from the first row of `span`. Rows
    /// beyond `span` are left out. If the child is shorter than `span` nothing is masked: whoever reads the child
    /// reports that.
    fn from_ranges(
        span: &Range<usize>,
        child: &dyn Array,
        name: impl FnOnce(&mut dyn FnMut(Range<usize>)),
    ) -> Result<Self, Box<Error>> {
        if span.end > child.len() {
            return Ok(Self::ALL);
        }
        let length = span.len();
        shape::is_passable(child, length)?;
        let mut mask = BooleanBufferBuilder::new(length);
        mask.append_n(length, false);
        name(&mut |rows| (rows.start..rows.end.min(length)).for_each(|row| mask.set_bit(row, true)));
        Ok(Self(Some(mask.finish())))
    }
}

/// A child of an array, and the rows of it that some rows of its parent use.
pub(crate) struct Child<'a> {
    /// The child's name in a column's path.
    pub(crate) name: &'a str,
    pub(crate) field: &'a Field,
    pub(crate) array: &'a dyn Array,
    pub(crate) rows: Range<usize>,
    pub(crate) visible: RowMask,
}

/// Calls `each` with the children of `array`, in the format's order, until it fails. The `visible` ones of `rows` are
/// not null. The values of a dictionary are no child, since they are in a message of their own.
pub(crate) fn children<'a>(
    array: &'a dyn Array,
    rows: &Range<usize>,
    visible: &RowMask,
    each: &mut dyn FnMut(Child<'a>) -> Result<(), Box<Error>>,
) -> Result<(), Box<Error>> {
    let mut child = |field: &'a Field, array: &'a dyn Array, rows, visible| {
        each(Child { name: field.name(), field, array, rows, visible })
    };
    match array.data_type() {
        DataType::List(field) => {
            let array = array.as_list::<i32>();
            let (rows, visible) = items(array.offsets(), array.values(), rows, visible)?;
            child(field, array.values().as_ref(), rows, visible)
        }
        DataType::LargeList(field) => {
            let array = array.as_list::<i64>();
            let (rows, visible) = items(array.offsets(), array.values(), rows, visible)?;
            child(field, array.values().as_ref(), rows, visible)
        }
        DataType::Map(field, _) => {
            let array = array.as_map();
            let (rows, visible) = items(array.offsets(), array.entries(), rows, visible)?;
            child(field, array.entries(), rows, visible)
        }
        DataType::ListView(field) => {
            let array = array.as_list_view::<i32>();
            let (rows, visible) = viewed_items(array, rows, visible)?;
            child(field, array.values().as_ref(), rows, visible)
        }
        DataType::LargeListView(field) => {
            let array = array.as_list_view::<i64>();
            let (rows, visible) = viewed_items(array, rows, visible)?;
            child(field, array.values().as_ref(), rows, visible)
        }
        DataType::FixedSizeList(field, size) => {
            let array = array.as_fixed_size_list();
            let (items, visible) = fixed_size_items(*size, array.values(), rows, visible)?;
            child(field, array.values().as_ref(), items, visible)
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            fields
                .iter()
                .zip(columns)
                .try_for_each(|(field, column)| child(field, column.as_ref(), rows.clone(), visible.clone()))
        }
        DataType::Union(fields, _) => {
            let array = array.as_union();
            let members = members(array, rows, visible)?;
            fields.iter().try_for_each(|(type_id, field)| {
                let (rows, visible) = members(type_id)?;
                child(field, array.child(type_id).as_ref(), rows, visible)
            })
        }
        DataType::RunEndEncoded(_, field) => {
            let (values, (rows, visible)) = downcast_run_array!(
                array => runs(array, rows, visible)?,
                other => unreachable!("it is run-end encoded: {other}")
            );
            each(Child { name: "values", field, array: values, rows, visible })
        }
        _ => Ok(()),
    }
}

/// Rows of a child, and the visible ones of them.
type Span = (Range<usize>, RowMask);

fn items<O: OffsetSizeTrait>(
    offsets: &[O],
    values: &dyn Array,
    rows: &Range<usize>,
    visible: &RowMask,
) -> Result<Span, Box<Error>> {
    let (window, span) = spans::of_offsets(offsets, rows)?;
    if visible.is_all() {
        return Ok((span, RowMask::ALL));
    }
    let from_start = |offset: &O| offset.as_usize().saturating_sub(span.start);
    let named = RowMask::from_ranges(&span, values, |name| {
        visible.rows(rows.len()).for_each(|row| name(from_start(&window[row])..from_start(&window[row + 1])));
    })?;
    Ok((span, named))
}

fn viewed_items<O: OffsetSizeTrait>(
    array: &GenericListViewArray<O>,
    rows: &Range<usize>,
    visible: &RowMask,
) -> Result<Span, Box<Error>> {
    let views = spans::of_list_views(array.offsets(), array.sizes(), rows)?;
    let named = RowMask::from_ranges(&views.used, array.values(), |name| {
        visible.rows(rows.len()).filter(|row| views.sizes[*row] > O::zero()).for_each(|row| {
            let start = views.offsets[row].as_usize() - views.used.start;
            name(start..start + views.sizes[row].as_usize());
        });
    })?;
    Ok((views.used, named))
}

fn fixed_size_items(size: i32, values: &dyn Array, rows: &Range<usize>, visible: &RowMask) -> Result<Span, Box<Error>> {
    let size = usize::try_from(size).map_err(|_| Error::invalid("a list size of at least 0", size.to_string()))?;
    let span = spans::scaled(rows, size)?;
    if visible.is_all() {
        return Ok((span, RowMask::ALL));
    }
    let named = RowMask::from_ranges(&span, values, |name| {
        visible.rows(rows.len()).for_each(|row| name(row * size..(row + 1) * size));
    })?;
    Ok((span, named))
}

/// Returns a function from a type id to the rows that its child uses.
fn members<'a>(
    array: &'a UnionArray,
    rows: &Range<usize>,
    visible: &RowMask,
) -> Result<impl Fn(i8) -> Result<Span, Box<Error>> + use<'a>, Box<Error>> {
    let (rows, visible) = (rows.clone(), visible.clone());
    let type_ids: &'a [i8] = array.type_ids();
    let dense = match array.offsets() {
        Some(offsets) => Some(spans::of_union(type_ids, offsets, &rows)?),
        None => None,
    };
    let type_ids = type_ids
        .get(rows.clone())
        .ok_or_else(|| Error::invalid(format!("{} type ids", rows.end), format!("{} type ids", type_ids.len())))?;
    Ok(move |type_id| {
        let of_type = visible.rows(rows.len()).filter(|row| type_ids[*row] == type_id);
        match &dense {
            None => {
                let named = RowMask::from_ranges(&rows, array.child(type_id), |name| {
                    of_type.for_each(|row| name(row..row + 1));
                });
                Ok((rows.clone(), named?))
            }
            Some((_, offsets, used)) => {
                let span = used.of(type_id);
                let named = RowMask::from_ranges(&span, array.child(type_id), |name| {
                    of_type.for_each(|row| {
                        let row = used.rebased(type_id, offsets[row]).as_usize();
                        name(row..row + 1);
                    });
                })?;
                Ok((span, named))
            }
        }
    })
}

fn runs<'a, R: RunEndIndexType>(
    array: &'a RunArray<R>,
    rows: &Range<usize>,
    visible: &RowMask,
) -> Result<(&'a dyn Array, Span), Box<Error>> {
    let (runs, counted) = spans::of_run_ends(array.run_ends(), rows)?;
    let values = array.values().as_ref();
    if visible.is_all() {
        return Ok((values, (runs, RowMask::ALL)));
    }
    let ends = &array.run_ends().values()[runs.clone()];
    let named = RowMask::from_ranges(&runs, values, |name| {
        let mut start = 0;
        for (run, end) in ends.iter().enumerate() {
            let end = end.as_usize().clamp(counted.start, counted.end) - counted.start;
            if (start..end).any(|row| visible.sees(row)) {
                name(run..run + 1);
            }
            start = end;
        }
    })?;
    Ok((values, (runs, named)))
}
