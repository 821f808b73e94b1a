//! Strategies for the options of an encoder.

use ipc_core::{Alignment, Compression, DictionaryHandling, MetadataVersion, Options, OptionsBuilder, RawBuffers};
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;

/// Every codec, Zstandard at a low, a usual and a negative level.
pub fn arb_compression() -> impl Strategy<Value = Compression> {
    prop_oneof![
        2 => Just(Compression::None),
        1 => Just(Compression::Lz4),
        1 => prop_oneof![Just(1), Just(3), Just(-5)].prop_map(Compression::Zstd),
    ]
}

/// Every alignment.
pub fn arb_alignment() -> impl Strategy<Value = Alignment> {
    prop_oneof![Just(Alignment::A64), Just(Alignment::A32), Just(Alignment::A16), Just(Alignment::A8)]
}

/// Any valid options with this handling of dictionaries. Compression asks for metadata V5.
pub fn arb_options(dictionaries: DictionaryHandling) -> impl Strategy<Value = Options> {
    arb_options_with(move |builder| builder.dictionaries(dictionaries))
}

/// Any valid options, completed by `finish`.
pub fn arb_options_with(finish: impl Fn(OptionsBuilder) -> OptionsBuilder) -> impl Strategy<Value = Options> {
    let switches = any::<(bool, bool, bool, bool, bool, bool)>();
    (arb_compression(), arb_alignment(), switches, 0.0..0.9f64).prop_map(
        move |(compression, alignment, (staging, old, compact, raw, clear, sums), saving)| {
            let version =
                if old && compression == Compression::None { MetadataVersion::V4 } else { MetadataVersion::V5 };
            let builder = Options::builder()
                .compression(compression)
                .alignment(alignment)
                .staging(staging)
                .metadata_version(version)
                .compact_views(compact)
                .raw_buffers(if raw { RawBuffers::SavingLessThan(saving) } else { RawBuffers::Never })
                .clear_nulls(clear)
                .checksums(sums)
                .compress_dictionaries(old);
            finish(builder).build().expect("these go together")
        },
    )
}
