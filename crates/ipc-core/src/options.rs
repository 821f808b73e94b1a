//! What a writer may choose, checked once when the choice is made.
//!
//! [`Options`] is built by [`OptionsBuilder::build`], which refuses combinations that the format does not know and
//! codecs that this build leaves out; an `Options` that exists is valid. Defaults are what every reader reads: metadata
//! V5, buffers aligned to 64 bytes, no compression, dictionaries raw and sent again when they change.

use crate::error::{Error, Result};

/// How the bodies of record batches are compressed, buffer by buffer; those of dictionary batches
/// [on request](OptionsBuilder::compress_dictionaries).
///
/// See `BodyCompression` in the [format's `Message.fbs`](https://github.com/apache/arrow/blob/main/format/Message.fbs).
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

/// The boundary, in bytes, to which messages and the buffers inside their bodies are padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Alignment {
    /// 8 bytes: the least that the format allows.
    A8 = 8,
    /// 16 bytes.
    A16 = 16,
    /// 32 bytes.
    A32 = 32,
    /// 64 bytes: what the format recommends, and the default.
    #[default]
    A64 = 64,
}

impl Alignment {
    /// The boundary in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self as usize
    }

    /// How many bytes are missing from `length` to the next boundary.
    pub(crate) const fn padding(self, length: usize) -> usize {
        length.wrapping_neg() & (self.bytes() - 1)
    }
}

impl TryFrom<usize> for Alignment {
    type Error = Error;

    fn try_from(bytes: usize) -> Result<Self> {
        match bytes {
            8 => Ok(Self::A8),
            16 => Ok(Self::A16),
            32 => Ok(Self::A32),
            64 => Ok(Self::A64),
            other => Err(Error::InvalidOptions(format!("alignment must be 8, 16, 32 or 64 bytes, not {other}"))),
        }
    }
}

/// The version of the metadata, and how a message is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetadataVersion {
    /// Version 5, with a continuation marker before each message; since Arrow 1.0.
    #[default]
    V5,
    /// Version 4, with a continuation marker; Arrow 0.15 to 0.17.
    V4,
    /// Version 4 without a continuation marker; before Arrow 0.15.
    V4Legacy,
}

impl MetadataVersion {
    pub(crate) const fn is_legacy_framing(self) -> bool {
        matches!(self, Self::V4Legacy)
    }

    /// Whether a union carries a validity buffer; version 5 dropped it.
    pub(crate) const fn unions_have_validity(self) -> bool {
        !matches!(self, Self::V5)
    }

    pub(crate) const fn to_flatbuffer(self) -> arrow_ipc::MetadataVersion {
        match self {
            Self::V5 => arrow_ipc::MetadataVersion::V5,
            Self::V4 | Self::V4Legacy => arrow_ipc::MetadataVersion::V4,
        }
    }
}

/// What happens when a batch brings another dictionary for a field than the one already sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DictionaryHandling {
    /// The whole dictionary is sent again. A file allows no replacement: there such a batch is refused.
    #[default]
    Resend,
    /// Where the new dictionary extends the old one, only the new values are sent, as a delta; else as `Resend`. A
    /// stream that many threads write may send a dictionary in full where its values would have allowed a delta.
    Delta,
    /// Each field has one dictionary, which grows: the keys of every batch are rewritten to it, and new values are sent as
    /// a delta before the first batch that needs them. So producers need not agree on their dictionaries, in a file
    /// either. Values that no key uses are left out, and equal ones, compared by their bits, become one.
    ///
    /// Readers of streams need each dictionary before the first batch. Where that batch uses no value of one, having no
    /// rows or only nulls, all values of its own dictionary are sent, unless
    /// [`clear_nulls`](OptionsBuilder::clear_nulls) may keep them back; an empty one if it has none. Arrow's Java reader
    /// knows no value of a file's dictionary that comes after the first message: for it, write
    /// [`dictionaries_at_close`](OptionsBuilder::dictionaries_at_close).
    ///
    /// A dictionary ends where its keys' type does ([`Error::DictionaryOverflow`]), or where one array of its values
    /// does, since that is how readers have it ([`Error::DictionaryTooLarge`]): 2 GiB of strings with 32-bit offsets,
    /// 32,767 rows of runs with 16-bit ends. A batch that would bring more is refused.
    ///
    /// Values get their places when a batch brings them, and keep them if that batch then fails. A retry finds them there;
    /// if there is none, they take room among the keys all the same, and readers get them with values that come later.
    ///
    /// Beside the unified dictionary, each encoder (a [`BatchEncoder`](crate::BatchEncoder), and so each producer of a
    /// shared writer) remembers the last eight dictionaries of batches that it has met for each field: their arrays, which
    /// stay alive with the buffers they lie in, and four bytes for each value; and 128 KiB where keys have one or two bytes
    /// and 262,144 of them have been rewritten with nothing new. They are let go of with the encoder, or when eight others
    /// have come.
    ///
    /// A dictionary that its field calls ordered is not unified, since a value that is added would have to stand between
    /// others, and neither are those inside or around it. They are sent as `Delta` does: one that grows is extended, one
    /// that is replaced is sent again in a stream, and refused in a file. In a file, a unified dictionary with others
    /// inside its values needs [`dictionaries_at_close`](OptionsBuilder::dictionaries_at_close).
    Unify,
}

/// How much of an array is looked at before it is written.
///
/// What `arrow-rs` builds by its safe constructors is valid. What came through a foreign interface, or out of an unsafe
/// constructor, may contradict itself. Neither choice panics on such an array or lets it be followed out of its buffers;
/// they differ in what may get into the output. The table of [`Error`] says which choice refuses what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Validation {
    /// Lengths, the first and the last of offsets, and all that is read anyway because it has to be rewritten: work that
    /// does not grow with the rows. An array that is wrong in between is written as it is, for its readers to refuse.
    #[default]
    Layout,
    /// Every row: offsets in order, keys and type ids of what is there, rising run ends, views inside their buffers,
    /// UTF-8, null counts, and the types that the schema says. What a reader that validates in full would refuse is
    /// refused, also below nulls, where some readers look too, unless [`clear_nulls`](OptionsBuilder::clear_nulls) keeps
    /// that back. What values mean (the digits of a decimal, the order of a sorted map) is not looked at.
    Full,
}

/// How a stream or a file is written. Built by [`Options::builder`].
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub(crate) compression: Compression,
    pub(crate) min_space_saving: f64,
    pub(crate) compress_dictionaries: bool,
    pub(crate) raw_buffers: bool,
    pub(crate) alignment: Alignment,
    pub(crate) metadata_version: MetadataVersion,
    pub(crate) dictionaries: DictionaryHandling,
    pub(crate) dictionaries_at_close: bool,
    pub(crate) widen_keys: bool,
    pub(crate) max_nesting: usize,
    pub(crate) compact_views: bool,
    pub(crate) staging: Option<bool>,
    pub(crate) validation: Validation,
    pub(crate) clear_nulls: bool,
    pub(crate) checksums: bool,
    pub(crate) abort_mark: bool,
}

impl Options {
    /// Starts from the defaults.
    pub fn builder() -> OptionsBuilder {
        OptionsBuilder { options: Self::default() }
    }

    /// The body compression.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Whether dictionary batches are compressed like record batches.
    #[must_use]
    pub fn compress_dictionaries(&self) -> bool {
        self.compress_dictionaries
    }

    /// The boundary that messages and buffers are padded to.
    #[must_use]
    pub fn alignment(&self) -> Alignment {
        self.alignment
    }

    /// The metadata version and framing.
    #[must_use]
    pub fn metadata_version(&self) -> MetadataVersion {
        self.metadata_version
    }

    /// How changed dictionaries are sent.
    #[must_use]
    pub fn dictionaries(&self) -> DictionaryHandling {
        self.dictionaries
    }

    /// How much of an array is looked at.
    #[must_use]
    pub fn validation(&self) -> Validation {
        self.validation
    }

    /// Whether every batch has a checksum.
    #[must_use]
    pub fn checksums(&self) -> bool {
        self.checksums
    }

    /// How many levels deep types may nest.
    #[must_use]
    pub fn max_nesting(&self) -> usize {
        self.max_nesting
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            compression: Compression::None,
            min_space_saving: 0.0,
            compress_dictionaries: false,
            raw_buffers: true,
            alignment: Alignment::A64,
            metadata_version: MetadataVersion::V5,
            dictionaries: DictionaryHandling::Resend,
            dictionaries_at_close: false,
            widen_keys: false,
            max_nesting: 60,
            compact_views: false,
            staging: None,
            validation: Validation::Layout,
            clear_nulls: false,
            checksums: false,
            abort_mark: true,
        }
    }
}

/// Chooses [`Options`]; nothing is checked before [`OptionsBuilder::build`].
///
/// ```
/// use ipc_core::{Compression, DictionaryHandling, Options};
///
/// let options = Options::builder()
///     .compression(Compression::Zstd(3))
///     .dictionaries(DictionaryHandling::Delta)
///     .build()?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "options do nothing until they are built and given to an encoder"]
pub struct OptionsBuilder {
    options: Options,
}

impl OptionsBuilder {
    /// Compresses bodies; [`Compression::None`] by default.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.options.compression = compression;
        self
    }

    /// The share of a buffer, from 0 to 1, that compression must save; a buffer that saves less is stored raw.
    /// 0 by default: a buffer is stored compressed as soon as that makes it smaller.
    pub fn min_space_saving(mut self, share: f64) -> Self {
        self.options.min_space_saving = share;
        self
    }

    /// Whether dictionary batches are compressed too; off by default. Readers such as nanoarrow take the bytes of a
    /// compressed dictionary for its values, without an error. Costs what the dictionaries' values would shrink by.
    pub fn compress_dictionaries(mut self, yes: bool) -> Self {
        self.options.compress_dictionaries = yes;
        self
    }

    /// Whether a buffer that does not shrink is stored raw, with the length prefix -1; on by default. Off for readers,
    /// such as pyarrow 10 and arrow2, that do not know that prefix: then every buffer is compressed, even to its loss.
    pub fn raw_buffers(mut self, yes: bool) -> Self {
        self.options.raw_buffers = yes;
        self
    }

    /// The boundary that messages and buffers are padded to; 64 bytes by default.
    pub fn alignment(mut self, alignment: Alignment) -> Self {
        self.options.alignment = alignment;
        self
    }

    /// The metadata version and framing; [`MetadataVersion::V5`] by default.
    pub fn metadata_version(mut self, version: MetadataVersion) -> Self {
        self.options.metadata_version = version;
        self
    }

    /// How changed dictionaries are sent; [`DictionaryHandling::Resend`] by default.
    pub fn dictionaries(mut self, handling: DictionaryHandling) -> Self {
        self.options.dictionaries = handling;
        self
    }

    /// Whether a file's unified dictionaries are written behind its record batches, each as one message; off by default.
    /// On for readers, such as polars and Java's, that know no deltas in files.
    ///
    /// The footer says where the dictionaries are, and readers of files load them first. Such a file is *not* a stream
    /// from byte 8 on, and without its footer its batches cannot be read: so there is nothing that a
    /// [sync](crate::Encoder::sync) could confirm, and it is refused. A stream cannot be written so.
    pub fn dictionaries_at_close(mut self, yes: bool) -> Self {
        self.options.dictionaries_at_close = yes;
        self
    }

    /// Whether unified dictionaries whose keys have 8 or 16 bits are written with signed 32-bit keys; off by default. On
    /// where producers' dictionaries are small, and all of them together may not be.
    ///
    /// The schema is written with the wider keys from the start; batches may have the keys that the given schema says, or
    /// any others of 8 or 16 bits.
    pub fn widen_dictionary_keys(mut self, yes: bool) -> Self {
        self.options.widen_keys = yes;
        self
    }

    /// How many levels deep types may nest; 60 by default, since many readers stop at 64, and 128 at most, since each level
    /// takes some of the stack.
    pub fn max_nesting(mut self, levels: usize) -> Self {
        self.options.max_nesting = levels;
        self
    }

    /// How much of an array is looked at before it is written; [`Validation::Layout`] by default.
    pub fn validation(mut self, validation: Validation) -> Self {
        self.options.validation = validation;
        self
    }

    /// Whether values that no reader can see, because they or their parents are null, are left out of the output; off by
    /// default, when they are written as they lie in memory.
    ///
    /// Numbers become zeros and strings empty; the data buffers of views keep only bytes that some view uses, zeros in
    /// between. Items between list views, and members of a union in rows of another type, are treated so too. Readers see
    /// the same values. Shape still shows - how many items a null list has, which type a hidden member of a union is of,
    /// where hidden runs end -, and so do values of a dictionary that no key uses.
    /// Costs a copy of what has nulls and of all views, and some allocations.
    pub fn clear_nulls(mut self, yes: bool) -> Self {
        self.options.clear_nulls = yes;
        self
    }

    /// Whether every dictionary batch and record batch has a checksum of its body, for `recover` and other readers that look
    /// at it; off by default. Readers that know nothing of checksums read the output as ever.
    ///
    /// After a loss of power, what no [sync](crate::Encoder::sync) confirmed may be there with its length and without its
    /// content, and zeros read as values. A checksum tells. It is a CRC-32C, made while the batch is encoded and outside any
    /// lock, and costs a pass over the body. Where it stands, [`format`](crate::format) says: a batch's own metadata may not
    /// have the key [`CHECKSUM_KEY`](crate::format::CHECKSUM_KEY).
    pub fn checksums(mut self, yes: bool) -> Self {
        self.options.checksums = yes;
        self
    }

    /// Whether string and binary views are rewritten so that the body holds only the bytes that some view uses; off by
    /// default. Costs a pass over the views and a copy of the bytes, and saves the bytes that nobody sees.
    pub fn compact_views(mut self, yes: bool) -> Self {
        self.options.compact_views = yes;
        self
    }

    /// Whether small messages (at most 64 KiB) are gathered in memory until 256 KiB are full.
    ///
    /// By default on for files, which nobody can read before their footer, and off for streams, whose readers wait for
    /// every message. A staged message is *accepted*; `flush` and `close` confirm it.
    pub fn staging(mut self, yes: bool) -> Self {
        self.options.staging = Some(yes);
        self
    }

    /// Whether a stream that is given up, by [`abort`](crate::Encoder::abort) or because it is dropped, gets a
    /// [mark](crate::format::ABORTED_KEY) that makes its readers fail; on by default. Files never get one.
    ///
    /// Off for a stream that is continued later: what follows a mark cannot be read.
    pub fn abort_mark(mut self, yes: bool) -> Self {
        self.options.abort_mark = yes;
        self
    }

    /// Checks the choice.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOptions`] for a codec that this build leaves out, a Zstandard level out of range, compression
    /// with metadata V4, a space saving outside 0 to 1, one that is asked for where no buffer may stay raw, dictionaries
    /// at close or wider keys where dictionaries are not unified, or a nesting limit of 0.
    pub fn build(self) -> Result<Options> {
        let options = self.options;
        let refuse = |reason: String| Err(Error::InvalidOptions(reason));
        match options.compression {
            Compression::None => {}
            Compression::Lz4 => {
                if cfg!(not(feature = "lz4")) {
                    return refuse("LZ4 needs the feature `lz4` of ipc-core, which this build leaves out".into());
                }
            }
            Compression::Zstd(level) => {
                if cfg!(not(feature = "zstd")) {
                    return refuse(
                        "Zstandard needs the feature `zstd` of ipc-core, which this build leaves out".into(),
                    );
                }
                #[cfg(feature = "zstd")]
                if !zstd::compression_level_range().contains(&level) || level == 0 {
                    return refuse(format!("a Zstandard level is 1 to 22, or negative for speed, not {level}"));
                }
                #[cfg(not(feature = "zstd"))]
                let _ = level;
            }
        }
        if options.compression != Compression::None && options.metadata_version != MetadataVersion::V5 {
            return refuse("body compression needs metadata V5".into());
        }
        if !(0.0..=1.0).contains(&options.min_space_saving) {
            return refuse(format!("a minimum space saving is a share from 0 to 1, not {}", options.min_space_saving));
        }
        if !options.raw_buffers && options.min_space_saving > 0.0 {
            return refuse("a minimum space saving needs buffers that may stay raw".into());
        }
        if options.dictionaries != DictionaryHandling::Unify {
            if options.dictionaries_at_close {
                return refuse("dictionaries at close have to be unified".into());
            }
            if options.widen_keys {
                return refuse("only the keys of unified dictionaries can be made wider".into());
            }
        }
        if options.max_nesting == 0 {
            return refuse("types nest at least one level deep".into());
        }
        if options.max_nesting > DEEPEST {
            return refuse(format!("types nest at most {DEEPEST} levels deep"));
        }
        Ok(options)
    }
}

/// What [`OptionsBuilder::max_nesting`] may be.
const DEEPEST: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_fills_up_to_the_boundary() {
        for (length, expected) in [(0, 0), (1, 63), (63, 1), (64, 0), (65, 63)] {
            assert_eq!(Alignment::A64.padding(length), expected, "{length}");
        }
    }

    #[test]
    fn options_say_what_was_chosen() {
        let options = Options::builder()
            .compression(Compression::None)
            .alignment(Alignment::A16)
            .metadata_version(MetadataVersion::V4)
            .dictionaries(DictionaryHandling::Delta)
            .validation(Validation::Full)
            .max_nesting(7)
            .build()
            .unwrap();
        assert_eq!((options.compression(), options.alignment()), (Compression::None, Alignment::A16));
        assert_eq!((options.metadata_version(), options.max_nesting()), (MetadataVersion::V4, 7));
        assert_eq!((options.dictionaries(), options.validation()), (DictionaryHandling::Delta, Validation::Full));
        for alignment in [Alignment::A8, Alignment::A16, Alignment::A32, Alignment::A64] {
            assert_eq!(Alignment::try_from(alignment.bytes()).unwrap(), alignment);
        }
    }

    #[test]
    fn contradictions_are_refused_when_built() {
        let refused = [
            Options::builder().compression(Compression::Zstd(0)),
            Options::builder().compression(Compression::Zstd(23)),
            Options::builder().compression(Compression::Lz4).metadata_version(MetadataVersion::V4),
            Options::builder().min_space_saving(1.5),
            Options::builder().min_space_saving(f64::NAN),
            Options::builder().min_space_saving(0.1).raw_buffers(false),
            Options::builder().dictionaries_at_close(true),
            Options::builder().dictionaries(DictionaryHandling::Delta).widen_dictionary_keys(true),
            Options::builder().max_nesting(0),
        ];
        for builder in refused {
            assert!(matches!(builder.clone().build(), Err(Error::InvalidOptions(_))), "{builder:?}");
        }
        assert!(Alignment::try_from(24).is_err());
    }

    #[test]
    #[cfg(feature = "lz4")]
    fn the_codec_is_the_one_that_was_chosen() {
        let options = Options::builder().compression(Compression::Lz4).build().unwrap();
        assert_eq!(options.compression(), Compression::Lz4);
    }

    #[test]
    #[cfg(not(feature = "lz4"))]
    fn a_codec_that_is_not_built_in_is_named() {
        let error = Options::builder().compression(Compression::Lz4).build().unwrap_err();
        assert!(error.to_string().contains("feature `lz4`"), "{error}");
    }

    #[test]
    #[cfg(not(feature = "zstd"))]
    fn a_codec_that_is_not_built_in_is_named_too() {
        let error = Options::builder().compression(Compression::Zstd(1)).build().unwrap_err();
        assert!(error.to_string().contains("feature `zstd`"), "{error}");
    }
}
