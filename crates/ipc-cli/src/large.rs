//! Finds messages that are too large for some readers.

use std::fs::File;
use std::path::Path;

use indicatif::BinaryBytes;
use ipc_recover::scan::{self, Next};
use ipc_recover::{Kind, Source};

/// Returns a warning about the complete output at `path`, if it is a file and has a message that some reader may
/// refuse.
pub(crate) fn note(path: &Path, written_bytes: u64) -> Option<String> {
    // A short output has no long message.
    if written_bytes <= ARROW_GO_AT_MOST {
        return None;
    }
    let file = File::open(path).ok().filter(|file| file.metadata().is_ok_and(|found| found.is_file()))?;
    let largest = largest_body(&mut Source::seekable(file).ok()?);
    (largest > ARROW_GO_AT_MOST).then(|| {
        format!(
            "the largest message has a body of {}: arrow-go 18.7 and later refuse bodies beyond {}",
            BinaryBytes(largest),
            BinaryBytes(ARROW_GO_AT_MOST)
        )
    })
}

/// Returns the length of the longest body among the messages of a file or a stream. Reads no body.
fn largest_body(source: &mut Source<'_>) -> u64 {
    let mut largest = 0;
    match scan::recognize(source) {
        Ok(Kind::File) if scan::seek_first_message(source).is_ok() => {}
        Ok(Kind::Stream) => {}
        _ => return largest,
    }
    while let Ok(Next::Message(head)) = scan::next(source) {
        largest = largest.max(head.place().body_length);
        if head.skip_body(source).is_err() {
            break;
        }
    }
    largest
}

/// The longest body that arrow-go reads by default.
const ARROW_GO_AT_MOST: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use arrow_array::record_batch;
    use ipc_core::Encoder;

    use super::*;

    #[test]
    fn the_largest_body_is_found_in_files_and_streams() {
        let small = record_batch!(("a", Int64, [1, 2, 3])).unwrap();
        let large = record_batch!(("a", Int64, vec![7; 1_000])).unwrap();
        let mut file = Encoder::file(Vec::new()).start(small.schema()).unwrap();
        let mut stream = Encoder::stream(Vec::new()).start(small.schema()).unwrap();
        let mut expected = 0;
        for batch in [&small, &large, &small] {
            file.write(batch).unwrap();
            expected = expected.max(stream.write(batch).unwrap().body_length);
        }
        let (file, stream) = (file.close().unwrap().into_inner(), stream.close().unwrap().into_inner());
        for bytes in [file, stream] {
            assert_eq!(largest_body(&mut Source::from(bytes.as_slice())), expected);
        }
    }
}
