//! The child arrays of an array.
//!
//! A new nested type is added here, and to [`visible::children`](crate::arrays::visible::children), which also says
//! which rows of a child its parent's rows use.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;

/// Calls `each` with the child arrays of `array`, whole, in the format's order, until it fails. The values of a
/// dictionary are no child, since they are in a message of their own; nor are run ends, which are no array in memory.
pub(crate) fn each_child<'a, E>(
    array: &'a dyn Array,
    each: &mut dyn FnMut(&'a dyn Array) -> Result<(), E>,
) -> Result<(), E> {
    match array.data_type() {
        DataType::List(_) => each(array.as_list::<i32>().values()),
        DataType::LargeList(_) => each(array.as_list::<i64>().values()),
        DataType::ListView(_) => each(array.as_list_view::<i32>().values()),
        DataType::LargeListView(_) => each(array.as_list_view::<i64>().values()),
        DataType::FixedSizeList(..) => each(array.as_fixed_size_list().values()),
        DataType::Map(..) => each(array.as_map().entries()),
        DataType::Struct(_) => array.as_struct().columns().iter().try_for_each(|column| each(column)),
        DataType::Union(fields, _) => {
            let array = array.as_union();
            fields.iter().try_for_each(|(type_id, _)| each(array.child(type_id)))
        }
        DataType::RunEndEncoded(..) => each(array.as_any_ree().values()),
        _ => Ok(()),
    }
}
