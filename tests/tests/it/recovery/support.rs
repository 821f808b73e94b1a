//! Recovery of bytes in memory, and files with footers that no writer would make.

use arrow_ipc::convert::{IpcSchemaEncoder, try_fb_to_schema};
use arrow_ipc::writer::DictionaryTracker;
use arrow_ipc::{Block, FooterBuilder, MetadataVersion, root_as_footer};
use arrow_schema::Schema;
use flatbuffers::FlatBufferBuilder;
use ipc_recover::{Error, RecoverOptions, Report, Source};
use ipc_tests::framing::{MAGIC, footer};

/// What becomes of `bytes`.
pub(crate) fn recover(bytes: &[u8], options: &RecoverOptions) -> Result<(Vec<u8>, Report), Error> {
    let mut output = Vec::new();
    let mut source = Source::from(bytes);
    let report = ipc_recover::recover(&mut source, &mut output, options)?;
    assert_eq!(report.written_bytes, output.len() as u64);
    Ok((output, report))
}

/// The file `whole` with a footer that lists these messages instead of its own.
pub(crate) fn with_footer(whole: &[u8], dictionaries: &[Block], record_batches: &[Block]) -> Vec<u8> {
    let schema = root_as_footer(&whole[footer(whole).start..whole.len() - MAGIC.len() - 4]).unwrap();
    let schema = try_fb_to_schema(schema.schema().unwrap()).unwrap();
    with_footer_of(&schema, whole, dictionaries, record_batches)
}

/// The file `whole` with a footer that has this schema, and lists these messages.
pub(crate) fn with_footer_of(
    schema: &Schema,
    whole: &[u8],
    dictionaries: &[Block],
    record_batches: &[Block],
) -> Vec<u8> {
    let start = footer(whole).start;
    let mut fbb = FlatBufferBuilder::new();
    let (dictionaries, record_batches) = (fbb.create_vector(dictionaries), fbb.create_vector(record_batches));
    let mut tracker = DictionaryTracker::new(false);
    let schema = IpcSchemaEncoder::new().with_dictionary_tracker(&mut tracker).schema_to_fb_offset(&mut fbb, schema);
    let mut builder = FooterBuilder::new(&mut fbb);
    builder.add_version(MetadataVersion::V5);
    builder.add_schema(schema);
    builder.add_dictionaries(dictionaries);
    builder.add_recordBatches(record_batches);
    let root = builder.finish();
    fbb.finish(root, None);
    let length = u32::try_from(fbb.finished_data().len()).unwrap().to_le_bytes();
    [&whole[..start], fbb.finished_data(), &length, MAGIC].concat()
}
