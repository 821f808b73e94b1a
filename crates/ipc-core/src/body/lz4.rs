//! LZ4 frames around `lz4_flex`'s blocks, made with a table that is kept from buffer to buffer.
//!
//! `lz4_flex`'s own frame encoder allocates its hash table anew for each buffer. A frame here has the smallest block
//! size that holds the buffer, independent blocks of at most 4 MiB and no checksums, which is what every peer writes.
//!
//! See the [LZ4 frame format](https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md).

use std::io;

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

use crate::error::{Error, Result};

/// Magic, two descriptor bytes and their checksum.
pub(super) const HEADER: usize = 7;
/// The length of a block.
pub(super) const BLOCK_HEADER: usize = 4;
/// A block of length 0.
pub(super) const END_MARK: usize = 4;

const MAGIC: [u8; 4] = 0x184D_2204_u32.to_le_bytes();
/// Version 1, independent blocks, no checksums, no content size.
const FLAGS: u8 = 0b0110_0000;
/// Set in a block's length when the block is stored as it is.
const RAW_BLOCK: u32 = 1 << 31;

/// The block sizes of the format: the most bytes a block holds, the descriptor byte that says so, and the
/// descriptor's checksum, the second byte of XXH32 over the two descriptor bytes.
const BLOCK_SIZES: [(usize, u8, u8); 4] =
    [(64 << 10, 0x40, 0x82), (256 << 10, 0x50, 0xFB), (1 << 20, 0x60, 0x51), (4 << 20, 0x70, 0x73)];

/// `lz4_flex`'s hash tables, one for inputs whose positions fit 16 bits and one for all others.
pub(crate) struct Context {
    small: CompressTable,
    large: CompressTable,
}

impl Default for Context {
    fn default() -> Self {
        Self { small: CompressTable::small(), large: CompressTable::large() }
    }
}

impl Context {
    /// Writes `input` as a frame to the front of `output`, which has room for [`bound`] bytes.
    pub(super) fn compress(&mut self, input: &[u8], output: &mut [u8]) -> Result<usize> {
        let (block_size, descriptor, checksum) = BLOCK_SIZES
            .into_iter()
            .find(|(size, ..)| input.len() <= *size)
            .unwrap_or(BLOCK_SIZES[BLOCK_SIZES.len() - 1]);
        output[..4].copy_from_slice(&MAGIC);
        output[4..HEADER].copy_from_slice(&[FLAGS, descriptor, checksum]);
        let mut end = HEADER;
        for block in input.chunks(block_size) {
            end += self.block(block, &mut output[end..])?;
        }
        output[end..end + END_MARK].fill(0);
        Ok(end + END_MARK)
    }

    fn block(&mut self, block: &[u8], output: &mut [u8]) -> Result<usize> {
        let table = if block.len() < usize::from(u16::MAX) { &mut self.small } else { &mut self.large };
        let (head, body) = output.split_at_mut(BLOCK_HEADER);
        let compressed = compress_into_with_table(block, body, table)
            .map_err(io::Error::other)
            .map_err(|source| Error::Compression { path: String::new(), codec: "LZ4", source })?;
        let (length, flag) = if compressed < block.len() {
            (compressed, 0)
        } else {
            body[..block.len()].copy_from_slice(block);
            (block.len(), RAW_BLOCK)
        };
        let field = u32::try_from(length).expect("a block is at most 4 MiB") | flag;
        head.copy_from_slice(&field.to_le_bytes());
        Ok(BLOCK_HEADER + length)
    }
}

/// The most bytes a frame of `length` bytes needs while it is made.
pub(super) fn bound(length: usize) -> usize {
    let largest = BLOCK_SIZES[BLOCK_SIZES.len() - 1].0;
    let (whole, rest) = (length / largest, length % largest);
    let block = |length| BLOCK_HEADER + get_maximum_output_size(length);
    HEADER + whole * block(largest) + block(rest) + END_MARK
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn every_block_size_reads_back() {
        // Lengths on both sides of each block size, and several blocks of the largest.
        for length in [1, 12, 65_534, 65_535, 65_536, 65_537, 262_145, 1 << 20, (1 << 20) + 1, 9 << 20] {
            for random in [false, true] {
                let mut state = 1u32;
                let mut byte = |_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if random { state.to_be_bytes()[0] } else { 7 }
                };
                let input: Vec<u8> = (0..length).map(&mut byte).collect();
                let mut output = vec![0; bound(length)];
                let written = Context::default().compress(&input, &mut output).unwrap();
                let mut back = Vec::new();
                lz4_flex::frame::FrameDecoder::new(&output[..written]).read_to_end(&mut back).unwrap();
                assert!(back == input, "{length} bytes, random: {random}");
            }
        }
    }
}
