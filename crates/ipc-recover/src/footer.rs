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

use crate::error::{Damage, Fault};
use crate::scan::{self, Head, LEADING_MAGIC, Next, Place, limits};
use crate::source::Source;

/// What a file says about itself, as far as it can be true.
#[derive(Debug)]
pub struct Footer {
    /// Where it starts in the file.
    offset: u64,
    /// The verified flatbuffer.
    bytes: Buffer,
}

impl Footer {
    /// Reads the footer of a source that can seek and starts with the magic.
    ///
    /// # Errors
    ///
    /// [`Fault::NoFooter`] if there is none, and what is wrong with it.
    pub fn read(source: &mut Source<'_>) -> Result<Self, Damage> {
        let total = source.length().unwrap_or(0);
        let missing = || Damage::new(total, Fault::NoFooter);
        let tail_at = total.checked_sub(TAIL).filter(|at| *at >= LEADING_MAGIC).ok_or_else(missing)?;
        let mut tail = [0; 10];
        let read = source.seek(tail_at).and_then(|()| source.read_up_to(&mut tail));
        if read.map_err(Damage::unreadable(tail_at))? < tail.len() {
            return Err(missing());
        }
        let length = read_footer_length(tail).map_err(|_| missing())? as u64;
        let at = tail_at.checked_sub(length).filter(|at| *at >= LEADING_MAGIC).ok_or_else(missing)?;
        let bytes = source.seek(at).and_then(|()| source.read_whole(length)).map_err(Damage::unreadable(at))?;
        Self::parse(bytes.ok_or_else(missing)?, at)
    }

    fn parse(bytes: Buffer, offset: u64) -> Result<Self, Damage> {
        let footer = root_as_footer_with_opts(&limits(bytes.len()), &bytes)
            .map_err(|error| Damage::new(offset, Fault::of_flatbuffer(&error, Fault::InvalidFooter)))?;
        footer.schema().ok_or_else(|| Damage::new(offset, Fault::FooterWithoutSchema))?;
        let blocks = footer.dictionaries().into_iter().flatten().chain(footer.recordBatches().into_iter().flatten());
        if !blocks.map(place).all(|place| place.is_some_and(|place| place.end() <= offset)) {
            return Err(Damage::new(offset, Fault::PlaceBeyondFile));
        }
        Ok(Self { offset, bytes })
    }

    /// Where it starts in the file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
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
