//! No input makes recovery or listing panic, hang, or take more memory than twice its size and 64 MiB; and what
//! recovery makes of it is complete.
//!
//! Tried are the inputs that broke other readers, as far as they are there, and 10,000 made here of sound ones: bits
//! flipped, lengths that are wrong or huge, offsets that run in circles or overlap, pieces cut out, put in and torn
//! off.
//!
//! Fails where a length is believed before it is checked, where a number overflows, and where an output would need
//! recovery itself.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use arrow_ipc::{FieldBuilder, MessageBuilder, MessageHeader, MetadataVersion, SchemaBuilder, Struct_Builder, Type};
use arrow_schema::{DataType, Field, Metadata};
use flatbuffers::{FlatBufferBuilder, WIPOffset};
use ipc_core::{Compression, DictionaryHandling, Options};
use ipc_recover::{Condition, Input, Kind, RecoverOptions, Source};
use ipc_tests::allocations::peak;
use ipc_tests::arrays::Sharing;
use ipc_tests::batches::{Batches, Plan, every_kind};
use ipc_tests::framing::{footer, messages};
use ipc_tests::random::Random;
use ipc_tests::threads::within;
use ipc_tests::{encode, outside};

use super::support::{recover, with_footer};

/// How an attempt at an input ended.
fn attempt(bytes: &[u8], options: &RecoverOptions) -> &'static str {
    match recover(bytes, options) {
        Ok((output, report)) if output != bytes => {
            let again = recover(&output, &RecoverOptions::default()).expect("an output can be recovered");
            assert!(again.1.condition == Condition::Complete && again.0 == output, "{report:?}, then {:?}", again.1);
            report.condition.name()
        }
        Ok((_, report)) => report.condition.name(),
        Err(_) => "refused",
    }
}

/// Tries everything with an input, and returns how it went without salvage and with it, and how much memory was held.
fn try_all(name: &str, bytes: &[u8]) -> ([&'static str; 2], u64) {
    let begin = Instant::now();
    let all = || {
        if let Ok((mut input, _)) = Input::open_broken(Source::from(bytes)) {
            while let Ok(Some(_)) = input.next() {}
        }
        let default = RecoverOptions::default();
        let other = if bytes.starts_with(b"ARROW1") { Kind::Stream } else { Kind::File };
        let outcomes = [attempt(bytes, &default), attempt(bytes, &default.clone().with_salvage())];
        if outcomes[1] != "refused" {
            attempt(bytes, &default.with_salvage().with_format(other));
        }
        outcomes
    };
    let (outcomes, held) = peak(all);
    // Twice the input, as promised, and far less than 64 MiB; twice more for the outputs, which are held here.
    let allowed = 4 * bytes.len() as u64 + (1 << 20);
    assert!(held <= allowed, "{name}: {held} bytes held for an input of {}", bytes.len());
    assert!(begin.elapsed() < Duration::from_secs(10), "{name}: {:?}", begin.elapsed());
    (outcomes, held)
}

#[test]
fn inputs_that_broke_other_readers() {
    let Some(folder) = outside::data("fuzz") else { return };
    let mut tried = 0;
    for kind in ["arrow-ipc-file", "arrow-ipc-stream"] {
        for entry in fs::read_dir(folder.join(kind)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            within(Duration::from_secs(60), move || try_all(&path.display().to_string(), &bytes));
            tried += 1;
        }
    }
    println!("{tried} inputs that broke other readers");
    assert!(tried > 60);
}

/// Sound inputs of both formats: plain and compressed, with dictionaries that grow; the last two with every kind of
/// column.
fn sound() -> Vec<Vec<u8>> {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8));
    let few = vec![Field::new("number", DataType::Int64, true), Field::new("city", dictionary, true)];
    let mut sound = Vec::new();
    for (fields, rows, codecs) in [
        (few, vec![5, 12, 0, 9, 6], &[Compression::None, Compression::Lz4][..]),
        (every_kind(), vec![3, 0, 4], &[Compression::Lz4]),
    ] {
        let plan = Plan { fields, metadata: Metadata::from([("a", "b")]), rows, sharing: Sharing::Growing, seed: 3 };
        let Batches { schema, batches, .. } = Batches::new(plan);
        for compression in codecs {
            let options = Options::builder().compression(*compression).dictionaries(DictionaryHandling::Delta);
            let options = options.build().unwrap();
            sound.push(encode::stream(&schema, &batches, &options).unwrap());
            sound.push(encode::file(&schema, &batches, &options).unwrap());
        }
    }
    sound
}

/// Returns the positions of numbers that are worth changing: prefixes, flatbuffers, and the footer.
fn metadata(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let is_file = bytes.starts_with(b"ARROW1");
    let framing = messages(bytes, if is_file { 8 } else { 0 });
    let mut places: Vec<_> = framing.messages.iter().map(|message| message.offset..message.flatbuffer.end).collect();
    if is_file {
        places.push(footer(bytes).start..bytes.len());
    }
    places
}

/// Damages an input in one of the ways above, and says in which.
fn damage(bytes: &mut Vec<u8>, places: &[std::ops::Range<usize>], random: &mut Random) -> &'static str {
    let place = random.pick(places).clone();
    let word = |random: &mut Random, width: usize| {
        let slots = (place.end - place.start) / width;
        place.start + random.below(slots) * width
    };
    match random.below(9) {
        0 => {
            for _ in 0..=random.below(8) {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            "bits flipped"
        }
        1 => {
            for _ in 0..=random.below(4) {
                let at = place.start + random.below(place.len());
                bytes[at] ^= 1 << random.below(8);
            }
            "bits flipped in metadata"
        }
        2 => {
            let at = word(random, 4);
            let number = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let by = u32::try_from(random.below(64)).unwrap();
            bytes[at..at + 4].copy_from_slice(&number.wrapping_add(by.wrapping_sub(32)).to_le_bytes());
            "a wrong length or offset"
        }
        3 => {
            let at = word(random, 4);
            let huge = *random.pick(&[i32::MAX, i32::MIN, -1, i32::MAX - 7, 1 << 30]);
            bytes[at..at + 4].copy_from_slice(&huge.to_le_bytes());
            "a huge length of 32 bits"
        }
        4 => {
            let at = word(random, 8);
            let end = (at + 8).min(bytes.len());
            let huge = *random.pick(&[i64::MAX, i64::MIN, -1, i64::MAX - 7, 1 << 40, 1 << 62]);
            bytes[at..end].copy_from_slice(&huge.to_le_bytes()[..end - at]);
            "a huge length of 64 bits"
        }
        5 => {
            let (from, to) = (word(random, 8), word(random, 8));
            let end = (from.max(to) + 8).min(bytes.len());
            let width = end - from.max(to);
            bytes.copy_within(from..from + width, to);
            "numbers that repeat others"
        }
        6 => {
            let length = random.below(bytes.len());
            bytes.truncate(length);
            "torn off"
        }
        7 => {
            let (start, length) = (random.below(bytes.len()), random.below(200));
            bytes.drain(start..(start + length).min(bytes.len()));
            "a piece cut out"
        }
        _ => {
            let (start, at) = (random.below(bytes.len()), random.below(bytes.len()));
            let piece = bytes[start..(start + random.below(300)).min(bytes.len())].to_vec();
            bytes.splice(at..at, piece);
            "a piece put in"
        }
    }
}

#[test]
fn ten_thousand_damaged_inputs() {
    let sound: Vec<_> = sound().into_iter().map(|bytes| (metadata(&bytes), bytes)).collect();
    let (outcomes, highest) = within(Duration::from_secs(300), move || {
        let mut random = Random::new(2026);
        let (mut outcomes, mut highest) = (BTreeMap::new(), 0);
        for number in 0..10_000 {
            // Those with every kind of column take twenty times as long.
            let (places, whole) = &sound[if number % 40 < 2 { 4 + number % 2 } else { number % 4 }];
            let mut bytes = whole.clone();
            let how = damage(&mut bytes, places, &mut random);
            let (tried, held) = try_all(&format!("input {number}, {how}"), &bytes);
            tried.into_iter().for_each(|outcome| *outcomes.entry(outcome).or_insert(0) += 1);
            highest = highest.max(held);
        }
        (outcomes, highest)
    });
    println!(
        "10,000 damaged inputs, each recovered with and without salvage: {outcomes:?}; at most {highest} bytes held"
    );
    assert!(outcomes.len() == 4 && outcomes.values().all(|count| *count > 100), "{outcomes:?}");
}

/// A message of this flatbuffer.
fn framed(flatbuffer: &[u8]) -> Vec<u8> {
    let length = flatbuffer.len().next_multiple_of(8);
    let mut message = [&[0xff; 4], &u32::try_from(length).unwrap().to_le_bytes()[..], flatbuffer].concat();
    message.resize(8 + length, 0);
    message
}

/// A schema of a struct of two fields, which are the same struct of two fields, and so on: 1 KB that looks like 2^40
/// fields.
#[test]
fn a_schema_that_refers_to_itself_again_and_again() {
    let mut fbb = FlatBufferBuilder::new();
    let type_ = Struct_Builder::new(&mut fbb).finish().as_union_value();
    let mut children: Option<WIPOffset<_>> = None;
    for _ in 0..40 {
        let mut field = FieldBuilder::new(&mut fbb);
        field.add_type_type(Type::Struct_);
        field.add_type_(type_);
        if let Some(children) = children {
            field.add_children(children);
        }
        let field = field.finish();
        children = Some(fbb.create_vector(&[field, field]));
    }
    let mut schema = SchemaBuilder::new(&mut fbb);
    schema.add_fields(children.unwrap());
    let schema = schema.finish().as_union_value();
    let mut message = MessageBuilder::new(&mut fbb);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(MessageHeader::Schema);
    message.add_header(schema);
    let message = message.finish();
    fbb.finish(message, None);
    let bytes = framed(fbb.finished_data());
    within(Duration::from_secs(60), move || assert_eq!(try_all("2^40 fields", &bytes).0, ["refused"; 2]));
}

/// Behind a message that is damaged, each byte starts what looks like the start of a message of most of the rest.
#[test]
fn messages_without_end_behind_the_damage() {
    let whole = sound().remove(0);
    let schema_end = messages(&whole, 0).messages[0].end();
    let start = |length: u32| [&[0xff; 4], &length.to_le_bytes()[..], &4_u32.to_le_bytes()].concat();
    let bytes = [&whole[..schema_end], &[0x11; 64], &start(3 << 20).repeat(400_000)].concat();
    within(Duration::from_secs(120), move || {
        // Whether it is taken for torn or damaged does not matter, as long as it ends.
        try_all("4 MB of starts", &bytes);
    });
}

/// A footer that names one message 100,000 times.
#[test]
fn a_footer_that_names_a_message_again_and_again() {
    let whole = sound().remove(1);
    let bytes = with_footer(&whole, &[], &vec![footer(&whole).record_batches[0]; 100_000]);
    // The messages are whole, and the footer is the tail.
    within(Duration::from_secs(60), move || assert_eq!(try_all("100,000 times", &bytes).0, ["torn"; 2]));
}
