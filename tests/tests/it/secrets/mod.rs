//! What reaches the sink is what readers of the batch can see, and zeros: no byte of memory that nobody has written to, no
//! byte of an earlier batch, none of rows that a slice has cut off, and, where the options ask for it, none from below a
//! null.
//!
//! Fails where padding is not written, where memory is used again without being written over, or where a walk takes more
//! of a buffer than its rows have. Memory that nobody has written to shows under valgrind alone: `cargo xtask valgrind`
//! runs these tests and the round trips there.
//!
//! What still leaves, as the options say: bytes of view buffers that no view uses, unless views are compacted; values of
//! dictionaries that no key uses, unless they are unified; items between list views.

mod below_nulls;
mod canary;
mod cut_off;
mod padding;
mod reuse;
mod unified;
mod uninitialised;

use ipc_core::{Alignment, Compression, MetadataVersion, Options};

/// Options for all ways to lay a message out.
fn layouts() -> Vec<Options> {
    let alignments = [Alignment::A8, Alignment::A16, Alignment::A32, Alignment::A64];
    let forms = [
        (Compression::None, MetadataVersion::V5),
        (Compression::None, MetadataVersion::V4),
        (Compression::None, MetadataVersion::V4Legacy),
        (Compression::Lz4, MetadataVersion::V5),
        (Compression::Zstd(1), MetadataVersion::V5),
    ];
    let all = forms.into_iter().flat_map(|form| alignments.map(|alignment| (form, alignment)));
    let all = all.flat_map(|(form, alignment)| {
        [(false, false), (true, false), (true, true)].map(|switches| (form, alignment, switches))
    });
    all.map(|((compression, version), alignment, (clear, compact))| {
        let options = Options::builder().compression(compression).metadata_version(version).alignment(alignment);
        options.clear_nulls(clear).compact_views(compact).staging(clear).build().unwrap()
    })
    .collect()
}
