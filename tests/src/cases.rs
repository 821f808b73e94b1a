//! How many cases a property is tried with.

use proptest::prelude::ProptestConfig;

/// So many cases as usual, or as many as the environment variable `PROPTEST_CASES` says: fewer where each takes long,
/// as under valgrind, more where somebody has the time. Types that a property is not about may be drawn freely.
#[must_use]
pub fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = asked.unwrap_or(usual);
    ProptestConfig { failure_persistence: None, max_global_rejects: 50 * cases, cases, ..ProptestConfig::default() }
}
