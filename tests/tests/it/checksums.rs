//! With checksums, every dictionary batch and record batch has the CRC-32C of its body, and the schema message, and
//! only that, says so. Readers that know nothing of them read the same values.
//!
//! Fails where a kind of message has no sum or a wrong one, where the announcement gets into the schema or the footer,
//! whence other writers would carry it over, or where a batch may bring a sum of its own.

use arrow_array::{RecordBatch, record_batch};
use arrow_ipc::MessageHeader;
use ipc_core::Metadata;
use ipc_core::format::{ABORTED_KEY, CHECKSUM_KEY, CHECKSUMS, CHECKSUMS_KEY};
use ipc_core::parts::{BatchEncoder, Ledger, StreamSchema};
use ipc_core::{Alignment, Compression, DictionaryHandling, Error, MetadataVersion, Options, OptionsBuilder, Unify};
use ipc_shared::{FileFormat, StreamFormat};
use ipc_tests::dictionaries::{batch, nested, words};
use ipc_tests::encode;
use ipc_tests::framing::{self, Framed};
use ipc_tests::read;
use ipc_tests::shared::Output;

#[test]
fn every_batch_has_the_checksum_of_its_body() {
    let mut kinds = [0; 3];
    for (batches, options) in runs() {
        let schema = batches[0].schema();
        let name = format!("{options:?}");
        let mut outputs = Vec::new();
        if let Ok(file) = encode::file(&schema, &batches, &options) {
            outputs.push((8, file));
            outputs.push((8, shared::<FileFormat>(&batches, &options)));
        }
        if let Ok(stream) = encode::stream(&schema, &batches, &options) {
            outputs.push((0, stream));
            outputs.push((0, shared::<StreamFormat>(&batches, &options)));
        }
        assert!(!outputs.is_empty(), "{name}");
        for (start, bytes) in outputs {
            let messages = framing::messages(&bytes, start).messages;
            assert_eq!(messages[0].custom_metadata, [(CHECKSUMS_KEY.into(), CHECKSUMS.into())], "{name}");
            for message in &messages[1..] {
                let expected = format!("{:08x}", by_bits(&bytes[message.body.clone()]));
                assert_eq!(message.custom_metadata, [(CHECKSUM_KEY.to_owned(), expected)], "{name}");
                kinds[kind(message)] += 1;
            }
        }
    }
    assert!(kinds.iter().all(|count| *count > 10), "record batches, dictionaries and deltas: {kinds:?}");
}

#[test]
fn what_readers_see_is_the_same_with_checksums() {
    for (batches, options) in runs() {
        let schema = batches[0].schema();
        if let Ok(bytes) = encode::stream(&schema, &batches, &options) {
            let contents = read::stream(&bytes).unwrap();
            assert_eq!(contents.schema.metadata(), schema.metadata(), "the schema says nothing of it");
            assert_eq!(contents.batches.len(), batches.len());
        }
        if let Ok(bytes) = encode::file(&schema, &batches, &options) {
            let contents = read::file(&bytes).unwrap();
            assert_eq!(contents.schema.metadata(), schema.metadata(), "the schema says nothing of it");
            assert_eq!(framing::footer(&bytes).custom_metadata, [], "nor does the footer");
            assert_eq!(contents.batches.len(), batches.len());
        }
    }
}

/// A copy of such a file by another writer announces no checksums, so a reader does not expect any.
#[test]
fn a_file_that_another_writer_rewrote_announces_nothing() {
    let batches = plain();
    let file = encode::file(&batches[0].schema(), &batches, &checksums().build().unwrap()).unwrap();
    let contents = read::file(&file).unwrap();
    let mut writer = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &contents.schema).unwrap();
    contents.batches.iter().for_each(|batch| writer.write(batch).unwrap());
    let rewritten = writer.into_inner().unwrap();
    assert!(framing::messages(&rewritten, 8).messages.iter().all(|message| message.custom_metadata.is_empty()));
}

#[test]
fn metadata_of_a_batch_stands_beside_its_checksum_and_never_for_it() {
    let (batch, own) = (&plain()[0], Metadata::from([("a", "b"), ("z", "y")]));
    for checksums in [false, true] {
        let options = Options::builder().checksums(checksums).build().unwrap();
        let mut encoder = StreamFormat::encoder(Vec::new()).with_options(options).start(batch.schema()).unwrap();
        for _ in 0..2 {
            encoder.write(batch).unwrap();
            encoder.write_with_metadata(batch, &own).unwrap();
            for reserved in [CHECKSUM_KEY, ABORTED_KEY] {
                let forged = Metadata::from([(reserved, "00000000")]);
                let refused = encoder.write_with_metadata(batch, &forged).unwrap_err();
                assert!(matches!(refused, Error::ReservedKey { key } if key == reserved), "{refused:?}");
            }
        }
        let bytes = encoder.close().unwrap().into_inner();
        let messages = framing::messages(&bytes, 0).messages;
        assert_eq!(messages.len(), 5, "what was refused left nothing");
        for (message, has_own) in messages[1..].iter().zip([false, true, false, true]) {
            let mut found: Metadata = message.custom_metadata.iter().cloned().collect();
            let sum = format!("{:08x}", by_bits(&bytes[message.body.clone()]));
            assert_eq!(found.remove(CHECKSUM_KEY), checksums.then_some(sum));
            assert_eq!(found, if has_own { own.clone() } else { Metadata::new() });
        }
    }
}

#[test]
fn parts_with_and_without_checksums_do_not_go_together() {
    let batch = &plain()[0];
    let [with, without] = [true, false].map(|yes| Options::builder().checksums(yes).build().unwrap());
    for (one, other) in [(&with, &without), (&without, &with)] {
        let schema = || StreamSchema::try_new(batch.schema(), one).unwrap().into();
        let refused = Ledger::new::<StreamFormat>(schema(), other).unwrap_err();
        assert!(matches!(&refused, Error::InvalidOptions(why) if why.contains("checksums")), "{refused:?}");
        let mut ledger = Ledger::new::<StreamFormat>(schema(), one).unwrap();
        let mut encoder = BatchEncoder::new(other);
        let message = encoder.encode(batch).unwrap();
        let mut sink = Vec::new();
        let refused = ledger.append(&mut sink, &mut message.into()).unwrap_err();
        assert!(matches!(&refused, Error::InvalidOptions(why) if why.contains("checksums")), "{refused:?}");
        assert!(sink.is_empty());
    }
}

/// Batches, and options that go with them: every way of dictionaries, codec, version and alignment.
fn runs() -> Vec<(Vec<RecordBatch>, Options)> {
    let growing =
        || [["a"].as_slice(), &["a", "b"], &["c", "a"], &["c", "a", "d"]].map(|of| batch(&words(of))).to_vec();
    let inside = || vec![nested(&[0, 1], &[0, 1], &words(&["a", "b"])), nested(&[1, 0], &[1, 1], &words(&["c", "a"]))];
    let handling = |dictionaries| checksums().dictionaries(dictionaries);
    let mut runs = vec![
        (growing(), handling(DictionaryHandling::Resend)),
        (growing(), handling(DictionaryHandling::Delta)),
        (growing(), handling(Unify::new().into())),
        (growing(), handling(Unify::new().at_close(true).into())),
        (inside(), handling(DictionaryHandling::Resend)),
        (inside(), handling(Unify::new().into())),
        (inside(), handling(Unify::new().at_close(true).into())),
        (growing(), handling(Unify::new().into()).compression(Compression::Lz4).compress_dictionaries(true)),
        (plain(), checksums().metadata_version(MetadataVersion::V4)),
        (plain(), checksums().metadata_version(MetadataVersion::V4Legacy)),
        (plain(), checksums().staging(true)),
    ];
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd(1)] {
        for alignment in [Alignment::A8, Alignment::A64] {
            runs.push((plain(), checksums().compression(compression).alignment(alignment)));
        }
    }
    runs.into_iter().map(|(batches, builder)| (batches, builder.build().unwrap())).collect()
}

/// Batches of other lengths each time, the empty one among them, with buffers that are made and such that are not.
fn plain() -> Vec<RecordBatch> {
    let text = "some text that is long enough to be compressed, some text that is long enough to be compressed";
    let of = |rows: usize| {
        let (numbers, texts): (Vec<_>, Vec<_>) =
            (0..rows).map(|n| (i64::try_from(n).unwrap(), &text[..n % 90])).unzip();
        record_batch!(("number", Int64, numbers), ("text", Utf8, texts)).unwrap()
    };
    vec![of(3), of(3), of(500), of(500).slice(7, 100), of(0), of(1)]
}

fn shared<F: Output>(batches: &[RecordBatch], options: &Options) -> Vec<u8> {
    let writer = F::to(Vec::new()).options(options.clone()).schema(batches[0].schema()).build().unwrap();
    batches.iter().for_each(|batch| _ = writer.write(batch).unwrap());
    writer.close().unwrap();
    writer.into_inner().unwrap()
}

fn checksums() -> OptionsBuilder {
    Options::builder().checksums(true)
}

fn kind(message: &Framed) -> usize {
    match message.kind {
        MessageHeader::RecordBatch => 0,
        _ if message.is_delta => 2,
        _ => 1,
    }
}

/// CRC-32C, a bit at a time: the polynomial and nothing else.
fn by_bits(bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}
