//! The contract of the shared writer, one module per promise, each at 2, 4 and 16 threads, as a stream and as a file.
//!
//! | promise | module |
//! |---|---|
//! | one schema message, whole messages, no interleaving | [`one_schema`] |
//! | what returned `Ok` is in the output once, before the end | [`ok_means_written`] |
//! | nothing is appended after `close` | [`nothing_after_close`] |
//! | `close` before any schema writes nothing | [`close_without_schema`] |
//! | a `close` that fails is only to be repeated | [`close_that_fails`] |
//! | a sink that fails between messages may be used again | [`sink_errors`] |
//! | nothing follows torn bytes, and every call says why | [`torn_output`] |
//! | torn bytes are taken back, and nothing accepted is lost | [`rollback`] |
//! | a sync confirms, or ends everything | [`sync`] |
//! | a panic in the sink wakes everybody; elsewhere it harms nobody | [`panics`] |
//! | what does not fit is refused, and leaves nothing behind | [`refusals`] |
//! | what was given up never passes for whole | [`dropped_without_close`], [`aborted`], [`aborted_anywhere`] |
//! | a sink may not call back | [`reentrant_calls`] |
//! | places come out in the order of reservation | [`slots`], [`slots_at_close`] |
//! | a slot whose write failed comes back with its place | [`slots_that_fail`] |
//! | a slot that a panic takes along is missed | [`slots_that_are_lost`] |
//! | nobody starves while others keep the window busy, and places are given in turn | [`slots_starve_nobody`] |
//! | what was accepted in a place is not lost, nor refused later | [`slots_and_sink_errors`], [`slots_and_dictionaries`] |
//! | encoding, compression and comparison are done outside the lock | [`outside_the_lock`] |
//! | some calls need no lock | [`without_the_lock`] |
//! | dictionaries are decided on what has really been sent | [`dictionaries`] |
//! | with unified dictionaries, each value is sent once, in time, and nobody is refused | [`unified`] |
//! | handles: producers, metadata, `flush`, `into_inner` | [`handles`] |
//!
//! What the lock is not held for is also in `shared_lock_is_light.rs`, which needs an allocator of its own, and all
//! together, at random, in `shared_stress.rs`.

mod aborted;
mod aborted_anywhere;
mod close_that_fails;
mod close_without_schema;
mod dictionaries;
mod dropped_without_close;
mod handles;
mod nothing_after_close;
mod ok_means_written;
mod one_schema;
mod outside_the_lock;
mod panics;
mod reentrant_calls;
mod refusals;
mod rollback;
mod sink_errors;
mod slots;
mod slots_and_dictionaries;
mod slots_and_sink_errors;
mod slots_at_close;
mod slots_starve_nobody;
mod slots_that_are_lost;
mod slots_that_fail;
mod sync;
mod torn_output;
mod unified;
mod without_the_lock;

/// Two tests for each body that is generic over the format: `NAME::as_a_stream` and `NAME::as_a_file`, each at every
/// width.
macro_rules! in_both_formats {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn as_a_stream() {
                ipc_tests::threads::at_every_width(super::$name::<ipc_shared::StreamFormat>);
            }

            #[test]
            fn as_a_file() {
                ipc_tests::threads::at_every_width(super::$name::<ipc_shared::FileFormat>);
            }
        }
    )+};
}
pub(crate) use in_both_formats;
