//! Both formats of a shared writer, batches that name the thread that wrote them, and the check of a whole output.

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

/// A format of the shared writer, with what the tests need of it.
pub trait Output: Format + Sized {
    /// Returns an encoder of this format.
    fn encoder<W: Write>(sink: W) -> Encoder<W, Self, Unstarted>;

    /// Returns a writer of this format.
    fn to<W: Write + Send>(sink: W) -> Builder<W, Self>;

    /// Returns the messages of an output, which may lack its end.
    fn framing(bytes: &[u8]) -> Framing;

    /// Returns the batches of a complete output. Checks what the format promises: one schema message, which is the
    /// first; whole messages up to the end; the end; in a file, a footer that lists each message once.
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

/// The thread that wrote a batch, and how many batches it had written before.
pub type Mark = (usize, usize);

/// The kind of strings in the batches of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// Strings.
    Plain,
    /// Dictionary-encoded strings; each batch has its own array, with the same values.
    Equal,
    /// Dictionary-encoded strings; each batch has its own values.
    Own,
    /// Dictionary-encoded strings; later batches of a thread have more of the same values. The values that the third
    /// batch adds are too large to be staged, even when compressed.
    Growing,
    /// Dictionary-encoded structs with dictionary-encoded strings in them.
    Nested,
}

/// Returns the schema of batches with this kind of words.
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

/// Returns the batch with this mark. All its cells follow from the mark, so a reader can check each of them.
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

/// Returns a word of the dictionary that grows.
fn growing(word: usize) -> String {
    static LARGE: OnceLock<String> = OnceLock::new();
    if word != 3 {
        return format!("word {word}");
    }
    let mut random = Random::new(3);
    let letter = |_| char::from(*random.pick(b"abcdefghijklmnopqrstuvwxyz"));
    LARGE.get_or_init(|| (0..70_000).map(letter).collect()).clone()
}

/// Returns a dictionary-encoded column whose rows hold the words in order.
#[must_use]
pub fn encoded(rows: usize, words: impl IntoIterator<Item = String>) -> ArrayRef {
    let words = StringArray::from_iter_values(words);
    Arc::new(DictionaryArray::<Int32Type>::new(keys(rows, words.len()), Arc::new(words)))
}

/// Returns keys for this many rows, each of which has the next value.
fn keys(rows: usize, values: usize) -> Int32Array {
    Int32Array::from_iter_values((0..rows).map(|row| i32::try_from(row % values).expect("a small number")))
}

/// Returns the one field of the structs of [`Words::Nested`].
fn inner(words: DataType) -> Fields {
    Fields::from(vec![Field::new("inner", words, true)])
}

/// Returns the marks of `batches`, in order. Checks every cell.
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

/// Returns the same as [`marks`], sorted: for outputs whose order is not specified.
#[must_use]
pub fn sorted_marks(words: Words, batches: &[RecordBatch]) -> Vec<Mark> {
    let mut marks = marks(words, batches);
    marks.sort_unstable();
    marks
}

/// Returns options without staging: each batch reaches the sink before `write` returns.
#[must_use]
pub fn unstaged() -> Options {
    Options::builder().staging(false).build().expect("these go together")
}

/// Returns options without staging, with this compression and this handling of dictionaries.
#[must_use]
pub fn unstaged_with(compression: Compression, dictionaries: DictionaryHandling) -> Options {
    let options = Options::builder().staging(false).compression(compression).dictionaries(dictionaries);
    options.build().expect("these go together")
}
