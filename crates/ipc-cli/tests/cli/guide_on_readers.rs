//! The guide's page on readers is right about the readers at hand: pyarrow, polars and nanoarrow.
//!
//! Each layout of dictionaries is written by the library and read by each of them. Where a reader has improved, this fails,
//! and `docs/guide/src/readers.md` is to be changed.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray};
use ipc_core::{Compression, DictionaryHandling, Encoder, Format, Options, OptionsBuilder, Unify, Unstarted};

use crate::support::{folder, python, text};

/// Prints `right`, `wrong` or `refused`: READER PATH EXPECTED, the last as a list of Python.
const READ: &str = r#"
import ast, sys
reader, path, expected = sys.argv[1], sys.argv[2], ast.literal_eval(sys.argv[3])
is_file = path.endswith(".arrow")
try:
    if reader == "pyarrow":
        import pyarrow.ipc as ipc
        found = (ipc.open_file if is_file else ipc.open_stream)(path).read_all().column(0).to_pylist()
    elif reader == "polars":
        import polars
        found = (polars.read_ipc if is_file else polars.read_ipc_stream)(path).to_series(0).to_list()
    else:
        import nanoarrow
        from nanoarrow.ipc import InputStream
        with open(path, "rb") as file, InputStream.from_readable(file) as stream:
            found = [row["c"] for row in nanoarrow.ArrayStream(stream).read_all().to_pylist()]
except BaseException:
    print("refused")
else:
    print("right" if found == expected else "wrong")
"#;

const WORDS: &str = "['Lima', 'Oslo', 'Oslo', 'Pune']";

#[test]
fn pyarrow_polars_and_nanoarrow_lack_what_the_guide_says() {
    let Some(python) = python("pyarrow, polars, nanoarrow") else { return };
    let place = folder();
    let grown = [words(&["Lima", "Oslo"], &[0, 1]), words(&["Lima", "Oslo", "Pune"], &[1, 2])];
    let replaced = [words(&["Lima", "Oslo"], &[0, 1]), words(&["Oslo", "Pune"], &[0, 1])];
    let numbers = [Arc::new(Int64Array::from(vec![10, 20, 30])) as ArrayRef].map(|values| column(values, &[0, 1, 2]));
    let delta = Options::builder().dictionaries(DictionaryHandling::Delta);
    let at_close = Options::builder().dictionaries(Unify::new().at_close(true));
    let compressed = Options::builder().compression(Compression::Lz4).compress_dictionaries(true);
    // For pyarrow, polars and nanoarrow; the last reads streams only, and polars dictionaries of text only.
    let layouts = [
        ("delta.arrow", file(delta.clone(), &grown), WORDS, ["right", "refused", ""]),
        ("delta.arrows", stream(delta, &grown), WORDS, ["right", "refused", "refused"]),
        ("replaced.arrows", stream(Options::builder(), &replaced), WORDS, ["right", "right", "right"]),
        ("at_close.arrow", file(at_close, &replaced), WORDS, ["right", "right", ""]),
        ("compressed.arrows", stream(compressed, &numbers), "[10, 20, 30]", ["right", "", "wrong"]),
    ];
    for (name, bytes, expected, outcomes) in layouts {
        let path = place.path().join(name);
        fs::write(&path, bytes).unwrap();
        for (reader, outcome) in
            ["pyarrow", "polars", "nanoarrow"].into_iter().zip(outcomes).filter(|(_, outcome)| !outcome.is_empty())
        {
            let read = Command::new(&python).args(["-c", READ, reader]).arg(&path).arg(expected).output().unwrap();
            assert_eq!(text(&read.stdout).trim(), outcome, "{reader} of {name}: {}", text(&read.stderr));
        }
    }
}

fn file(options: OptionsBuilder, batches: &[RecordBatch]) -> Vec<u8> {
    written(Encoder::file(Vec::new()), options, batches)
}

fn stream(options: OptionsBuilder, batches: &[RecordBatch]) -> Vec<u8> {
    written(Encoder::stream(Vec::new()), options, batches)
}

fn written<F: Format>(
    encoder: Encoder<Vec<u8>, F, Unstarted>,
    options: OptionsBuilder,
    batches: &[RecordBatch],
) -> Vec<u8> {
    let mut encoder = encoder.with_options(options.build().unwrap()).start(batches[0].schema()).unwrap();
    for batch in batches {
        encoder.write(batch).unwrap();
    }
    encoder.close().unwrap().into_inner()
}

fn words(values: &[&str], keys: &[i32]) -> RecordBatch {
    column(Arc::new(StringArray::from(values.to_vec())), keys)
}

fn column(values: ArrayRef, keys: &[i32]) -> RecordBatch {
    let column = DictionaryArray::<Int32Type>::new(keys.to_vec().into(), values);
    RecordBatch::try_from_iter([("c", Arc::new(column) as ArrayRef)]).unwrap()
}
