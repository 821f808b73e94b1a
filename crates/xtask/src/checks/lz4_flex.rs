//! `lz4_flex` is built without `safe-encode`.
//!
//! That feature, one of the crate's defaults, makes the encoder a good deal slower. Features add up over a whole
//! build: one dependency that forgets `default-features = false`, even of the tests alone, slows all users of the
//! crate, peers in benchmarks among them.

use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Asks cargo for the features of `lz4_flex` in a build of the whole workspace.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let tree = workspace.cargo("tree --workspace --edges normal,build,dev --prefix none --format {p}|{f}");
    judge(&tree.capture()?).map_err(Error::Check)?;
    println!("{CRATE} is built without `{FORBIDDEN}`");
    Ok(())
}

/// Judges the output of `cargo tree` in the format `{p}|{f}`: a line for every package, which may stand there
/// repeatedly and in several versions.
fn judge(tree: &str) -> std::result::Result<(), String> {
    let mut builds = tree
        .lines()
        .filter_map(|line| line.trim_end_matches(" (*)").split_once('|'))
        .filter(|(package, _)| package.split(' ').next() == Some(CRATE))
        .peekable();
    if builds.peek().is_none() {
        return Err(format!("cargo tree shows no {CRATE}: nothing to check"));
    }
    match builds.find(|(_, features)| features.split(',').any(|feature| feature == FORBIDDEN)) {
        None => Ok(()),
        Some((package, _)) => Err(format!(
            "{package} is built with `{FORBIDDEN}`, which slows every user of it; \
             `cargo tree --workspace --edges features --invert {CRATE}` shows who asks for its default features"
        )),
    }
}

const CRATE: &str = "lz4_flex";
const FORBIDDEN: &str = "safe-encode";

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
ipc-core v0.1.0 (/somewhere/crates/ipc-core)|default,lz4,zstd
lz4_flex v0.14.0|alloc,frame,std
twox-hash v2.1.2|xxhash32
lz4_flex v0.14.0|alloc,frame,std (*)
";

    #[test]
    fn passes_without_the_feature() {
        assert_eq!(judge(GOOD), Ok(()));
    }

    #[test]
    fn fails_with_the_feature() {
        for features in ["alloc,default,frame,safe-decode,safe-encode,std", "safe-encode"] {
            let bad = GOOD.replace("alloc,frame,std", features);
            let message = judge(&bad).unwrap_err();
            assert!(message.contains("lz4_flex v0.14.0"), "{message}");
        }
    }

    #[test]
    fn fails_where_only_one_of_two_versions_or_a_repeated_line_has_the_feature() {
        for line in ["lz4_flex v0.13.0|safe-encode,std", "lz4_flex v0.13.0|safe-encode (*)"] {
            let message = judge(&format!("{GOOD}{line}\n")).unwrap_err();
            assert!(message.contains("lz4_flex v0.13.0"), "{message}");
        }
    }

    #[test]
    fn fails_where_there_is_nothing_to_check() {
        assert!(judge("").is_err());
        assert!(judge("zstd v0.14.0|\nlz4_flex_two v1.0.0|std\n").is_err());
    }

    #[test]
    fn other_features_and_packages_are_none_of_its_business() {
        let others = "lz4_flex v0.14.0|safe-decode,std\nlz4_flex_two v1.0.0|safe-encode\nx v1.0.0|not-safe-encode\n";
        assert_eq!(judge(others), Ok(()));
    }
}
