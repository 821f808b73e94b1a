//! Nothing: a package to be selected beside others, so that cargo need not build arrow once more for them.
//!
//! Cargo builds a crate for each set of features that it, or a crate below it, has in the selected packages. A few
//! packages alone would have fewer features of syn and libc than the workspace, and so an arrow of their own.
