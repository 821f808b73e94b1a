//! Which rows a reader can see: those that are not null, and not below a null.
//!
//! A row of a child is hidden where its parent's row is null, where no row of its parent names it (the gaps between list
//! views), or where a union's row has another type. What a hidden row holds does not matter to readers: a null there
//! breaks no promise of its field, and bytes there are nobody's business.
//!
//! The masks that this takes are allocated. Nothing here is on the way of a batch that is written with the defaults and
//! has no nulls where its schema denies them, but where it brings new values with dictionaries inside to be unified.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::RunEndIndexType;
use arrow_array::{Array, GenericListViewArray, OffsetSizeTrait, RunArray, UnionArray, downcast_run_array};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, BooleanBufferBuilder, NullBuffer};
use arrow_schema::{DataType, Field};

use crate::arrays::shape;
use crate::arrays::spans;
use crate::error::{Error, Result};

/// Which rows of a range can be seen.
#[derive(Debug, Clone)]
pub(crate) struct RowMask(Option<BooleanBuffer>);

impl RowMask {
    /// All rows of any range.
    pub(crate) const ALL: Self = Self(None);

    /// Whether a row can be seen, counted from the first of the range.
    pub(crate) fn sees(&self, row: usize) -> bool {
        self.0.as_ref().is_none_or(|mask| mask.value(row))
    }

    /// A bit for each row, in words of 64 that begin with the lowest and end with zeros; `None` where every row can be
    /// seen.
    pub(crate) fn words(&self) -> Option<impl Iterator<Item = u64>> {
        let chunks = self.0.as_ref()?.bit_chunks();
        Some(chunks.iter().chain([chunks.remainder_bits()]))
    }

    /// Whether every row can be seen.
    pub(crate) fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// The rows that can be seen, of a range of `length` rows.
    pub(crate) fn rows(&self, length: usize) -> impl Iterator<Item = usize> {
        (0..length).filter(|row| self.sees(*row))
    }

    /// How many of `length` rows can be seen.
    pub(crate) fn count(&self, length: usize) -> usize {
        self.0.as_ref().map_or(length, BooleanBuffer::count_set_bits)
    }

    /// A bit for each of `length` rows: whether it can be seen.
    pub(crate) fn bits(&self, length: usize) -> BooleanBuffer {
        self.0.clone().unwrap_or_else(|| BooleanBuffer::new_set(length))
    }

    /// Of `bits`, one for each row, those of rows that can be seen.
    pub(crate) fn mask(&self, bits: &BooleanBuffer) -> BooleanBuffer {
        self.0.as_ref().map_or_else(|| bits.clone(), |mask| mask & bits)
    }

    /// The same but for rows that are null. `nulls` are those of the whole array, of which `rows` is the range.
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

    /// The rows that `name` calls its argument with, counted from the first of `span`. Those beyond are left out. Where the
    /// child has not so many, there is nothing to mask: whoever goes there finds out.
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

/// A child of an array, and what of it some rows of its parent use.
pub(crate) struct Child<'a> {
    /// What the child is called in a column's path.
    pub(crate) name: &'a str,
    pub(crate) field: &'a Field,
    pub(crate) array: &'a dyn Array,
    pub(crate) rows: Range<usize>,
    pub(crate) visible: RowMask,
}

/// Calls `each` with the children of `array`, in the format's order. The `visible` ones of `rows` are those that are
/// not null. The values of a dictionary are no child: they stand in a message of their own.
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

/// Rows of a child, and which of them can be seen.
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

/// Says of each type id which rows of its child are used.
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
                    of_type.for_each(|row| name(row..row + 1))
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
