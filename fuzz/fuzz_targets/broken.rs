//! See [`ipc_fuzz::broken`].

#![cfg_attr(fuzzing, no_main)]

ipc_fuzz::target!(ipc_fuzz::broken::run);
