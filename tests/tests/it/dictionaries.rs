//! A dictionary stands before the first batch that needs it, is not sent again while it stays the same, and is sent
//! whole, as a delta, or not at all where it changes, as format and options allow.
//!
//! Fails where the decision compares too little or too much, where it is recorded before the bytes are out, or where
//! an outer dictionary keeps readers bound to an inner one that was replaced.

use std::collections::HashMap;
use std::io::Write;
use std::process::Command;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema};
use ipc_core::DictionaryHandling::{self, Delta, Resend};
use ipc_core::parts::{BatchEncoder, Ledger, Sending, StreamSchema, UnifiedDictionaries};
use ipc_core::{Encoder, Error, FileFormat, Format, Options, StreamFormat};
use ipc_tests::dictionaries::Sent::{self, Batch, Extended, Whole};
use ipc_tests::dictionaries::{batch, dictionary, nested, sent, words};
use ipc_tests::framing::footer;
use ipc_tests::outside::python;
use ipc_tests::sink::{Fault, Faulty};
use ipc_tests::value::assert_same_batches;
use ipc_tests::{encode, read};
use tempfile::NamedTempFile;

fn options(dictionaries: DictionaryHandling) -> Options {
    Options::builder().dictionaries(dictionaries).build().unwrap()
}

/// What a stream of `batches` sends; it must read back.
#[track_caller]
fn sent_in_stream(batches: &[RecordBatch], handling: DictionaryHandling) -> Vec<Sent> {
    let bytes = encode::stream(&batches[0].schema(), batches, &options(handling)).unwrap();
    assert_same_batches(batches, &read::stream(&bytes).unwrap().batches);
    sent(&bytes, 0)
}

/// What a file of `batches` sends, unless it is refused; it must read back.
#[track_caller]
fn sent_in_file(batches: &[RecordBatch], handling: DictionaryHandling) -> Result<Vec<Sent>, Error> {
    let bytes = encode::file(&batches[0].schema(), batches, &options(handling))?;
    assert_same_batches(batches, &read::file(&bytes).unwrap().batches);
    Ok(sent(&bytes, 8))
}

#[track_caller]
fn assert_refused(result: Result<Vec<Sent>, Error>, at: &str) {
    match result {
        Err(Error::DictionaryReplacement { path, .. }) => assert_eq!(path, at),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_array_is_sent_once() {
    let values = words(&["a", "b"]);
    let batches = [batch(&values), batch(&values), batch(&values).slice(1, 1)];
    for handling in [Resend, Delta] {
        assert_eq!(sent_in_stream(&batches, handling), [Whole(0, 2), Batch, Batch, Batch]);
        assert_eq!(sent_in_file(&batches, handling).unwrap(), [Whole(0, 2), Batch, Batch, Batch]);
    }
}

#[test]
fn equal_values_are_sent_once() {
    let with_nulls = |values: Vec<Option<&str>>| Arc::new(StringArray::from(values)) as ArrayRef;
    let numbers = |values: Vec<f64>| Arc::new(Float64Array::from(values)) as ArrayRef;
    let pairs = [
        (words(&["a", "b"]), words(&["a", "b"])),
        (words(&["a", "b"]), words(&["x", "a", "b"]).slice(1, 2)),
        (with_nulls(vec![Some("a"), None]), with_nulls(vec![Some("a"), None])),
        (numbers(vec![f64::NAN, -0.0]), numbers(vec![f64::NAN, -0.0])),
        (words(&[]), words(&[])),
    ];
    for (one, other) in pairs {
        let batch = |values: &ArrayRef| {
            let column = dictionary(if values.is_empty() { &[] } else { &[0] }, values.clone());
            RecordBatch::try_from_iter_with_nullable([("word", column, true)]).unwrap()
        };
        let (batches, rows) = ([batch(&one), batch(&other)], i64::try_from(one.len()).unwrap());
        for handling in [Resend, Delta] {
            assert_eq!(sent_in_stream(&batches, handling), [Whole(0, rows), Batch, Batch]);
            assert_eq!(sent_in_file(&batches, handling).unwrap(), [Whole(0, rows), Batch, Batch]);
        }
    }
}

/// Readers see the metadata of the stream's schema, not that of a batch.
#[test]
fn values_whose_fields_differ_in_metadata_only_are_sent_once() {
    let told = |about: &str| HashMap::from([("about".to_owned(), about.to_owned())]);
    let of = |about: &str, last: &str| {
        let inner = dictionary(&[0, 1], words(&["a", last]));
        let word = Field::new("word", inner.data_type().clone(), true).with_metadata(told(about));
        let row: ArrayRef = Arc::new(StructArray::new(vec![word].into(), vec![inner], None));
        let item = Arc::new(Field::new("item", row.data_type().clone(), true).with_metadata(told(about)));
        let list: ArrayRef = Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([1, 1]), row, None));
        RecordBatch::try_from_iter_with_nullable([("list", dictionary(&[0, 1], list), true)]).unwrap()
    };
    let (batches, seen) = ([of("one", "b"), of("other", "b")], [of("one", "b"), of("one", "b")]);
    let once = [Whole(0, 2), Whole(1, 2), Batch, Batch];
    for handling in [Resend, Delta] {
        let stream = encode::stream(&batches[0].schema(), &batches, &options(handling)).unwrap();
        assert_eq!(sent(&stream, 0), once);
        assert_same_batches(&seen, &read::stream(&stream).unwrap().batches);
        let file = encode::file(&batches[0].schema(), &batches, &options(handling)).unwrap();
        assert_eq!(sent(&file, 8), once);
        assert_same_batches(&seen, &read::file(&file).unwrap().batches);
        assert_refused(sent_in_file(&[of("one", "b"), of("other", "c")], handling), "list.item.word");
    }
}

#[test]
fn values_that_differ_in_a_bit_replace() {
    let numbers = |values: Vec<f64>| Arc::new(Float64Array::from(values)) as ArrayRef;
    let batches = [batch(&numbers(vec![0.0])), batch(&numbers(vec![-0.0]))];
    assert_eq!(sent_in_stream(&batches, Resend), [Whole(0, 1), Batch, Whole(0, 1), Batch]);
}

#[test]
fn a_dictionary_that_grows_is_extended_or_sent_again() {
    let values = words(&["a", "b", "c", "d", "e"]);
    let batches = [batch(&values.slice(0, 2)), batch(&values.slice(0, 3)), batch(&words(&["a", "b", "c", "x"]))];
    assert_eq!(sent_in_stream(&batches, Resend), [Whole(0, 2), Batch, Whole(0, 3), Batch, Whole(0, 4), Batch]);
    let extended = [Whole(0, 2), Batch, Extended(0, 1), Batch, Extended(0, 1), Batch];
    assert_eq!(sent_in_stream(&batches, Delta), extended);
    assert_eq!(sent_in_file(&batches, Delta).unwrap(), extended);
    assert_refused(sent_in_file(&batches, Resend), "word");
}

#[test]
fn a_file_lists_deltas_in_its_footer() {
    let values = words(&["a", "b", "c"]);
    let batches = [batch(&values.slice(0, 1)), batch(&values)];
    let file = encode::file(&batches[0].schema(), &batches, &options(Delta)).unwrap();
    assert_eq!(footer(&file).dictionaries.len(), 2);
}

#[test]
fn a_shorter_dictionary_is_sent_where_readers_must_have_just_it() {
    let values = words(&["a", "b", "c"]);
    let batches = [batch(&values), batch(&values.slice(0, 2)), batch(&words(&["a"]))];
    let once = [Whole(0, 3), Batch, Batch, Batch];
    assert_eq!(sent_in_stream(&batches, Resend), [Whole(0, 3), Batch, Whole(0, 2), Batch, Whole(0, 1), Batch]);
    assert_eq!(sent_in_stream(&batches, Delta), once);
    assert_eq!(sent_in_file(&batches, Resend).unwrap(), once);
    assert_eq!(sent_in_file(&batches, Delta).unwrap(), once);
}

#[test]
fn a_dictionary_that_changes_is_replaced_in_a_stream_and_refused_in_a_file() {
    let batches = [batch(&words(&["a", "b"])), batch(&words(&["b", "a"])), batch(&words(&["b", "a"]))];
    for handling in [Resend, Delta] {
        assert_eq!(sent_in_stream(&batches, handling), [Whole(0, 2), Batch, Whole(0, 2), Batch, Batch]);
        assert_refused(sent_in_file(&batches, handling), "word");
    }
}

#[test]
fn a_refused_replacement_leaves_the_file_as_it_was() {
    let (old, new) = (batch(&words(&["a", "b"])), batch(&words(&["b", "a"])));
    let mut encoder = Encoder::file(Vec::new()).start(old.schema()).unwrap();
    encoder.write(&old).unwrap();
    let stats = encoder.stats();
    assert!(matches!(encoder.write(&new), Err(Error::DictionaryReplacement { .. })));
    assert_eq!(encoder.stats(), stats);
    encoder.write(&old).unwrap();
    let file = encoder.close().unwrap().into_inner();
    assert_same_batches(&[old.clone(), old], &read::file(&file).unwrap().batches);
}

#[test]
fn each_field_has_a_dictionary_of_its_own() {
    let (a, b, c) = (words(&["a"]), words(&["b", "b"]), words(&["c", "c", "c"]));
    let batch = |first: &ArrayRef, second: &ArrayRef| {
        let (first, second) = (dictionary(&[0], first.clone()), dictionary(&[0], second.clone()));
        RecordBatch::try_from_iter_with_nullable([("first", first, true), ("second", second, true)]).unwrap()
    };
    let batches = [batch(&a, &a), batch(&a, &b), batch(&c, &b)];
    let expected = [Whole(0, 1), Whole(1, 1), Batch, Whole(1, 2), Batch, Whole(0, 3), Batch];
    assert_eq!(sent_in_stream(&batches, Resend), expected);
    assert_refused(sent_in_file(&batches, Resend), "second");
}

#[test]
fn an_inner_dictionary_that_is_replaced_takes_the_outer_along() {
    let (one, other) = (words(&["a", "b"]), words(&["b", "a"]));
    // The outer values read the same: `a`, `b`, through other inner keys.
    let batches = [nested(&[0, 1], &[0, 1], &one), nested(&[1, 0], &[1, 0], &other), nested(&[0], &[1, 0], &other)];
    let expected = [Whole(0, 2), Whole(1, 2), Batch, Whole(0, 2), Whole(1, 2), Batch, Batch];
    assert_eq!(sent_in_stream(&batches, Resend), expected);
    assert_eq!(sent_in_stream(&batches, Delta), expected);
    assert_refused(sent_in_file(&batches, Resend), "outer.inner");
}

#[test]
fn an_outer_dictionary_changes_alone() {
    let values = words(&["a", "b"]);
    let batches = [nested(&[0, 1], &[0, 1], &values), nested(&[0], &[1], &values)];
    assert_eq!(sent_in_stream(&batches, Resend), [Whole(0, 2), Whole(1, 2), Batch, Whole(1, 1), Batch]);
    assert_refused(sent_in_file(&batches, Resend), "outer");
}

#[test]
fn an_outer_dictionary_that_grows_is_never_extended() {
    let values = words(&["a", "b"]);
    let batches = [nested(&[0], &[0], &values), nested(&[0, 1], &[0, 1], &values)];
    assert_eq!(sent_in_stream(&batches, Delta), [Whole(0, 2), Whole(1, 1), Batch, Whole(1, 2), Batch]);
    assert_refused(sent_in_file(&batches, Delta), "outer");
}

/// Why an outer dictionary is never extended: pyarrow does not read what arrow-rs writes when it does that. If it does
/// one day, this test says so.
#[test]
fn a_reader_refuses_an_outer_dictionary_that_is_extended() {
    let values = words(&["a", "b", "c"]);
    let (first, second) = (nested(&[0], &[0], &values.slice(0, 1)), nested(&[0, 1], &[0, 1], &values.slice(0, 2)));
    let handling = arrow_ipc::writer::DictionaryHandling::Delta;
    let options = arrow_ipc::writer::IpcWriteOptions::default().with_dictionary_handling(handling);
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &first.schema(), options).unwrap();
    [&first, &second].into_iter().for_each(|batch| writer.write(batch).unwrap());
    let bytes = writer.into_inner().unwrap();
    assert_eq!(sent(&bytes, 0), [Whole(0, 1), Whole(1, 1), Batch, Extended(0, 1), Extended(1, 1), Batch]);
    assert_same_batches(&[first, second], &read::stream(&bytes).unwrap().batches);
    let Some(python) = python("pyarrow") else { return };
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(&bytes).unwrap();
    let script = "import sys, pyarrow.ipc; pyarrow.ipc.open_stream(sys.argv[1]).read_all()";
    let read = Command::new(python).args(["-c", script]).arg(file.path()).output().unwrap();
    let said = String::from_utf8(read.stderr).unwrap();
    assert!(said.contains("delta dictionary with an unresolved nested dictionary"), "{said}");
}

#[test]
fn an_inner_dictionary_that_grows_is_extended() {
    let values = words(&["a", "b", "c"]);
    let batches = [nested(&[0, 1], &[0, 1], &values.slice(0, 2)), nested(&[0, 1], &[0, 1], &values)];
    for handling in [Resend, Delta] {
        // However the outer one is sent, the reader must see the right words.
        let sent = sent_in_stream(&batches, handling);
        assert!(sent.contains(&if handling == Delta { Extended(0, 1) } else { Whole(0, 3) }), "{sent:?}");
    }
}

#[test]
fn counts_tell_new_from_replaced_from_extended() {
    let values = words(&["a", "b", "c"]);
    let batches =
        [batch(&values.slice(0, 1)), batch(&values.slice(0, 2)), batch(&words(&["x"])), batch(&words(&["x"]))];
    for (handling, deltas, replacements) in [(Resend, 0, 2), (Delta, 1, 1)] {
        let encoder = Encoder::stream(Vec::new()).with_options(options(handling));
        let mut encoder = encoder.start(batches[0].schema()).unwrap();
        for batch in &batches {
            encoder.write(batch).unwrap();
        }
        let stats = encoder.stats();
        assert_eq!((stats.dictionary_batches, stats.deltas, stats.replacements), (3, deltas, replacements));
    }
}

#[test]
fn a_dictionary_that_could_not_be_written_is_sent_with_the_next_batch() {
    let (old, new) = (batch(&words(&["a", "b"])), batch(&words(&["b", "a"])));
    // The sink takes the schema, then fails before it takes any byte of a batch.
    for fails_at in [1, 2] {
        let mut sink = Faulty::new(Fault::Error, fails_at);
        let mut encoder = Encoder::stream(&mut sink).start(old.schema()).unwrap();
        let (mut written, mut failures) = (Vec::new(), 0);
        for batch in [&old, &new, &new, &old] {
            match encoder.write(batch) {
                Ok(_) => written.push(batch.clone()),
                Err(Error::Io(_)) => failures += 1,
                Err(error) => panic!("{error}"),
            }
        }
        encoder.close().unwrap();
        assert_eq!((written.len(), failures), (3, 1));
        assert_same_batches(&written, &read::stream(&sink.taken).unwrap().batches);
        let whole = sent(&sink.taken, 0).into_iter().filter(|sent| *sent == Whole(0, 2)).count();
        assert_eq!(whole, if fails_at == 1 { 2 } else { 3 });
    }
}

#[test]
fn a_batch_that_failed_can_be_written_again_with_its_dictionary() {
    let batches = [batch(&words(&["a", "b"])), batch(&words(&["b", "a"]))];
    for fails_at in [1, 2] {
        let mut sink = Faulty::new(Fault::Error, fails_at);
        let mut encoder = Encoder::stream(&mut sink).start(batches[0].schema()).unwrap();
        for batch in &batches {
            if encoder.write(batch).is_err() {
                encoder.write(batch).unwrap();
            }
        }
        encoder.close().unwrap();
        assert!(sink.has_failed);
        assert_eq!(sent(&sink.taken, 0), [Whole(0, 2), Batch, Whole(0, 2), Batch]);
        assert_same_batches(&batches, &read::stream(&sink.taken).unwrap().batches);
    }
}

#[test]
fn a_batch_without_rows_brings_its_dictionary_too() {
    let values = words(&["a", "b"]);
    let batches = [batch(&values).slice(0, 0), batch(&values)];
    assert_eq!(sent_in_stream(&batches, Resend), [Whole(0, 2), Batch, Batch]);
}

#[test]
fn ids_follow_the_schema_through_every_kind_of_nesting() {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    let word = || Arc::new(field("word", dictionary.clone()));
    let run_ends = Arc::new(Field::new("run_ends", DataType::Int32, false));
    let values = Arc::new(field("values", dictionary.clone()));
    let schema = Arc::new(Schema::new(vec![
        field("list", DataType::List(word())),
        field("runs", DataType::RunEndEncoded(run_ends, values)),
        field("struct", DataType::Struct(vec![word(), word()].into())),
        field("view", DataType::LargeListView(word())),
    ]));
    let batch = RecordBatch::new_empty(schema);
    let sent = sent_in_stream(&[batch.clone(), batch], Resend);
    assert_eq!(sent, [Whole(0, 0), Whole(1, 0), Whole(2, 0), Whole(3, 0), Whole(4, 0), Batch, Batch]);
}

/// Whether what was decided for `batch` behind those `before` is still right once others have written those
/// `meanwhile`.
fn holds<F: Format>(
    before: &[&RecordBatch],
    batch: &RecordBatch,
    meanwhile: &[&RecordBatch],
    handling: DictionaryHandling,
    sending: Sending,
) -> bool {
    let options = options(handling);
    let schema = Arc::new(StreamSchema::try_new(batch.schema(), &options).unwrap());
    let mut ledger = Ledger::new::<F>(Arc::clone(&schema), &options).unwrap();
    let (mut encoder, mut unified) = (BatchEncoder::new(&options), UnifiedDictionaries::new(schema));
    let mut group = |batch, ledger: &Ledger, sending| {
        let group = encoder.encode_group::<F>(batch, &ipc_core::Metadata::new(), &mut unified, ledger.sent(), sending);
        group.unwrap().into_owned()
    };
    for batch in before {
        let mut group = group(batch, &ledger, Sending::Changes);
        ledger.append_ahead(&mut Vec::new(), &mut group).unwrap();
    }
    let (compared, decided) = (ledger.sent().clone(), group(batch, &ledger, sending));
    for batch in meanwhile {
        let mut group = group(batch, &ledger, Sending::Changes);
        ledger.append_ahead(&mut Vec::new(), &mut group).unwrap();
    }
    ledger.accepts(&decided, &compared)
}

#[test]
fn what_was_decided_is_right_as_long_as_nothing_that_it_was_decided_on_changes() {
    use Sending::{Changes, Everything};
    let [x, y, z] = [&["a", "b"], &["b", "a"], &["b", "b"]].map(|values| words(values));
    let of = |first: &ArrayRef, second: &ArrayRef| {
        let (first, second) = (dictionary(&[0], first.clone()), dictionary(&[0], second.clone()));
        RecordBatch::try_from_iter_with_nullable([("first", first, true), ("second", second, true)]).unwrap()
    };
    let (xx, yx, xy, zx) = (of(&x, &x), of(&y, &x), of(&x, &y), of(&z, &x));
    let in_stream =
        |batch, meanwhile: &[&RecordBatch], sending| holds::<StreamFormat>(&[&xx], batch, meanwhile, Resend, sending);
    for sending in [Changes, Everything] {
        assert!(in_stream(&xx, &[], sending) && in_stream(&xx, &[&xx], sending), "nothing has changed");
        assert!(in_stream(&xx, &[&xy, &xx], sending), "the same array is back");
        assert!(in_stream(&yx, &[&xy, &xx], sending), "the same array is back");
    }
    // What the batch takes for sent is not what readers have.
    assert!(!in_stream(&xx, &[&xy], Changes) && !in_stream(&yx, &[&xy], Changes));
    // What is sent would have been decided otherwise, unless it is all of it anyway.
    assert!(!in_stream(&yx, &[&zx], Changes));
    assert!(in_stream(&yx, &[&zx], Everything) && in_stream(&xx, &[&xy], Everything));

    // A file allows no replacement, and others have been first.
    for sending in [Changes, Everything] {
        assert!(holds::<FileFormat>(&[], &xx, &[], Resend, sending));
        assert!(!holds::<FileFormat>(&[], &xx, &[&yx], Resend, sending));
    }
    // What extends a dictionary extends no other.
    let [short, long, longer] = [1, 2, 3].map(|length| batch(&words(&["a", "b", "c"][..length])));
    for (others, right) in [(&[] as &[_], true), (&[&longer], false)] {
        assert_eq!(holds::<FileFormat>(&[&short], &long, others, Delta, Changes), right);
        assert_eq!(holds::<StreamFormat>(&[&short], &long, others, Delta, Changes), right);
    }
}
