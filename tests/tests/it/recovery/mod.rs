//! What `ipc-recover` promises. One promise to a file.

mod any_input;
mod before_the_tail;
mod checksums;
mod confirmed;
mod contradictions;
mod cuts;
mod dictionaries;
mod file_dictionaries;
mod interleaved;
mod linear_time;
mod many_columns;
mod sound_inputs;
mod streams;
mod support;
