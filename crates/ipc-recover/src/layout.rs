//! What a schema requires of batches: their arrays, in order, and the buffers of each array.
//!
//! A [`Layout`] is built once, from a verified flatbuffer. It holds widths and counts and no names, so it takes little
//! memory whatever the schema says. A name is looked up in the flatbuffer, by positions.
//!
//! See [Physical memory layout](https://arrow.apache.org/docs/format/Columnar.html#physical-memory-layout).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use arrow_ipc::{DateUnit, Field, IntervalUnit, Precision, Schema, Type, UnionMode};
use flatbuffers::{ForwardsUOffset, Vector};

use crate::error::Fault;

/// The arrays of a record batch, and those of its dictionaries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    columns: Vec<Array>,
    /// The dictionaries, by id.
    dictionaries: BTreeMap<i64, Dictionary>,
}

/// A dictionary: its values, and the position of its field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dictionary {
    pub(crate) values: Array,
    /// The first field that has it: a position in the schema, then one among the children of each field below.
    pub(crate) field: Box<[u32]>,
    /// The number of dictionaries before it in a walk over the schema. Those that its values refer to are among them.
    order: usize,
}

/// An array: its own buffers, and its children.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Array {
    pub(crate) kind: ArrayKind,
    pub(crate) children: Box<[Array]>,
}

/// The physical layouts. Widths are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ArrayKind {
    /// No buffers.
    Null,
    /// Validity, and one bit for each value.
    Bits,
    /// Validity, and values of this width.
    Fixed(u32),
    /// Validity, offsets of this width, and bytes.
    Bytes(u32),
    /// Validity, views, and as many data buffers as the message lists.
    Views,
    /// Validity, offsets of this width; one child.
    List(u32),
    /// Validity, offsets and sizes of this width; one child.
    ListView(u32),
    /// Validity; one child with this many values for each list.
    FixedSizeList(u32),
    /// Validity; children of the same length.
    Struct,
    /// Type ids; children of the same length. Validity first, before metadata version 5.
    SparseUnion,
    /// Type ids and offsets; children. Validity first, before metadata version 5.
    DenseUnion,
    /// No buffers; run ends and values.
    RunEndEncoded,
    /// Validity, and keys of this width into the dictionary of this id.
    Dictionary { id: i64, width: u32 },
}

impl Array {
    fn has_unions(&self) -> bool {
        matches!(self.kind, ArrayKind::SparseUnion | ArrayKind::DenseUnion)
            || self.children.iter().any(Self::has_unions)
    }
}

impl Layout {
    /// Builds the layout that `schema` requires.
    pub(crate) fn new(schema: &Schema<'_>) -> Result<Self, Fault> {
        let mut reading = Reading::default();
        let columns = reading.arrays(schema.fields())?;
        Ok(Self { columns: columns.into_vec(), dictionaries: reading.dictionaries })
    }

    pub(crate) fn columns(&self) -> &[Array] {
        &self.columns
    }

    /// Returns whether some array is a union: its buffers depend on the metadata version.
    pub(crate) fn has_unions(&self) -> bool {
        let values = self.dictionaries.values().map(|dictionary| &dictionary.values);
        self.columns.iter().chain(values).any(Array::has_unions)
    }

    /// Returns the dictionary with this id.
    pub(crate) fn dictionary(&self, id: i64) -> Option<&Dictionary> {
        self.dictionaries.get(&id)
    }

    /// Returns all dictionaries and their ids, inner ones first.
    pub(crate) fn dictionaries(&self) -> Vec<(i64, &Dictionary)> {
        let mut all: Vec<_> = self.dictionaries.iter().map(|(id, dictionary)| (*id, dictionary)).collect();
        all.sort_unstable_by_key(|(_, dictionary)| dictionary.order);
        all
    }
}

/// Returns the path of a field, given a position in the schema, then one among the children of each field below.
pub(crate) fn path(schema: &Schema<'_>, positions: impl IntoIterator<Item = u32>) -> String {
    let mut fields = schema.fields();
    let mut path = String::new();
    for position in positions {
        let Some(field) = fields.into_iter().flatten().nth(usize::try_from(position).unwrap_or(usize::MAX)) else {
            break;
        };
        let separator = if path.is_empty() { "" } else { "." };
        path = format!("{path}{separator}{}", below(&field, ""));
        fields = field.children();
    }
    path
}

/// Puts a field's name before the path below it. Cuts long names, because a schema may repeat them without limit.
fn below(field: &Field<'_>, path: &str) -> String {
    let name: String = field.name().unwrap_or_default().chars().take(NAME_AT_MOST).collect();
    if path.is_empty() { name } else { format!("{name}.{path}") }
}

/// A layout, while the schema is read.
#[derive(Debug, Default)]
struct Reading {
    dictionaries: BTreeMap<i64, Dictionary>,
    /// The positions of the current field.
    at: Vec<u32>,
}

impl Reading {
    fn arrays(&mut self, fields: Option<Vector<'_, ForwardsUOffset<Field<'_>>>>) -> Result<Box<[Array]>, Fault> {
        let fields = fields.into_iter().flatten().zip(0..);
        fields
            .map(|(field, position)| {
                self.at.push(position);
                let array = self.array(&field);
                self.at.pop();
                array
            })
            .collect()
    }

    fn array(&mut self, field: &Field<'_>) -> Result<Array, Fault> {
        let values = self.plain(field).map_err(|fault| match fault {
            Fault::InvalidSchema { path, reason } => Fault::InvalidSchema { path: below(field, &path), reason },
            other => other,
        })?;
        let Some(encoding) = field.dictionary() else { return Ok(values) };
        let invalid = |reason| Fault::InvalidSchema { path: below(field, ""), reason };
        let bits = encoding.indexType().map_or(DEFAULT_KEY_BITS, |index| index.bitWidth());
        let width = whole_bytes(bits, &[1, 2, 4, 8]).ok_or_else(|| invalid("keys of an impossible width"))?;
        let id = encoding.id();
        let order = self.dictionaries.len();
        match self.dictionaries.entry(id) {
            Entry::Vacant(place) => drop(place.insert(Dictionary { values, field: self.at.as_slice().into(), order })),
            Entry::Occupied(other) if other.get().values == values => {}
            // So no dictionary is inside itself, or nested more deeply than the schema.
            Entry::Occupied(_) => return Err(invalid("the dictionary of another column, which has other values")),
        }
        Ok(Array { kind: ArrayKind::Dictionary { id, width }, children: Box::default() })
    }

    /// Returns the array of a field that is not dictionary-encoded, or of a dictionary's values.
    fn plain(&mut self, field: &Field<'_>) -> Result<Array, Fault> {
        let kind = array_kind(field).map_err(invalid)?;
        let fields = field.children();
        let count = fields.as_ref().map_or(0, Vector::len);
        let is_possible = match kind {
            ArrayKind::List(_) | ArrayKind::ListView(_) | ArrayKind::FixedSizeList(_) => count == 1,
            ArrayKind::RunEndEncoded => count == 2,
            ArrayKind::Struct => true,
            ArrayKind::SparseUnion | ArrayKind::DenseUnion => count <= UNION_FIELDS_AT_MOST,
            _ => count == 0,
        };
        if !is_possible {
            return Err(invalid("an impossible number of children"));
        }
        Ok(Array { kind, children: self.arrays(fields)? })
    }
}

fn array_kind(field: &Field<'_>) -> Result<ArrayKind, &'static str> {
    let fixed = |width: Option<u32>| width.map(ArrayKind::Fixed).ok_or(WIDTH);
    match field.type_type() {
        Type::Null => Ok(ArrayKind::Null),
        Type::Bool => Ok(ArrayKind::Bits),
        Type::Int => fixed(whole_bytes(field.type_as_int().ok_or(TYPE)?.bitWidth(), &[1, 2, 4, 8, 16])),
        Type::FloatingPoint => match field.type_as_floating_point().ok_or(TYPE)?.precision() {
            Precision::HALF => Ok(ArrayKind::Fixed(2)),
            Precision::SINGLE => Ok(ArrayKind::Fixed(4)),
            Precision::DOUBLE => Ok(ArrayKind::Fixed(8)),
            _ => Err(WIDTH),
        },
        Type::Decimal => fixed(whole_bytes(field.type_as_decimal().ok_or(TYPE)?.bitWidth(), &[4, 8, 16, 32])),
        Type::Date => match field.type_as_date().ok_or(TYPE)?.unit() {
            DateUnit::DAY => Ok(ArrayKind::Fixed(4)),
            _ => Ok(ArrayKind::Fixed(8)),
        },
        Type::Time => fixed(whole_bytes(field.type_as_time().ok_or(TYPE)?.bitWidth(), &[4, 8])),
        Type::Timestamp | Type::Duration => Ok(ArrayKind::Fixed(8)),
        Type::Interval => match field.type_as_interval().ok_or(TYPE)?.unit() {
            IntervalUnit::YEAR_MONTH => Ok(ArrayKind::Fixed(4)),
            IntervalUnit::DAY_TIME => Ok(ArrayKind::Fixed(8)),
            IntervalUnit::MONTH_DAY_NANO => Ok(ArrayKind::Fixed(16)),
            _ => Err(WIDTH),
        },
        Type::FixedSizeBinary => fixed(u32::try_from(field.type_as_fixed_size_binary().ok_or(TYPE)?.byteWidth()).ok()),
        Type::Binary | Type::Utf8 => Ok(ArrayKind::Bytes(4)),
        Type::LargeBinary | Type::LargeUtf8 => Ok(ArrayKind::Bytes(8)),
        Type::BinaryView | Type::Utf8View => Ok(ArrayKind::Views),
        Type::List | Type::Map => Ok(ArrayKind::List(4)),
        Type::LargeList => Ok(ArrayKind::List(8)),
        Type::ListView => Ok(ArrayKind::ListView(4)),
        Type::LargeListView => Ok(ArrayKind::ListView(8)),
        Type::FixedSizeList => {
            let size = field.type_as_fixed_size_list().ok_or(TYPE)?.listSize();
            u32::try_from(size).map(ArrayKind::FixedSizeList).map_err(|_| WIDTH)
        }
        Type::Struct_ => Ok(ArrayKind::Struct),
        Type::RunEndEncoded => Ok(ArrayKind::RunEndEncoded),
        Type::Union => {
            let union = field.type_as_union().ok_or(TYPE)?;
            let children = field.children().map_or(0, |children| children.len());
            if union.typeIds().is_some_and(|ids| ids.len() != children) {
                return Err("another number of type ids than of children");
            }
            Ok(if union.mode() == UnionMode::Dense { ArrayKind::DenseUnion } else { ArrayKind::SparseUnion })
        }
        _ => Err(TYPE),
    }
}

/// Converts a number of bits to bytes, if that is one of `widths`.
fn whole_bytes(bits: i32, widths: &[u32]) -> Option<u32> {
    let bits = u32::try_from(bits).ok()?;
    widths.iter().copied().find(|width| width * 8 == bits)
}

fn invalid(reason: &'static str) -> Fault {
    Fault::InvalidSchema { path: String::new(), reason }
}

/// The format's default, if a schema does not say.
const DEFAULT_KEY_BITS: i32 = 32;

/// The most children of a union: a type id has 8 bits, and is not negative.
const UNION_FIELDS_AT_MOST: usize = 128;

/// The number of characters of a name that an error repeats.
const NAME_AT_MOST: usize = 64;

const TYPE: &str = "no type, or one that is not known";
const WIDTH: &str = "values of an impossible width";
