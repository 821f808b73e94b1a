//! Memory is bounded: while nobody takes what comes out, only a few batches for each thread go in.

use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{batch, program, stream};

#[test]
fn what_goes_in_waits_for_what_comes_out() {
    // About 1 MiB each; with two threads, six places, one message in the reader's hand, and what the pipes hold.
    let batches: Vec<_> = (0..48).map(|n| batch(n, 40_000)).collect();
    let bytes = stream(&batches);
    let one = bytes.len() / batches.len();
    for order in ["input", "arrival"] {
        let mut child = program()
            .args(["merge", "-", "--output", "-", "--quiet", "--threads", "2", "--order", order])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let taken = Arc::new(AtomicUsize::new(0));
        let (counted, total) = (Arc::clone(&taken), bytes.len());
        let input = bytes.clone();
        let feeder = thread::spawn(move || {
            for piece in input.chunks(16 * 1024) {
                stdin.write_all(piece).unwrap();
                counted.fetch_add(piece.len(), Ordering::Relaxed);
            }
        });
        let stalled_at = until_it_stalls(&taken);
        assert!(stalled_at >= 2 * one, "{order}: it stalled early, after {stalled_at} bytes");
        assert!(stalled_at <= 10 * one, "{order}: {stalled_at} of {total} bytes went in while none came out");
        let mut written = Vec::new();
        stdout.read_to_end(&mut written).unwrap();
        feeder.join().unwrap();
        assert!(child.wait().unwrap().success());
        assert!(written.len() > total * 9 / 10, "{order}: all of it came out in the end");
    }
}

/// Waits until nothing has gone in for a while, and returns how much had.
fn until_it_stalls(taken: &AtomicUsize) -> usize {
    let (mut last, mut since) = (0, Instant::now());
    while last == 0 || since.elapsed() < Duration::from_millis(700) {
        let now = taken.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        thread::sleep(Duration::from_millis(10));
    }
    last
}
