//! Checks that no tool makes. Each file has one check, its parser, and samples that must pass and must fail.

pub(crate) mod imports;
