//! The tests of the workspace, one module per promise, in one program: linking arrow takes longer than compiling a test.
//!
//! A test has a program of its own, beside this folder, only where it must be alone in a process: `memory_given_back`
//! counts the memory of all threads, `publish_after_threads` the threads that the process has had, and
//! `shared_lock_is_light` has another allocator. Code that must not compile is in the package `tests/compile`, which has
//! fewer dependencies.
//!
//! All tests here may run at the same time. None may change what belongs to the process: environment variables, the
//! current directory, the panic hook, limits.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod bad_batches;
mod checksums;
mod compressed_buffers;
mod crash;
mod dictionaries;
mod encoder_faults;
mod extension_types;
#[cfg(target_os = "linux")]
mod failed_sync;
mod file_layout;
#[cfg(target_os = "linux")]
mod full_disk;
mod given_up;
mod golden;
mod header_and_end;
mod no_allocations;
mod one_call_per_message;
mod owned_messages;
mod parts;
mod record_batch_writer;
mod recovery;
mod refusals;
mod round_trip;
mod same_bodies;
mod secrets;
mod shared;
mod shared_faults;
mod shared_stress;
mod unified;
mod unified_round_trip;

use ipc_tests::allocations::Counting;

/// Counts by thread, for the tests that limit allocations.
#[global_allocator]
static ALLOCATOR: Counting = Counting;
