//! What a type is made of.
//!
//! A new nested type is added to [`children`] and [`map_children`].

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, UnionFields};

/// Returns the child fields of a type, in the order in which they are written. A dictionary's values are no child.
pub(crate) fn children(data_type: &DataType) -> Vec<&FieldRef> {
    match data_type {
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::ListView(child)
        | DataType::LargeListView(child)
        | DataType::FixedSizeList(child, _)
        | DataType::Map(child, _) => vec![child],
        DataType::RunEndEncoded(run_ends, values) => vec![run_ends, values],
        DataType::Struct(fields) => fields.iter().collect(),
        DataType::Union(fields, _) => fields.iter().map(|(_, child)| child).collect(),
        _ => Vec::new(),
    }
}

/// Returns `data_type` with its child fields changed.
pub(crate) fn map_children(data_type: &DataType, change: &mut impl FnMut(&Field) -> Field) -> DataType {
    let mut changed = |field: &Arc<Field>| Arc::new(change(field));
    match data_type {
        DataType::List(child) => DataType::List(changed(child)),
        DataType::LargeList(child) => DataType::LargeList(changed(child)),
        DataType::ListView(child) => DataType::ListView(changed(child)),
        DataType::LargeListView(child) => DataType::LargeListView(changed(child)),
        DataType::FixedSizeList(child, size) => DataType::FixedSizeList(changed(child), *size),
        DataType::Map(entries, is_sorted) => DataType::Map(changed(entries), *is_sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(changed).collect::<Fields>()),
        DataType::RunEndEncoded(run_ends, values) => DataType::RunEndEncoded(changed(run_ends), changed(values)),
        DataType::Union(fields, mode) => {
            let fields: UnionFields = fields.iter().map(|(id, field)| (id, changed(field))).collect();
            DataType::Union(fields, *mode)
        }
        other => other.clone(),
    }
}

/// Returns whether a dictionary-encoded field can be unified.
///
/// An ordered dictionary cannot, since an added value would belong between others. Neither can one with an ordered one
/// inside: inner dictionaries are unified together with the one around them.
pub(crate) fn is_unifiable(field: &Field) -> bool {
    fn is_free(data_type: &DataType) -> bool {
        match data_type {
            DataType::Dictionary(_, values) => is_free(values),
            other => children(other).into_iter().all(|field| is_unifiable(field)),
        }
    }
    field.dict_is_ordered() != Some(true) && is_free(field.data_type())
}
