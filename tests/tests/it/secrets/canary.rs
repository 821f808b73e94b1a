//! Arrays with a word in their first and last rows that is not in the rows between, and that is easily found again.

use std::sync::Arc;

use arrow_array::types::Int64Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, FixedSizeBinaryArray, FixedSizeListArray, Int32Array,
    Int64Array, LargeStringArray, ListArray, ListViewArray, MapArray, RunArray, StringArray, StringViewArray,
    StructArray, UInt8Array, UnionArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, FieldRef, Fields, UnionFields};

/// The word, in every value of the first and the last row.
pub(crate) const CANARY: &[u8; 8] = b"CANARYCA";

/// Four rows of every layout.
pub(crate) fn arrays() -> Vec<(&'static str, ArrayRef)> {
    let number = i64::from_le_bytes(*CANARY);
    let long = "CANARYCA and some more, to be too long for a view";
    let integers = || Int64Array::from(vec![number, 1, 2, number]);
    let strings = || StringArray::from(vec![long, "", "plain", long]);
    let field = |array: &dyn Array| -> FieldRef { Arc::new(Field::new("item", array.data_type().clone(), true)) };
    let one_each = || OffsetBuffer::<i32>::from_lengths([1; 4]);
    let list = |values: ArrayRef| ListArray::new(field(&values), one_each(), values, None);
    let list_view = {
        // Items in another order than their lists.
        let values: ArrayRef = Arc::new(Int64Array::from(vec![number, number, 1, 2]));
        ListViewArray::new(field(&values), vec![0, 2, 3, 1].into(), vec![1; 4].into(), values, None)
    };
    let fixed = {
        let values: ArrayRef = Arc::new(strings());
        FixedSizeListArray::new(field(&values), 1, values, None)
    };
    let structs = {
        let columns: Vec<ArrayRef> = vec![Arc::new(integers()), Arc::new(strings())];
        let fields = columns.iter().enumerate().map(|(i, c)| Field::new(i.to_string(), c.data_type().clone(), true));
        StructArray::new(fields.collect(), columns, None)
    };
    let map = {
        let fields =
            Fields::from(vec![Field::new("key", DataType::Int64, false), Field::new("value", DataType::Utf8, true)]);
        let entries = StructArray::new(fields.clone(), vec![Arc::new(integers()), Arc::new(strings())], None);
        let field = Field::new("entries", DataType::Struct(fields), false);
        MapArray::new(Arc::new(field), one_each(), entries, None, false)
    };
    let union = |offsets: Option<Vec<i32>>| {
        let fields = [Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)];
        let fields = UnionFields::try_new([0, 1], fields).unwrap();
        let children: Vec<ArrayRef> = vec![Arc::new(integers()), Arc::new(strings())];
        UnionArray::try_new(fields, vec![0, 0, 1, 1].into(), offsets.map(Into::into), children).unwrap()
    };
    let runs = RunArray::<Int64Type>::try_new(&Int64Array::from(vec![1, 2, 3, 4]), &strings()).unwrap();
    let bytes = CANARY.repeat(4);
    let mut middle_cleared = bytes.clone();
    middle_cleared[8..24].fill(0);
    vec![
        ("bytes", Arc::new(u8_list(&bytes))),
        ("integers", Arc::new(integers())),
        ("decimals", {
            let value = i128::from(number) << 64 | i128::from(number);
            Arc::new(Decimal128Array::from(vec![value, 1, 2, value]))
        }),
        ("fixed-size binary", Arc::new(FixedSizeBinaryArray::new(8, middle_cleared.into(), None))),
        ("strings", Arc::new(strings())),
        ("large strings", Arc::new(LargeStringArray::from(vec![long, "", "plain", long]))),
        ("binary", Arc::new(BinaryArray::from_vec(vec![CANARY, b"", b"plain", CANARY]))),
        ("views", Arc::new(StringViewArray::from(vec![long, "", "plain text too long for a view", long]))),
        ("short views", Arc::new(StringViewArray::from(vec!["CANARYCA", "", "plain", "CANARYCA"]))),
        ("lists", Arc::new(list(Arc::new(strings())))),
        ("lists of lists", Arc::new(list(Arc::new(list(Arc::new(integers())))))),
        ("list views", Arc::new(list_view)),
        ("fixed-size lists", Arc::new(fixed)),
        ("structs", Arc::new(structs)),
        ("maps", Arc::new(map)),
        ("sparse unions", Arc::new(union(None))),
        ("dense unions", Arc::new(union(Some(vec![0, 1, 2, 3])))),
        ("runs", Arc::new(runs)),
    ]
}

/// Lists of single bytes, which are no longer than a bitmap's.
fn u8_list(bytes: &[u8]) -> ListArray {
    let mut values = bytes.to_vec();
    values[8..24].fill(0);
    let field = Arc::new(Field::new("item", DataType::UInt8, true));
    ListArray::new(field, OffsetBuffer::from_lengths([8; 4]), Arc::new(UInt8Array::from(values)), None)
}

/// Booleans that are true in the first and the last row.
pub(crate) fn booleans() -> BooleanArray {
    BooleanArray::from(vec![true, false, false, true])
}

/// An array with a list of `i32` keys that are `CANA` in the first and the last row.
pub(crate) fn narrow() -> Int32Array {
    let [a, b, c, d, ..] = *CANARY;
    let number = i32::from_le_bytes([a, b, c, d]);
    Int32Array::from(vec![number, 1, 2, number])
}

/// Whether the first half of the word is in `bytes`.
pub(crate) fn is_in(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|window| window == &CANARY[..4])
}
