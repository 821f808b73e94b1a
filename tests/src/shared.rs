//! Both formats of a shared writer, batches that tell who wrote them, and the check of a whole output.

use std::io::Write;
use std::sync::{Arc, OnceLock};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, UInt32Type};
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray, StructArray, UInt32Array};
use arrow_ipc::MessageHeader;
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use ipc_core::{Encoder, Unstarted};
use ipc_shared::{Builder, Compression, DictionaryHandling, FileFormat, Format, Options, SharedWriter, StreamFormat};

use crate::framing::{self, Framing};
use crate::random::Random;
use crate::read;

/// A format that a shared writer writes, with all that a test asks of it.
pub trait Output: Format + Sized {
    /// An encoder of this format.
    fn encoder<W: Write>(sink: W) -> Encoder<W, Self, Unstarted>;

    /// A writer of this format.
    fn to<W: Write + Send>(sink: W) -> Builder<W, Self>;

    /// The messages, the last of which may lack an end behind it.
    fn framing(bytes: &[u8]) -> Framing;

    /// The batches of a complete output, after checking all that the format promises: one schema message, first;
    /// whole messages up to the end; the end; the footer, where there is one, listing each message once.
    fn whole(bytes: &[u8]) -> Vec<RecordBatch>;
}

impl Output for StreamFormat {
    fn encoder<W: Write>(sink: W) -> Encoder<W, Self, Unstarted> {
        Encoder::stream(sink)
    }

    fn to<W: Write + Send>(sink: W) -> Builder<W, Self> {
        SharedWriter::stream(sink)
    }

    fn framing(bytes: &[u8]) -> Framing {
        framing::messages(bytes, 0)
    }

    fn whole(bytes: &[u8]) -> Vec<RecordBatch> {
        let framing = Self::framing(bytes);
        assert_one_schema_first(&framing);
        assert_eq!(framing.end, Some(bytes.len()), "the end-of-stream marker, and nothing behind it");
        let batches = read::stream(bytes).expect("a stream that can be read").batches;
        assert_eq!(batches.len(), framing.record_batches().len());
        batches
    }
}

impl Output for FileFormat {
    fn encoder<W: Write>(sink: W) -> Encoder<W, Self, Unstarted> {
        Encoder::file(sink)
    }

    fn to<W: Write + Send>(sink: W) -> Builder<W, Self> {
        SharedWriter::file(sink)
    }

    fn framing(bytes: &[u8]) -> Framing {
        assert!(bytes.starts_with(framing::MAGIC), "a file starts with its magic");
        framing::messages(bytes, 8)
    }

    fn whole(bytes: &[u8]) -> Vec<RecordBatch> {
        let framing = Self::framing(bytes);
        let footer = framing::footer(bytes);
        assert_one_schema_first(&framing);
        assert_eq!(framing.end, Some(footer.start), "the end-of-stream marker, and behind it the footer");
        for (kind, blocks) in [
            (MessageHeader::RecordBatch, &footer.record_batches),
            (MessageHeader::DictionaryBatch, &footer.dictionaries),
        ] {
            let blocks: Vec<_> = blocks.iter().map(|b| (b.offset(), b.metaDataLength(), b.bodyLength())).collect();
            let found = framing.of_kind(kind).map(|message| {
                let signed = |length: usize| i64::try_from(length).expect("a length");
                let metadata = i32::try_from(message.metadata_length).expect("a length");
                (signed(message.offset), metadata, signed(message.body.len()))
            });
            assert_eq!(blocks, found.collect::<Vec<_>>(), "the footer lists each message once: {kind:?}");
        }
        let batches = read::file(bytes).expect("a file that can be read").batches;
        assert_eq!(batches.len(), framing.record_batches().len());
        batches
    }
}

fn assert_one_schema_first(framing: &Framing) {
    assert_eq!(framing.of_kind(MessageHeader::Schema).count(), 1, "schema messages");
    assert_eq!(framing.messages[0].kind, MessageHeader::Schema, "the first message");
}

/// Who wrote a batch, and how many it had written before.
pub type Mark = (usize, usize);

/// What the batches of a test look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// Strings.
    Plain,
    /// Dictionary-encoded strings; each batch has an array of its own, with the same values.
    Equal,
    /// Dictionary-encoded strings; each batch has values of its own.
    Own,
    /// Dictionary-encoded strings; later batches of a thread have more of the same values. What the third brings is too
    /// large to be staged, also when it is compressed.
    Growing,
    /// Dictionary-encoded structs, with such dictionary-encoded strings in them.
    Nested,
}

/// The schema of batches with such words.
#[must_use]
pub fn schema(words: Words) -> SchemaRef {
    let dictionary = |values| DataType::Dictionary(Box::new(DataType::Int32), Box::new(values));
    let text = match words {
        Words::Plain => DataType::Utf8,
        Words::Equal | Words::Own | Words::Growing => dictionary(DataType::Utf8),
        Words::Nested => dictionary(DataType::Struct(inner(dictionary(DataType::Utf8)))),
    };
    Arc::new(Schema::new(vec![
        Field::new("thread", DataType::UInt32, false),
        Field::new("number", DataType::UInt32, false),
        Field::new("word", text, true),
    ]))
}

/// The batch with this mark: what is in it follows from its mark, so that whoever reads it can check every cell.
#[must_use]
pub fn batch(words: Words, (thread, number): Mark) -> RecordBatch {
    let rows = 1 + (thread * 31 + number * 17) % 12;
    let repeated = |value: usize| -> ArrayRef {
        Arc::new(UInt32Array::from(vec![u32::try_from(value).expect("a small number"); rows]))
    };
    let text: ArrayRef = match words {
        Words::Plain => {
            Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("{thread}-{number}-{row}"))))
        }
        Words::Equal => encoded(rows, (0..20).map(|word| format!("word {word}"))),
        Words::Own => encoded(rows, (0..20).map(|word| format!("word {word} of {thread}-{number}"))),
        Words::Growing => encoded(rows, (0..2 + number).map(growing)),
        Words::Nested => {
            let structs = encoded(2 + number, (0..2 + number).map(growing));
            let structs = StructArray::new(inner(structs.data_type().clone()), vec![structs], None);
            Arc::new(DictionaryArray::<Int32Type>::new(keys(rows, structs.len()), Arc::new(structs)))
        }
    };
    RecordBatch::try_new(schema(words), vec![repeated(thread), repeated(number), text]).expect("the columns fit")
}

/// A word of the dictionary that grows.
fn growing(word: usize) -> String {
    static LARGE: OnceLock<String> = OnceLock::new();
    if word != 3 {
        return format!("word {word}");
    }
    let mut random = Random::new(3);
    let letter = |_| char::from(*random.pick(b"abcdefghijklmnopqrstuvwxyz"));
    LARGE.get_or_init(|| (0..70_000).map(letter).collect()).clone()
}

/// A dictionary-encoded column whose rows have one word after the other.
#[must_use]
pub fn encoded(rows: usize, words: impl IntoIterator<Item = String>) -> ArrayRef {
    let words = StringArray::from_iter_values(words);
    Arc::new(DictionaryArray::<Int32Type>::new(keys(rows, words.len()), Arc::new(words)))
}

/// The keys of so many rows that have one value after the other.
fn keys(rows: usize, values: usize) -> Int32Array {
    Int32Array::from_iter_values((0..rows).map(|row| i32::try_from(row % values).expect("a small number")))
}

/// The one field of the structs of [`Words::Nested`].
fn inner(words: DataType) -> Fields {
    Fields::from(vec![Field::new("inner", words, true)])
}

/// The marks of `batches`, in order, after checking every cell of each.
#[must_use]
pub fn marks(words: Words, batches: &[RecordBatch]) -> Vec<Mark> {
    let marks = batches.iter().map(|found| {
        let first = |column: usize| {
            usize::try_from(found.column(column).as_primitive::<UInt32Type>().value(0)).expect("a small number")
        };
        let mark = (first(0), first(1));
        assert_eq!(found, &batch(words, mark), "every cell of the batch marked {mark:?}");
        mark
    });
    marks.collect()
}

/// As [`marks`], sorted: for outputs whose order is nobody's promise.
#[must_use]
pub fn sorted_marks(words: Words, batches: &[RecordBatch]) -> Vec<Mark> {
    let mut marks = marks(words, batches);
    marks.sort_unstable();
    marks
}

/// Options that write every batch at once, so that each reaches the sink before `write` returns.
#[must_use]
pub fn unstaged() -> Options {
    Options::builder().staging(false).build().expect("these go together")
}

/// Unstaged options with this compression and this handling of dictionaries.
#[must_use]
pub fn unstaged_with(compression: Compression, dictionaries: DictionaryHandling) -> Options {
    let options = Options::builder().staging(false).compression(compression).dictionaries(dictionaries);
    options.build().expect("these go together")
}
