//! What a writer may choose. The choice is checked once, when it is made.
//!
//! [`OptionsBuilder::build`] refuses combinations that the format does not know and codecs that this build leaves out, so
//! an [`Options`] that exists is valid.

pub(crate) mod compression;
pub(crate) mod dictionaries;

use crate::error::{Error, Result};
use crate::format::{Alignment, MetadataVersion};
use crate::options::compression::{Compression, RawBuffers};
use crate::options::dictionaries::{DictionaryHandling, Unify};

/// How much of an array is checked before it is written.
///
/// Arrays from the safe constructors of `arrow-rs` are valid. Arrays from a foreign interface or an unsafe constructor
/// may contradict themselves. Neither choice panics on such an array or reads outside its buffers; they differ in what
/// may get into the output. The user's guide (`docs/guide/src/errors.md`) lists which choice refuses what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Validation {
    /// Checks lengths, the first and last offsets, and everything that is read anyway because it has to be rewritten.
    /// The work does not grow with the number of rows. An array that is wrong in between is written as it is, and
    /// readers may refuse it.
    #[default]
    Layout,
    /// Checks every row: offsets, keys, type ids, run ends, views, UTF-8, null counts, and the types in the schema.
    /// Refuses whatever a reader that validates in full would refuse, also in rows that are null, unless
    /// [`clear_nulls`](OptionsBuilder::clear_nulls) clears them. Does not check what values mean (the digits of a
    /// decimal, the order of a sorted map).
    Full,
}

/// How a stream or a file is written. Built by [`Options::builder`].
///
/// The defaults are what every reader reads: metadata V5, buffers aligned to 64 bytes, no compression, dictionaries
/// sent again when they change.
#[doc(alias = "IpcWriteOptions")]
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub(crate) compression: Compression,
    pub(crate) raw_buffers: RawBuffers,
    pub(crate) compress_dictionaries: bool,
    pub(crate) alignment: Alignment,
    pub(crate) metadata_version: MetadataVersion,
    pub(crate) dictionaries: DictionaryHandling,
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

    /// Which buffers of a compressed body are stored raw.
    #[must_use]
    pub fn raw_buffers(&self) -> RawBuffers {
        self.raw_buffers
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

    /// How many levels deep types may nest.
    #[must_use]
    pub fn max_nesting(&self) -> usize {
        self.max_nesting
    }

    /// How much of an array is checked.
    #[must_use]
    pub fn validation(&self) -> Validation {
        self.validation
    }

    /// Whether values that no reader can see are left out.
    #[must_use]
    pub fn clear_nulls(&self) -> bool {
        self.clear_nulls
    }

    /// Whether every batch has a checksum.
    #[must_use]
    pub fn checksums(&self) -> bool {
        self.checksums
    }

    /// Whether views are rewritten so that the body holds only the bytes they use.
    #[must_use]
    pub fn compact_views(&self) -> bool {
        self.compact_views
    }

    /// Whether small messages are gathered in memory; `None` where the format decides.
    #[must_use]
    pub fn staging(&self) -> Option<bool> {
        self.staging
    }

    /// Whether a stream that is aborted or dropped gets a mark.
    #[must_use]
    pub fn abort_mark(&self) -> bool {
        self.abort_mark
    }

    /// How dictionaries are unified, if they are.
    pub(crate) fn unify(&self) -> Option<Unify> {
        match self.dictionaries {
            DictionaryHandling::Unify(unify) => Some(unify),
            _ => None,
        }
    }

    /// Whether unified dictionaries are written at the end of a file.
    pub(crate) fn dictionaries_at_close(&self) -> bool {
        self.unify().is_some_and(Unify::is_at_close)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            compression: Compression::None,
            raw_buffers: RawBuffers::Incompressible,
            compress_dictionaries: false,
            alignment: Alignment::A64,
            metadata_version: MetadataVersion::V5,
            dictionaries: DictionaryHandling::Resend,
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
    #[doc(alias = "try_with_compression")]
    #[doc(alias = "try_with_compression_level")]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.options.compression = compression;
        self
    }

    /// Chooses which buffers of a compressed body are stored raw; [`RawBuffers::Incompressible`] by default.
    pub fn raw_buffers(mut self, which: RawBuffers) -> Self {
        self.options.raw_buffers = which;
        self
    }

    /// Compresses dictionary batches too; off by default. Readers such as nanoarrow take the bytes of a compressed
    /// dictionary for its values, without an error. Off costs what the dictionaries' values would shrink by.
    pub fn compress_dictionaries(mut self, yes: bool) -> Self {
        self.options.compress_dictionaries = yes;
        self
    }

    /// Sets the boundary that messages and buffers are padded to; 64 bytes by default.
    pub fn alignment(mut self, alignment: Alignment) -> Self {
        self.options.alignment = alignment;
        self
    }

    /// Sets the metadata version and framing; [`MetadataVersion::V5`] by default.
    #[doc(alias = "write_legacy_ipc_format")]
    pub fn metadata_version(mut self, version: MetadataVersion) -> Self {
        self.options.metadata_version = version;
        self
    }

    /// Chooses how changed dictionaries are sent; [`DictionaryHandling::Resend`] by default. Takes a [`Unify`], too.
    #[doc(alias = "with_dictionary_handling")]
    pub fn dictionaries(mut self, handling: impl Into<DictionaryHandling>) -> Self {
        self.options.dictionaries = handling.into();
        self
    }

    /// Limits how many levels deep types may nest; 60 by default, since many readers stop at 64. At most 128, since
    /// each level takes some of the stack.
    pub fn max_nesting(mut self, levels: usize) -> Self {
        self.options.max_nesting = levels;
        self
    }

    /// Chooses how much of an array is checked before it is written; [`Validation::Layout`] by default.
    pub fn validation(mut self, validation: Validation) -> Self {
        self.options.validation = validation;
        self
    }

    /// Keeps values out of the output that no reader can see because they or their parents are null; off by default,
    /// when they are written as they lie in memory.
    ///
    /// Numbers become zeros and strings empty. The data buffers of views keep only bytes that some view uses, with
    /// zeros in between. Items between list views, and members of a union in rows of another type, are cleared too.
    /// Readers see the same values. Shape still shows (how many items a null list has, which type a hidden member of a
    /// union has, where hidden runs end), and so do values of a dictionary that no key uses.
    ///
    /// Costs a copy of whatever has nulls and of all views, and some allocations.
    pub fn clear_nulls(mut self, yes: bool) -> Self {
        self.options.clear_nulls = yes;
        self
    }

    /// Adds a checksum of its body to every dictionary batch and record batch, for `recover` and other readers that
    /// verify it; off by default. Other readers ignore it.
    ///
    /// After a loss of power, bytes that no [sync](crate::Encoder::sync) confirmed may have their length but not their
    /// content, and zeros read as values. A checksum reveals that. It is a CRC-32C, computed while the batch is encoded
    /// and outside any lock, and costs a pass over the body. It is in the message's custom metadata, so a batch's own
    /// metadata may not have the key [`CHECKSUM_KEY`](crate::format::CHECKSUM_KEY).
    pub fn checksums(mut self, yes: bool) -> Self {
        self.options.checksums = yes;
        self
    }

    /// Rewrites string and binary views so that the body holds only the bytes that some view uses; off by default.
    /// Costs a pass over the views and a copy of these bytes, and saves all others.
    pub fn compact_views(mut self, yes: bool) -> Self {
        self.options.compact_views = yes;
        self
    }

    /// Gathers small messages (at most 64 KiB) in memory until 256 KiB are full.
    ///
    /// On by default for files, which cannot be read before their footer, and off for streams, whose readers wait for
    /// every message. A staged message is *accepted*; `flush` and `close` confirm it.
    pub fn staging(mut self, yes: bool) -> Self {
        self.options.staging = Some(yes);
        self
    }

    /// Ends a stream that is [aborted](crate::Encoder::abort), or dropped before its close, in a
    /// [mark](crate::format::ABORTED_KEY) that makes its readers fail; on by default. Files never get one.
    ///
    /// Turn it off for a stream that is continued later: messages after a mark cannot be read.
    pub fn abort_mark(mut self, yes: bool) -> Self {
        self.options.abort_mark = yes;
        self
    }

    /// Checks the choice.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOptions`] for a codec that this build leaves out, a Zstandard level out of range, compression
    /// with metadata V4, a share outside 0 to 1, or a nesting limit of 0 or beyond 128.
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
        if let RawBuffers::SavingLessThan(share) = options.raw_buffers
            && !(0.0..=1.0).contains(&share)
        {
            return refuse(format!("a minimum space saving is a share from 0 to 1, not {share}"));
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

    /// Each setting has a getter, and no other setting moves with it.
    #[test]
    fn options_return_the_settings_that_were_chosen() {
        let chosen = Options::builder()
            .raw_buffers(RawBuffers::SavingLessThan(0.5))
            .compress_dictionaries(true)
            .alignment(Alignment::A16)
            .metadata_version(MetadataVersion::V4)
            .dictionaries(Unify::new().widen_keys(true))
            .max_nesting(7)
            .validation(Validation::Full)
            .clear_nulls(true)
            .checksums(true)
            .compact_views(true)
            .staging(false)
            .abort_mark(false)
            .build()
            .unwrap();
        assert_eq!((chosen.compression(), chosen.raw_buffers()), (Compression::None, RawBuffers::SavingLessThan(0.5)));
        assert_eq!((chosen.alignment(), chosen.metadata_version()), (Alignment::A16, MetadataVersion::V4));
        assert_eq!((chosen.dictionaries(), chosen.max_nesting()), (Unify::new().widen_keys(true).into(), 7));
        assert_eq!((chosen.validation(), chosen.staging()), (Validation::Full, Some(false)));
        assert!(chosen.compress_dictionaries() && chosen.clear_nulls() && chosen.checksums());
        assert!(chosen.compact_views() && !chosen.abort_mark());

        let default = Options::default();
        assert_eq!((default.raw_buffers(), default.staging()), (RawBuffers::Incompressible, None));
        assert!(!default.compress_dictionaries() && !default.clear_nulls() && !default.checksums());
        assert!(!default.compact_views() && default.abort_mark());
    }

    #[test]
    fn dictionaries_come_at_close_only_if_they_are_unified() {
        for (handling, at_close) in [
            (DictionaryHandling::Delta, false),
            (Unify::new().into(), false),
            (Unify::new().at_close(true).into(), true),
        ] {
            let options = Options::builder().dictionaries(handling).build().unwrap();
            assert_eq!(options.dictionaries_at_close(), at_close, "{handling:?}");
        }
        let unify = Unify::new().at_close(true).widen_keys(true);
        assert!(unify.is_at_close() && unify.widens_keys() && !unify.at_close(false).is_at_close());
    }

    #[test]
    fn contradictions_are_refused_when_built() {
        let refused = [
            Options::builder().compression(Compression::Zstd(0)),
            Options::builder().compression(Compression::Zstd(23)),
            Options::builder().compression(Compression::Lz4).metadata_version(MetadataVersion::V4),
            Options::builder().raw_buffers(RawBuffers::SavingLessThan(1.5)),
            Options::builder().raw_buffers(RawBuffers::SavingLessThan(-0.1)),
            Options::builder().raw_buffers(RawBuffers::SavingLessThan(f64::NAN)),
            Options::builder().max_nesting(0),
            Options::builder().max_nesting(129),
        ];
        for builder in refused {
            assert!(matches!(builder.clone().build(), Err(Error::InvalidOptions(_))), "{builder:?}");
        }
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
