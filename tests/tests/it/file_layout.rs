//! A file is a stream between a magic and a footer, every body stands on an aligned offset of the file, and footer and
//! receipts say where everything is.
//!
//! Fails where a length in a frame, a block of the footer or a receipt is off, where the schema message is not padded
//! by its position in the file, or where the end-of-stream marker is missing between the last message and the footer.

use arrow_array::RecordBatch;
use arrow_ipc::MessageHeader;
use arrow_schema::Metadata;
use ipc_core::{Alignment, Compression, Encoder, MetadataVersion, Options, Receipt};
use ipc_tests::arrays::Sharing;
use ipc_tests::batches::{Batches, Plan, every_kind};
use ipc_tests::encode;
use ipc_tests::framing::{Framed, MAGIC, footer, messages};
use ipc_tests::read;
use ipc_tests::value::assert_same_batches;

const ALIGNMENTS: [(Alignment, usize); 4] =
    [(Alignment::A8, 8), (Alignment::A16, 16), (Alignment::A32, 32), (Alignment::A64, 64)];
const MARKER: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// Batches of every kind of column, with dictionaries, of 0, few and many rows.
fn batches() -> Batches {
    let rows = vec![3, 0, 90, 12];
    Batches::new(Plan { fields: every_kind(), metadata: Metadata::new(), rows, sharing: Sharing::Shared, seed: 7 })
}

/// All options that change the layout.
fn layouts() -> impl Iterator<Item = (Options, usize)> {
    ALIGNMENTS.into_iter().flat_map(|(alignment, bytes)| {
        [Compression::None, Compression::Lz4].into_iter().flat_map(move |compression| {
            [false, true].map(|staging| {
                let builder = Options::builder().alignment(alignment).compression(compression).staging(staging);
                (builder.build().unwrap(), bytes)
            })
        })
    })
}

#[track_caller]
fn assert_receipts_are_true(receipts: &[Receipt], messages: &[&Framed]) {
    assert_eq!(receipts.len(), messages.len());
    for (sequence, (receipt, message)) in receipts.iter().zip(messages).enumerate() {
        assert_eq!(receipt.sequence, sequence as u64);
        assert_eq!(receipt.offset, message.offset as u64);
        assert_eq!(receipt.metadata_length, message.metadata_length as u64);
        assert_eq!(receipt.body_length, message.body.len() as u64);
    }
}

#[test]
fn every_body_stands_on_an_aligned_offset() {
    let Batches { schema, batches, .. } = batches();
    for (options, alignment) in layouts() {
        let file = encode::file(&schema, &batches, &options).unwrap();
        let stream = encode::stream(&schema, &batches, &options).unwrap();
        for (bytes, start) in [(&file, 8), (&stream, 0)] {
            for message in messages(bytes, start).messages {
                assert_eq!(message.body.start % alignment, 0, "{:?} {options:?}", message.kind);
                assert_eq!(message.body.len() % alignment, 0);
                assert_eq!(message.offset % 8, 0);
                let starts = message.buffers.iter().map(|(offset, _)| offset % i64::try_from(alignment).unwrap());
                assert!(starts.into_iter().all(|start| start == 0), "{:?}", message.buffers);
            }
        }
    }
}

#[test]
fn the_footer_lists_every_message() {
    let Batches { schema, batches, .. } = batches();
    for (options, _) in layouts() {
        let file = encode::file(&schema, &batches, &options).unwrap();
        let (framing, footer) = (messages(&file, 8), footer(&file));
        for (blocks, kind) in [
            (&footer.dictionaries, MessageHeader::DictionaryBatch),
            (&footer.record_batches, MessageHeader::RecordBatch),
        ] {
            let listed: Vec<_> = blocks.iter().map(|b| (b.offset(), b.metaDataLength(), b.bodyLength())).collect();
            let found = framing.of_kind(kind).map(|message| {
                (
                    i64::try_from(message.offset).unwrap(),
                    i32::try_from(message.metadata_length).unwrap(),
                    i64::try_from(message.body.len()).unwrap(),
                )
            });
            assert_eq!(listed, found.collect::<Vec<_>>(), "{kind:?} {options:?}");
        }
        assert_eq!(footer.record_batches.len(), batches.len());
        assert!(!footer.dictionaries.is_empty());
        assert_eq!(framing.end, Some(footer.start), "the footer follows the end-of-stream marker");
    }
}

#[test]
fn receipts_say_where_batches_are() {
    let Batches { schema, batches, .. } = batches();
    for (options, _) in layouts() {
        let encoder = Encoder::file(Vec::new()).with_options(options.clone());
        let (file, receipts) = encode::whole(encoder, &schema, &batches).unwrap();
        assert_receipts_are_true(&receipts, &messages(&file, 8).record_batches());
        let encoder = Encoder::stream(Vec::new()).with_options(options.clone());
        let (stream, receipts) = encode::whole(encoder, &schema, &batches).unwrap();
        assert_receipts_are_true(&receipts, &messages(&stream, 0).record_batches());

        let raw = Options::builder().alignment(options.alignment()).build().unwrap();
        let (_, uncompressed) =
            encode::whole(Encoder::stream(Vec::new()).with_options(raw), &schema, &batches).unwrap();
        let lengths = |receipts: &[Receipt]| receipts.iter().map(|r| r.raw_body_length).collect::<Vec<_>>();
        assert_eq!(lengths(&receipts), uncompressed.iter().map(|r| r.body_length).collect::<Vec<_>>());
    }
}

#[test]
fn stats_count_what_is_in_the_bytes() {
    let Batches { schema, batches, .. } = batches();
    for (options, _) in layouts() {
        let raw = Options::builder().alignment(options.alignment()).build().unwrap();
        let raw = messages(&encode::file(&schema, &batches, &raw).unwrap(), 8).messages;
        let mut encoder = Encoder::file(Vec::new()).with_options(options).start(schema.clone()).unwrap();
        for batch in &batches {
            encoder.write(batch).unwrap();
        }
        let closed = encoder.close().unwrap();
        let stats = closed.stats();
        let file = closed.into_inner();
        let framing = messages(&file, 8);
        assert_eq!(stats.messages, framing.messages.len() as u64);
        assert_eq!(stats.record_batches, batches.len() as u64);
        assert_eq!(stats.rows, batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>());
        assert_eq!(stats.dictionary_batches, framing.dictionary_batches().len() as u64);
        assert_eq!((stats.deltas, stats.replacements), (0, 0));
        assert_eq!(stats.written_bytes, file.len() as u64);
        assert_eq!(stats.raw_bytes, raw.iter().map(|message| message.body.len() as u64).sum::<u64>());
    }
}

#[test]
fn a_file_from_byte_8_is_a_stream() {
    let Batches { schema, batches, .. } = batches();
    for (options, _) in layouts() {
        let file = encode::file(&schema, &batches, &options).unwrap();
        assert_eq!(&file[..8], b"ARROW1\0\0");
        assert!(file.ends_with(MAGIC));
        let end = messages(&file, 8).end.unwrap();
        assert_eq!(file[end - 8..end], MARKER);
        assert_same_batches(&batches, &read::stream(&file[8..end]).unwrap().batches);
        assert_same_batches(&batches, &read::file(&file).unwrap().batches);
    }
}

#[test]
fn a_stream_ends_with_its_marker() {
    let Batches { schema, batches, .. } = batches();
    for (options, _) in layouts() {
        let stream = encode::stream(&schema, &batches, &options).unwrap();
        assert!(stream.ends_with(&MARKER));
        assert_eq!(messages(&stream, 0).end, Some(stream.len()));
    }
}

#[test]
fn a_schema_alone_is_an_output_too() {
    let schema = batches().schema;
    for (options, alignment) in layouts() {
        let file = encode::file(&schema, &[], &options).unwrap();
        let stream = encode::stream(&schema, &[], &options).unwrap();
        for (bytes, start) in [(&file, 8), (&stream, 0)] {
            let framing = messages(bytes, start);
            let kinds: Vec<_> = framing.messages.iter().map(|message| message.kind).collect();
            assert_eq!(kinds, [MessageHeader::Schema]);
            assert_eq!(framing.messages[0].end() % alignment, 0);
            assert!(framing.end.is_some());
        }
        let (from_file, from_stream) = (read::file(&file).unwrap(), read::stream(&stream).unwrap());
        assert_eq!((&from_file.schema, &from_stream.schema), (&schema, &schema));
        assert!(from_file.batches.is_empty() && from_stream.batches.is_empty());
    }
}

#[test]
fn the_footer_carries_metadata() {
    let Batches { schema, batches, .. } = batches();
    let mut encoder = Encoder::file(Vec::new()).start(schema).unwrap();
    encoder.write_metadata("first", "1").unwrap();
    for batch in &batches {
        encoder.write(batch).unwrap();
    }
    encoder.write_metadata("second", "").unwrap();
    let file = encoder.close().unwrap().into_inner();
    let pairs = [("first".to_owned(), "1".to_owned()), ("second".to_owned(), String::new())];
    assert_eq!(footer(&file).custom_metadata, pairs);
}

#[test]
fn a_batch_carries_metadata() {
    let Batches { schema, batches, .. } = batches();
    let mut encoder = Encoder::stream(Vec::new()).start(schema).unwrap();
    encoder.write(&batches[0]).unwrap();
    encoder.write_with_metadata(&batches[0], &ipc_core::Metadata::from([("a", "1"), ("é", "")])).unwrap();
    encoder.write(&batches[0]).unwrap();
    let stream = encoder.close().unwrap().into_inner();
    let framing = messages(&stream, 0);
    let found: Vec<_> = framing.record_batches().iter().map(|message| message.custom_metadata.clone()).collect();
    let pairs = vec![("a".to_owned(), "1".to_owned()), ("é".to_owned(), String::new())];
    assert_eq!(found, [vec![], pairs, vec![]]);
    assert_same_batches(
        &[batches[0].clone(), batches[0].clone(), batches[0].clone()],
        &read::stream(&stream).unwrap().batches,
    );
}

#[test]
fn old_framing_has_no_continuation_markers() {
    let Batches { schema, batches, .. } = batches();
    for (alignment, bytes) in ALIGNMENTS {
        let old = Options::builder().alignment(alignment).metadata_version(MetadataVersion::V4Legacy).build().unwrap();
        let stream = encode::stream(&schema, &batches, &old).unwrap();
        let framing = messages(&stream, 0);
        for message in &framing.messages {
            assert_eq!(message.flatbuffer.start - message.offset, 4, "the length alone");
            assert_eq!(message.body.start % bytes, 0);
        }
        assert_eq!(framing.end, Some(stream.len()));
        assert_eq!(stream[stream.len() - 4..], [0; 4]);
        let found: Vec<RecordBatch> = read::stream(&stream).unwrap().batches;
        assert_same_batches(&batches, &found);

        let file = encode::file(&schema, &batches, &old).unwrap();
        assert_same_batches(&batches, &read::stream(&file[8..]).unwrap().batches);
    }
}
