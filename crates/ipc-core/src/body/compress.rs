//! Compresses one buffer at a time into one frame, with a codec's context that is kept from buffer to buffer.
//!
//! LZ4 frames are [made here](crate::body::lz4). Zstandard is the library's one-shot call with a kept context.

use std::fmt;

#[cfg(feature = "lz4")]
use crate::body::lz4;
use crate::error::Result;
use crate::message::segment::Arena;
use crate::options::compression::Compression;

/// A codec with its context.
pub(crate) enum Codec {
    #[cfg(feature = "lz4")]
    Lz4(Box<lz4::Context>),
    #[cfg(feature = "zstd")]
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Codec {
    /// The codec that `compression` asks for, if any. Options that exist ask for codecs that were built in.
    pub(crate) fn new(compression: Compression) -> Option<Self> {
        match compression {
            #[cfg(feature = "lz4")]
            Compression::Lz4 => Some(Self::Lz4(Box::default())),
            #[cfg(feature = "zstd")]
            Compression::Zstd(level) => Some(Self::Zstd(
                zstd::bulk::Compressor::new(level).expect("the level was checked when the options were built"),
            )),
            _ => None,
        }
    }

    /// The codec's name in the message.
    pub(crate) fn kind(&self) -> arrow_ipc::CompressionType {
        match self {
            #[cfg(feature = "lz4")]
            Self::Lz4(_) => arrow_ipc::CompressionType::LZ4_FRAME,
            #[cfg(feature = "zstd")]
            Self::Zstd(_) => arrow_ipc::CompressionType::ZSTD,
            #[cfg(not(any(feature = "lz4", feature = "zstd")))]
            _ => unreachable!("no codec is built in, so no value of this type exists"),
        }
    }

    /// Whether a buffer of `length` bytes is too short for any frame to be shorter.
    pub(crate) fn is_hopeless(&self, length: usize) -> bool {
        length <= self.least_frame()
    }

    /// Bytes that every frame of a non-empty buffer has beside its content.
    fn least_frame(&self) -> usize {
        match self {
            #[cfg(feature = "lz4")]
            Self::Lz4(_) => lz4::HEADER + lz4::BLOCK_HEADER + lz4::END_MARK,
            #[cfg(feature = "zstd")]
            Self::Zstd(_) => 9,
            #[cfg(not(any(feature = "lz4", feature = "zstd")))]
            _ => unreachable!("no codec is built in, so no value of this type exists"),
        }
    }

    /// Compresses `input` behind what `arena` holds, without counting it as used, and returns the frame's length.
    pub(crate) fn compress(&mut self, input: &[u8], arena: &mut Arena, offset: usize) -> Result<usize> {
        match self {
            #[cfg(feature = "lz4")]
            Self::Lz4(context) => {
                let room = arena.reserve(offset + lz4::bound(input.len()));
                context.compress(input, &mut room[offset..])
            }
            #[cfg(feature = "zstd")]
            Self::Zstd(context) => {
                let room = arena.reserve(offset + zstd::zstd_safe::compress_bound(input.len()));
                context.compress_to_buffer(input, &mut room[offset..]).map_err(|source| {
                    crate::error::Error::Compression { path: String::new(), codec: "Zstandard", source }
                })
            }
            #[cfg(not(any(feature = "lz4", feature = "zstd")))]
            _ => unreachable!("no codec is built in, so no value of this type exists: {input:?} {arena:?} {offset}"),
        }
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Codec").field(&self.kind().variant_name()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_frame_is_shorter_than_the_least() {
        for compression in [Compression::Lz4, Compression::Zstd(1), Compression::Zstd(22)] {
            let Some(mut codec) = Codec::new(compression) else {
                continue;
            };
            for length in 1..200 {
                let frame = codec.compress(&vec![0; length], &mut Arena::default(), 0).unwrap();
                assert!(!codec.is_hopeless(frame), "{compression:?} {length}: {frame}");
            }
        }
    }
}
