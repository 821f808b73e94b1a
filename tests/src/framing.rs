//! Finds the messages in bytes by the text of the format alone, without code of the encoder.
//!
//! See [Encapsulated message format](https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format).

use std::ops::Range;

use arrow_ipc::{Block, MessageHeader, root_as_footer, root_as_message};

/// A message in a stream, or in a file from its byte 8 on.
#[derive(Debug, Clone)]
pub struct Framed {
    /// Its kind.
    pub kind: MessageHeader,
    /// Where it starts in the bytes that were searched.
    pub offset: usize,
    /// The length of prefix, flatbuffer and padding.
    pub metadata_length: usize,
    /// The range of its flatbuffer, including padding.
    pub flatbuffer: Range<usize>,
    /// The range of its body.
    pub body: Range<usize>,
    /// The number of rows of a record batch or a dictionary batch.
    pub rows: i64,
    /// The id of a dictionary batch.
    pub dictionary_id: Option<i64>,
    /// Whether it is a delta.
    pub is_delta: bool,
    /// Its custom metadata.
    pub custom_metadata: Vec<(String, String)>,
    /// Offsets and lengths of the buffers, relative to the body.
    pub buffers: Vec<(i64, i64)>,
}

impl Framed {
    /// Returns where the message ends.
    #[must_use]
    pub fn end(&self) -> usize {
        self.body.end
    }
}

/// The messages of a stream, and where its end-of-stream marker ends, if there is one.
#[derive(Debug)]
pub struct Framing {
    /// All messages, in order.
    pub messages: Vec<Framed>,
    /// One past the end-of-stream marker; `None` where the bytes stop at the end of a message without one.
    pub end: Option<usize>,
    /// Where the abort mark at the end starts, and its reason, if there is one.
    pub mark: Option<(usize, String)>,
}

impl Framing {
    /// Returns the messages of one kind.
    pub fn of_kind(&self, kind: MessageHeader) -> impl Iterator<Item = &Framed> {
        self.messages.iter().filter(move |message| message.kind == kind)
    }

    /// Returns the record batches.
    #[must_use]
    pub fn record_batches(&self) -> Vec<&Framed> {
        self.of_kind(MessageHeader::RecordBatch).collect()
    }

    /// Returns the dictionary batches, each as its id and whether it is a delta.
    #[must_use]
    pub fn dictionary_batches(&self) -> Vec<(i64, bool)> {
        self.of_kind(MessageHeader::DictionaryBatch)
            .map(|message| (message.dictionary_id.expect("a dictionary batch has an id"), message.is_delta))
            .collect()
    }
}

/// Follows the messages of `bytes` from `start` on. Panics if they are cut off inside a message.
#[must_use]
pub fn messages(bytes: &[u8], start: usize) -> Framing {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let mut messages = Vec::new();
    let mut offset = start;
    while offset < bytes.len() {
        let prefix = if word(offset) == u32::MAX { 8 } else { 4 };
        let length = usize::try_from(word(offset + prefix - 4)).expect("32 bits");
        if length == 0 {
            return Framing { messages, end: Some(offset + prefix), mark: None };
        }
        let flatbuffer = offset + prefix..offset + prefix + length;
        let message = root_as_message(&bytes[flatbuffer.clone()]).expect("a message's flatbuffer");
        let body = flatbuffer.end..flatbuffer.end + usize::try_from(message.bodyLength()).expect("a length");
        let mut pairs = message.custom_metadata().into_iter().flatten();
        if body.len() == 8
            && body.start == bytes.len()
            && let Some(pair) = pairs.find(|pair| pair.key() == Some("ipc.aborted"))
        {
            let mark = Some((offset, pair.value().unwrap_or_default().to_owned()));
            return Framing { messages, end: None, mark };
        }
        assert!(body.end <= bytes.len(), "the message at {offset} is cut off");
        let dictionary = message.header_as_dictionary_batch();
        let batch = dictionary.and_then(|dictionary| dictionary.data()).or(message.header_as_record_batch());
        let pair = |pair: arrow_ipc::KeyValue<'_>| {
            (pair.key().unwrap_or_default().to_owned(), pair.value().unwrap_or_default().to_owned())
        };
        messages.push(Framed {
            kind: message.header_type(),
            offset,
            metadata_length: prefix + length,
            rows: batch.map_or(0, |batch| batch.length()),
            dictionary_id: dictionary.map(|dictionary| dictionary.id()),
            is_delta: dictionary.is_some_and(|dictionary| dictionary.isDelta()),
            custom_metadata: message.custom_metadata().into_iter().flatten().map(pair).collect(),
            buffers: batch
                .and_then(|batch| batch.buffers())
                .into_iter()
                .flatten()
                .map(|buffer| (buffer.offset(), buffer.length()))
                .collect(),
            flatbuffer,
            body: body.clone(),
        });
        offset = body.end;
    }
    Framing { messages, end: None, mark: None }
}

/// The contents of a file's footer.
#[derive(Debug)]
pub struct Footer {
    /// The blocks of the dictionary batches.
    pub dictionaries: Vec<Block>,
    /// The blocks of the record batches.
    pub record_batches: Vec<Block>,
    /// The key-value pairs.
    pub custom_metadata: Vec<(String, String)>,
    /// Where the footer's flatbuffer starts.
    pub start: usize,
}

/// The magic that a file starts and ends with.
pub const MAGIC: &[u8] = b"ARROW1";

/// Reads the footer of a file.
#[must_use]
pub fn footer(file: &[u8]) -> Footer {
    assert!(file.ends_with(MAGIC), "a file ends with its magic");
    let length_at = file.len() - MAGIC.len() - 4;
    let length = i32::from_le_bytes(file[length_at..length_at + 4].try_into().expect("four bytes"));
    let start = length_at - usize::try_from(length).expect("a length");
    let footer = root_as_footer(&file[start..length_at]).expect("a footer's flatbuffer");
    let pair = |pair: arrow_ipc::KeyValue<'_>| {
        (pair.key().unwrap_or_default().to_owned(), pair.value().unwrap_or_default().to_owned())
    };
    Footer {
        dictionaries: footer.dictionaries().into_iter().flatten().copied().collect(),
        record_batches: footer.recordBatches().into_iter().flatten().copied().collect(),
        custom_metadata: footer.custom_metadata().into_iter().flatten().map(pair).collect(),
        start,
    }
}
