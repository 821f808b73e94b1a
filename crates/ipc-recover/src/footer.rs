//! The footer of a file: its schema, and where its dictionary batches and record batches stand.
//!
//! A file is read as its footer says, never from the front: old files are no valid streams, the magic may be padded to
//! any length, and dictionaries may stand behind the batches that need them. Only a file that has lost its footer is
//! read from the front.
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

/// What a file says about itself, as far as it can be true.
#[derive(Debug)]
pub struct Footer {
    /// Where it starts in the file.
    offset: u64,
    /// Where the magic behind it ends, which is the end of the file but for zeros.
    end: u64,
    /// The verified flatbuffer.
    bytes: Buffer,
}

impl Footer {
    /// Reads the footer of a source that can seek and starts with the magic. Zeros may follow the file, as where a file
    /// system made room that was never written to.
    ///
    /// # Errors
    ///
    /// [`Fault::NoFooter`] if there is none, and what is wrong with it.
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

    /// Where it starts in the file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the file ends: only zeros follow.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Where the dictionary batches stand, all of them before the footer.
    pub fn dictionaries(&self) -> impl Iterator<Item = Place> {
        places(self.flatbuffer().dictionaries())
    }

    /// Where the record batches stand, in their order, all of them before the footer.
    pub fn record_batches(&self) -> impl Iterator<Item = Place> {
        places(self.flatbuffer().recordBatches())
    }

    /// The verified flatbuffer.
    #[must_use]
    pub fn flatbuffer(&self) -> arrow_ipc::Footer<'_> {
        root_as_footer_with_opts(&limits(self.bytes.len()), &self.bytes).expect("it was verified within these limits")
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> arrow_ipc::Schema<'_> {
        self.flatbuffer().schema().expect("a footer without one is refused")
    }

    /// The verified flatbuffer's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Place {
    /// Reads the metadata of the message that a footer says stands here; the source stands before its body then.
    ///
    /// # Errors
    ///
    /// [`Fault::PlaceWithoutMessage`] where another stands here, or none.
    pub fn head(self, source: &mut Source<'_>) -> Result<Head, Damage> {
        source.seek(self.offset).map_err(Damage::unreadable(self.offset))?;
        match scan::next(source)? {
            Next::Message(head) if head.place().metadata_length == self.metadata_length => Ok(head),
            _ => Err(Damage::new(self.offset, Fault::PlaceWithoutMessage)),
        }
    }
}

/// Where the bytes end that are not followed by zeros alone.
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

/// The damage of bytes behind the magic that ends a file, if there is one among the last bytes of the source.
fn behind_the_magic(source: &mut Source<'_>, total: u64) -> Result<Option<Damage>, Damage> {
    let from = total.saturating_sub(LOOKED_BACK).max(LEADING_MAGIC);
    let mut last = vec![0; usize::try_from(total.saturating_sub(from)).unwrap_or(0)];
    let read = source.seek(from).and_then(|()| source.read_up_to(&mut last));
    last.truncate(read.map_err(Damage::unreadable(from))?);
    let Some(at) = last.windows(FOOTER_MAGIC.len()).rposition(|window| window == FOOTER_MAGIC) else {
        return Ok(None);
    };
    let end = at + FOOTER_MAGIC.len();
    // Values may look like a magic; in front of one that ends a file, there is a footer.
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

/// The place that a block names, unless it names none.
fn place(block: &Block) -> Option<Place> {
    Some(Place {
        offset: u64::try_from(block.offset()).ok()?,
        metadata_length: u64::try_from(block.metaDataLength()).ok().filter(|length| *length > 0)?,
        body_length: u64::try_from(block.bodyLength()).ok()?,
    })
}

/// The footer's length and the closing magic.
const TAIL: u64 = 10;

/// How many bytes are read at once where zeros are passed over.
const BLOCK_OF_ZEROS: usize = 64 * 1024;

/// How far back from the end of a file its closing magic is looked for.
const LOOKED_BACK: u64 = 64 * 1024;
