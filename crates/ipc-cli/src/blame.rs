//! Finds the column that arrow's reader refuses, since its error names none.
//!
//! The reader decodes a whole batch. After it has refused one, parts are decoded separately: half of the columns, half
//! of these, down to one column, and then its children. That takes time only after an error, and at most the number of
//! columns times its logarithm.

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

/// A refused batch, and what is needed to decode a part of it.
pub(crate) struct RefusedBatch<'a> {
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

/// The number of nodes, buffers and view buffer counts before an array.
#[derive(Debug, Clone, Copy, Default)]
struct Cursor {
    nodes: usize,
    buffers: usize,
    views: usize,
}

impl RefusedBatch<'_> {
    /// Returns the first column, at any depth, that is refused on its own; `None` if there is none.
    pub(crate) fn first_column(&self, fields: &[FieldRef]) -> Option<Blame> {
        self.first_of(fields, Cursor::default(), Some(self.batch.length()))
    }

    /// Returns the first refused one of these consecutive arrays, the first of which is at `at`.
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

    /// Decodes only these arrays.
    fn decode(&self, fields: &[FieldRef], from: Cursor, to: Cursor, rows: i64) -> Result<(), String> {
        let bytes = self.part(from, to, rows).ok_or("too few arrays or buffers")?;
        let part = flatbuffers::root::<RecordBatch<'_>>(&bytes).map_err(|error| error.to_string())?;
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let decoder = || RecordBatchDecoder::try_new(self.body, part, schema, self.dictionaries, &self.version);
        catch_panic(|| decoder()?.read_record_batch().map(drop))
    }

    /// Returns the metadata of a batch with only these arrays. Their buffers keep their positions in the body.
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

    /// Returns the position after an array of this type and its children.
    fn behind(&self, data_type: &DataType, at: Cursor) -> Option<Cursor> {
        let own = self.behind_own(data_type, at)?;
        children(data_type).iter().try_fold(own, |at, child| self.behind(child.data_type(), at))
    }

    /// Returns the position of the first child of an array of this type.
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

    /// Returns the length of the array at this position.
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

/// Returns the path of a field that is refused although its children are not, or of the child with a null that it does
/// not allow.
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

/// Returns the path of the field with this dictionary id, and the type of the dictionary's values.
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

/// Returns the items of this range, if the list is long enough.
fn within<T>(items: impl Iterator<Item = T>, range: Range<usize>) -> Option<Vec<T>> {
    let found: Vec<T> = items.skip(range.start).take(range.len()).collect();
    (found.len() == range.len()).then_some(found)
}
