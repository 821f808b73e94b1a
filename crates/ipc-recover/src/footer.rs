//! The footer of a file: its schema, and the positions of its dictionary batches and record batches.
//!
//! A file is read by its footer, not from the front: old files are not valid streams, the magic may have any amount of
//! padding, and dictionaries may follow the batches that need them. Only a file that has lost its footer is read from
//! the front.
//!
//! See [IPC file format](https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format).

use arrow_buffer::Buffer;
use arrow_ipc::reader::read_footer_length;
use arrow_ipc::{Block, root_as_footer_with_opts};
use flatbuffers::Vector;
use ipc_core::format::FOOTER_MAGIC;

use crate::error::{Damage, Fault};
use crate::format::{LEADING_MAGIC, Place};
use crate::message::{Head, limits};
use crate::scan::{self, Next};
use crate::source::Source;
use crate::words::words;

/// A verified footer.
#[derive(Debug)]
pub struct Footer {
    /// The offset of the footer in the file.
    offset: u64,
    /// The end of the magic after it: the end of the file, except for zeros.
    end: u64,
    /// The verified flatbuffer.
    bytes: Buffer,
}

impl Footer {
    /// Reads the footer of a source that can seek and starts with the magic. The file may be followed by zeros, as in
    /// space that a file system allocated and never wrote.
    ///
    /// # Errors
    ///
    /// [`Fault::NoFooter`] if there is none; otherwise what is wrong with it.
    pub fn read(source: &mut Source<'_>) -> Result<Self, Damage> {
        let total = source.length().unwrap_or(0);
        let end = before_zeros(source, total)?;
        let missing = || Damage::new(total, Fault::NoFooter);
        let tail_at = end.checked_sub(TAIL).filter(|at| *at >= LEADING_MAGIC).ok_or_else(missing)?;
        let mut tail = [0; 10];
        let read = source.seek(tail_at).and_then(|()| source.read_up_to(&mut tail));
        if read.map_err(Damage::unreadable(tail_at))? < tail.len() {
            return Err(missing());
        }
        let Ok(length) = read_footer_length(tail) else {
            return Err(behind_the_magic(source, total)?.unwrap_or_else(missing));
        };
        let length = length as u64;
        let at = tail_at.checked_sub(length).filter(|at| *at >= LEADING_MAGIC).ok_or_else(missing)?;
        let bytes = source.seek(at).and_then(|()| source.read_whole(length)).map_err(Damage::unreadable(at))?;
        Self::parse(bytes.ok_or_else(missing)?, at, end)
    }

    fn parse(bytes: Buffer, offset: u64, end: u64) -> Result<Self, Damage> {
        let footer = root_as_footer_with_opts(&limits(bytes.len()), &bytes)
            .map_err(|error| Damage::new(offset, Fault::of_flatbuffer(&error, Fault::InvalidFooter)))?;
        footer.schema().ok_or_else(|| Damage::new(offset, Fault::FooterWithoutSchema))?;
        let blocks = footer.dictionaries().into_iter().flatten().chain(footer.recordBatches().into_iter().flatten());
        if !blocks.map(place).all(|place| place.is_some_and(|place| place.end() <= offset)) {
            return Err(Damage::new(offset, Fault::PlaceBeyondFile));
        }
        Ok(Self { offset, end, bytes })
    }

    /// Returns the offset of the footer in the file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the end of the file. Only zeros follow it.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Returns the positions of the dictionary batches, all of which are before the footer.
    pub fn dictionaries(&self) -> impl Iterator<Item = Place> {
        places(self.flatbuffer().dictionaries())
    }

    /// Returns the positions of the record batches in the footer's order. All of them are before the footer.
    pub fn record_batches(&self) -> impl Iterator<Item = Place> {
        places(self.flatbuffer().recordBatches())
    }

    /// Returns the verified flatbuffer.
    #[must_use]
    pub fn flatbuffer(&self) -> arrow_ipc::Footer<'_> {
        root_as_footer_with_opts(&limits(self.bytes.len()), &self.bytes).expect("it was verified within these limits")
    }

    /// Returns the schema.
    #[must_use]
    pub fn schema(&self) -> arrow_ipc::Schema<'_> {
        self.flatbuffer().schema().expect("a footer without one is refused")
    }

    /// Returns the bytes of the verified flatbuffer.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Place {
    /// Reads the metadata of the message that a footer lists at this position. Leaves the source before its body.
    ///
    /// # Errors
    ///
    /// [`Fault::PlaceWithoutMessage`] if there is no message at this position, or another one.
    pub fn head(self, source: &mut Source<'_>) -> Result<Head, Damage> {
        source.seek(self.offset).map_err(Damage::unreadable(self.offset))?;
        match scan::next(source)? {
            Next::Message(head) if head.place().metadata_length == self.metadata_length => Ok(head),
            _ => Err(Damage::new(self.offset, Fault::PlaceWithoutMessage)),
        }
    }
}

/// Returns the end of the bytes before trailing zeros.
fn before_zeros(source: &mut Source<'_>, total: u64) -> Result<u64, Damage> {
    let mut block = vec![0; BLOCK_OF_ZEROS];
    let mut end = total;
    while end > 0 {
        let from = end.saturating_sub(if end == total { TAIL } else { BLOCK_OF_ZEROS as u64 });
        let wanted = usize::try_from(end - from).map_or(block.len(), |wanted| wanted.min(block.len()));
        let read = source.seek(from).and_then(|()| source.read_up_to(&mut block[..wanted]));
        let length = read.map_err(Damage::unreadable(from))?;
        if let Some(last) = block[..length].iter().rposition(|byte| *byte != 0) {
            return Ok(from + last as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

/// Returns the damage of bytes after the magic that ends a file, if that magic is near the end of the source.
fn behind_the_magic(source: &mut Source<'_>, total: u64) -> Result<Option<Damage>, Damage> {
    let from = total.saturating_sub(LOOKED_BACK).max(LEADING_MAGIC);
    let mut last = vec![0; usize::try_from(total.saturating_sub(from)).unwrap_or(0)];
    let read = source.seek(from).and_then(|()| source.read_up_to(&mut last));
    last.truncate(read.map_err(Damage::unreadable(from))?);
    let Some(at) = last.windows(FOOTER_MAGIC.len()).rposition(|window| window == FOOTER_MAGIC) else {
        return Ok(None);
    };
    let end = at + FOOTER_MAGIC.len();
    // Values may look like a magic. The magic that ends a file follows a footer.
    let length = last[..at].last_chunk::<4>().and_then(|length| usize::try_from(i32::from_le_bytes(*length)).ok());
    let footer = length.and_then(|length| last[..at - 4].get((at - 4).checked_sub(length)?..));
    if footer.is_none_or(|footer| root_as_footer_with_opts(&limits(footer.len()), footer).is_err()) {
        return Ok(None);
    }
    let words = words(&last[end..(end + 64).min(last.len())]);
    Ok(Some(Damage::new(from + end as u64, Fault::BehindTheFooter { words })))
}

fn places(blocks: Option<Vector<'_, Block>>) -> impl Iterator<Item = Place> {
    blocks.into_iter().flatten().map(|block| place(block).expect("a footer with an impossible place is refused"))
}

/// Returns the position in a block of the footer, if it is possible.
fn place(block: &Block) -> Option<Place> {
    Some(Place {
        offset: u64::try_from(block.offset()).ok()?,
        metadata_length: u64::try_from(block.metaDataLength()).ok().filter(|length| *length > 0)?,
        body_length: u64::try_from(block.bodyLength()).ok()?,
    })
}

/// The footer's length and the closing magic.
const TAIL: u64 = 10;

/// The number of bytes that are read at once to skip zeros.
const BLOCK_OF_ZEROS: usize = 64 * 1024;

/// How far before the end of a file its closing magic is searched for.
const LOOKED_BACK: u64 = 64 * 1024;
