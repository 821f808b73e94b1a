//! What stands behind the end of a stream, and whether two streams are of one schema.
//!
//! An input may hold several streams, one behind the other: what `cat` makes, and a server that appends to its log. A
//! stream ends with its marker, or with the mark of one that was given up, or with nothing. Behind it there is nothing,
//! or the schema message of another, or bytes that are no stream.

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

/// Bytes behind the end of the last stream, or of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trailing {
    /// Where they start.
    pub offset: u64,
    /// How many there are; `None` where only the end of the input would tell, which has not been read.
    pub length: Option<u64>,
    /// Whether all of them are zeros, as where a file system made room that was never written to.
    pub is_zero: bool,
    /// The text that they start with.
    pub words: Option<String>,
}

impl Trailing {
    /// The zeros behind a file.
    pub(crate) fn of_file(footer: &Footer, total: u64) -> Option<Self> {
        let (offset, length) = (footer.end(), total.saturating_sub(footer.end()));
        (length > 0).then_some(Self { offset, length: Some(length), is_zero: true, words: None })
    }

    /// What is wrong with them.
    #[must_use]
    pub fn damage(&self) -> Damage {
        let fault =
            if self.is_zero { Fault::ZerosBehindTheEnd } else { Fault::BehindTheEnd { words: self.words.clone() } };
        Damage::new(self.offset, fault)
    }
}

/// What stands behind the end of a stream.
#[derive(Debug)]
pub(crate) enum Behind {
    Nothing,
    /// The schema message of another; the source stands before its body.
    Stream(Head),
    Other(Trailing),
}

/// What stands where the source does, which is behind the end of a stream. Where the source can seek and no stream
/// follows, it stands there still.
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

/// How many bytes are left, if all of them are zeros.
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

/// The message that stands where the source does, if it is a schema.
fn schema_message(source: &mut Source<'_>) -> Result<Option<Head>, Damage> {
    match scan::next(source) {
        Ok(Next::Message(head)) if head.kind().is_ok_and(|kind| kind == MessageKind::Schema) => Ok(Some(head)),
        Err(damage) if damage.is_of_system() => Err(damage),
        _ => Ok(None),
    }
}

/// Whether batches of `other` are batches of `first`, too: names, types, nullability, and what else makes a type.
///
/// Ids of dictionaries may differ; [`Schema::has_layout_of`] tells.
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
