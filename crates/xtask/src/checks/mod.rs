//! What a chore looks at by itself. Each file holds one check, its parser, and samples that it must and must not pass.

pub(crate) mod imports;
