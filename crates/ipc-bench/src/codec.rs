//! How bodies are compressed: one name for ours and for the peers' way to say it.

use std::fmt;

use arrow_ipc::CompressionType;
use arrow_ipc::writer::IpcWriteOptions;
use ipc_core::{Compression, Options};

/// A codec, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Buffers as they are.
    Raw,
    /// LZ4 frames.
    Lz4,
    /// Zstandard frames of this level.
    Zstd(i32),
}

impl Codec {
    /// Those that are measured.
    pub const ALL: [Self; 4] = [Self::Raw, Self::Lz4, Self::Zstd(1), Self::Zstd(3)];

    /// Our options: the defaults but for the codec and, where `staging` says so, but for staging.
    ///
    /// # Panics
    ///
    /// Where the codec is not built in.
    #[must_use]
    pub fn options(self, staging: Staging) -> Options {
        let builder = Options::builder().compression(match self {
            Self::Raw => Compression::None,
            Self::Lz4 => Compression::Lz4,
            Self::Zstd(level) => Compression::Zstd(level),
        });
        let builder = match staging {
            Staging::Default => builder,
            Staging::Off => builder.staging(false),
        };
        builder.build().expect("the codecs are built in")
    }

    /// arrow-rs's options: the defaults but for the codec.
    ///
    /// # Panics
    ///
    /// Where the codec is not built in.
    #[must_use]
    pub fn arrow_rs_options(self) -> IpcWriteOptions {
        let (codec, level) = match self {
            Self::Raw => (None, None),
            Self::Lz4 => (Some(CompressionType::LZ4_FRAME), None),
            Self::Zstd(level) => (Some(CompressionType::ZSTD), Some(level)),
        };
        IpcWriteOptions::default()
            .try_with_compression(codec)
            .and_then(|options| options.try_with_compression_level(level))
            .expect("the codecs are built in")
    }
}

/// Whether small messages are gathered before they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staging {
    /// As the format's default is: in files, not in streams.
    Default,
    /// Every message is a call.
    Off,
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw => f.write_str("raw"),
            Self::Lz4 => f.write_str("lz4"),
            Self::Zstd(level) => write!(f, "zstd {level}"),
        }
    }
}
