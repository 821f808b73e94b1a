//! Whoever is killed, whenever, loses nothing that was confirmed.
//!
//! `merge` is killed at 200 random moments: its output is complete then, or not there. What it leaves behind is its
//! temporary file, `.arrow-ipc-*.tmp` beside the output, which nobody else removes. A program that writes a file with
//! `ipc-core`, and says after each flush how many batches it has written, is killed at 200 random moments, too:
//! `recover` brings back at least those, and all that it brings back is right.
//!
//! Fails where the output gets its name before it is complete, where `flush` returns before all is written, and where
//! recovery cuts too much, or too little.

#![cfg(unix)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use arrow_array::RecordBatch;
use ipc_core::Encoder;
use ipc_recover::{Error, RecoverOptions, Source};

use crate::support::{
    Pair, batch, file, folder, interruptible_program, judge, names, program, put, read, stream, told_to_stop,
};

const KILLS: u64 = 200;

/// Numbers that look random, from 0 to 999.
fn random(number: u64) -> u64 {
    let mixed = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) % 1_000
}

/// Kills with a signal that nobody can catch.
fn kill(mut child: Child) -> bool {
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

fn recover(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut output = Vec::new();
    let mut source = Source::from(bytes);
    ipc_recover::recover(&mut source, &mut output, &RecoverOptions::default())?;
    Ok(output)
}

#[test]
fn a_merge_leaves_all_or_nothing() {
    let folder = folder();
    let batches: Vec<_> = (0..300).map(|number| batch(number, 300)).collect();
    let input = put(&folder, "in.arrows", &stream(&batches));
    let outputs = folder.path().join("outputs");
    fs::create_dir(&outputs).unwrap();
    let output = outputs.join("out.arrow");
    let merge = || {
        let mut command = program();
        command.args(["merge", "--quiet", "--output"]).args([&output, &input]).stdin(Stdio::null());
        command.spawn().unwrap()
    };
    let begin = Instant::now();
    assert!(merge().wait().unwrap().success());
    // How long a merge takes here, by and by: the machine may do other things, too.
    let mut usual = begin.elapsed();
    let (mut killed, mut complete, mut left) = (0, 0, 0);
    for number in 0..KILLS {
        let _ = fs::remove_file(&output);
        let child = merge();
        thread::sleep(usual.mul_f64(f64::from(u32::try_from(random(number)).unwrap()) / 800.0));
        let was_killed = kill(child);
        usual = usual.mul_f64(if was_killed { 1.03 } else { 0.9 });
        killed += u64::from(was_killed);
        for path in names(&outputs) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if path == output {
                assert_eq!(read(&output).len(), batches.len(), "kill {number}: the output is complete");
                complete += 1;
            } else {
                assert!(name.starts_with(".arrow-ipc-") && name.ends_with(".tmp"), "kill {number} left {name}");
                left += 1;
                // Even this can be recovered, if anything of it is written yet.
                let rest = fs::read(&path).unwrap();
                match recover(&rest) {
                    Ok(recovered) => {
                        let found = read(&put(&folder, "rest", &recovered));
                        assert_eq!(found, batches[..found.len()], "kill {number}");
                    }
                    Err(error) => assert!(matches!(error, Error::Hopeless(_)), "kill {number}: {error}"),
                }
                fs::remove_file(&path).unwrap();
            }
        }
    }
    println!("{KILLS} merges: {killed} were killed, {complete} outputs complete, {left} temporary files left behind");
    assert!(killed > KILLS / 10 && left > 0, "most merges were over before they were killed");
}

/// Told to stop while it waits for more input, it takes its temporary file with it, and ends by the signal it was told by.
#[test]
fn a_merge_that_is_told_to_stop_leaves_nothing() {
    for (signal, number) in [("-INT", 2), ("-TERM", 15)] {
        let folder = folder();
        let mut command = interruptible_program();
        command.args(["merge", "-", "--quiet", "--output"]).arg(folder.path().join("out.arrow"));
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let bytes = stream(&[batch(1, 300), batch(2, 300)]);
        // Open until the program has ended: an input that ends would be another reason to stop.
        let mut input = child.stdin.take().unwrap();
        input.write_all(&bytes[..bytes.len() / 2]).unwrap();
        while names(folder.path()).is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        // The file is there a moment before anybody looks after it.
        thread::sleep(Duration::from_millis(50));
        let status = told_to_stop(child, signal);
        drop(input);
        assert_eq!(status.signal(), Some(number), "{status}");
        assert!(names(folder.path()).is_empty(), "{signal}");
    }
}

/// The batch of this number: most of them small, so that several wait together, and some so large that none does.
fn numbered(number: usize) -> RecordBatch {
    batch(i64::try_from(number).unwrap(), if number % 7 == 6 { 8_000 } else { 100 + number % 50 })
}

/// Writes a file that `RAW_FILE` names, until it is killed. No test: another process of this binary.
#[test]
#[ignore = "runs until it is killed; another test does that"]
fn raw_writer() {
    let Some(path) = env::var_os("RAW_FILE") else { return };
    let first = numbered(0);
    let mut encoder = Encoder::file(File::create(path).unwrap()).start(first.schema()).unwrap();
    for number in 0.. {
        encoder.write(&numbered(number)).unwrap();
        if number % 3 == 2 {
            encoder.flush().unwrap();
            let mut stdout = std::io::stdout();
            writeln!(stdout, "confirmed {}", number + 1).and_then(|()| stdout.flush()).unwrap();
        }
    }
}

/// Runs [`raw_writer`] and kills it so long after its first confirmation. Returns how many batches it had confirmed.
fn confirmed_before_kill(path: &Path, moment: Duration) -> usize {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "killed::raw_writer", "--ignored", "--nocapture"])
        .env("RAW_FILE", path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let count = |line: &str| line.split_once("confirmed ")?.1.parse::<usize>().ok();
    let mut confirmed = lines.find_map(|line| count(&line.unwrap())).unwrap();
    thread::sleep(moment);
    assert!(kill(child), "it does not end by itself");
    for line in lines {
        confirmed = line.ok().and_then(|line| count(&line)).unwrap_or(confirmed);
    }
    confirmed
}

#[test]
fn a_file_that_was_never_closed_has_all_that_was_flushed() {
    let folder = folder();
    let (mut all_confirmed, mut all_found, mut torn) = (0, 0, 0);
    let mut pairs = Vec::new();
    for number in 0..KILLS {
        let path = folder.path().join("raw.arrow");
        let confirmed = confirmed_before_kill(&path, Duration::from_micros(random(number) * 20));
        let bytes = fs::read(&path).unwrap();
        let recovered = recover(&bytes).unwrap();
        let output: PathBuf = put(&folder, &format!("{number}.arrow"), &recovered);
        let found = read(&output);
        assert!(found.len() >= confirmed, "kill {number}: {} of {confirmed} confirmed batches", found.len());
        for (number, batch) in found.iter().enumerate() {
            assert_eq!(*batch, numbered(number));
        }
        all_confirmed += confirmed;
        all_found += found.len();
        // Without a tear, all that is missing is the end.
        torn += u64::from(!recovered.starts_with(&bytes));
        if number % 20 == 0 {
            let expected = file(&(0..found.len()).map(numbered).collect::<Vec<_>>());
            let read = put(&folder, &format!("{number}-expected.arrow"), &expected);
            pairs.push(Pair::by_batches(&read, output));
        } else {
            fs::remove_file(&output).unwrap();
        }
    }
    println!(
        "{KILLS} writers: {all_confirmed} batches confirmed, {all_found} recovered; {torn} files ended inside a message"
    );
    judge(&pairs);
}
