//! What follows the end of a stream, and whether two streams have the same schema.
//!
//! An input may hold several consecutive streams, as made by `cat` or by a server that appends to its log. A stream
//! ends with its marker, with an abort mark, or without either. It is followed by nothing, by the schema message of
//! another stream, or by bytes that are not a stream.

use std::io::Read;

use arrow_ipc::convert::try_fb_to_schema;
use ipc_core::Options;
use ipc_core::parts::StreamSchema;

use crate::error::{Damage, Fault};
use crate::footer::Footer;
use crate::format::MessageKind;
use crate::message::Head;
use crate::scan::{self, Next};
use crate::schema::Schema;
use crate::source::Source;
use crate::words::words;

/// Bytes after the end of the last stream, or of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trailing {
    /// Where they start.
    pub offset: u64,
    /// Their number; `None` if the length of the input is not known and its end has not been read.
    pub length: Option<u64>,
    /// Whether all of them are zeros, as in space that a file system allocated and never wrote.
    pub is_zero: bool,
    /// The text that they start with, if they are text.
    pub words: Option<String>,
}

impl Trailing {
    /// Returns the zeros after a file.
    pub(crate) fn of_file(footer: &Footer, total: u64) -> Option<Self> {
        let (offset, length) = (footer.end(), total.saturating_sub(footer.end()));
        (length > 0).then_some(Self { offset, length: Some(length), is_zero: true, words: None })
    }

    /// Returns these bytes as damage.
    #[must_use]
    pub fn damage(&self) -> Damage {
        let fault =
            if self.is_zero { Fault::ZerosBehindTheEnd } else { Fault::BehindTheEnd { words: self.words.clone() } };
        Damage::new(self.offset, fault)
    }
}

/// What follows the end of a stream.
#[derive(Debug)]
pub(crate) enum Behind {
    Nothing,
    /// The schema message of another stream. The source is before its body.
    Stream(Head),
    Other(Trailing),
}

/// Determines what is at the source's position, which is after the end of a stream. If the source can seek and no
/// stream follows, its position is unchanged.
pub(crate) fn behind(source: &mut Source<'_>) -> Result<Behind, Damage> {
    let offset = source.position();
    let unreadable = Damage::unreadable(offset);
    let first = source.peek::<64>().map_err(&unreadable)?;
    let Some(word) = first.first() else { return Ok(Behind::Nothing) };
    let mut trailing = Trailing {
        offset,
        length: source.length().map(|length| length - offset),
        is_zero: false,
        words: words(&first),
    };
    if *word == 0 {
        let zeros = zeros(source).map_err(&unreadable)?;
        trailing.is_zero = zeros.is_some();
        trailing.length = trailing.length.or(zeros);
    } else if let Some(head) = schema_message(source)? {
        return Ok(Behind::Stream(head));
    }
    if source.length().is_some() {
        source.seek(offset).map_err(&unreadable)?;
    }
    Ok(Behind::Other(trailing))
}

/// Returns the number of bytes left, if all of them are zeros.
pub(crate) fn zeros(source: &mut Source<'_>) -> std::io::Result<Option<u64>> {
    let mut block = [0; 4096];
    let mut count = 0;
    loop {
        match source.read(&mut block) {
            Ok(0) => return Ok(Some(count)),
            Ok(length) if block[..length].iter().all(|byte| *byte == 0) => count += length as u64,
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads the message at the source's position. Returns `None` if it is not a schema message.
fn schema_message(source: &mut Source<'_>) -> Result<Option<Head>, Damage> {
    match scan::next(source) {
        Ok(Next::Message(head)) if head.kind().is_ok_and(|kind| kind == MessageKind::Schema) => Ok(Some(head)),
        Err(damage) if damage.is_of_system() => Err(damage),
        _ => Ok(None),
    }
}

/// Checks that batches of `other` are also batches of `first`: names, types, extension types and nullability are equal.
///
/// Dictionary ids may differ; [`Schema::joining`] compares those.
pub(crate) fn check_schema(first: &Schema, other: &Schema, at: u64) -> Result<(), Damage> {
    if first.holder() == other.holder() && first.at() == other.at() {
        return Ok(());
    }
    let decoded = |schema: &Schema| {
        let schema = try_fb_to_schema(schema.flatbuffer()).map_err(|error| error.to_string())?;
        StreamSchema::try_new(schema, &Options::default()).map_err(|error| error.to_string())
    };
    let checked = decoded(first).and_then(|first| {
        let other = decoded(other)?;
        first.check(other.schema()).map_err(|error| error.to_string())
    });
    checked.map_err(|difference| Damage::new(at, Fault::OtherSchema { difference }))
}
