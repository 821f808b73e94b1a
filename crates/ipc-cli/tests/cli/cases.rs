//! What all three commands make of each small input that once was got wrong: one account of it.
//!
//! Fails where a command takes for whole what another refuses, where rows are lost without a word, and where what comes
//! out cannot be read by pyarrow.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{batch, case, folder, merge_badly, program, put, python, stream, text};

/// An input in `tests/cases`, and what the commands say of it.
struct Row {
    name: &'static str,
    inspect: Told,
    recover: Told,
    salvage: Told,
    /// To a stream.
    merge: Told,
}

/// How a command ends.
enum Told {
    /// With status 0, having written so many rows, if it writes.
    Whole(usize),
    /// With this status, having written so many rows; and what it says.
    Rows(i32, usize, &'static str),
    /// With status 1 and without an output; and what it says.
    Refused(&'static str),
}

use Told::{Refused, Rows, Whole};

const ROWS: &[Row] = &[
    Row {
        name: "outer_dictionary_first.arrows",
        inspect: Whole(3),
        recover: Rows(0, 3, "already complete"),
        salvage: Rows(0, 3, "already complete"),
        merge: Whole(3),
    },
    Row {
        name: "inner_replaced_alone.arrows",
        inspect: Whole(4),
        recover: Rows(0, 4, "already complete"),
        salvage: Rows(0, 4, "already complete"),
        merge: Whole(4),
    },
    Row {
        name: "unpadded_body.arrows",
        inspect: Refused("18 bytes long, which is not a multiple of 8"),
        recover: Refused("18 bytes long, which is not a multiple of 8"),
        salvage: Rows(3, 0, "18 bytes long, which is not a multiple of 8"),
        merge: Refused("18 bytes long, which is not a multiple of 8"),
    },
    Row {
        name: "interleaved.arrows",
        inspect: Refused("starts with the header of another"),
        recover: Refused("starts with the header of another"),
        salvage: Rows(3, 100, "starts with the header of another"),
        merge: Refused("starts with the header of another"),
    },
    Row {
        name: "torn_at_close_null_keys.arrow",
        inspect: Refused("truncated"),
        recover: Rows(0, 2, "torn at its end"),
        salvage: Rows(0, 2, "torn at its end"),
        merge: Refused("no footer"),
    },
    Row {
        name: "footer_names_one_of_two.arrow",
        inspect: Refused("the footer does not list every whole message"),
        recover: Rows(0, 4, "complete, but for its end"),
        salvage: Rows(0, 4, "the footer does not list every whole message"),
        merge: Refused("the footer does not list every whole message"),
    },
    Row {
        name: "replaced-in-file.arrow",
        inspect: Refused("column `w` has a second dictionary (id 0) that differs from the one at byte 160"),
        recover: Refused("column `w` has a second dictionary (id 0) that differs from the one at byte 160"),
        // What stands before it, and no value more.
        salvage: Rows(3, 2, "column `w` has a second dictionary (id 0) that differs from the one at byte 160"),
        merge: Refused("column `w` has a second dictionary (id 0) that differs from the one at byte 160"),
    },
    Row {
        name: "two_streams.arrows",
        inspect: Rows(0, 9, "stream 2 from byte 616 on: 3 rows"),
        recover: Rows(0, 9, "joined into one"),
        salvage: Rows(0, 9, "joined into one"),
        merge: Whole(9),
    },
    Row {
        name: "no_marker_then_schema.arrows",
        inspect: Refused("the previous one has no end-of-stream marker"),
        recover: Rows(0, 9, "the previous one has no end-of-stream marker"),
        salvage: Rows(0, 9, "the previous one has no end-of-stream marker"),
        merge: Refused("`arrow-ipc recover` keeps the batches of both"),
    },
    Row {
        name: "two_schemas.arrows",
        inspect: Refused("the schema message is repeated"),
        recover: Rows(0, 600, "the schema message is repeated"),
        salvage: Rows(0, 600, "the schema message is repeated"),
        merge: Refused("`arrow-ipc recover` skips it"),
    },
    Row {
        name: "js-plain.arrow",
        inspect: Whole(3),
        recover: Rows(0, 3, "already complete"),
        salvage: Rows(0, 3, "already complete"),
        merge: Whole(3),
    },
    Row {
        name: "js-grows.arrow",
        inspect: Whole(6),
        recover: Rows(0, 6, "already complete"),
        salvage: Rows(0, 6, "already complete"),
        merge: Whole(6),
    },
    Row {
        name: "footer-names-delta-first.arrow",
        inspect: Refused("the footer lists a delta of dictionary 0 of column `w` before the dictionary"),
        recover: Rows(0, 4, "the footer lists a delta"),
        salvage: Rows(0, 4, "the footer lists a delta"),
        merge: Refused("the footer lists a delta of dictionary 0 of column `w` before the dictionary"),
    },
    Row {
        name: "footer_repeats.arrow",
        inspect: Refused("the footer names this message twice (at byte 136)"),
        recover: Rows(0, 6, "the footer names this message twice"),
        salvage: Rows(0, 6, "the footer names this message twice"),
        merge: Refused("the footer names this message twice (at byte 136)"),
    },
];

#[test]
fn each_command_tells_the_same_of_an_input_that_was_got_wrong() {
    let python = python("pyarrow");
    for row in ROWS {
        let folder = folder();
        let input = case(row.name);
        let extension = input.extension().unwrap().to_str().unwrap();
        let recovered = folder.path().join("recovered").with_extension(extension);
        let (salvaged, merged) = (folder.path().join("salvaged"), folder.path().join("merged.arrows"));
        let run = |arguments: &[&str], output: Option<&Path>| {
            let mut command = program();
            command.arg(arguments[0]).arg(&input).args(&arguments[1..]);
            if let Some(output) = output {
                command.arg("--output").arg(output);
            }
            command.output().unwrap()
        };
        check(row.name, &run(&["inspect"], None), &row.inspect, None);
        for (arguments, output, told) in [
            (&["recover"][..], &recovered, &row.recover),
            (&["recover", "--salvage"], &salvaged, &row.salvage),
            (&["merge"], &merged, &row.merge),
        ] {
            let done = run(arguments, Some(output));
            let rows = output.exists().then(|| rows(python.as_deref(), output));
            check(row.name, &done, told, Some(rows));
        }
    }
}

/// Whether a command ended as it was to, having written so many rows; `None` of them where they are not counted.
fn check(name: &str, done: &Output, told: &Told, rows: Option<Option<Option<usize>>>) {
    let said = text(&done.stdout) + &text(&done.stderr);
    let (status, written, words) = match told {
        Whole(rows) => (0, Some(*rows), ""),
        Rows(status, rows, words) => (*status, Some(*rows), *words),
        Refused(words) => (1, None, *words),
    };
    assert!(done.status.code() == Some(status) && said.contains(words), "{name}: {:?}: {said}", done.status);
    match rows {
        None => assert!(written.is_none_or(|rows| said.contains(&format!("{rows} row"))), "{name}: {said}"),
        Some(None) => assert!(written.is_none(), "{name}: nothing written: {said}"),
        Some(Some(None)) => {} // There is no pyarrow.
        Some(Some(found)) => assert_eq!(found, written, "{name}: {said}"),
    }
}

/// How many rows pyarrow finds, which validates them.
fn rows(python: Option<&Path>, output: &Path) -> Option<usize> {
    let script = "import sys, pyarrow.ipc as ipc\n\
                  opened = ipc.open_file if open(sys.argv[1], 'rb').read(6) == b'ARROW1' else ipc.open_stream\n\
                  table = opened(sys.argv[1]).read_all()\n\
                  table.validate(full=True)\n\
                  print(table.num_rows)";
    let done = Command::new(python?).args(["-c", script]).arg(output).output().unwrap();
    let (said, errors) = (text(&done.stdout), text(&done.stderr));
    Some(said.trim().parse().unwrap_or_else(|_| panic!("{}: {errors}", output.display())))
}

/// Text in UTF-16 starts like a length; an end-of-stream marker alone, and a magic alone, are no streams and no files.
#[test]
fn what_starts_like_an_input_and_is_none_is_named_alike() {
    let folder = folder();
    let utf16: Vec<u8> = "\u{feff}a,b\n1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, words) in [
        (&utf16[..], "is neither an Arrow IPC file nor a stream"),
        (&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], "expected a schema message, found an end-of-stream marker"),
        (&[0xff, 0xff, 0xff, 0xff, 8, 0, 0, 0], "expected a schema message, found an abort mark"),
        (b"ARROW1\0\0", "truncated"),
    ] {
        let input = put(&folder, "input", bytes);
        let told = merge_badly(folder.path(), &[&input], &folder.path().join("out.arrow"), &[]);
        assert!(told.contains(words), "{words}: {told}");
        for command in [&["inspect"][..], &["recover", "--output", "nowhere.arrow"]] {
            let done = program().arg(command[0]).arg(&input).args(&command[1..]).output().unwrap();
            assert!(done.status.code() == Some(1) && text(&done.stderr).contains(words), "{}", text(&done.stderr));
        }
    }
}

/// Of a next message, only the first bytes of its prefix came. Nothing tells them from other bytes, and no row is lost with
/// them.
#[test]
fn a_prefix_that_is_torn_is_told_alike_and_costs_no_row() {
    let folder = folder();
    let whole = stream(&[batch(1, 5), batch(2, 6)]);
    let output = folder.path().join("out.arrows");
    let place = format!("(at byte {})", whole.len() - 8);
    for prefix in [&[0xff, 0xff, 0xff, 0xff, 0x20, 1, 0][..], &[0x20, 1, 0], &[0, 0, 0]] {
        for length in 1..=prefix.len() {
            let input = put(&folder, "in.arrows", &[&whole[..whole.len() - 8], &prefix[..length]].concat());
            let told = merge_badly(folder.path(), &[&input], &output, &[]);
            assert!(told.contains("inside the prefix of a message") && told.contains(&place), "{length}: {told}");
            let shown = program().arg("inspect").arg(&input).output().unwrap();
            assert_eq!((shown.status.code(), text(&shown.stderr)), (Some(1), told), "{length}");
            let done = program().arg("recover").arg(&input).arg("--output").arg(&output).output().unwrap();
            let told = text(&done.stderr);
            assert!(done.status.success() && told.contains("torn at its end"), "{length}: {told}");
            assert!(told.contains(&format!("cut {length} B from byte {}", whole.len() - 8)), "{told}");
            assert_eq!(std::fs::read(&output).unwrap(), whole, "{length}");
            std::fs::remove_file(&output).unwrap();
        }
    }
}

#[test]
fn an_inner_dictionary_that_is_replaced_alone_is_what_the_outer_one_refers_to() {
    let folder = folder();
    let merged = folder.path().join("merged.arrows");
    let done = program().arg("merge").arg(case("inner_replaced_alone.arrows")).arg("--output").arg(&merged).output();
    assert!(done.unwrap().status.success());
    let Some(python) = python("pyarrow") else { return };
    // One batch after another: the values of those before change with the dictionary.
    let script = "import sys, pyarrow.ipc as ipc\n\
                  print([row['x'] for batch in ipc.open_stream(sys.argv[1]) for row in batch['c'].to_pylist()])";
    for input in [case("inner_replaced_alone.arrows"), merged] {
        let done = Command::new(&python).args(["-c", script]).arg(&input).output().unwrap();
        assert_eq!(text(&done.stdout).trim(), "['a', 'b', 'c', 'd']", "{}: {}", input.display(), text(&done.stderr));
    }
}
