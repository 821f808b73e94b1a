//! Strategies for schemas and batches of every Arrow type.
//!
//! proptest generates and shrinks a [`Plan`]: fields, row counts, a seed. [`Batches`] follow from the plan.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, IntervalUnit, Metadata, Schema, SchemaRef, TimeUnit, UnionFields, UnionMode};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;
use proptest::sample::select;

use crate::arrays::{Maker, Sharing, is_nullable};

/// Determines all batches of a case.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The columns.
    pub fields: Vec<Field>,
    /// The schema's key-value pairs.
    pub metadata: Metadata,
    /// The number of rows of each batch.
    pub rows: Vec<usize>,
    /// How dictionaries change from batch to batch.
    pub sharing: Sharing,
    /// The seed of all values.
    pub seed: u64,
}

/// Batches of one schema.
#[derive(Clone)]
pub struct Batches {
    plan: Plan,
    /// The schema.
    pub schema: SchemaRef,
    /// The batches, possibly none.
    pub batches: Vec<RecordBatch>,
}

impl Batches {
    /// Returns the batches of `plan`.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self::made_by(Maker::new(plan.seed, plan.sharing), plan)
    }

    /// Returns the batches of `plan`, with arrays from `maker`.
    #[must_use]
    pub fn made_by(mut maker: Maker, plan: Plan) -> Self {
        let schema = Arc::new(Schema::new(plan.fields.clone()).with_metadata(plan.metadata.clone()));
        let batches = plan.rows.iter().map(|&rows| {
            let fields = schema.fields().iter().enumerate();
            let columns = fields.map(|(i, field)| maker.array(field, rows, &i.to_string())).collect();
            maker.next_batch();
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            RecordBatch::try_new_with_options(schema.clone(), columns, &options).unwrap()
        });
        let batches = batches.collect();
        Self { plan, schema, batches }
    }
}

/// Shows only the plan: it determines the values, which would take many more lines.
impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt(f)
    }
}

/// Generates schemas of up to five columns, with up to four batches each and dictionaries that change in one of these
/// ways.
pub fn arb_batches(sharing: &'static [Sharing]) -> impl Strategy<Value = Batches> {
    arb_batches_of(0..=4, sharing)
}

/// Generates the same as [`arb_batches`], with this many batches.
pub fn arb_batches_of(count: RangeInclusive<usize>, sharing: &'static [Sharing]) -> impl Strategy<Value = Batches> {
    let rows = prop_oneof![1 => Just(0), 6 => 1..20usize, 1 => 60..200usize];
    (vec(arb_field(), 0..=5), arb_metadata(), vec(rows, count), select(sharing), any::<u64>()).prop_map(
        |(fields, metadata, rows, sharing, seed)| Batches::new(Plan { fields, metadata, rows, sharing, seed }),
    )
}

/// Generates a field of any type, nested up to four levels deep.
pub fn arb_field() -> impl Strategy<Value = Field> {
    field_of(arb_data_type())
}

/// Generates any type, nested up to four levels deep. About half of them are nested.
pub fn arb_data_type() -> impl Strategy<Value = DataType> {
    select(flat_types()).prop_recursive(3, 10, 3, |inner| {
        let field = || field_of(inner.clone());
        let child = || field().prop_map(Arc::new);
        prop_oneof![
            child().prop_map(DataType::List),
            child().prop_map(DataType::LargeList),
            child().prop_map(DataType::ListView),
            child().prop_map(DataType::LargeListView),
            (child(), 0..4i32).prop_map(|(child, size)| DataType::FixedSizeList(child, size)),
            vec(field(), 0..3).prop_map(|fields| DataType::Struct(fields.into())),
            arb_map(field()),
            (vec(field(), 1..4), any::<bool>(), 0..3i8)
                .prop_map(|(fields, dense, spread)| union_of(fields, dense, spread)),
            arb_dictionary(inner.clone()),
            // A dictionary inside the values of another.
            (arb_dictionary(inner.clone()), select(key_types())).prop_map(|(inner, key)| {
                let values = DataType::Struct(vec![Field::new("inner", inner, true)].into());
                DataType::Dictionary(Box::new(key), Box::new(values))
            }),
            arb_run_end_encoded(field()),
        ]
    })
}

fn field_of(data_type: impl Strategy<Value = DataType>) -> impl Strategy<Value = Field> {
    let name = select(vec!["a", "b", "a longer name", "é漢", ""]);
    (name, data_type, any::<bool>(), prop_oneof![4 => Just(Metadata::new()), 1 => extension_metadata()]).prop_map(
        |(name, data_type, nullable, metadata)| {
            let nullable = is_nullable(&data_type, nullable);
            Field::new(name, data_type, nullable).with_metadata(metadata)
        },
    )
}

fn extension_metadata() -> impl Strategy<Value = Metadata> {
    select(vec!["", r#"{"crs":"EPSG:4326"}"#]).prop_map(|parameters| {
        Metadata::from([("ARROW:extension:name", "ipc.test"), ("ARROW:extension:metadata", parameters)])
    })
}

fn arb_metadata() -> impl Strategy<Value = Metadata> {
    let pair = select(vec![("pandas", "{}"), ("key", "é漢"), ("empty", "")]);
    vec(pair, 0..3).prop_map(Metadata::from_iter)
}

fn arb_dictionary(values: impl Strategy<Value = DataType>) -> impl Strategy<Value = DataType> {
    (select(key_types()), values).prop_map(|(key, values)| match values {
        // A schema cannot express a dictionary directly inside a dictionary.
        DataType::Dictionary(_, values) => DataType::Dictionary(Box::new(key), values),
        values => DataType::Dictionary(Box::new(key), Box::new(values)),
    })
}

/// Generates maps whose entries have the usual names or others.
fn arb_map(value: impl Strategy<Value = Field>) -> impl Strategy<Value = DataType> {
    let key = select(vec![DataType::Utf8, DataType::Int32, DataType::Boolean, DataType::FixedSizeBinary(0)]);
    let names = select(vec![("entries", "key"), ("key_value", "k"), ("", "")]);
    (key, value, names, any::<bool>()).prop_map(|(key, value, (entries, name), is_sorted)| {
        let fields = vec![Field::new(name, key, false), value];
        DataType::Map(Arc::new(Field::new(entries, DataType::Struct(fields.into()), false)), is_sorted)
    })
}

/// Generates unions with type ids from 0 on, with gaps, or up to the largest.
fn union_of(fields: Vec<Field>, dense: bool, spread: i8) -> DataType {
    let id = |i: i8| match spread {
        0 => i,
        1 => 3 * i + 1,
        _ => i8::MAX - i,
    };
    let mode = if dense { UnionMode::Dense } else { UnionMode::Sparse };
    let ids: Vec<i8> = (0..).zip(&fields).map(|(i, _)| id(i)).collect();
    DataType::Union(UnionFields::try_new(ids, fields).unwrap(), mode)
}

fn arb_run_end_encoded(values: impl Strategy<Value = Field>) -> impl Strategy<Value = DataType> {
    let run_ends = select(vec![DataType::Int16, DataType::Int32, DataType::Int64]);
    (run_ends, values).prop_map(|(run_ends, values)| {
        let run_ends = Field::new(Field::REE_RUN_ENDS_FIELD_DEFAULT_NAME, run_ends, false);
        DataType::RunEndEncoded(Arc::new(run_ends), Arc::new(values.with_name(Field::REE_VALUES_FIELD_DEFAULT_NAME)))
    })
}

fn key_types() -> Vec<DataType> {
    use DataType::{Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
    vec![Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64]
}

/// Returns every type without children.
#[must_use]
pub fn flat_types() -> Vec<DataType> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    let mut types = key_types();
    types.extend([
        DataType::Null,
        DataType::Boolean,
        DataType::Float16,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal32(9, 2),
        DataType::Decimal64(18, -3),
        DataType::Decimal128(38, 10),
        DataType::Decimal256(76, 0),
        DataType::Date32,
        DataType::Date64,
        DataType::Time32(Second),
        DataType::Time32(Millisecond),
        DataType::Time64(Microsecond),
        DataType::Time64(Nanosecond),
        DataType::Interval(IntervalUnit::YearMonth),
        DataType::Interval(IntervalUnit::DayTime),
        DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::FixedSizeBinary(0),
        DataType::FixedSizeBinary(1),
        DataType::FixedSizeBinary(16),
    ]);
    for unit in [Second, Millisecond, Microsecond, Nanosecond] {
        let zoned = |zone: &str| DataType::Timestamp(unit, Some(zone.into()));
        types.extend([
            DataType::Duration(unit),
            DataType::Timestamp(unit, None),
            zoned("UTC"),
            zoned("Europe/Berlin"),
            zoned("+05:30"),
        ]);
    }
    // Repeated, so that they are drawn more often: each has its own layout.
    for _ in 0..4 {
        types.extend([
            DataType::Utf8,
            DataType::LargeUtf8,
            DataType::Binary,
            DataType::LargeBinary,
            DataType::Utf8View,
            DataType::BinaryView,
            DataType::Boolean,
        ]);
    }
    types
}

/// Returns one schema with a column of every flat type and every way to nest.
#[must_use]
pub fn every_kind() -> Vec<Field> {
    let field = |data_type: DataType| Field::new("child", data_type.clone(), is_nullable(&data_type, true));
    let dictionary = |values| DataType::Dictionary(Box::new(DataType::Int32), Box::new(values));
    let run_ends = |data_type| Arc::new(Field::new(Field::REE_RUN_ENDS_FIELD_DEFAULT_NAME, data_type, false));
    let values = |data_type| Arc::new(field(data_type).with_name(Field::REE_VALUES_FIELD_DEFAULT_NAME));
    let entry = DataType::Struct(vec![Field::new("key", DataType::Utf8, false), field(DataType::Int64)].into());
    let list = DataType::List(Arc::new(field(DataType::Utf8)));
    let nested = [
        list.clone(),
        DataType::LargeList(Arc::new(field(list.clone()))),
        DataType::ListView(Arc::new(field(DataType::Int16))),
        DataType::LargeListView(Arc::new(field(DataType::Utf8View))),
        DataType::FixedSizeList(Arc::new(field(DataType::Boolean)), 3),
        DataType::FixedSizeList(Arc::new(field(DataType::Int8)), 0),
        DataType::Struct(vec![field(list), field(DataType::Float64)].into()),
        DataType::Struct(Vec::<Field>::new().into()),
        DataType::Map(Arc::new(Field::new("entries", entry, false)), false),
        union_of(vec![field(DataType::Utf8), field(DataType::Int32)], false, 0),
        union_of(vec![field(DataType::Utf8), field(DataType::Int32)], true, 1),
        dictionary(DataType::Utf8),
        dictionary(DataType::Struct(vec![field(dictionary(DataType::Utf8))].into())),
        DataType::List(Arc::new(field(dictionary(DataType::LargeBinary)))),
        DataType::RunEndEncoded(run_ends(DataType::Int16), values(DataType::Int32)),
        DataType::RunEndEncoded(run_ends(DataType::Int64), values(dictionary(DataType::Utf8))),
    ];
    let types = flat_types().into_iter().chain(nested).enumerate();
    types.map(|(i, data_type)| field(data_type).with_name(format!("c{i}"))).collect()
}
