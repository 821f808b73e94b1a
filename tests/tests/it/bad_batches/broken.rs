//! Arrays that contradict themselves. Only unsafe code, or memory from elsewhere, can make them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::types::{Int8Type, Int16Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, DictionaryArray, FixedSizeBinaryArray,
    FixedSizeListArray, GenericListViewArray, Int8Array, Int32Array, LargeBinaryArray, LargeListArray,
    LargeListViewArray, LargeStringArray, ListArray, ListViewArray, MapArray, OffsetSizeTrait, RunArray, StringArray,
    StringViewArray, StructArray, UnionArray,
};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, RunEndBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, FieldRef, Fields, UnionFields};
use ipc_core::Unify;
use ipc_core::{Error, Options, Validation};

use super::wraps::{WRAPS, batch, in_dictionary};
use super::writers::{clearing, options, refusal};

/// How far one has to look to see a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Depth {
    /// Every batch is looked at so.
    Layout,
    /// Dictionaries are always looked at so.
    Indices,
    /// Only [`Validation::Full`] looks so.
    Content,
}
use Depth::{Content, Indices, Layout};

/// An array and a broken one of the same type, of three rows each.
struct Case {
    what: &'static str,
    good: ArrayRef,
    bad: ArrayRef,
    /// The path from the array to the fault.
    below: &'static str,
    depth: Depth,
}

fn case(what: &'static str, depth: Depth, good: impl Array + 'static, bad: impl Array + 'static) -> Case {
    Case { what, good: Arc::new(good), bad: Arc::new(bad), below: "", depth }
}

impl Case {
    /// The same, where the fault is in something below the array.
    fn at(self, below: &'static str) -> Self {
        Self { below, ..self }
    }
}

#[test]
fn an_array_that_contradicts_itself_is_refused_by_its_path() {
    let mut tried = 0;
    for case in cases() {
        for wrap in &WRAPS {
            let wrapped = |array: &ArrayRef| {
                let field = Field::new("x", array.data_type().clone(), true);
                batch((wrap.wrap)(field, Arc::clone(array)), true)
            };
            // Some are more than a constructor of arrow's lets pass.
            let Ok(bad) = catch_unwind(AssertUnwindSafe(|| wrapped(&case.bad))) else { continue };
            for (validation, looks) in [(Validation::Layout, Layout), (Validation::Full, Content)] {
                let refusal = refusal(&wrapped(&case.good), 1, &bad, &options(validation));
                case.judge(refusal, wrap.path, looks);
                tried += 1;
            }
            // What this reads on top of it, it may refuse too.
            let refusal = refusal(&wrapped(&case.good), 1, &bad, &clearing());
            let looks = if refusal.is_some() { Content } else { Layout };
            case.judge(refusal, wrap.path, looks);
            tried += 1;
        }
    }
    println!("{tried} faults tried, each by 10 ways to write");
    assert!(tried > 1400);
}

/// Each pair of offsets is within the bytes, but all of them together are more than there is memory for.
#[test]
fn text_that_overlaps_is_refused_where_it_would_be_copied() {
    const ROWS: usize = 1 << 16;
    const BYTES: i32 = 1 << 20;
    let text = |offsets: Vec<i32>| {
        let nulls = NullBuffer::from_iter((0..offsets.len() - 1).map(|row| row % 2 == 0));
        // SAFETY: as above.
        let offsets = unsafe { OffsetBuffer::new_unchecked(offsets.into()) };
        let bytes = Buffer::from(vec![b'a'; usize::try_from(BYTES).unwrap()]);
        // SAFETY: as above.
        let text = unsafe { StringArray::new_unchecked(offsets, bytes, Some(nulls)) };
        batch(Arc::new(text), true)
    };
    let bad = text((0..ROWS).map(|row| if row % 2 == 0 { 0 } else { BYTES }).chain([BYTES]).collect());
    match refusal(&text(vec![0, BYTES]), 1, &bad, &clearing()) {
        Some(Error::InvalidArray { expected, .. }) => assert_eq!(expected, "offsets that do not decrease"),
        refusal => panic!("{refusal:?}"),
    }
}

/// Dictionaries are compared with those already sent, which follows their offsets and keys.
#[test]
fn a_dictionary_that_contradicts_itself_is_refused_before_it_is_sent_or_compared() {
    // A schema cannot express a dictionary directly inside a dictionary.
    let cases = cases().into_iter().filter(|case| !matches!(case.good.data_type(), DataType::Dictionary(..)));
    for case in cases {
        let wrapped = |array: &ArrayRef| batch(in_dictionary(Arc::clone(array)), true);
        let (good, bad) = (wrapped(&case.good), wrapped(&case.bad));
        for (validation, looks) in [(Validation::Layout, Indices), (Validation::Full, Content)] {
            // The bad one as the first that is sent. Sent as another, a file would refuse it for that.
            case.judge(refusal(&good, 0, &bad, &options(validation)), "c", looks);
            if case.depth <= Indices {
                case.judge(refusal(&good, 1, &bad, &options(validation)), "c", looks);
            }
        }
    }
}

/// Values that are unified are copied by their offsets, those of nulls too.
#[test]
fn a_dictionary_that_contradicts_itself_is_refused_before_it_is_unified() {
    let null_at = |row| Some(NullBuffer::from((0..3).map(|at| at != row).collect::<Vec<_>>()));
    let below_a_null = case("an offset far off below a null", Indices, strings([0, 2, 4, 6], SIX, null_at(0)), {
        strings([i32::MIN, 2, 4, 6], SIX, null_at(0))
    });
    let cases = cases().into_iter().filter(|case| !matches!(case.good.data_type(), DataType::Dictionary(..)));
    for case in cases.chain([below_a_null]) {
        let wrapped = |array: &ArrayRef| batch(in_dictionary(Arc::clone(array)), true);
        let (good, bad) = (wrapped(&case.good), wrapped(&case.bad));
        for (validation, looks) in [(Validation::Layout, Indices), (Validation::Full, Content)] {
            let options =
                Options::builder().validation(validation).dictionaries(Unify::new()).staging(false).build().unwrap();
            let Case { what, depth, .. } = &case;
            match refusal(&good, 0, &bad, &options) {
                // Values that are copied or compared are checked more closely than buffers that are sent unchanged.
                Some(Error::InvalidArray { path, .. }) => assert!(path.starts_with('c'), "{what}: {path}"),
                None => assert!(*depth > looks, "{what}: written"),
                Some(error) => panic!("{what}: {error:?}"),
            }
        }
    }
}

impl Case {
    /// Whether the case was refused as it should be, in a column of this path, by one who looks so deep.
    #[track_caller]
    fn judge(&self, refusal: Option<Error>, path: &str, looks: Depth) {
        let Self { what, below, depth, .. } = self;
        match refusal {
            Some(Error::InvalidArray { path: found, .. }) => {
                assert_eq!(found, format!("{path}{below}"), "{what}");
                assert!(*depth <= looks, "{what} in {path}: refused, but documented to be written");
            }
            None => assert!(*depth > looks, "{what} in {path}: written"),
            Some(error) => panic!("{what} in {path}: {error:?}"),
        }
    }
}

fn cases() -> Vec<Case> {
    [offsets(), validity(), text(), views(), lists(), list_views(), fixed_size(), unions(), dictionaries(), runs()]
        .into_iter()
        .flatten()
        .collect()
}

const SIX: &[u8] = b"abcdef";

fn strings(offsets: [i32; 4], bytes: &[u8], nulls: Option<NullBuffer>) -> StringArray {
    // SAFETY: only the encoder sees the array, and so it is with all arrays in this file.
    unsafe { StringArray::new_unchecked(unordered(offsets), Buffer::from(bytes), nulls) }
}

fn unordered<O: ArrowNativeType>(offsets: [O; 4]) -> OffsetBuffer<O> {
    // SAFETY: as above.
    unsafe { OffsetBuffer::new_unchecked(offsets.to_vec().into()) }
}

fn offsets() -> Vec<Case> {
    let good = || strings([0, 2, 4, 6], SIX, None);
    let large = |offsets: [i64; 4]| {
        // SAFETY: as above.
        unsafe { LargeStringArray::new_unchecked(unordered(offsets), Buffer::from(SIX), None) }
    };
    let of = |offsets| strings(offsets, SIX, None);
    // SAFETY: as above.
    let binary = |offsets| unsafe { BinaryArray::new_unchecked(unordered::<i32>(offsets), Buffer::from(SIX), None) };
    let large_binary = |offsets| {
        // SAFETY: as above.
        unsafe { LargeBinaryArray::new_unchecked(unordered::<i64>(offsets), Buffer::from(SIX), None) }
    };
    vec![
        case("bytes whose offsets fall", Indices, binary([0, 2, 4, 6]), binary([0, 4, 2, 6])),
        case("bytes whose long offsets fall", Indices, large_binary([0, 2, 4, 6]), large_binary([0, 4, 2, 6])),
        case("offsets that fall from first to last", Layout, good(), of([4, 5, 4, 2])),
        case("offsets that fall in between", Indices, good(), of([0, 4, 2, 6])),
        case("offsets that fall in between, and are rebased", Indices, good(), of([1, 0, 4, 6])),
        case("offsets behind the bytes", Layout, good(), of([0, 2, 4, 7])),
        case("offsets behind the bytes in between", Indices, good(), of([0, 9, 4, 6])),
        case("offsets below 0", Layout, good(), of([-1, 2, 4, 6])),
        case("offsets below 0 in between", Indices, good(), of([0, -2, 4, 6])),
        case("the largest offsets", Layout, large([0, 2, 4, 6]), large([0, 2, i64::MAX, i64::MAX])),
        case("the least offset", Layout, large([0, 2, 4, 6]), large([i64::MIN, 2, 4, 6])),
    ]
}

fn validity() -> Vec<Case> {
    let bits = |bits: usize| NullBuffer::new(BooleanBuffer::collect_bool(bits, |bit| bit != 1));
    let counted = |bits: [bool; 3], count| {
        // SAFETY: as above.
        Some(unsafe { NullBuffer::new_unchecked(bits.to_vec().into(), count) })
    };
    let good = || Int32Array::from(vec![Some(1), None, Some(3)]);
    let integers = |nulls| {
        // SAFETY: as above.
        unsafe { Int32Array::new_unchecked(vec![1, 2, 3].into(), nulls) }
    };
    let booleans = |nulls| {
        // SAFETY: as above.
        unsafe { BooleanArray::new_unchecked(BooleanBuffer::new_set(3), nulls) }
    };
    vec![
        case("validity for too few rows", Layout, good(), integers(Some(bits(2)))),
        case("validity for too many rows", Layout, good(), integers(Some(bits(4)))),
        case("validity for one row", Layout, good(), integers(Some(NullBuffer::new_null(1)))),
        case("validity of booleans for too few rows", Layout, booleans(Some(bits(3))), booleans(Some(bits(2)))),
        case("validity of strings for too few rows", Layout, strings([0, 2, 4, 6], SIX, None), {
            strings([0, 2, 4, 6], SIX, Some(bits(2)))
        }),
        case("more nulls than rows", Layout, good(), integers(counted([false; 3], 4))),
        case("a null count too small", Content, good(), integers(counted([true, false, false], 1))),
        case("a null count too large", Content, good(), integers(counted([true, true, false], 2))),
    ]
}

fn text() -> Vec<Case> {
    let good = || strings([0, 2, 4, 6], SIX, None);
    vec![
        case("text that is not UTF-8", Content, good(), strings([0, 2, 4, 6], b"ab\xffdef", None)),
        case("text cut inside a character", Content, good(), strings([0, 1, 4, 6], "éabcd".as_bytes(), None)),
        case("text that is not UTF-8 beside a null", Content, good(), {
            strings([0, 2, 4, 6], b"\xff\xffcd\xff\xff", Some(vec![false, true, true].into()))
        }),
    ]
}

fn views() -> Vec<Case> {
    const LONG: &[u8] = b"twenty bytes of text";
    const SHORT: u128 = u128::from_le_bytes(*b"\x02\0\0\0ab\0\0\0\0\0\0\0\0\0\0");
    let long = |prefix: &[u8; 4], buffer: u32, offset: u32| {
        20 | u128::from(u32::from_le_bytes(*prefix)) << 32 | u128::from(buffer) << 64 | u128::from(offset) << 96
    };
    let of = |views: [u128; 3], bytes: &[u8]| {
        // SAFETY: as above.
        unsafe { StringViewArray::new_unchecked(views.to_vec().into(), [Buffer::from(bytes)].into(), None) }
    };
    let binary = |views: [u128; 3]| {
        // SAFETY: as above.
        unsafe { BinaryViewArray::new_unchecked(views.to_vec().into(), [Buffer::from(LONG)].into(), None) }
    };
    let good = long(b"twen", 0, 0);
    let bad = |view: u128| of([SHORT, view, SHORT], LONG);
    let strings = || of([SHORT, good, SHORT], LONG);
    let mut not_utf8 = LONG.to_vec();
    not_utf8[9] = 0xff;
    vec![
        case("a view behind its buffer", Indices, strings(), bad(long(b"twen", 0, 1))),
        case("a view at the largest offset", Indices, strings(), bad(long(b"twen", 0, u32::MAX))),
        case("a view into no buffer", Indices, strings(), bad(long(b"twen", 1, 0))),
        case("a binary view behind its buffer", Indices, binary([good; 3]), binary([good, good, long(b"twen", 0, 1)])),
        case("a view with another prefix", Content, strings(), bad(long(b"Twen", 0, 0))),
        case("a view with bytes behind its own", Content, strings(), bad(SHORT | 1 << 100)),
        case("a view of no UTF-8", Content, strings(), of([SHORT, good, SHORT], &not_utf8)),
        case("a view that holds no UTF-8", Content, strings(), bad(SHORT | 0xff << 32)),
    ]
}

fn item(data_type: DataType) -> FieldRef {
    Arc::new(Field::new("item", data_type, true))
}

fn integers(count: i32) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(0..count))
}

fn lists() -> Vec<Case> {
    let list = |offsets: [i32; 4]| {
        // SAFETY: as above.
        unsafe { ListArray::new_unchecked(item(DataType::Int32), unordered(offsets), integers(6), None) }
    };
    let large = |offsets: [i64; 4]| {
        // SAFETY: as above.
        unsafe { LargeListArray::new_unchecked(item(DataType::Int32), unordered(offsets), integers(6), None) }
    };
    let map = |offsets: [i32; 4]| {
        let fields =
            Fields::from(vec![Field::new("key", DataType::Int32, false), Field::new("value", DataType::Int32, true)]);
        let entries = StructArray::new(fields.clone(), vec![integers(6), integers(6)], None);
        let field = Field::new("entries", DataType::Struct(fields), false);
        // SAFETY: as above.
        unsafe { MapArray::new_unchecked(Arc::new(field), unordered(offsets), entries, None, false) }
    };
    vec![
        case("a list behind its items", Layout, list([0, 2, 4, 6]), list([0, 2, 4, 7])).at(".item"),
        case("lists in no order", Indices, list([0, 2, 4, 6]), list([0, 4, 2, 6])),
        case("lists from last to first", Layout, list([0, 2, 4, 6]), list([6, 4, 2, 0])),
        case("large lists in no order", Indices, large([0, 2, 4, 6]), large([0, 4, 2, 6])),
        case("a large list without end", Layout, large([0, 2, 4, 6]), large([0, 2, 4, i64::MAX])).at(".item"),
        case("a map behind its entries", Layout, map([0, 2, 4, 6]), map([0, 2, 4, 7])).at(".entries"),
        case("maps in no order", Indices, map([0, 2, 4, 6]), map([0, 4, 2, 6])),
    ]
}

fn list_views() -> Vec<Case> {
    fn views<O: OffsetSizeTrait>(offsets: Vec<O>, sizes: Vec<O>) -> GenericListViewArray<O> {
        let field = item(DataType::Int32);
        // SAFETY: as above.
        unsafe { GenericListViewArray::new_unchecked(field, offsets.into(), sizes.into(), integers(6), None) }
    }
    let good = || -> ListViewArray { views(vec![4, 0, 2], vec![2, 2, 2]) };
    let large = || -> LargeListViewArray { views(vec![4, 0, 2], vec![2, 2, 2]) };
    vec![
        case("a list view behind its items", Layout, good(), views(vec![4, 5, 2], vec![2, 2, 2])).at(".item"),
        case("a list view before its items", Layout, good(), views(vec![4, -1, 2], vec![2, 2, 2])),
        case("a list view of a size below 0", Layout, good(), views(vec![4, 0, 2], vec![2, -2, 2])),
        case("a list view without end", Layout, large(), views(vec![4, i64::MAX, 2], vec![2, i64::MAX, 2])).at(".item"),
        case("too few list views", Layout, good(), views(vec![4, 0], vec![2, 2, 2])),
    ]
}

fn fixed_size() -> Vec<Case> {
    let binary = |bytes: &[u8]| {
        // SAFETY: as above.
        unsafe { FixedSizeBinaryArray::new_unchecked(2, Buffer::from(bytes), None, 3) }
    };
    let lists = |items: i32| {
        // SAFETY: as above.
        unsafe { FixedSizeListArray::new_unchecked(item(DataType::Int32), 2, integers(items), None, 3) }
    };
    let structs = |columns: Vec<ArrayRef>| {
        let fields = Fields::from(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Int32, true)]);
        // SAFETY: as above.
        unsafe { StructArray::new_unchecked_with_length(fields, columns, None, 3) }
    };
    let pair = |a, b| structs(vec![integers(a), integers(b)]);
    let float: ArrayRef = Arc::new(arrow_array::Float32Array::from(vec![1.0; 3]));
    vec![
        case("fixed-size binary without its bytes", Layout, binary(SIX), binary(&SIX[1..])),
        case("fixed-size lists without their items", Layout, lists(6), lists(5)).at(".item"),
        case("a struct with a short child", Layout, pair(3, 3), pair(3, 2)).at(".b"),
        case("a struct without a child", Layout, pair(3, 3), structs(vec![integers(3)])),
        case("a struct with a child of another type", Layout, pair(3, 3), structs(vec![integers(3), float])).at(".b"),
    ]
}

fn unions() -> Vec<Case> {
    // Too few offsets, or a sparse union's child that is too short, are more than the unsafe constructor lets pass.
    let union = |type_ids: Vec<i8>, offsets: Option<Vec<i32>>, second: i32| {
        let fields = [Field::new("a", DataType::Int32, true), Field::new("b", DataType::Int32, true)];
        let fields = UnionFields::try_new([1, 4], fields).unwrap();
        let offsets = offsets.map(ScalarBuffer::from);
        // SAFETY: as above.
        unsafe { UnionArray::new_unchecked(fields, type_ids.into(), offsets, vec![integers(3), integers(second)]) }
    };
    let dense = |type_ids: [i8; 3], offsets: [i32; 3]| union(type_ids.to_vec(), Some(offsets.to_vec()), 2);
    let good = || dense([1, 4, 4], [0, 0, 1]);
    let sparse = |type_ids: [i8; 3]| union(type_ids.to_vec(), None, 3);
    vec![
        case("a dense union behind its child", Layout, good(), dense([1, 4, 4], [0, 0, 2])).at(".b"),
        case("a dense union before its child", Layout, good(), dense([1, 4, 4], [0, -1, 1])),
        case("the largest offset of a dense union", Layout, good(), dense([1, 4, 4], [0, 0, i32::MAX])),
        case("a dense union of no type", Layout, good(), dense([1, -1, 4], [0, 0, 1])),
        case("a dense union of an unknown type", Indices, good(), dense([1, 2, 4], [0, 0, 1])),
        case("a dense union in no order", Content, good(), dense([1, 4, 4], [0, 1, 0])),
        case("a sparse union of no type", Indices, sparse([1, 4, 4]), sparse([1, -1, 4])),
        case("a sparse union of an unknown type", Indices, sparse([1, 4, 4]), sparse([1, 2, 4])),
    ]
}

fn dictionaries() -> Vec<Case> {
    let of = |keys: [i8; 3], values: ArrayRef| {
        // SAFETY: as above.
        unsafe { DictionaryArray::<Int8Type>::new_unchecked(Int8Array::from(keys.to_vec()), values) }
    };
    let values: ArrayRef = Arc::new(strings([0, 2, 4, 6], SIX, None));
    let with = |keys| of(keys, Arc::clone(&values));
    vec![
        case("a key behind the values", Indices, with([0, 2, 1]), with([0, 3, 1])),
        case("a key below 0", Indices, with([0, 2, 1]), with([0, -1, 1])),
    ]
}

fn runs() -> Vec<Case> {
    let of = |ends: Vec<i16>, values: i32| {
        let run_ends = Field::new(Field::REE_RUN_ENDS_FIELD_DEFAULT_NAME, DataType::Int16, false);
        let field = Field::new(Field::REE_VALUES_FIELD_DEFAULT_NAME, DataType::Int32, true);
        let data_type = DataType::RunEndEncoded(Arc::new(run_ends), Arc::new(field));
        // SAFETY: as above.
        let ends = unsafe { RunEndBuffer::new_unchecked(ends.into(), 0, 3) };
        // SAFETY: as above.
        unsafe { RunArray::<Int16Type>::new_unchecked(data_type, ends, integers(values)) }
    };
    let good = || of(vec![1, 3], 2);
    vec![
        case("runs that end too early", Layout, good(), of(vec![1, 2], 2)).at(".run_ends"),
        case("no runs", Layout, good(), of(vec![], 0)).at(".run_ends"),
        case("a run without a value", Layout, good(), of(vec![1, 3], 1)).at(".values"),
        case("an empty run", Indices, good(), of(vec![1, 1, 3], 3)).at(".run_ends"),
        case("a run that ends before it starts", Indices, good(), of(vec![2, 1, 3], 3)).at(".run_ends"),
        case("a run that ends at 0", Indices, good(), of(vec![0, 3], 2)).at(".run_ends"),
        case("a run that ends below 0", Indices, good(), of(vec![-1, 3], 2)).at(".run_ends"),
    ]
}
