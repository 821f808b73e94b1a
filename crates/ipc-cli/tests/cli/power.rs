//! After a loss of power at any moment, an output's name is that of nothing, of what had it before, or of all of the
//! output; and once the tool has ended well, only of the last.
//!
//! strace tells in which order the tool writes, syncs and renames. A name that is not synced may be there after a loss of
//! power or not, and bytes that are not synced may be missing. Fails where the rename comes before the sync of the file,
//! where anything is written behind that, or where the folder is not synced at the end.

#![cfg(target_os = "linux")]

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use ipc_tests::outside::{aloud, strace};

use crate::support::{batch, file, folder, put};

/// What the tool did, as far as it matters to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// Wrote to the file, under its first name, or cut it.
    Write,
    /// Had the file synced.
    Sync,
    /// Gave it its name.
    Rename,
    /// Had the names in the folder synced.
    SyncFolder,
}

/// What the output's name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Before,
    Whole,
    Partial,
}

#[test]
fn a_name_stands_for_all_of_an_output_or_for_what_had_it_before() {
    let mut states = 0;
    for command in ["merge", "recover"] {
        for had_it_before in [false, true] {
            let folder = folder();
            let input = put(&folder, "in.arrow", &file(&[batch(0, 5000), batch(1, 5000)]));
            let output = folder.path().join("out.arrow");
            if had_it_before {
                fs::write(&output, "before").unwrap();
            }
            let Some(events) = events(command, &input, &output) else { return };
            assert!(events.iter().filter(|event| **event == Event::Write).count() > 0, "{events:?}");
            for count in 0..=events.len() {
                let states_now = named(&events[..count]);
                assert!(!states_now.contains(&Named::Partial), "behind {count} of {events:?}");
                states += states_now.len();
            }
            assert_eq!(named(&events), [Named::Whole], "once it has ended: {events:?}");
        }
    }
    aloud(format_args!("{states} states of names, none of them partial"));
}

/// What the name may stand for after a loss of power behind these events.
fn named(events: &[Event]) -> Vec<Named> {
    let last = |of: Event| events.iter().rposition(|event| *event == of);
    let is_synced = last(Event::Write) < last(Event::Sync);
    let renamed = if is_synced { Named::Whole } else { Named::Partial };
    match (last(Event::Rename), last(Event::SyncFolder)) {
        (None, _) => vec![Named::Before],
        (Some(rename), Some(sync)) if rename < sync => vec![renamed],
        (Some(_), _) => vec![Named::Before, renamed],
    }
}

/// Runs the tool. `None`, said aloud, where strace may not.
fn events(command: &str, input: &Path, output: &Path) -> Option<Vec<Event>> {
    let calls = "trace=write,writev,pwrite64,pwritev,ftruncate,fsync,fdatasync,rename,renameat,renameat2";
    let program = [env!("CARGO_BIN_EXE_arrow-ipc"), command].map(OsStr::new);
    let program = [&program[..], &[input.as_os_str(), "--output".as_ref(), output.as_os_str()]].concat();
    let (done, trace) = strace(&["-y", "-e", calls], &program)?;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let folder = format!("<{}>", output.parent().unwrap().display());
    let name = format!("\"{}\"", output.display());
    let event = |line: &str| {
        let call = line.split_whitespace().nth(1)?;
        let is_of_file = call.contains("/.arrow-ipc-");
        if call.starts_with("rename") || line.contains(" rename") {
            assert!(line.contains(&name) && line.contains(".arrow-ipc-"), "{line}");
            return Some(Event::Rename);
        }
        if call.starts_with("fsync") || call.starts_with("fdatasync") {
            return if is_of_file { Some(Event::Sync) } else { call.contains(&folder).then_some(Event::SyncFolder) };
        }
        is_of_file.then_some(Event::Write)
    };
    Some(trace.lines().filter_map(event).collect())
}
