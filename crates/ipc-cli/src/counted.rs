//! Writes numbers of things.

use indicatif::HumanCount;

/// Formats a number of things.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", HumanCount(count), if count == 1 { one } else { many })
}
