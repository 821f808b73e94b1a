//! What is written.
//!
//! A [`Shape`] is a small value that the tables of lines name; [`Shape::batches`] makes it. A shape may have several
//! batches, as the data sets do: writers write them in turn.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, FixedSizeListArray, Float32Array, Float64Array, Int32Array, Int64Array,
    PrimitiveArray, RecordBatch, StringArray, StructArray,
};
use arrow_ipc::reader::FileReader;
use arrow_schema::{DataType, Field};

/// What a batch looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Five columns of 43 bytes a row, with so many rows: numbers with nulls, numbers without, strings, booleans.
    Mixed(i32),
    /// So many columns of 1,024 numbers.
    Wide(i32),
    /// 1,024 lists of lists of numbers, some of them null.
    Nested,
    /// Three columns of 1,024 strings: short, long, and mostly empty.
    Strings,
    /// 256 vectors of 768 numbers, with an id.
    Embeddings,
    /// A number inside so many structs, 1,024 times.
    Deep(usize),
    /// 1,024 keys into a dictionary of so many strings.
    Dictionary(i32),
    /// The batches of a data set beside the workspace.
    Data(&'static str),
}

impl Shape {
    /// The data sets.
    pub const DATA: [Self; 4] = [Self::Data("trips"), Self::Data("logs"), Self::Data("iot"), Self::Data("embeddings")];

    /// Makes the batches; `None`, said aloud, where the data set is not there.
    ///
    /// # Panics
    ///
    /// Where a data set cannot be read.
    #[must_use]
    pub fn batches(self) -> Option<Vec<RecordBatch>> {
        let batch = match self {
            Self::Mixed(rows) => mixed(rows),
            Self::Wide(columns) => wide(columns),
            Self::Nested => nested(),
            Self::Strings => strings(),
            Self::Embeddings => embeddings(),
            Self::Deep(levels) => deep(levels),
            Self::Dictionary(values) => dictionary(values),
            Self::Data(name) => return data(name),
        };
        Some(vec![batch])
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mixed(rows) if rows % 1024 == 0 => write!(f, "5 columns x {}k rows", rows / 1024),
            Self::Mixed(rows) => write!(f, "5 columns x {rows} rows"),
            Self::Wide(1) => f.write_str("1 column"),
            Self::Wide(columns) => write!(f, "{columns} columns"),
            Self::Nested => f.write_str("nested lists"),
            Self::Strings => f.write_str("strings"),
            Self::Embeddings => f.write_str("embeddings"),
            Self::Deep(levels) => write!(f, "{levels} nested structs"),
            Self::Dictionary(values) => write!(f, "dictionary of {values}"),
            Self::Data(name) => write!(f, "{name}.arrow"),
        }
    }
}

fn mixed(rows: i32) -> RecordBatch {
    let id = Int64Array::from_iter((0..rows).map(|i| (i % 7 != 0).then_some(i64::from(i) * 31)));
    let value = Float64Array::from_iter_values((0..rows).map(|i| (f64::from(i) * 0.37).sin()));
    let name = StringArray::from_iter_values((0..rows).map(|i| format!("station {:010}", i64::from(i) * 7919 % 1000)));
    let flag = BooleanArray::from_iter((0..rows).map(|i| Some(i % 3 == 0)));
    let count = Int32Array::from_iter_values((0..rows).map(|i| i % 1000));
    batch([
        ("id", Arc::new(id) as ArrayRef),
        ("value", Arc::new(value)),
        ("name", Arc::new(name)),
        ("flag", Arc::new(flag)),
        ("count", Arc::new(count)),
    ])
}

fn wide(columns: i32) -> RecordBatch {
    let column = |c: i32| Arc::new(Int32Array::from_iter_values((0..ROWS).map(|i| i.wrapping_mul(c)))) as ArrayRef;
    batch((0..columns).map(|c| (format!("c{c}"), column(c))))
}

fn nested() -> RecordBatch {
    let mut lists = ListBuilder::new(ListBuilder::new(Int32Builder::new()));
    for i in 0..ROWS {
        for j in 0..i % 4 {
            (0..j).for_each(|k| lists.values().values().append_value(k));
            lists.values().append(true);
        }
        lists.append(i % 5 != 0);
    }
    batch([("lists", Arc::new(lists.finish()) as ArrayRef)])
}

fn strings() -> RecordBatch {
    let short = StringArray::from_iter_values((0..ROWS).map(|i| format!("{:x}", i.wrapping_mul(7919))));
    let long = StringArray::from_iter_values((0..ROWS).map(|i| format!("/var/log/service-{}/{i:060}.log", i % 17)));
    let rare = StringArray::from_iter((0..ROWS).map(|i| (i % 50 == 0).then(|| format!("remark {i}"))));
    batch([("short", Arc::new(short) as ArrayRef), ("long", Arc::new(long)), ("rare", Arc::new(rare))])
}

fn embeddings() -> RecordBatch {
    const LENGTH: i32 = 768;
    const VECTORS: i32 = 256;
    let values = Float32Array::from_iter_values((0..VECTORS * LENGTH).map(|i| noise(i) / 65_536.0));
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    let vectors = FixedSizeListArray::new(item, LENGTH, Arc::new(values), None);
    let ids = Int64Array::from_iter_values(0..i64::from(VECTORS));
    batch([("id", Arc::new(ids) as ArrayRef), ("vector", Arc::new(vectors))])
}

fn deep(levels: usize) -> RecordBatch {
    let mut column: ArrayRef = Arc::new(Int32Array::from_iter_values(0..ROWS));
    for _ in 0..levels {
        let field = Field::new("inner", column.data_type().clone(), true);
        column = Arc::new(StructArray::from(vec![(Arc::new(field), column)]));
    }
    batch([("outer", column)])
}

fn dictionary(values: i32) -> RecordBatch {
    let keys: PrimitiveArray<Int32Type> = (0..ROWS).map(|i| Some(i.wrapping_mul(7919).rem_euclid(values))).collect();
    let values = StringArray::from_iter_values((0..values).map(|i| format!("value {i}")));
    let column = DictionaryArray::try_new(keys, Arc::new(values)).expect("the keys are in range");
    batch([("word", Arc::new(column) as ArrayRef)])
}

/// Something that no codec makes much of, from 0 to 65,535.
fn noise(i: i32) -> f32 {
    let mixed = i.wrapping_mul(0x2C1B_3C6D).rotate_left(13).wrapping_mul(0x297A_2D39);
    f32::from(u16::try_from(mixed.rem_euclid(1 << 16)).expect("less than 65,536"))
}

fn batch<S: Into<String>>(columns: impl IntoIterator<Item = (S, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, column)| (name.into(), column));
    RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).expect("the columns are equally long")
}

fn data(name: &str) -> Option<Vec<RecordBatch>> {
    let place = format!("../shared/data/data/{name}.arrow");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(&place);
    let Ok(file) = File::open(path) else {
        eprintln!("skipped: no data set at {place}");
        return None;
    };
    let reader = FileReader::try_new(file, None).expect("a data set is an Arrow file");
    Some(reader.collect::<Result<_, _>>().expect("a data set is whole"))
}

/// Rows of the batches that are not told another number.
const ROWS: i32 = 1024;

#[cfg(test)]
mod tests {
    use arrow_array::Array;

    use super::*;

    #[test]
    fn shapes_are_what_their_names_say() {
        let only = |shape: Shape| shape.batches().unwrap().remove(0);
        let mixed = only(Shape::Mixed(65_536));
        assert_eq!((mixed.num_columns(), mixed.num_rows()), (5, 65_536));
        assert_eq!(Shape::Mixed(65_536).to_string(), "5 columns x 64k rows");
        assert_eq!(only(Shape::Wide(200)).num_columns(), 200);
        assert_eq!(only(Shape::Embeddings).num_rows(), 256);
        let mut column = only(Shape::Deep(3)).column(0).clone();
        for _ in 0..3 {
            column = column.as_any().downcast_ref::<StructArray>().unwrap().column(0).clone();
        }
        assert_eq!(column.data_type(), &DataType::Int32);
        let words = only(Shape::Dictionary(100_000)).column(0).clone();
        assert_eq!(words.as_any().downcast_ref::<DictionaryArray<Int32Type>>().unwrap().values().len(), 100_000);
    }
}
