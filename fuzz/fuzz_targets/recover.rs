//! See [`ipc_fuzz::recover`].

#![cfg_attr(fuzzing, no_main)]

ipc_fuzz::target!(ipc_fuzz::recover::run);
