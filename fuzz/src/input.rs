//! Bytes to schemas, batches and options.
//!
//! What a fuzzer changes in one place should change one thing: first come the options, then the schema, then the rows, and
//! what is left decides values and layouts.

use std::sync::Arc;

use arbitrary::{Arbitrary, Result, Unstructured};
use arrow_schema::{DataType, Field, Metadata, UnionFields, UnionMode};
use ipc_core::{
    Alignment, Compression, DictionaryHandling, MetadataVersion, Options, OptionsBuilder, RawBuffers, Unify, Validation,
};
use ipc_tests::arrays::{Maker, Sharing, is_nullable};
use ipc_tests::batches::{Batches, Plan, flat_types};

/// How deep types nest below a column.
const DEPTH: usize = 3;

/// Options with any values, also those that are to be refused.
///
/// # Errors
///
/// Where the bytes are used up.
pub fn any_options(u: &mut Unstructured<'_>) -> Result<OptionsBuilder> {
    let compression = match u.int_in_range(0..=3)? {
        0 | 1 => Compression::None,
        2 => Compression::Lz4,
        _ => Compression::Zstd(i32::from(i8::arbitrary(u)?)),
    };
    let version = *u.choose(&[MetadataVersion::V5, MetadataVersion::V4, MetadataVersion::V4Legacy])?;
    let saving = f64::from(u8::arbitrary(u)?) / 200.0;
    Ok(switches(u)?
        .compression(compression)
        .metadata_version(version)
        .raw_buffers(raw_buffers(bool::arbitrary(u)?, saving))
        .max_nesting(usize::from(u8::arbitrary(u)?)))
}

/// Options that go together.
///
/// # Errors
///
/// Where the bytes are used up.
pub fn options(u: &mut Unstructured<'_>) -> Result<Options> {
    let compression = *u.choose(&[
        Compression::None,
        Compression::None,
        Compression::Lz4,
        Compression::Zstd(1),
        Compression::Zstd(-3),
    ])?;
    let versions = match compression {
        Compression::None => &[MetadataVersion::V5, MetadataVersion::V4, MetadataVersion::V4Legacy][..],
        _ => &[MetadataVersion::V5],
    };
    let version = *u.choose(versions)?;
    let raw = bool::arbitrary(u)?;
    let saving = if raw { f64::from(u8::arbitrary(u)?) / 255.0 } else { 0.0 };
    let options = switches(u)?.compression(compression).metadata_version(version);
    Ok(options.raw_buffers(raw_buffers(raw, saving)).build().unwrap())
}

fn raw_buffers(some: bool, saving: f64) -> RawBuffers {
    if some { RawBuffers::SavingLessThan(saving) } else { RawBuffers::Never }
}

/// What goes together with everything.
fn switches(u: &mut Unstructured<'_>) -> Result<OptionsBuilder> {
    let alignment = *u.choose(&[Alignment::A64, Alignment::A32, Alignment::A16, Alignment::A8])?;
    let dictionaries = *u.choose(&[DictionaryHandling::Resend, DictionaryHandling::Delta, Unify::new().into()])?;
    let validation = *u.choose(&[Validation::Layout, Validation::Full])?;
    Ok(Options::builder()
        .alignment(alignment)
        .dictionaries(dictionaries)
        .validation(validation)
        .compress_dictionaries(bool::arbitrary(u)?)
        .compact_views(bool::arbitrary(u)?)
        .clear_nulls(bool::arbitrary(u)?)
        .staging(bool::arbitrary(u)?))
}

/// Up to four batches of one schema.
///
/// # Errors
///
/// Where the bytes are used up.
pub fn batches(u: &mut Unstructured<'_>) -> Result<Batches> {
    let fields = (0..u.int_in_range(0..=4)?).map(|_| field(u, DEPTH)).collect::<Result<_>>()?;
    let metadata = if u.ratio(1, 8)? { Metadata::from([("key", "value")]) } else { Metadata::new() };
    let rows = (0..u.int_in_range(0..=4)?).map(|_| u.int_in_range(0..=70)).collect::<Result<_>>()?;
    let sharing = *u.choose(&[Sharing::Shared, Sharing::Equal, Sharing::Growing, Sharing::Changing])?;
    let seed = u64::arbitrary(u)?;
    let maker = Maker::fed(u.bytes(u.len())?, seed, sharing);
    Ok(Batches::made_by(maker, Plan { fields, metadata, rows, sharing, seed }))
}

fn field(u: &mut Unstructured<'_>, depth: usize) -> Result<Field> {
    let name = *u.choose(&["a", "b", "a longer name", "é漢", ""])?;
    let data_type = data_type(u, depth)?;
    let nullable = is_nullable(&data_type, bool::arbitrary(u)?);
    Ok(Field::new(name, data_type, nullable))
}

fn data_type(u: &mut Unstructured<'_>, depth: usize) -> Result<DataType> {
    let kind = if depth == 0 { 0 } else { u.int_in_range(0..=15)? };
    let child = |u: &mut Unstructured<'_>| field(u, depth - 1).map(Arc::new);
    Ok(match kind {
        0..=5 => u.choose(&flat_types())?.clone(),
        6 => DataType::List(child(u)?),
        7 => DataType::LargeList(child(u)?),
        8 => DataType::ListView(child(u)?),
        9 => DataType::LargeListView(child(u)?),
        10 => DataType::FixedSizeList(child(u)?, u.int_in_range(0..=3)?),
        11 => DataType::Struct((0..u.int_in_range(0..=3)?).map(|_| field(u, depth - 1)).collect::<Result<_>>()?),
        12 => {
            let key = u.choose(&[DataType::Utf8, DataType::Int32, DataType::Boolean])?.clone();
            let entry = DataType::Struct(vec![Field::new("key", key, false), field(u, depth - 1)?].into());
            DataType::Map(Arc::new(Field::new("entries", entry, false)), bool::arbitrary(u)?)
        }
        13 => {
            let members = (0..u.int_in_range(1..=3)?).map(|_| field(u, depth - 1)).collect::<Result<Vec<_>>>()?;
            let first = i8::arbitrary(u)?.unsigned_abs().min(120).cast_signed();
            let mode = *u.choose(&[UnionMode::Sparse, UnionMode::Dense])?;
            DataType::Union(UnionFields::try_new((first..).take(members.len()), members).unwrap(), mode)
        }
        14 => match data_type(u, depth - 1)? {
            // A schema cannot express a dictionary directly inside a dictionary.
            DataType::Dictionary(key, values) => DataType::Dictionary(key, values),
            values => DataType::Dictionary(Box::new(key_type(u)?), Box::new(values)),
        },
        _ => {
            let run_ends = u.choose(&[DataType::Int16, DataType::Int32, DataType::Int64])?.clone();
            let run_ends = Field::new(Field::REE_RUN_ENDS_FIELD_DEFAULT_NAME, run_ends, false);
            let values = field(u, depth - 1)?.with_name(Field::REE_VALUES_FIELD_DEFAULT_NAME);
            DataType::RunEndEncoded(Arc::new(run_ends), Arc::new(values))
        }
    })
}

fn key_type(u: &mut Unstructured<'_>) -> Result<DataType> {
    use DataType::{Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
    u.choose(&[Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64]).cloned()
}
