//! A batch that is not what its schema asks for is told as that, with the column, what was expected and what was found.
//!
//! Fails where a claim of a batch is not compared with its schema, with its body, or with the rows that it is to hold.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, ListArray, RecordBatch, StringArray, StringViewArray, StructArray};
use arrow_ipc::root_as_message;
use arrow_schema::{DataType, Field};
use ipc_core::{Compression, Options};
use ipc_recover::{Cut, Fault, RecoverOptions};
use ipc_tests::encode;
use ipc_tests::framing::messages;

use super::support::recover;

/// Three rows: a list of numbers, a struct of strings, and views.
fn batch() -> RecordBatch {
    let rows = [Some(vec![Some(1), Some(2)]), None, Some(vec![Some(3)])];
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(rows);
    let strings: ArrayRef = Arc::new(StringArray::from(vec!["Lima", "Oslo", "Pune"]));
    let fields = StructArray::from(vec![(Arc::new(Field::new("name", DataType::Utf8, false)), strings)]);
    let views = StringViewArray::from(vec!["short", "a string that is longer than a view", ""]);
    let columns: [(&str, ArrayRef); 3] =
        [("list", Arc::new(list)), ("city", Arc::new(fields)), ("view", Arc::new(views))];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Numbers in a batch's metadata.
#[derive(Debug, Clone, Copy)]
enum Claim {
    /// Length and null count of this array.
    Node(usize),
    /// Offset and length of this buffer.
    Buffer(usize),
    /// The number of rows.
    Rows,
    /// How many data buffers the views have.
    DataBuffers,
}

/// The stream of the batch, which claims these numbers instead of its own, and why it is cut.
fn cut(options: &Options, claim: Claim, numbers: impl Fn([i64; 2]) -> [i64; 2]) -> Cut {
    let batch = batch();
    let mut bytes = encode::stream(&batch.schema(), &[batch], options).unwrap();
    let framed = messages(&bytes, 0).messages.remove(1);
    let flatbuffer = bytes[framed.flatbuffer.clone()].to_vec();
    let header = root_as_message(&flatbuffer).unwrap().header_as_record_batch().unwrap();
    let whole = |start: &[u8]| start.as_ptr().addr() - flatbuffer.as_ptr().addr();
    let at = match claim {
        Claim::Node(number) => whole(header.nodes().unwrap().bytes()) + 16 * number,
        Claim::Buffer(number) => whole(header.buffers().unwrap().bytes()) + 16 * number,
        Claim::DataBuffers => whole(header.variadicBufferCounts().unwrap().bytes()),
        Claim::Rows => {
            let table = header._tab;
            table.loc() + usize::from(table.vtable().get(arrow_ipc::RecordBatch::VT_LENGTH))
        }
    };
    let at = framed.flatbuffer.start + at;
    let number = |at: usize| i64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let [first, second] = numbers([number(at), number(at + 8)]);
    bytes[at..at + 8].copy_from_slice(&first.to_le_bytes());
    if matches!(claim, Claim::Node(_) | Claim::Buffer(_)) {
        bytes[at + 8..at + 16].copy_from_slice(&second.to_le_bytes());
    }
    let (_, mut report) = recover(&bytes, &RecoverOptions::default()).unwrap();
    assert_eq!((report.kept.record_batches, report.cuts.len()), (0, 1), "{claim:?}: {report:?}");
    report.cuts.remove(0)
}

#[test]
fn a_claim_that_cannot_be_true_is_named() {
    // Arrays: list, list.item, city, city.name, view. Buffers: 2 of the list, 2 of its items, 1 of the struct, 3 of its
    // strings, 3 of the views.
    type Change = fn([i64; 2]) -> [i64; 2];
    let cases: [(Claim, Change, &str, &str, &str); 15] = [
        (Claim::Node(0), |_| [4, 1], "list", "3 values", "4"),
        (Claim::Node(0), |_| [-3, 0], "list", "a length", "-3"),
        (Claim::Node(0), |_| [3, 4], "list", "at most 3 nulls", "4"),
        (Claim::Node(0), |_| [3, -1], "list", "at most 3 nulls", "-1"),
        (Claim::Node(1), |_| [1_000, 0], "list.item", "values of at least 4000 bytes", "12"),
        (Claim::Node(1), |_| [i64::MAX, 0], "list.item", "values of at least 36893488147419103228 bytes", "12"),
        (Claim::Node(3), |_| [2, 0], "city.name", "at least 3 values", "2"),
        (Claim::Node(3), |_| [300, 0], "city.name", "offsets of at least 1204 bytes", "16"),
        (Claim::Buffer(0), |_| [0, 0], "list", "validity of at least 1 bytes", "0"),
        (Claim::Buffer(1), |_| [0, 15], "list", "offsets of at least 16 bytes", "15"),
        (Claim::Buffer(6), |_| [1 << 40, 16], "city.name", "offsets within", "16 bytes from byte 1099511627776 on"),
        (Claim::Buffer(6), |_| [-8, 16], "city.name", "offsets within", "16 bytes from byte -8 on"),
        (Claim::Buffer(7), |[at, _]| [at, i64::MAX], "city.name", "data within", "9223372036854775807 bytes"),
        (Claim::Buffer(9), |[at, _]| [at, 47], "view", "views of at least 48 bytes", "47"),
        (Claim::DataBuffers, |_| [2, 0], "view", "a buffer with its data", "no more"),
    ];
    for (claim, change, path, expected, found) in cases {
        match cut(&Options::default(), claim, change).fault {
            Fault::Contradiction { path: at, expected: asked, found: said } => {
                assert_eq!(at, path, "{claim:?}");
                assert!(asked.starts_with(expected) && said.starts_with(found), "{claim:?}: {asked}, {said}");
            }
            other => panic!("{claim:?}: {other}"),
        }
    }
}

#[test]
fn a_batch_has_neither_less_nor_more_than_its_schema() {
    let told = |claim, change: fn([i64; 2]) -> [i64; 2]| cut(&Options::default(), claim, change).fault.to_string();
    assert_eq!(told(Claim::Rows, |_| [-1, 0]), "damaged: expected a number of rows, found -1");
    assert_eq!(told(Claim::Rows, |_| [5, 0]), "damaged: at column `list`, expected 5 values, found 3");
    assert_eq!(told(Claim::DataBuffers, |_| [0, 0]), "damaged: expected the buffers of the schema, found more");
}

#[test]
fn a_compressed_buffer_is_judged_by_what_it_holds() {
    let options = Options::builder().compression(Compression::Lz4).build().unwrap();
    // The offsets of the strings, in 7 bytes, in 15 of which 8 are a claim, and where something else starts.
    for change in
        [|[at, _]: [i64; 2]| [at, 7], |[at, _]: [i64; 2]| [at, 15], |[at, length]: [i64; 2]| [at + 8, length - 8]]
    {
        match cut(&options, Claim::Buffer(6), change).fault {
            Fault::Contradiction { path, expected, .. } => {
                assert!(path == "city.name" && expected.starts_with("offsets"), "{path}: {expected}");
            }
            other => panic!("{other}"),
        }
    }
}

/// pyarrow refuses such buffers of whichever layout; nobody would read them from memory that is mapped.
#[test]
fn a_buffer_stands_on_a_multiple_of_eight_in_every_layout() {
    for (buffer, column) in
        [(0, "list"), (1, "list"), (3, "list.item"), (6, "city.name"), (7, "city.name"), (9, "view")]
    {
        for aside in [1, 4] {
            let told = cut(&Options::default(), Claim::Buffer(buffer), |[at, length]| [at + aside, length]).fault;
            let Fault::Contradiction { path, expected, found } = told else { panic!("buffer {buffer}: {told}") };
            assert!(path == column && expected.ends_with("on a multiple of 8 bytes"), "{path}: {expected}, {found}");
        }
    }
}
