//! A file has one dictionary of each id, and its footer says in which order dictionaries and batches are read.
//!
//! Fails where the last of two dictionaries wins, or the first does, for batches that were written with the other;
//! where the same dictionary again is refused; and where batches come out in another order than every reader has them.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray};
use arrow_buffer::OffsetBuffer;
use arrow_ipc::{Block, MessageHeader};
use arrow_schema::Field;
use ipc_core::{DictionaryHandling, Options};
use ipc_recover::{Condition, Damage, Error, Fault, Input, Kind, Part, RecoverOptions, Source};
use ipc_tests::framing::{Framed, messages};
use ipc_tests::value::assert_same_batches;
use ipc_tests::{encode, read};

use super::support::{recover, with_footer};

/// A stream, resent dictionaries and all, as a file: what a file must not be, but for its footer.
fn as_file(batches: &[RecordBatch], handling: DictionaryHandling) -> (Vec<u8>, Vec<Framed>) {
    let options = Options::builder().dictionaries(handling).build().unwrap();
    let stream = encode::stream(&batches[0].schema(), batches, &options).unwrap();
    let framed = messages(&stream, 0).messages;
    // Any file of the schema has a footer to be replaced.
    let empty = encode::file(&batches[0].schema(), &[], &options).unwrap();
    let footer = ipc_tests::framing::footer(&empty).start;
    let moved = framed.iter().map(|message| Framed { offset: message.offset + 8, ..message.clone() }).collect();
    ([b"ARROW1\0\0", &stream[..], &empty[footer..]].concat(), moved)
}

fn block(message: &Framed) -> Block {
    let length = i64::try_from(message.body.len()).unwrap();
    Block::new(i64::try_from(message.offset).unwrap(), i32::try_from(message.metadata_length).unwrap(), length)
}

/// Returns the blocks of one kind, in order.
fn blocks(messages: &[Framed], kind: MessageHeader) -> Vec<Block> {
    messages.iter().filter(|message| message.kind == kind).map(block).collect()
}

fn listed(batches: &[RecordBatch], handling: DictionaryHandling) -> (Vec<u8>, Vec<Framed>) {
    let (file, framed) = as_file(batches, handling);
    let (dictionaries, record_batches) =
        (blocks(&framed, MessageHeader::DictionaryBatch), blocks(&framed, MessageHeader::RecordBatch));
    (with_footer(&file, &dictionaries, &record_batches), framed)
}

fn dictionary(values: ArrayRef, keys: &[i32]) -> ArrayRef {
    Arc::new(DictionaryArray::<Int32Type>::new(Int32Array::from(keys.to_vec()), values))
}

fn words(words: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(words))
}

fn batch(column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([("outer", column)]).unwrap()
}

/// A dictionary of lists of a dictionary of these words.
fn nested(values: &[&str]) -> ArrayRef {
    let inner = dictionary(words(values), &[0]);
    let field = Arc::new(Field::new("inner", inner.data_type().clone(), true));
    let lists = ListArray::new(field, OffsetBuffer::from_lengths([1]), inner, None);
    dictionary(Arc::new(lists), &[0, 0])
}

/// Where reading stops, and why.
fn stopped(bytes: &[u8]) -> Option<Damage> {
    let mut input = match Input::open(Source::from(bytes)) {
        Ok(input) => input,
        Err(damage) => return Some(damage),
    };
    loop {
        match input.next() {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(damage) => return Some(damage),
        }
    }
}

#[test]
fn a_second_dictionary_is_named_with_both_places_and_nothing_behind_it_is_kept() {
    let numbers = |numbers: &[i64]| -> ArrayRef { Arc::new(Int64Array::from(numbers.to_vec())) };
    for (path, first, second) in [
        ("outer", dictionary(words(&["a", "b"]), &[0, 1]), dictionary(words(&["x", "y"]), &[0, 1])),
        ("outer", dictionary(numbers(&[1, 2]), &[0, 1]), dictionary(numbers(&[7, 8]), &[0, 1])),
        ("outer.inner", nested(&["a"]), nested(&["x"])),
    ] {
        let batches = [batch(first), batch(second)];
        let (file, framed) = listed(&batches, DictionaryHandling::Resend);
        let dictionaries: Vec<_> =
            framed.iter().filter(|message| message.kind == MessageHeader::DictionaryBatch).collect();
        let of_id = |id| dictionaries.iter().filter(move |message| message.dictionary_id == id);
        let told = stopped(&file).expect("it is refused");
        let Fault::SecondDictionary { path: found, id, first } = &told.fault else { panic!("{told}") };
        let places: Vec<_> = of_id(Some(*id)).map(|message| message.offset as u64).collect();
        assert_eq!((found.as_str(), &[*first, told.offset][..]), (path, &places[..]), "{told}");
        match recover(&file, &RecoverOptions::default()) {
            Err(Error::DamagedBeforeTail { damage, .. }) => assert_eq!(damage.to_string(), told.to_string()),
            refused => panic!("{refused:?}"),
        }
        let (output, report) = recover(&file, &RecoverOptions::default().with_salvage()).unwrap();
        assert_same_batches(&batches[..1], &read::file(&output).unwrap().batches);
        assert!(report.leaves_rows_out() && report.cut.record_batches == 1, "{report:?}");
        // The same without its footer.
        let torn = &file[..file.len() - 20];
        let (output, report) = recover(torn, &RecoverOptions::default().with_salvage()).unwrap();
        assert_same_batches(&batches[..1], &read::file(&output).unwrap().batches);
        assert!(report.leaves_rows_out(), "{report:?}");
    }
}

#[test]
fn the_same_dictionary_again_is_no_second_one() {
    let batches = [batch(dictionary(words(&["a", "b"]), &[0, 1])), batch(dictionary(words(&["a", "b"]), &[1, 1]))];
    let (mut file, framed) = as_file(&batches[..1], DictionaryHandling::Resend);
    // The first two messages after the schema occur twice.
    let footer = ipc_tests::framing::footer(&file).start;
    let (from, to) = (framed[1].offset, framed[2].offset + framed[2].metadata_length + framed[2].body.len());
    let again = file[from..to].to_vec();
    file.splice(footer - 8..footer - 8, again);
    let moved = framed[1..].iter().map(|message| Framed { offset: message.offset + to - from, ..message.clone() });
    let all: Vec<_> = framed.iter().cloned().chain(moved).collect();
    let file =
        with_footer(&file, &blocks(&all, MessageHeader::DictionaryBatch), &blocks(&all, MessageHeader::RecordBatch));
    assert!(stopped(&file).is_none(), "{:?}", stopped(&file));
    let (output, report) = recover(&file, &RecoverOptions::default()).unwrap();
    assert!(report.condition == Condition::Complete && output == file, "{report:?}");
    let (output, report) = recover(&file, &RecoverOptions::default().with_format(Kind::Stream)).unwrap();
    assert_eq!(report.condition, Condition::Complete);
    let twice = [batches[0].clone(), batches[0].clone()];
    assert_same_batches(&twice, &read::stream(&output).unwrap().batches);
}

#[test]
fn batches_come_in_the_order_of_the_footer() {
    let all: Vec<_> = (0..4).map(|number| batch(Arc::new(Int64Array::from(vec![number])))).collect();
    let (file, framed) = as_file(&all, DictionaryHandling::Resend);
    let mut record_batches = blocks(&framed, MessageHeader::RecordBatch);
    record_batches.reverse();
    let file = with_footer(&file, &[], &record_batches);
    let reversed: Vec<_> = all.iter().rev().cloned().collect();
    assert_same_batches(&reversed, &read::file(&file).unwrap().batches);
    let (output, _) = recover(&file, &RecoverOptions::default().with_format(Kind::Stream)).unwrap();
    assert_same_batches(&reversed, &read::stream(&output).unwrap().batches);
    let mut input = Input::open(Source::from(file.as_slice())).unwrap();
    let mut offsets = Vec::new();
    while let Some(part) = input.next().unwrap() {
        offsets.extend(if let Part::Message(head) = part { Some(head.place().offset) } else { None });
    }
    assert!(offsets.is_sorted_by(|one, other| one > other), "{offsets:?}");
}

#[test]
fn a_delta_that_is_listed_before_what_it_extends_is_named_and_put_in_order() {
    let batches = [batch(dictionary(words(&["a"]), &[0])), batch(dictionary(words(&["a", "b"]), &[1, 0]))];
    let (file, framed) = as_file(&batches, DictionaryHandling::Delta);
    let mut dictionaries = blocks(&framed, MessageHeader::DictionaryBatch);
    assert_eq!(dictionaries.len(), 2);
    dictionaries.reverse();
    let file = with_footer(&file, &dictionaries, &blocks(&framed, MessageHeader::RecordBatch));
    let told = stopped(&file).expect("no reader takes it");
    assert!(matches!(&told.fault, Fault::DeltaListedFirst { path, id: 0 } if path == "outer"), "{told}");
    let (output, report) = recover(&file, &RecoverOptions::default()).unwrap();
    assert_eq!((report.condition, report.leaves_rows_out()), (Condition::Torn, false));
    assert_same_batches(&batches, &read::file(&output).unwrap().batches);
}

#[test]
fn what_stands_behind_the_magic_that_ends_a_file_is_named() {
    let all = [batch(Arc::new(Int64Array::from(vec![1, 2])))];
    let whole = encode::file(&all[0].schema(), &all, &Options::default()).unwrap();
    let more = [&whole[..], b"the disk is full"].concat();
    let told = stopped(&more).expect("a file ends with its magic");
    assert_eq!(told.offset, whole.len() as u64);
    assert!(
        matches!(&told.fault, Fault::BehindTheFooter { words: Some(words) } if words == "the disk is full"),
        "{told}"
    );
    let (output, report) = recover(&more, &RecoverOptions::default()).unwrap();
    assert_eq!((report.condition, report.leaves_rows_out()), (Condition::Torn, false));
    assert_same_batches(&all, &read::file(&output).unwrap().batches);
}
