//! Arrays of any type, filled from a seed.
//!
//! What matters is not the values but the layouts: bitmaps that start inside a byte, offsets that do not start at 0,
//! null slots with bytes in them, list views that overlap or point nowhere, children longer than their parent needs.
//! So about half of all arrays, at every level, are slices of longer ones.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::types::{
    ArrowDictionaryKeyType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, DictionaryArray, FixedSizeBinaryArray,
    FixedSizeListArray, GenericListArray, GenericListViewArray, GenericStringArray, LargeBinaryArray, MapArray,
    NullArray, OffsetSizeTrait, PrimitiveArray, StructArray, UnionArray, downcast_primitive, make_array,
};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field, FieldRef, Fields, UnionFields, UnionMode};

use crate::random::Random;

/// How the dictionary of one field changes from batch to batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// All batches share one array.
    Shared,
    /// Each batch has its own array, with the same values.
    Equal,
    /// Each batch has the dictionary of the batch before it, or a longer one that starts with it.
    Growing,
    /// Each batch has other values.
    Changing,
}

/// Generates the arrays of successive batches.
#[derive(Debug)]
pub struct Maker {
    random: Random,
    seed: u64,
    batch: usize,
    sharing: Sharing,
    /// Dictionaries that outlive a batch, by the path of their field.
    kept: HashMap<String, ArrayRef>,
}

impl Maker {
    /// Returns a maker whose batches follow from `seed`.
    #[must_use]
    pub fn new(seed: u64, sharing: Sharing) -> Self {
        Self::fed(&[], seed, sharing)
    }

    /// Returns a maker whose first decisions come from `food`.
    #[must_use]
    pub fn fed(food: &[u8], seed: u64, sharing: Sharing) -> Self {
        Self { random: Random::fed(food, seed), seed, batch: 0, sharing, kept: HashMap::new() }
    }

    /// Goes on to the next batch.
    pub fn next_batch(&mut self) {
        self.batch += 1;
    }

    /// Returns an array of `len` rows for `field`, whose path is `path`.
    pub fn array(&mut self, field: &Field, len: usize, path: &str) -> ArrayRef {
        let mut margin = || if self.random.one_in(2) { self.random.below(20) } else { 0 };
        let (before, behind) = (margin(), margin());
        let whole = self.whole(field.data_type(), field.is_nullable(), before + len + behind, path);
        whole.slice(before, len)
    }

    fn whole(&mut self, data_type: &DataType, nullable: bool, len: usize, path: &str) -> ArrayRef {
        downcast_primitive! {
            data_type => (primitive, self, data_type, nullable, len),
            DataType::Null => Arc::new(NullArray::new(len)),
            DataType::Boolean => Arc::new(BooleanArray::new(self.bits(len), self.nulls(nullable, len))),
            DataType::Utf8 => Arc::new(self.strings::<i32>(nullable, len)),
            DataType::LargeUtf8 => Arc::new(self.strings::<i64>(nullable, len)),
            DataType::Binary => Arc::new(BinaryArray::from(self.strings::<i32>(nullable, len))),
            DataType::LargeBinary => Arc::new(LargeBinaryArray::from(self.strings::<i64>(nullable, len))),
            DataType::Utf8View => Arc::new(self.views(nullable, len).finish()),
            DataType::BinaryView => Arc::new(self.views(nullable, len).finish().to_binary_view()),
            DataType::FixedSizeBinary(width) => {
                let values = self.bytes(len * to_usize(*width));
                let nulls = self.nulls(nullable, len);
                Arc::new(FixedSizeBinaryArray::try_new_with_len(*width, values.into(), nulls, len).unwrap())
            },
            DataType::List(child) => self.list::<i32>(child, nullable, len, path),
            DataType::LargeList(child) => self.list::<i64>(child, nullable, len, path),
            DataType::ListView(child) => self.list_view::<i32>(child, nullable, len, path),
            DataType::LargeListView(child) => self.list_view::<i64>(child, nullable, len, path),
            DataType::FixedSizeList(child, size) => {
                let values = self.array(child, len * to_usize(*size), &below(path, 0));
                let nulls = self.nulls(nullable, len);
                Arc::new(FixedSizeListArray::try_new_with_length(child.clone(), *size, values, nulls, len).unwrap())
            },
            DataType::Struct(fields) => Arc::new(self.structs(fields, nullable, len, path)),
            DataType::Map(entries, is_sorted) => {
                let DataType::Struct(fields) = entries.data_type() else { unreachable!("a map's entries") };
                let offsets = self.offsets(len);
                let entries_array = self.structs(fields, false, last(&offsets), &below(path, 0));
                let nulls = self.nulls(nullable, len);
                Arc::new(MapArray::new(entries.clone(), offsets, entries_array, nulls, *is_sorted))
            },
            DataType::Union(fields, mode) => self.union(fields, *mode, len, path),
            DataType::Dictionary(key, values) => {
                let values = self.dictionary(values, nullable, path);
                self.keys(key, values, nullable, len)
            },
            DataType::RunEndEncoded(run_ends, values) => self.runs(data_type, run_ends, values, len, path),
            other => unreachable!("no values for {other}"),
        }
    }

    /// Returns random bytes; in half of the cases mostly zeros, so that some buffers compress and some do not.
    fn bytes(&mut self, len: usize) -> MutableBuffer {
        let mut bytes = MutableBuffer::from_len_zeroed(len);
        if self.random.one_in(2) {
            self.random.fill(&mut bytes);
        } else {
            bytes.iter_mut().step_by(8).for_each(|byte| *byte = self.random.draw().to_le_bytes()[0]);
        }
        bytes
    }

    /// Returns bits that may start inside a byte.
    fn bits(&mut self, len: usize) -> BooleanBuffer {
        let offset = self.random.below(10);
        let bytes = self.bytes((offset + len).div_ceil(8));
        BooleanBuffer::new(bytes.into(), offset, len)
    }

    fn nulls(&mut self, nullable: bool, len: usize) -> Option<NullBuffer> {
        match self.random.below(8) {
            _ if !nullable => None,
            0..2 => None,
            2 => Some(NullBuffer::new_valid(len)),
            3 => Some(NullBuffer::new_null(len)),
            _ => Some(NullBuffer::new(self.bits(len))),
        }
    }

    /// Returns a string: empty, short, or too long to be inline in a view.
    fn text(&mut self) -> String {
        const PIECES: [&str; 6] = ["a", "bc", "é", "漢", "𝄞", "0123456789"];
        let pieces = if self.random.one_in(6) { 30 } else { 5 };
        (0..self.random.below(pieces)).map(|_| *self.random.pick(&PIECES)).collect()
    }

    fn strings<O: OffsetSizeTrait>(&mut self, nullable: bool, len: usize) -> GenericStringArray<O> {
        let texts: Vec<String> = (0..len).map(|_| self.text()).collect();
        let offsets = OffsetBuffer::from_lengths(texts.iter().map(String::len));
        GenericStringArray::new(offsets, texts.concat().into_bytes().into(), self.nulls(nullable, len))
    }

    /// Returns string views over several data buffers.
    fn views(&mut self, nullable: bool, len: usize) -> StringViewBuilder {
        let mut builder = StringViewBuilder::new().with_fixed_block_size(*self.random.pick(&[64, 512]));
        for _ in 0..len {
            let text = self.text();
            builder.append_option((!nullable || !self.random.one_in(4)).then_some(text));
        }
        builder
    }

    fn offsets<O: OffsetSizeTrait>(&mut self, len: usize) -> OffsetBuffer<O> {
        OffsetBuffer::from_lengths((0..len).map(|_| self.random.below(4).saturating_sub(1)))
    }

    fn list<O: OffsetSizeTrait>(&mut self, child: &FieldRef, nullable: bool, len: usize, path: &str) -> ArrayRef {
        let offsets = self.offsets::<O>(len);
        let unused = self.random.below(3);
        let values = self.array(child, last(&offsets) + unused, &below(path, 0));
        Arc::new(GenericListArray::new(child.clone(), offsets, values, self.nulls(nullable, len)))
    }

    /// Returns list views that overlap, in any order; those of size 0 point anywhere.
    fn list_view<O: OffsetSizeTrait>(&mut self, child: &FieldRef, nullable: bool, len: usize, path: &str) -> ArrayRef {
        let count = self.random.below(len + 4);
        let values = self.array(child, count, &below(path, 0));
        let (offsets, sizes): (Vec<O>, Vec<O>) = (0..len)
            .map(|_| {
                let offset = self.random.below(count + 1);
                let size = self.random.below((count - offset).min(3) + 1);
                (O::usize_as(offset), O::usize_as(size))
            })
            .unzip();
        let nulls = self.nulls(nullable, len);
        Arc::new(GenericListViewArray::new(child.clone(), offsets.into(), sizes.into(), values, nulls))
    }

    fn structs(&mut self, fields: &Fields, nullable: bool, len: usize, path: &str) -> StructArray {
        let columns = fields.iter().enumerate().map(|(i, field)| self.array(field, len, &below(path, i))).collect();
        StructArray::try_new_with_length(fields.clone(), columns, self.nulls(nullable, len), len).unwrap()
    }

    fn union(&mut self, fields: &UnionFields, mode: UnionMode, len: usize, path: &str) -> ArrayRef {
        let ids: Vec<i8> = fields.iter().map(|(id, _)| id).collect();
        let type_ids: Vec<i8> = (0..len).map(|_| *self.random.pick(&ids)).collect();
        let of_type = |id| type_ids.iter().filter(|i| **i == id).count();
        // Either each child has exactly the rows of its type id, in order, or the offsets point anywhere.
        let in_order = self.random.one_in(2);
        let mut lengths: HashMap<i8, usize> = HashMap::new();
        for &id in &ids {
            let length = match mode {
                UnionMode::Sparse => len,
                UnionMode::Dense if in_order => of_type(id),
                UnionMode::Dense => 1 + self.random.below(len + 2),
            };
            lengths.insert(id, length);
        }
        let offsets = (mode == UnionMode::Dense).then(|| {
            let mut next: HashMap<i8, usize> = HashMap::new();
            let offsets = type_ids.iter().map(|id| {
                let next = next.entry(*id).or_default();
                *next += 1;
                let offset = if in_order { *next - 1 } else { self.random.below(lengths[id]) };
                i32::usize_as(offset)
            });
            offsets.collect::<Vec<_>>().into()
        });
        let children = fields.iter().enumerate();
        let children =
            children.map(|(i, (id, field))| self.array(field, lengths[&id], &below(path, i))).collect::<Vec<_>>();
        Arc::new(UnionArray::try_new(fields.clone(), type_ids.into(), offsets, children).unwrap())
    }

    /// Returns the values of the dictionary at `path` for the current batch.
    fn dictionary(&mut self, data_type: &DataType, nullable: bool, path: &str) -> ArrayRef {
        const AT_MOST: usize = 12;
        let keeps = matches!(self.sharing, Sharing::Shared | Sharing::Growing);
        let values = match self.kept.get(path) {
            Some(values) if keeps => Arc::clone(values),
            _ => {
                let batch = if self.sharing == Sharing::Changing { self.batch } else { 0 };
                let of_batch = std::mem::replace(&mut self.random, Random::labelled(self.seed, (path, batch)));
                let len = if nullable { self.random.below(AT_MOST) } else { 1 + self.random.below(AT_MOST - 1) };
                let values = Field::new("values", data_type.clone(), is_nullable(data_type, nullable));
                let values = self.array(&values, len, &below(path, 0));
                self.random = of_batch;
                self.kept.insert(path.to_owned(), Arc::clone(&values));
                values
            }
        };
        // A dictionary whose values hold other dictionaries cannot grow by deltas.
        if self.sharing == Sharing::Growing && !has_dictionary(data_type) {
            let len = values.len().min(1 + 3 * self.batch);
            return values.slice(0, len);
        }
        values
    }

    fn keys(&mut self, key: &DataType, values: ArrayRef, nullable: bool, len: usize) -> ArrayRef {
        match key {
            DataType::Int8 => self.typed_keys::<Int8Type>(values, nullable, len),
            DataType::Int16 => self.typed_keys::<Int16Type>(values, nullable, len),
            DataType::Int32 => self.typed_keys::<Int32Type>(values, nullable, len),
            DataType::Int64 => self.typed_keys::<Int64Type>(values, nullable, len),
            DataType::UInt8 => self.typed_keys::<UInt8Type>(values, nullable, len),
            DataType::UInt16 => self.typed_keys::<UInt16Type>(values, nullable, len),
            DataType::UInt32 => self.typed_keys::<UInt32Type>(values, nullable, len),
            DataType::UInt64 => self.typed_keys::<UInt64Type>(values, nullable, len),
            other => unreachable!("no keys of {other}"),
        }
    }

    fn typed_keys<K: ArrowDictionaryKeyType>(&mut self, values: ArrayRef, nullable: bool, len: usize) -> ArrayRef {
        let nulls = if values.is_empty() { Some(NullBuffer::new_null(len)) } else { self.nulls(nullable, len) };
        let keys = (0..len).map(|_| K::Native::usize_as(self.random.below(values.len().max(1)))).collect();
        Arc::new(DictionaryArray::<K>::new(PrimitiveArray::new(keys, nulls), values))
    }

    fn runs(
        &mut self,
        data_type: &DataType,
        run_ends: &FieldRef,
        values: &FieldRef,
        len: usize,
        path: &str,
    ) -> ArrayRef {
        let mut ends = Vec::new();
        while ends.last().copied().unwrap_or(0) < len {
            let run = 1 + self.random.below(4);
            ends.push((ends.last().copied().unwrap_or(0) + run).min(len));
        }
        let count = ends.len();
        let ends: ArrayRef = match run_ends.data_type() {
            DataType::Int16 => Arc::new(run_end_array::<Int16Type>(ends)),
            DataType::Int32 => Arc::new(run_end_array::<Int32Type>(ends)),
            _ => Arc::new(run_end_array::<Int64Type>(ends)),
        };
        let values = self.array(values, count, &below(path, 0));
        let builder = ArrayData::builder(data_type.clone()).len(len);
        let builder = builder.add_child_data(ends.to_data()).add_child_data(values.to_data());
        make_array(builder.build().unwrap())
    }
}

/// Returns whether a field is nullable: as `wanted`, if its type leaves a choice. A type without a validity bitmap has
/// the nulls of its children.
#[must_use]
pub fn is_nullable(data_type: &DataType, wanted: bool) -> bool {
    match data_type {
        DataType::Null => true,
        DataType::Union(fields, _) => fields.iter().any(|(_, field)| field.is_nullable()),
        DataType::RunEndEncoded(_, values) => values.is_nullable(),
        DataType::Dictionary(_, values) => wanted || is_nullable(values, false),
        _ => wanted,
    }
}

/// Returns whether this type contains a dictionary.
#[must_use]
pub fn has_dictionary(data_type: &DataType) -> bool {
    contains(data_type, &|data_type| matches!(data_type, DataType::Dictionary(..)))
}

/// Returns whether `wanted` holds for this type or one inside it.
#[must_use]
pub fn contains(data_type: &DataType, wanted: &impl Fn(&DataType) -> bool) -> bool {
    let inside = |field: &Field| contains(field.data_type(), wanted);
    wanted(data_type)
        || match data_type {
            DataType::Dictionary(_, values) => contains(values, wanted),
            DataType::List(child)
            | DataType::LargeList(child)
            | DataType::ListView(child)
            | DataType::LargeListView(child)
            | DataType::FixedSizeList(child, _)
            | DataType::Map(child, _)
            | DataType::RunEndEncoded(_, child) => inside(child),
            DataType::Struct(fields) => fields.iter().any(|field| inside(field)),
            DataType::Union(fields, _) => fields.iter().any(|(_, field)| inside(field)),
            _ => false,
        }
}

macro_rules! primitive {
    ($t:ty, $maker:ident, $data_type:ident, $nullable:ident, $len:ident) => {
        Arc::new($maker.primitive::<$t>($data_type, $nullable, $len))
    };
}
use primitive;

impl Maker {
    /// Returns numbers with random bits.
    fn primitive<T: ArrowPrimitiveType>(
        &mut self,
        data_type: &DataType,
        nullable: bool,
        len: usize,
    ) -> PrimitiveArray<T> {
        let values = ScalarBuffer::new(self.bytes(len * size_of::<T::Native>()).into(), 0, len);
        PrimitiveArray::<T>::new(values, self.nulls(nullable, len)).with_data_type(data_type.clone())
    }
}

fn run_end_array<T: ArrowPrimitiveType>(ends: Vec<usize>) -> PrimitiveArray<T> {
    PrimitiveArray::new(ends.into_iter().map(T::Native::usize_as).collect(), None)
}

fn below(path: &str, child: usize) -> String {
    format!("{path}.{child}")
}

fn last<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> usize {
    offsets.last().as_usize()
}

fn to_usize(size: i32) -> usize {
    usize::try_from(size).expect("a size is not negative")
}
