//! The footer of a file: its schema, and where its dictionary batches and record batches stand.
//!
//! A file is read as its footer says, never from the front: old files are no valid streams, the magic may be padded to
//! any length, and dictionaries may stand behind the batches that need them.
//!
//! See [IPC file format](https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format).

use std::sync::Arc;

use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::read_footer_length;
use arrow_ipc::{Block, root_as_footer};
use arrow_schema::{Metadata, SchemaRef};

use crate::decode;
use crate::scan::{self, Damage, Head, Next};
use crate::source::Source;

/// What a file says about itself.
pub(crate) struct Footer {
    pub(crate) schema: SchemaRef,
    pub(crate) dictionaries: Vec<Place>,
    pub(crate) record_batches: Vec<Place>,
    pub(crate) metadata: Metadata,
}

/// Where a message stands, as the footer says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    metadata_length: u64,
}

impl Footer {
    /// Reads the footer of a seekable source that starts with the magic.
    pub(crate) fn read(source: &mut Source) -> Result<Self, Damage> {
        let total = source.length().unwrap_or(0);
        let missing = || Damage::new(total, NO_FOOTER);
        let tail_at = total.checked_sub(TAIL).filter(|at| *at >= LEADING_MAGIC).ok_or_else(missing)?;
        let mut tail = [0; 10];
        let read = source.seek(tail_at).and_then(|()| source.read_up_to(&mut tail));
        if read.map_err(|e| Damage::unreadable(tail_at, &e))? < tail.len() {
            return Err(missing());
        }
        let length = read_footer_length(tail).map_err(|_| missing())? as u64;
        let at = tail_at.checked_sub(length).filter(|at| *at >= LEADING_MAGIC).ok_or_else(missing)?;
        let bytes = source.seek(at).and_then(|()| source.read(length)).map_err(|e| Damage::unreadable(at, &e))?;
        Self::parse(&bytes.ok_or_else(missing)?, at)
    }

    fn parse(bytes: &[u8], at: u64) -> Result<Self, Damage> {
        let footer = root_as_footer(bytes).map_err(|_| Damage::new(at, "damaged: the footer is not valid"))?;
        let schema = footer.schema().ok_or_else(|| Damage::new(at, "damaged: the footer has no schema"))?;
        let schema = parse_schema(schema, at)?;
        let places = |blocks: Option<flatbuffers::Vector<'_, Block>>| {
            blocks.into_iter().flatten().map(|block| Place::parse(block, at)).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            schema,
            dictionaries: places(footer.dictionaries())?,
            record_batches: places(footer.recordBatches())?,
            metadata: decode::metadata(footer.custom_metadata()),
        })
    }
}

impl Place {
    fn parse(block: &Block, footer_at: u64) -> Result<Self, Damage> {
        let number = |value| u64::try_from(value).ok();
        let place =
            number(block.offset()).zip(number(i64::from(block.metaDataLength()))).and_then(|(offset, length)| {
                let end = offset.checked_add(length)?.checked_add(number(block.bodyLength())?)?;
                (end <= footer_at).then_some(Self { offset, metadata_length: length })
            });
        place.ok_or_else(|| Damage::new(footer_at, "damaged: the footer names a message beyond the file"))
    }

    /// Reads the metadata of the message that stands here; the source stands before its body then.
    pub(crate) fn head(self, source: &mut Source) -> Result<Head, Damage> {
        source.seek(self.offset).map_err(|e| Damage::unreadable(self.offset, &e))?;
        match scan::next(source)? {
            Next::Message(head) if head.metadata_length == self.metadata_length => Ok(head),
            _ => Err(Damage::new(self.offset, "damaged: no message stands where the footer says")),
        }
    }
}

/// A schema as a message or a footer holds it, if this machine can read the data.
pub(crate) fn parse_schema(schema: arrow_ipc::Schema<'_>, at: u64) -> Result<SchemaRef, Damage> {
    if !schema.endianness().equals_to_target_endianness() {
        return Err(Damage::new(at, "is of the other byte order than this machine, which is not supported"));
    }
    match decode::contained(|| try_fb_to_schema(schema)) {
        Ok(schema) => Ok(Arc::new(schema)),
        Err(reason) => Err(Damage::new(at, format!("damaged: the schema is not valid: {reason}"))),
    }
}

/// The first bytes of a file.
pub(crate) const MAGIC: &[u8; 6] = b"ARROW1";

/// How long the magic is at least, with the zeros that pad it.
pub(crate) const LEADING_MAGIC: u64 = 8;

/// The footer's length and the closing magic.
const TAIL: u64 = 10;

const NO_FOOTER: &str = "truncated: the file has no footer at its end, so it was cut or never closed; \
                         `arrow-ipc inspect` shows which of its messages are whole";
