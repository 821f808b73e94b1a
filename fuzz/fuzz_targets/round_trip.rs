//! See [`ipc_fuzz::round_trip`].

#![cfg_attr(fuzzing, no_main)]

ipc_fuzz::target!(ipc_fuzz::round_trip::run);
