//! The twins of the cases in `compile_fail/`. They compile with the test program, and nothing calls them.

#![allow(dead_code, clippy::unwrap_used, reason = "that they compile is the test")]

mod close_before_start;
mod close_twice;
mod footer_metadata_in_a_stream;
mod rollback_of_a_plain_file;
mod shared_rollback_of_a_plain_file;
mod start_twice;
mod start_with_twice;
mod sync_of_a_buffered_file;
mod use_after_abandon;
mod use_after_close;
mod use_after_into_inner;
mod use_after_start;
mod write_after_close;
mod write_before_start;
