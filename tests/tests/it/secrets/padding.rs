//! Padding is zero: between messages, after metadata, and between the buffers of a body.

use arrow_ipc::root_as_message;
use arrow_schema::Metadata;
use ipc_core::{Encoder, Options};
use ipc_tests::arrays::Sharing;
use ipc_tests::batches::{Batches, Plan, every_kind};
use ipc_tests::encode;
use ipc_tests::framing::{Framed, messages};

use super::layouts;

/// Bytes of a body that belong to no buffer.
fn between_buffers<'b>(bytes: &'b [u8], message: &Framed) -> Vec<&'b [u8]> {
    let body = &bytes[message.body.clone()];
    let at = |position: i64| usize::try_from(position).unwrap();
    let ends = message.buffers.iter().map(|(offset, length)| at(offset + length));
    let starts = message.buffers.iter().skip(1).map(|(offset, _)| at(*offset)).chain([body.len()]);
    ends.zip(starts).map(|(end, start)| &body[end..start]).collect()
}

/// Returns the bytes after the last list or string of a batch's flatbuffer. Lists and strings follow the tables.
fn behind_metadata<'b>(bytes: &'b [u8], message: &Framed) -> &'b [u8] {
    let flatbuffer = &bytes[message.flatbuffer.clone()];
    let root = root_as_message(flatbuffer).unwrap();
    let dictionary = root.header_as_dictionary_batch().and_then(|dictionary| dictionary.data());
    let batch = dictionary.or(root.header_as_record_batch()).unwrap();
    let end = |list: &[u8]| list.as_ptr().addr() + list.len() - flatbuffer.as_ptr().addr();
    let lists = [
        batch.nodes().map(|list| end(list.bytes())),
        batch.buffers().map(|list| end(list.bytes())),
        batch.variadicBufferCounts().map(|list| end(list.bytes())),
    ];
    let strings = root.custom_metadata().into_iter().flatten();
    let strings = strings.flat_map(|pair| [pair.key(), pair.value()]).flatten().map(|text| end(text.as_bytes()));
    &flatbuffer[lists.into_iter().flatten().chain(strings).max().unwrap()..]
}

fn every_kind_of_batch() -> Batches {
    let rows = vec![3, 0, 90, 12];
    Batches::new(Plan { fields: every_kind(), metadata: Metadata::new(), rows, sharing: Sharing::Changing, seed: 7 })
}

/// A stream of the batches, each with key-value pairs of another length.
fn stream(Batches { schema, batches, .. }: &Batches, options: &Options) -> Vec<u8> {
    let mut encoder = Encoder::stream(Vec::new()).with_options(options.clone()).start(schema.clone()).unwrap();
    for (i, batch) in batches.iter().enumerate() {
        let pairs = (0..i).map(|pair| (format!("key {pair}"), "v".repeat(i)));
        encoder.write_with_metadata(batch, &ipc_core::Metadata::from_iter(pairs)).unwrap();
    }
    encoder.close().unwrap().into_inner()
}

#[test]
fn padding_is_zeros() {
    let batches = every_kind_of_batch();
    let mut padding = [0, 0];
    for options in layouts() {
        let stream = stream(&batches, &options);
        for message in messages(&stream, 0).messages.iter().skip(1) {
            let gaps = between_buffers(&stream, message).concat();
            let behind = behind_metadata(&stream, message);
            assert!(gaps.iter().all(|byte| *byte == 0), "between buffers: {options:?}");
            assert!(behind.iter().all(|byte| *byte == 0), "behind metadata: {options:?}");
            padding = [padding[0] + gaps.len(), padding[1] + behind.len()];
        }
    }
    assert!(padding.iter().all(|bytes| *bytes > 5_000), "there is some to be looked at: {padding:?}");
}

/// The schema message ends with its flatbuffer, whose builder writes front to back as well as it pleases: what is
/// behind it in the longest padding is what no shorter one has.
#[test]
fn padding_behind_the_schema_is_zeros() {
    let Batches { schema, .. } = every_kind_of_batch();
    for version in [ipc_core::MetadataVersion::V5, ipc_core::MetadataVersion::V4Legacy] {
        let files = [ipc_core::Alignment::A8, ipc_core::Alignment::A64].map(|alignment| {
            let options = Options::builder().metadata_version(version).alignment(alignment).build().unwrap();
            let file = encode::file(&schema, &[], &options).unwrap();
            let message = messages(&file, 8).messages[0].clone();
            file[message.flatbuffer].to_vec()
        });
        let [short, long] = &files;
        assert_eq!(&long[..short.len()], short);
        assert!(long[short.len()..].iter().all(|byte| *byte == 0));
    }
}
