//! How bodies are compressed, and which of their buffers are stored raw nevertheless.

/// How the buffers of record batches are compressed. Dictionary batches are compressed only
/// [on request](crate::OptionsBuilder::compress_dictionaries).
///
/// See `BodyCompression` in the [format's `Message.fbs`](https://github.com/apache/arrow/blob/main/format/Message.fbs).
#[doc(alias = "CompressionType")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Buffers are written as they are.
    #[default]
    None,
    /// Each buffer is an LZ4 frame.
    Lz4,
    /// Each buffer is a Zstandard frame, compressed at this level (1 to 22, or negative for speed).
    Zstd(i32),
}

/// Which buffers of a compressed body are stored raw, with the length prefix -1.
///
/// ```
/// use ipc_core::{Compression, Options, RawBuffers};
///
/// let picky = Options::builder().compression(Compression::Lz4).raw_buffers(RawBuffers::SavingLessThan(0.1)).build()?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum RawBuffers {
    /// Those that compression does not make smaller.
    #[default]
    Incompressible,
    /// Those that compression shortens by less than this share of their length, from 0 to 1.
    SavingLessThan(f64),
    /// None, even if compression makes a buffer larger. For readers that do not know the prefix -1, such as pyarrow 10
    /// and arrow2.
    Never,
}
