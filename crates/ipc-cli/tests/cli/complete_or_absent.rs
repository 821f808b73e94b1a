//! The output appears under its name only when it is complete; what stood there before stays until then.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{batch, file, folder, merge_badly, merge_well, names, program, put, read, stream};

#[test]
fn the_name_appears_at_the_end() {
    let folder = folder();
    let output = put(&folder, "out.arrow", b"what stood here before");
    let bytes = stream(&(0..10).map(|n| batch(n, 1_000)).collect::<Vec<_>>());
    let mut child =
        program().args(["merge", "-", "--quiet", "--output"]).arg(&output).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&bytes[..bytes.len() / 2]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while names(folder.path()).len() < 2 {
        assert!(Instant::now() < deadline, "no temporary file appeared");
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(fs::read(&output).unwrap(), b"what stood here before");
    stdin.write_all(&bytes[bytes.len() / 2..]).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    assert_eq!(read(&output).len(), 10);
    assert_eq!(names(folder.path()), [output]);
}

#[test]
fn an_error_in_the_middle_leaves_what_stood_there() {
    let folder = folder();
    let output = put(&folder, "out.arrow", b"what stood here before");
    let whole = stream(&(0..30).map(|n| batch(n, 1_000)).collect::<Vec<_>>());
    let input = put(&folder, "cut.arrows", &whole[..whole.len() - 1_000]);
    let told = merge_badly(folder.path(), &[&input], &output, &["--threads", "2"]);
    assert!(told.contains("truncated"), "{told}");
    assert_eq!(fs::read(&output).unwrap(), b"what stood here before");
}

#[cfg(unix)]
#[test]
fn the_output_has_the_permissions_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let input = put(&folder, "a.arrow", &file(&[batch(1, 5)]));
    let output = folder.path().join("out.arrow");
    merge_well(&[&input], &output, &[]);
    let mode = |path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&output), mode(&input));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let folder = folder();
    let input = put(&folder, "a.arrow", &file(&[batch(1, 50_000)]));
    let told = merge_badly(folder.path(), &[&input], std::path::Path::new("/dev/full"), &["--format", "file"]);
    assert!(told.contains("/dev/full: No space left on device"), "{told}");
}
