//! Finds the column that arrow's reader refuses, since what it says names none.
//!
//! The reader decodes a batch as a whole. Once it has refused one, parts of it are decoded alone: half of the columns, half
//! of these, down to one, and then what is inside of it. That takes time only where something is wrong, and no more than the
//! number of columns times its logarithm.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_buffer::Buffer;
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::{BodyCompressionBuilder, MetadataVersion, RecordBatch, RecordBatchBuilder};
use arrow_schema::{DataType, Field, FieldRef, Schema, UnionMode};
use flatbuffers::FlatBufferBuilder;

use crate::catch_panic::catch_panic;

/// The dictionaries of an input, by id.
pub(crate) type Values = HashMap<i64, ArrayRef>;

/// A batch that was refused, and what it takes to decode a part of it.
pub(crate) struct Refused<'a> {
    pub(crate) batch: RecordBatch<'a>,
    pub(crate) body: &'a Buffer,
    pub(crate) dictionaries: &'a Values,
    pub(crate) version: MetadataVersion,
}

/// The path of a column, and why its values are refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Blame {
    pub(crate) path: String,
    pub(crate) reason: String,
}

/// How many nodes, buffers and counts of view buffers stand before an array.
#[derive(Debug, Clone, Copy, Default)]
struct Cursor {
    nodes: usize,
    buffers: usize,
    views: usize,
}

impl Refused<'_> {
    /// The first column, at any depth, that is refused by itself; `None` where none is.
    pub(crate) fn first_column(&self, fields: &[FieldRef]) -> Option<Blame> {
        self.first_of(fields, Cursor::default(), Some(self.batch.length()))
    }

    /// The first of these arrays, which follow one another from `at` on, that is refused.
    fn first_of(&self, fields: &[FieldRef], at: Cursor, rows: Option<i64>) -> Option<Blame> {
        let end = fields.iter().try_fold(at, |at, field| self.behind(field.data_type(), at))?;
        let rows_here = rows.or_else(|| self.length(at))?;
        let reason = self.decode(fields, at, end, rows_here).err()?;
        if let [field] = fields {
            let first_child = self.behind_own(field.data_type(), at)?;
            let inside = self.first_of(&children(field.data_type()), first_child, None);
            return Some(match inside {
                Some(blame) => Blame { path: format!("{}.{}", field.name(), blame.path), reason: blame.reason },
                None => Blame { path: denied_null(field, &reason), reason },
            });
        }
        let (first, second) = fields.split_at(fields.len() / 2);
        let middle = first.iter().try_fold(at, |at, field| self.behind(field.data_type(), at))?;
        self.first_of(first, at, rows).or_else(|| self.first_of(second, middle, rows))
    }

    /// Decodes these arrays alone.
    fn decode(&self, fields: &[FieldRef], from: Cursor, to: Cursor, rows: i64) -> Result<(), String> {
        let bytes = self.part(from, to, rows).ok_or("too few arrays or buffers")?;
        let part = flatbuffers::root::<RecordBatch<'_>>(&bytes).map_err(|error| error.to_string())?;
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let decoder = || RecordBatchDecoder::try_new(self.body, part, schema, self.dictionaries, &self.version);
        catch_panic(|| decoder()?.read_record_batch().map(drop))
    }

    /// The metadata of a batch that has these arrays only. Its buffers are where they were in the body.
    fn part(&self, from: Cursor, to: Cursor, rows: i64) -> Option<Vec<u8>> {
        let nodes: Vec<_> = within(self.batch.nodes()?.iter().copied(), from.nodes..to.nodes)?;
        let buffers: Vec<_> = within(self.batch.buffers()?.iter().copied(), from.buffers..to.buffers)?;
        let views: Vec<i64> = within(self.batch.variadicBufferCounts().into_iter().flatten(), from.views..to.views)?;
        let mut fbb = FlatBufferBuilder::new();
        let compression = self.batch.compression().map(|found| {
            let mut compression = BodyCompressionBuilder::new(&mut fbb);
            compression.add_codec(found.codec());
            compression.add_method(found.method());
            compression.finish()
        });
        let (nodes, buffers) = (fbb.create_vector(&nodes), fbb.create_vector(&buffers));
        let views = (!views.is_empty()).then(|| fbb.create_vector(&views));
        let mut part = RecordBatchBuilder::new(&mut fbb);
        part.add_length(rows);
        part.add_nodes(nodes);
        part.add_buffers(buffers);
        if let Some(compression) = compression {
            part.add_compression(compression);
        }
        if let Some(views) = views {
            part.add_variadicBufferCounts(views);
        }
        let part = part.finish();
        fbb.finish(part, None);
        Some(fbb.finished_data().to_vec())
    }

    /// Behind an array of this type and all that is inside of it.
    fn behind(&self, data_type: &DataType, at: Cursor) -> Option<Cursor> {
        let own = self.behind_own(data_type, at)?;
        children(data_type).iter().try_fold(own, |at, child| self.behind(child.data_type(), at))
    }

    /// Behind an array of this type, where its first child is.
    fn behind_own(&self, data_type: &DataType, at: Cursor) -> Option<Cursor> {
        let mut views = 0;
        let buffers = match data_type {
            DataType::Null | DataType::RunEndEncoded(..) => 0,
            DataType::Struct(_) | DataType::FixedSizeList(..) => 1,
            DataType::Union(_, mode) => {
                usize::from(self.version < MetadataVersion::V5) + 1 + usize::from(*mode == UnionMode::Dense)
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => 3,
            DataType::ListView(_) | DataType::LargeListView(_) => 3,
            DataType::Utf8View | DataType::BinaryView => {
                views = 1;
                let counts = self.batch.variadicBufferCounts().filter(|counts| at.views < counts.len())?;
                usize::try_from(counts.get(at.views)).ok()?.checked_add(2)?
            }
            _ => 2,
        };
        let buffers = at.buffers.checked_add(buffers)?;
        Some(Cursor { nodes: at.nodes + 1, buffers, views: at.views + views })
    }

    /// The length of the array there.
    fn length(&self, at: Cursor) -> Option<i64> {
        self.batch.nodes().filter(|nodes| at.nodes < nodes.len()).map(|nodes| nodes.get(at.nodes).length())
    }
}

/// What is inside an array of this type. A null that a child denies is a matter of its parent, which may hide it.
fn children(data_type: &DataType) -> Vec<FieldRef> {
    let nullable = |field: &FieldRef| Arc::new(Field::clone(field).with_nullable(true));
    match data_type {
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::ListView(child)
        | DataType::LargeListView(child)
        | DataType::FixedSizeList(child, _)
        | DataType::Map(child, _) => vec![nullable(child)],
        DataType::RunEndEncoded(ends, values) => vec![nullable(ends), nullable(values)],
        DataType::Struct(children) => children.iter().map(nullable).collect(),
        DataType::Union(children, _) => children.iter().map(|(_, child)| nullable(child)).collect(),
        _ => Vec::new(),
    }
}

/// The path of a field that is refused and nothing inside of it, or of the child that denies the null it has.
fn denied_null(field: &Field, reason: &str) -> String {
    let child = match field.data_type() {
        DataType::Struct(children) => {
            let is_named =
                |child: &&FieldRef| reason.contains(&format!("non-nullable StructArray field {:?}", child.name()));
            children.iter().find(is_named)
        }
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::ListView(child)
        | DataType::LargeListView(child)
        | DataType::FixedSizeList(child, _)
        | DataType::Map(child, _) => Some(child).filter(|_| reason.contains("non-nullable child")),
        _ => None,
    };
    child.map_or_else(|| field.name().clone(), |child| format!("{}.{}", field.name(), child.name()))
}

/// The path of the field whose dictionary has this id, and the type of its values.
pub(crate) fn dictionary_field(fields: &[FieldRef], id: i64) -> Option<(String, DataType)> {
    fields.iter().find_map(|field| {
        #[expect(deprecated, reason = "the id is what messages refer to, and nothing else tells it")]
        let is_it = field.dict_id() == Some(id);
        let inside = match field.data_type() {
            DataType::Dictionary(_, values) if is_it => return Some((field.name().clone(), DataType::clone(values))),
            DataType::Dictionary(_, values) => children(values),
            other => children(other),
        };
        dictionary_field(&inside, id).map(|(path, values)| (format!("{}.{path}", field.name()), values))
    })
}

/// The items of this range, if there are so many.
fn within<T>(items: impl Iterator<Item = T>, range: Range<usize>) -> Option<Vec<T>> {
    let found: Vec<T> = items.skip(range.start).take(range.len()).collect();
    (found.len() == range.len()).then_some(found)
}
