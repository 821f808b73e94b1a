//! The examples of the README and of the user's guide, as doctests.
//!
//! There is no code here. `cargo test -p ipc-docs` runs every Rust block of these pages, and checks the links of all
//! documents. The commands in them are run by the tests of `ipc-cli`.

#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../README.md")]
    mod readme {}
    #[doc = include_str!("../guide/src/introduction.md")]
    mod introduction {}
    #[doc = include_str!("../guide/src/first-programs.md")]
    mod first_programs {}
    #[doc = include_str!("../guide/src/dictionaries.md")]
    mod dictionaries {}
    #[doc = include_str!("../guide/src/readers.md")]
    mod readers {}
    #[doc = include_str!("../guide/src/ordering.md")]
    mod ordering {}
    #[doc = include_str!("../guide/src/failure.md")]
    mod failure {}
    #[doc = include_str!("../guide/src/tuning.md")]
    mod tuning {}
    #[doc = include_str!("../guide/src/errors.md")]
    mod errors {}
    #[doc = include_str!("../guide/src/migrating.md")]
    mod migrating {}
}
