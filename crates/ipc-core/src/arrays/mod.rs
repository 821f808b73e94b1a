//! Reads arrays that unsafe code may have built wrong: checks what it relies on, and never panics.
//!
//! It knows types, rows and values, and nothing of messages.

pub(crate) mod children;
pub(crate) mod compare;
pub(crate) mod shape;
pub(crate) mod spans;
pub(crate) mod validate;
pub(crate) mod views;
pub(crate) mod visible;
