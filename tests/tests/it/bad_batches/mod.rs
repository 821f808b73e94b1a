//! A batch that contradicts its schema or itself is refused: by a typed error that names the column, before a byte of it
//! is written, and the writer goes on. It never panics, whatever unsafe code has put into an array.
//!
//! Fails where a check is missing or comes behind the first write, where one is wrong about whom it names, or where an
//! array is followed out of its buffers. Each fault is tried as a column and inside every other type, by an encoder and
//! by a shared writer in each of its ways to write, as stream and as file, with both kinds of validation.

mod broken;
mod harmless;
mod large;
mod nulls;
mod schemas;
mod weightless;
mod wraps;
mod writers;
