//! A bad input or output is told in one line that names it, with status 1, and leaves nothing behind.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, RecordBatch, UInt64Array};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};

use crate::support::{batch, data, file, folder, inspect, merge, merge_badly, names, program, put, run, stream, text};

#[test]
fn what_is_no_arrow_is_refused() {
    let folder = folder();
    for (name, content) in
        [("text.txt", &b"city,height\nLima,154\n"[..]), ("empty", b""), ("short", b"AR"), ("zeros", &[0; 100])]
    {
        let input = put(&folder, name, content);
        let told = merge_badly(folder.path(), &[&input], &folder.path().join("out.arrow"), &[]);
        assert!(told.contains(name), "{told}");
        assert!(told.contains("neither an Arrow IPC file nor a stream") || told.contains("is empty"), "{told}");
    }
}

#[test]
fn what_cannot_be_read_is_refused() {
    let folder = folder();
    let output = folder.path().join("out.arrow");
    let told = merge_badly(folder.path(), &[Path::new("nowhere.arrow")], &output, &[]);
    assert!(told.contains("nowhere.arrow: No such file"), "{told}");
    let told = merge_badly(folder.path(), &[folder.path()], &output, &[]);
    assert!(told.contains("is a directory"), "{told}");
}

#[test]
fn another_schema_is_refused_by_its_first_difference() {
    let folder = folder();
    let other = |name: &str, values: ArrayRef| {
        RecordBatch::try_from_iter([("number", values), (name, batch(1, 2).column(1).clone())]).unwrap()
    };
    let first = put(&folder, "first.arrow", &file(&[batch(1, 2)]));
    let of_type = put(&folder, "of_type.arrows", &stream(&[other("name", Arc::new(Int32Array::from(vec![1, 2])))]));
    let of_name = put(&folder, "of_name.arrow", &file(&[other("title", batch(1, 2).column(0).clone())]));
    let output = folder.path().join("out.arrow");
    let told = merge_badly(folder.path(), &[&first, &of_type], &output, &[]);
    for part in ["of_type.arrows: ", "first.arrow", "`number`", "Int64", "Int32"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let told = merge_badly(folder.path(), &[&first, &of_name], &output, &[]);
    assert!(told.contains("name") && told.contains("title"), "{told}");
}

#[test]
fn every_cut_of_a_stream_is_refused_or_between_messages() {
    let folder = folder();
    let whole = stream(&[batch(1, 4), batch(2, 5)]);
    let input = folder.path().join("cut.arrows");
    let output = folder.path().join("out.arrow");
    let mut between = 0;
    for length in (1..whole.len() - 8).step_by(7).chain(whole.len() - 8..whole.len() - 8 + 1) {
        fs::write(&input, &whole[..length]).unwrap();
        let done = merge(&[&input], &output, &["--threads", "2"]);
        if done.status.success() {
            between += 1;
            fs::remove_file(&output).unwrap();
        } else {
            let told = text(&done.stderr);
            assert_eq!(done.status.code(), Some(1), "{told}");
            assert!(told.contains("truncated") || told.contains("neither"), "cut after {length}: {told}");
            assert_eq!(names(folder.path()).len(), 1, "nothing is left behind");
        }
    }
    assert!((1..=3).contains(&between), "{between} cuts were between messages");
}

#[test]
fn a_file_without_footer_is_refused_with_a_hint() {
    let folder = folder();
    let whole = file(&[batch(1, 4), batch(2, 5)]);
    for length in [whole.len() - 1, whole.len() - 20, whole.len() / 2, 30, 9] {
        let input = put(&folder, "cut.arrow", &whole[..length]);
        let told = merge_badly(folder.path(), &[&input], &folder.path().join("out.arrow"), &[]);
        assert!(told.contains("truncated") && told.contains("no footer") && told.contains("inspect"), "{told}");
    }
}

#[test]
fn the_output_must_not_be_an_input_by_any_name() {
    let folder = folder();
    let input = put(&folder, "a.arrow", &file(&[batch(1, 4)]));
    let before = fs::read(&input).unwrap();
    let other = put(&folder, "b.arrow", &before);
    let mut names =
        vec![input.clone(), folder.path().join("../").join(folder.path().file_name().unwrap()).join("a.arrow")];
    #[cfg(unix)]
    {
        let (hard, symbolic) = (folder.path().join("hard.arrow"), folder.path().join("symbolic.arrow"));
        fs::hard_link(&input, &hard).unwrap();
        std::os::unix::fs::symlink(&input, &symbolic).unwrap();
        names.extend([hard, symbolic]);
    }
    for name in names {
        let told = merge_badly(folder.path(), &[&other, &input], &name, &[]);
        assert!(told.contains("is also the output"), "{told}");
        assert_eq!(fs::read(&input).unwrap(), before);
    }
    #[cfg(unix)]
    for way in ["merge", "recover"] {
        let appended = fs::OpenOptions::new().append(true).open(&input).unwrap();
        let mut command = program();
        command.arg(way).arg(&input).args(["--output", "-"]);
        let done = command.stdout(appended).output().unwrap();
        assert!(text(&done.stderr).contains("is also the output"), "{way}: {}", text(&done.stderr));
        assert_eq!((done.status.code(), fs::read(&input).unwrap()), (Some(1), before.clone()), "{way}");
    }
}

#[test]
fn a_name_from_an_input_does_not_reach_the_terminal_as_it_is() {
    let folder = folder();
    let column = |name: &str| RecordBatch::try_from_iter([(name, batch(1, 2).column(0).clone())]).unwrap();
    let first = put(&folder, "first.arrow", &file(&[column("a\x1b]0;owned\x07")]));
    let second = put(&folder, "second.arrow", &file(&[column("b")]));
    let told = merge_badly(folder.path(), &[&first, &second], &folder.path().join("out.arrow"), &[]);
    assert!(told.contains(r"a\u{1b}]0;owned\u{7}") && !told.trim_end().contains(char::is_control), "{told:?}");
}

/// A codec could fill so much memory with so many bytes, but these do not.
#[cfg(target_os = "linux")]
#[test]
fn what_claims_more_than_memory_can_hold_is_refused() {
    let folder = folder();
    let halves = (0..1_u64 << 20).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32);
    let column: ArrayRef = Arc::new(UInt64Array::from_iter_values(halves));
    let batch = RecordBatch::try_from_iter([("number", column)]).unwrap();
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), batch.schema_ref(), options).unwrap();
    writer.write(&batch).unwrap();
    let mut bytes = writer.into_inner().unwrap();
    let frame = bytes.windows(4).position(|bytes| bytes == [0x04, 0x22, 0x4D, 0x18]).unwrap();
    bytes[frame - 8..frame].copy_from_slice(&(1_u64 << 30).to_le_bytes());
    let input = put(&folder, "claims.arrows", &bytes);
    let before = names(folder.path());
    let line = "ulimit -v 800000; exec \"$0\" merge \"$1\" --output \"$2\" --threads 1";
    let mut command = Command::new("sh");
    command.args(["-c", line]).arg(program().get_program()).arg(&input).arg(folder.path().join("out.arrow"));
    let done = command.output().unwrap();
    let told = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{told}");
    assert!(told.contains("claims to decompress to more than memory can hold"), "{told}");
    assert_eq!(names(folder.path()), before, "nothing is left behind");
}

#[test]
fn damage_in_one_batch_of_many_is_told_with_its_place() {
    let folder = folder();
    let mut bytes = stream(&(0..50).map(|n| batch(n, 100)).collect::<Vec<_>>());
    let last = inspect(&put(&folder, "whole.arrows", &bytes)).0["messages"][50].clone();
    let length = |key: &str| usize::try_from(last[key].as_u64().unwrap()).unwrap();
    let body = length("offset") + length("metadata_length");
    // Among it, offsets of strings that point far beyond their data.
    bytes[body..body + length("body_length")].fill(0x7f);
    let input = put(&folder, "damaged.arrows", &bytes);
    let told = merge_badly(folder.path(), &[&input], &folder.path().join("out.arrow"), &["--threads", "4"]);
    assert!(told.contains("damaged.arrows: damaged record batch") && told.contains("at byte"), "{told}");
}

#[test]
fn no_damaged_input_makes_it_panic_or_hang() {
    let Some(fuzz) = data("fuzz") else { return };
    let folder = folder();
    for kind in ["arrow-ipc-file", "arrow-ipc-stream"] {
        for input in names(&fuzz.join(kind)) {
            let output = folder.path().join("out.arrows");
            let told = merge_badly(folder.path(), &[&input], &output, &["--threads", "2", "--quiet"]);
            assert!(!told.contains("internal error"), "{told}");
        }
    }
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    let folder = folder();
    let input = put(&folder, "a.arrow", &file(&[batch(1, 4)]));
    let told = merge_badly(folder.path(), &[&input], Path::new("/nowhere/at/all/out.arrow"), &[]);
    assert!(told.contains("/nowhere/at/all/out.arrow: the folder /nowhere/at/all does not exist"), "{told}");
}

#[test]
fn bad_usage_has_status_2() {
    for arguments in [&["merge"][..], &["merge", "a", "--output", "b.bin"], &["inspect"], &["frobnicate"]] {
        assert_eq!(run(arguments.iter().copied()).status.code(), Some(2), "{arguments:?}");
    }
}
