//! Whether a way writes what it was given: each line's two ways are read back once, before they are measured.

use std::io::Cursor;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::ArrowError;

use crate::writers::{Setup, Way, written};

/// Writes every batch at least twice, reads the output with arrow-rs's reader, and compares, in whatever order the
/// threads wrote them. Ways that write nothing have nothing to compare.
///
/// # Panics
///
/// Where the output cannot be read, or holds something else.
pub fn check(way: Way, setup: &Setup, batches: &[RecordBatch], folder: &Path) {
    // As many for each thread, so that each batch is written equally often.
    let count = 2 * batches.len() * setup.threads;
    let Some(bytes) = written(way, setup, batches, folder, count) else { return };
    let found = read(&bytes).map_err(|error| error.to_string()).and_then(|read| compare(&read, batches, count));
    if let Err(problem) = found {
        panic!("{setup}: {}: {problem}", way.name(setup));
    }
}

/// Whether `read` has each of `batches` equally often, and so many in all.
fn compare(read: &[RecordBatch], batches: &[RecordBatch], count: usize) -> Result<(), String> {
    if read.len() != count {
        return Err(format!("{} batches, not {count}", read.len()));
    }
    let mut found = vec![0; batches.len()];
    for batch in read {
        let index = batches.iter().position(|expected| expected == batch);
        found[index.ok_or("a batch that it was not given")?] += 1;
    }
    for (batch, found) in batches.iter().zip(found) {
        // Equal batches are counted at the first of them.
        let twins = batches.iter().filter(|other| *other == batch).count();
        if found != 0 && found != twins * count / batches.len() {
            return Err(format!("a batch {found} times"));
        }
    }
    Ok(())
}

/// The bytes of all record batches' bodies in a file, as its footer has them.
///
/// # Panics
///
/// Where it is no file.
#[must_use]
pub fn bodies(file: &[u8]) -> u64 {
    let (head, magic) = file.split_last_chunk::<6>().expect("a file is longer than its magic");
    assert_eq!(magic, b"ARROW1", "a file ends with its magic");
    let (head, length) = head.split_last_chunk().expect("the footer's length stands before the magic");
    let length = usize::try_from(i32::from_le_bytes(*length)).expect("the footer's length is not negative");
    let footer = arrow_ipc::root_as_footer(&head[head.len() - length..]).expect("the footer is a flatbuffer");
    let blocks = footer.recordBatches().expect("a file lists its batches");
    blocks.iter().map(|block| u64::try_from(block.bodyLength()).expect("no body's length is negative")).sum()
}

fn read(bytes: &[u8]) -> Result<Vec<RecordBatch>, ArrowError> {
    if bytes.starts_with(b"ARROW1") {
        FileReader::try_new(Cursor::new(bytes), None)?.collect()
    } else {
        StreamReader::try_new(Cursor::new(bytes), None)?.collect()
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::record_batch;

    use super::*;

    #[test]
    fn what_is_lost_doubled_or_foreign_is_found() {
        let [a, b, c] = [1, 2, 3].map(|i| record_batch!(("a", Int32, [i])).unwrap());
        let given = [a.clone(), b.clone()];
        let compared = |read: &[&RecordBatch]| {
            let read: Vec<RecordBatch> = read.iter().map(|&batch| batch.clone()).collect();
            compare(&read, &given, 4)
        };
        assert_eq!(compared(&[&a, &b, &a, &b]), Ok(()));
        assert_eq!(compared(&[&b, &b, &a, &a]), Ok(()), "the order is the threads'");
        assert_eq!(compared(&[&a, &b, &a]), Err("3 batches, not 4".to_owned()));
        assert_eq!(compared(&[&a, &b, &a, &a]), Err("a batch 3 times".to_owned()));
        assert_eq!(compared(&[&a, &b, &a, &c]), Err("a batch that it was not given".to_owned()));
    }

    #[test]
    fn batches_that_are_equal_are_told_by_their_number() {
        let batch = record_batch!(("a", Int32, [1])).unwrap();
        let given = [batch.clone(), batch.clone()];
        assert_eq!(compare(&vec![batch; 4], &given, 4), Ok(()));
    }
}
