//! See [`ipc_fuzz::options`].

#![cfg_attr(fuzzing, no_main)]

ipc_fuzz::target!(ipc_fuzz::options::run);
