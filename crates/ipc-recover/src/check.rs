//! Checks that a batch is as its schema requires, and lies within its own body.
//!
//! Checks the number of rows, arrays and buffers. Every buffer must start at a multiple of 8, lie within the body, and
//! be long enough for its values. Of compressed buffers, only the first bytes are read: the length that they claim to
//! decompress to, and whether a frame starts there. Other values are not read, because the format has no way to tell a
//! wrong one.
//!
//! The check does not look at the schema, so that its cost depends only on the batch. A refusal has the positions of
//! the column, by which a caller can look up its name.

use std::fmt::Display;
use std::io;

use arrow_ipc::{CompressionType, FieldNode, MetadataVersion, RecordBatch};
use flatbuffers::VectorIter;

use crate::error::Fault;
use crate::format::ALIGNED;
use crate::layout::{Array, ArrayKind};
use crate::source::Source;

/// Where a batch's body is.
pub(crate) enum Body<'b, 's> {
    /// In the source, in full; starts at this offset.
    Whole(&'b mut Source<'s>, u64),
    /// In memory.
    Held(&'b [u8]),
    /// Incomplete: the input ends inside it.
    Cut,
    /// Not looked at: only the metadata is checked.
    Unseen,
}

/// A batch's claims about its body, to be checked.
pub(crate) struct Claims<'f> {
    pub(crate) batch: RecordBatch<'f>,
    pub(crate) version: MetadataVersion,
    pub(crate) body_length: u64,
}

/// The result of a check that succeeded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) rows: u64,
    /// The ids of the dictionaries that its values refer to.
    pub(crate) needs: Vec<i64>,
    /// Where its last buffer ends in the body.
    pub(crate) end: u64,
}

/// Why a check failed, or could not be finished.
#[derive(Debug)]
pub(crate) enum Failed {
    Fault(Fault),
    /// A column contradicts the schema or the body.
    Contradiction {
        /// The column's positions among the columns and their children, innermost first.
        at: Vec<u32>,
        expected: String,
        found: String,
    },
    Unreadable(io::Error),
}

impl Claims<'_> {
    /// Checks that the batch has these columns, and every buffer of them.
    pub(crate) fn check(&self, columns: &[Array], body: &mut Body<'_, '_>) -> Result<Passed, Failed> {
        let rows = length(self.batch.length()).ok_or_else(|| mismatch("a number of rows", &self.batch.length()))?;
        let mut walk = Walk {
            nodes: self.batch.nodes().map(|nodes| nodes.iter()),
            buffers: self.batch.buffers().map(|buffers| buffers.iter()),
            data_buffers: self.batch.variadicBufferCounts().map(|counts| counts.iter()),
            codec: self.batch.compression().map(|compression| compression.codec()),
            version: self.version,
            body_length: self.body_length,
            body,
            passed: Passed { rows, ..Passed::default() },
        };
        walk.arrays(columns, Rows::Exactly(rows))?;
        walk.finish()
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// The number of values that an array must have.
#[derive(Debug, Clone, Copy)]
enum Rows {
    Exactly(u64),
    AtLeast(u64),
}

/// A walk through the lists of a batch, in the order of its schema.
struct Walk<'f, 'w, 'b, 's> {
    nodes: Option<VectorIter<'f, FieldNode>>,
    buffers: Option<VectorIter<'f, arrow_ipc::Buffer>>,
    data_buffers: Option<VectorIter<'f, i64>>,
    codec: Option<CompressionType>,
    version: MetadataVersion,
    body_length: u64,
    body: &'w mut Body<'b, 's>,
    passed: Passed,
}

impl Walk<'_, '_, '_, '_> {
    fn arrays(&mut self, arrays: &[Array], expected: Rows) -> Result<(), Failed> {
        for (array, position) in arrays.iter().zip(0..) {
            self.array(array, expected).map_err(|mut failed| {
                if let Failed::Contradiction { at, .. } = &mut failed {
                    at.push(position);
                }
                failed
            })?;
        }
        Ok(())
    }

    fn array(&mut self, array: &Array, expected: Rows) -> Result<(), Failed> {
        let node = self.nodes.as_mut().and_then(Iterator::next).ok_or_else(|| contradiction("an array", &"no more"))?;
        let rows = length(node.length()).ok_or_else(|| contradiction("a length", &node.length()))?;
        let nulls = length(node.null_count())
            .filter(|nulls| *nulls <= rows)
            .ok_or_else(|| contradiction(format!("at most {rows} nulls"), &node.null_count()))?;
        match expected {
            Rows::Exactly(expected) if rows != expected => {
                return Err(contradiction(format!("{expected} values"), &rows));
            }
            Rows::AtLeast(expected) if rows < expected => {
                return Err(contradiction(format!("at least {expected} values"), &rows));
            }
            _ => {}
        }
        let has_validity = match array.kind {
            ArrayKind::Null | ArrayKind::RunEndEncoded => false,
            ArrayKind::SparseUnion | ArrayKind::DenseUnion => self.version < MetadataVersion::V5,
            _ => true,
        };
        if has_validity {
            self.buffer("validity", if nulls > 0 { bits(rows) } else { 0 })?;
        }
        let mut child = Rows::AtLeast(0);
        match array.kind {
            ArrayKind::Null => {}
            ArrayKind::Bits => self.buffer("values", bits(rows))?,
            ArrayKind::Fixed(width) => self.buffer("values", bytes(rows, width))?,
            ArrayKind::Bytes(width) => {
                self.offsets(rows, width)?;
                self.buffer("data", 0)?;
            }
            ArrayKind::Views => {
                self.buffer("views", bytes(rows, 16))?;
                let count = self.data_buffers.as_mut().and_then(Iterator::next);
                let count = count.ok_or_else(|| contradiction("a number of data buffers", &"none"))?;
                let count = length(count).ok_or_else(|| contradiction("a number of data buffers", &count))?;
                for _ in 0..count {
                    self.buffer("data", 0)?;
                }
            }
            ArrayKind::List(width) => self.offsets(rows, width)?,
            ArrayKind::ListView(width) => {
                self.buffer("offsets", bytes(rows, width))?;
                self.buffer("sizes", bytes(rows, width))?;
            }
            ArrayKind::FixedSizeList(size) => {
                // On overflow, the saturated count is refused by the child's check.
                child = Rows::AtLeast(rows.saturating_mul(u64::from(size)));
            }
            ArrayKind::Struct => child = Rows::AtLeast(rows),
            ArrayKind::SparseUnion => {
                self.buffer("type ids", bytes(rows, 1))?;
                child = Rows::AtLeast(rows);
            }
            ArrayKind::DenseUnion => {
                self.buffer("type ids", bytes(rows, 1))?;
                self.buffer("offsets", bytes(rows, 4))?;
            }
            ArrayKind::RunEndEncoded => child = Rows::AtLeast(rows.min(1)),
            ArrayKind::Dictionary { id, width } => {
                self.buffer("keys", bytes(rows, width))?;
                if nulls < rows {
                    self.passed.needs.push(id);
                }
            }
        }
        self.arrays(&array.children, child)
    }

    /// Checks offsets. An array without values may leave them out.
    fn offsets(&mut self, rows: u64, width: u32) -> Result<(), Failed> {
        self.buffer("offsets", if rows == 0 { 0 } else { bytes(rows, width) + u128::from(width) })
    }

    /// Checks the next buffer, which must hold at least `at_least` bytes.
    fn buffer(&mut self, name: &str, at_least: u128) -> Result<(), Failed> {
        let next = self.buffers.as_mut().and_then(Iterator::next);
        let buffer = next.ok_or_else(|| contradiction(format!("a buffer with its {name}"), &"no more"))?;
        let bounds = length(buffer.offset()).zip(length(buffer.length()));
        let (start, stored) = bounds
            .filter(|(start, stored)| start.checked_add(*stored).is_some_and(|end| end <= self.body_length))
            .ok_or_else(|| {
                let found = format!("{} bytes from byte {} on", buffer.length(), buffer.offset());
                contradiction(format!("{name} within a body of {} bytes", self.body_length), &found)
            })?;
        // The offset of an empty buffer does not matter.
        if stored > 0 && !start.is_multiple_of(ALIGNED) {
            return Err(contradiction(format!("{name} on a multiple of {ALIGNED} bytes"), &format!("byte {start}")));
        }
        self.passed.end = self.passed.end.max(start + stored);
        if let Some(held) = self.held(name, start, stored)?
            && u128::from(held) < at_least
        {
            return Err(contradiction(format!("{name} of at least {at_least} bytes"), &held));
        }
        Ok(())
    }

    /// Returns the length of a buffer's content, decompressed if it is compressed; `None` if the body is not there to
    /// tell.
    fn held(&mut self, name: &str, start: u64, stored: u64) -> Result<Option<u64>, Failed> {
        let Some(codec) = self.codec.filter(|_| stored > 0) else { return Ok(Some(stored)) };
        let mut first = [0; CLAIM_AND_MAGIC];
        let length = match self.body {
            Body::Whole(source, body) => {
                source.seek(*body + start)?;
                source.read_up_to(&mut first)?
            }
            Body::Held(body) => {
                let from = usize::try_from(start).ok().and_then(|start| body.get(start..)).unwrap_or_default();
                let length = from.len().min(first.len());
                first[..length].copy_from_slice(&from[..length]);
                length
            }
            Body::Cut | Body::Unseen => return Ok(None),
        };
        let seen = usize::try_from(stored).map_or(length, |stored| stored.min(length));
        let claim = claimed_length(codec, &first[..seen], stored);
        claim.map(Some).ok_or_else(|| contradiction(format!("{name} that can be decompressed"), &"other bytes"))
    }

    fn finish(mut self) -> Result<Passed, Failed> {
        if self.nodes.as_mut().and_then(Iterator::next).is_some() {
            return Err(mismatch("the arrays of the schema", &"more"));
        }
        if self.buffers.as_mut().and_then(Iterator::next).is_some() {
            return Err(mismatch("the buffers of the schema", &"more"));
        }
        if self.data_buffers.as_mut().and_then(Iterator::next).is_some() {
            return Err(mismatch("a number of data buffers for each array of views", &"more"));
        }
        self.passed.needs.sort_unstable();
        self.passed.needs.dedup();
        Ok(self.passed)
    }
}

/// Returns the length that a compressed buffer of `stored` bytes claims to decompress to. `first` are the first bytes
/// of the buffer; 12 are enough. Returns `None` if the claim cannot be true.
#[must_use]
pub fn claimed_length(codec: CompressionType, first: &[u8], stored: u64) -> Option<u64> {
    let (claim, frame) = first.split_first_chunk()?;
    let framed = stored.checked_sub(CLAIM)?;
    let (at_most, magic) = match codec {
        CompressionType::LZ4_FRAME => (LZ4_AT_MOST, LZ4_MAGIC),
        CompressionType::ZSTD => (ZSTD_AT_MOST, ZSTD_MAGIC),
        _ => return None,
    };
    match i64::from_le_bytes(*claim) {
        RAW => Some(framed),
        // Some writers write no frame for an empty buffer.
        0 => Some(0),
        claimed => {
            let claimed = u64::try_from(claimed).ok()?;
            (claimed / at_most <= framed && frame.starts_with(&magic)).then_some(claimed)
        }
    }
}

fn length(signed: i64) -> Option<u64> {
    u64::try_from(signed).ok()
}

fn bits(rows: u64) -> u128 {
    u128::from(rows.div_ceil(8))
}

fn bytes(rows: u64, width: u32) -> u128 {
    u128::from(rows) * u128::from(width)
}

fn contradiction(expected: impl Into<String>, found: &dyn Display) -> Failed {
    Failed::Contradiction { at: Vec::new(), expected: expected.into(), found: found.to_string() }
}

fn mismatch(expected: &str, found: &dyn Display) -> Failed {
    Failed::Fault(Fault::Mismatch { expected: expected.to_owned(), found: found.to_string() })
}

/// The length prefix of a buffer that is not compressed.
const RAW: i64 = -1;

/// The length prefix of a compressed buffer, in bytes.
const CLAIM: u64 = 8;

/// The length prefix and the magic of a frame.
const CLAIM_AND_MAGIC: usize = 12;

const LZ4_MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The most bytes that one byte of an LZ4 block can decompress to: a match grows by 255 with each byte of its length.
const LZ4_AT_MOST: u64 = 255;

/// The most bytes that one byte of a Zstandard frame can decompress to: a run of 128 KiB takes a block of 4 bytes.
const ZSTD_AT_MOST: u64 = 128 * 1024 / 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_beyond_a_codec_are_not_believed() {
        let claim = |codec, claimed: i64, frame: &[u8]| {
            let buffer = [&claimed.to_le_bytes()[..], frame].concat();
            claimed_length(codec, &buffer, buffer.len() as u64)
        };
        let (lz4, zstd) = (CompressionType::LZ4_FRAME, CompressionType::ZSTD);
        let frame = |magic: [u8; 4]| [&magic[..], &[0; 6]].concat();
        assert_eq!(claim(zstd, -1, &[0; 10]), Some(10));
        assert_eq!(claim(lz4, 0, &[]), Some(0));
        assert_eq!(claim(lz4, 2_550, &frame(LZ4_MAGIC)), Some(2_550));
        assert_eq!(claim(lz4, 2_550, &frame(ZSTD_MAGIC)), None, "no frame starts there");
        assert_eq!(claim(lz4, 1 << 20, &frame(LZ4_MAGIC)), None);
        assert_eq!(claim(zstd, 1 << 40, &frame(ZSTD_MAGIC)), None);
        assert_eq!(claim(zstd, -2, &frame(ZSTD_MAGIC)), None);
        assert_eq!(claimed_length(zstd, &[0; 7], 7), None);
    }
}
