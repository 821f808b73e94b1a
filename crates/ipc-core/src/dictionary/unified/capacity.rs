//! Counts how much of what one array can hold the values of a dictionary take.
//!
//! Readers hold a dictionary in one array, also if they received it in parts. Some arrays end early: the ends of
//! strings, lists and runs are numbers of 32 or 16 bits. A value that would not fit is refused with the batch that
//! brings it, since an accepted batch must be writable.
//!
//! The count is that of all values in one array, as [`joined`](crate::dictionary::unified::canonical::joined) builds
//! it. The number of values that keys can tell apart is checked elsewhere.

use std::slice;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_schema::{DataType, UnionMode};

use crate::arrays::children::each_child;
use crate::error::{Error, Result};

/// How much values take of each thing that one array limits, in the order of a walk over their type.
#[derive(Debug, Clone, Default)]
pub(crate) struct Capacity {
    counts: Vec<u64>,
}

impl Capacity {
    /// Returns the count with `values` added, whose memory holds nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::DictionaryTooLarge`] if one array cannot hold all of them.
    pub(crate) fn with(&self, values: &dyn Array) -> Result<Self, Box<Error>> {
        let mut counter = Counter { before: self.counts.iter(), after: Vec::with_capacity(self.counts.len()) };
        counter.array(values)?;
        Ok(Self { counts: counter.after })
    }
}

struct Counter<'t> {
    before: slice::Iter<'t, u64>,
    after: Vec<u64>,
}

impl Counter<'_> {
    fn array(&mut self, array: &dyn Array) -> Result<(), Box<Error>> {
        match array.data_type() {
            DataType::Utf8 => self.take("bytes of text", array.as_string::<i32>().values().len(), INT32)?,
            DataType::Binary => self.take("bytes", array.as_binary::<i32>().values().len(), INT32)?,
            DataType::RunEndEncoded(run_ends, _) => {
                let limit = match run_ends.data_type() {
                    DataType::Int16 => INT16,
                    DataType::Int32 => INT32,
                    _ => INT64,
                };
                self.take("rows in runs", array.len(), limit)?;
            }
            _ => {}
        }
        let of_a_child = match array.data_type() {
            DataType::List(_) | DataType::ListView(_) | DataType::Map(..) => Some("items in lists"),
            DataType::Union(_, UnionMode::Dense) => Some("values of one type in a union"),
            _ => None,
        };
        each_child(array, &mut |child| {
            if let Some(what) = of_a_child {
                self.take(what, child.len(), INT32)?;
            }
            self.array(child)
        })
    }

    fn take(&mut self, what: &'static str, more: usize, limit: u64) -> Result<(), Box<Error>> {
        let before = self.before.next().copied().unwrap_or(0);
        let count = before + more as u64;
        if count > limit {
            return Err(Box::new(Error::DictionaryTooLarge { path: String::new(), what, count, limit }));
        }
        self.after.push(count);
        Ok(())
    }
}

const INT16: u64 = i16::MAX.unsigned_abs() as u64;
const INT32: u64 = i32::MAX.unsigned_abs() as u64;
const INT64: u64 = i64::MAX.unsigned_abs();

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::{Int16Type, Int32Type, Int64Type};
    use arrow_array::{ArrayRef, BinaryArray, BooleanArray, FixedSizeListArray, Int16Array, LargeListArray, ListArray};
    use arrow_array::{
        Int32Array, Int64Array, LargeListViewArray, ListViewArray, MapArray, NullArray, RunArray, StringArray,
        StructArray, UnionArray,
    };
    use arrow_buffer::{OffsetBuffer, ScalarBuffer};
    use arrow_schema::{Field, Fields, UnionFields};

    use super::*;

    const MIB: i32 = 1 << 20;

    /// A mebi of values that take no memory.
    fn nulls() -> ArrayRef {
        Arc::new(NullArray::new(usize::try_from(MIB).unwrap()))
    }

    fn field(name: &str, array: &dyn Array) -> Arc<Field> {
        Arc::new(Field::new(name, array.data_type().clone(), true))
    }

    fn one_list(items: ArrayRef) -> ArrayRef {
        let offsets = OffsetBuffer::from_lengths([items.len()]);
        Arc::new(ListArray::new(field("item", &items), offsets, items, None))
    }

    /// What is said of `values` once they have been added as often as they fit.
    fn refused(values: &dyn Array, fit: u32) -> String {
        let capacity = (0..fit).fold(Capacity::default(), |capacity, _| capacity.with(values).unwrap());
        capacity.with(values).unwrap_err().to_string()
    }

    #[test]
    fn ends_of_32_bits_end_at_two_gibi() {
        let text = "x".repeat(usize::try_from(MIB).unwrap());
        let entries = StructArray::from(vec![
            (
                Arc::new(Field::new("key", DataType::Boolean, false)),
                Arc::new(BooleanArray::from(vec![false; 1 << 20])) as ArrayRef,
            ),
            (field("value", &nulls()), nulls()),
        ]);
        let entries_field = Arc::new(Field::new("entries", entries.data_type().clone(), false));
        let views = ListViewArray::new(field("item", &nulls()), vec![0].into(), vec![MIB].into(), nulls(), None);
        let arrays: [(&str, ArrayRef); 5] = [
            ("bytes of text", Arc::new(StringArray::from_iter_values([&text]))),
            ("bytes", Arc::new(BinaryArray::from_iter_values([&text]))),
            ("items in lists", one_list(nulls())),
            ("items in lists", Arc::new(views)),
            (
                "items in lists",
                Arc::new(MapArray::new(entries_field, OffsetBuffer::from_lengths([1 << 20]), entries, None, false)),
            ),
        ];
        for (what, values) in arrays {
            let expected = format!("would have 2147483648 {what}; one array of its type holds 2147483647");
            assert!(refused(&values, 2047).ends_with(&expected), "{}", refused(&values, 2047));
        }
    }

    #[test]
    fn runs_end_where_the_numbers_of_their_ends_do() {
        let runs: RunArray<Int16Type> = RunArray::try_new(&Int16Array::from(vec![10_000]), &NullArray::new(1)).unwrap();
        assert!(refused(&runs, 3).ends_with("would have 40000 rows in runs; one array of its type holds 32767"));
    }

    #[test]
    fn ends_of_longer_runs_have_more_room() {
        let runs: RunArray<Int32Type> = RunArray::try_new(&Int32Array::from(vec![MIB]), &NullArray::new(1)).unwrap();
        assert!(refused(&runs, 2047).contains("2147483648 rows in runs"));
        let runs: RunArray<Int64Type> =
            RunArray::try_new(&Int64Array::from(vec![1 << 40]), &NullArray::new(1)).unwrap();
        assert!(Capacity::default().with(&runs).is_ok());
    }

    #[test]
    fn large_list_views_are_looked_into() {
        let inner = one_list(nulls());
        let views = LargeListViewArray::new(field("item", &inner), vec![0].into(), vec![1].into(), inner, None);
        assert!(refused(&views, 2047).contains("items in lists"));
    }

    /// What is wide outside may be narrow inside, and each part has room of its own.
    #[test]
    fn each_part_is_looked_at() {
        let inner = one_list(nulls());
        let size = FixedSizeListArray::new(field("item", &inner), 1, inner.clone(), None);
        let large = LargeListArray::new(field("item", &size), OffsetBuffer::from_lengths([1]), Arc::new(size), None);
        let fields = Fields::from(vec![field("text", &StringArray::new_null(0)), field("lists", &large)]);
        let row = StructArray::new(fields, vec![Arc::new(StringArray::from(vec!["text"])), Arc::new(large)], None);
        assert!(refused(&row, 2047).contains("items in lists"));

        let fields = UnionFields::try_new([3, 5], [field("flat", &nulls()), field("lists", &inner)]).unwrap();
        let dense = |offsets| {
            let children = vec![nulls(), inner.clone()];
            UnionArray::try_new(fields.clone(), ScalarBuffer::from(vec![5]), offsets, children)
        };
        let union = dense(Some(vec![0].into())).unwrap();
        assert!(refused(&union, 2047).contains("values of one type in a union"));
    }
}
