//! Compressing on one thread.

use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use ipc_core::{Compression, Encoder, Options};

use crate::batches::{mixed, wide};
use crate::measure::Bench;
use crate::sinks::Counting;

pub(crate) fn run(bench: &mut Bench) {
    let batches = [("64 rows", mixed(64)), ("1k rows", mixed(1024)), ("64k rows", mixed(65_536)), ("wide", wide(1024))];
    let lz4 = [2.2, 1.0, 1.1, 1.1];
    // Par, within what the control shows of noise.
    let zstd = [0.98; 4];
    for (index, (name, batch)) in batches.iter().enumerate() {
        for (codec, ours, theirs, target) in [
            ("lz4", Compression::Lz4, CompressionType::LZ4_FRAME, lz4[index]),
            ("zstd 3", Compression::Zstd(3), CompressionType::ZSTD, zstd[index]),
        ] {
            let options = Options::builder().compression(ours).build().expect("the codec is built in");
            let ours = Encoder::stream(Counting::default()).with_options(options);
            let mut ours = ours.start(batch.schema()).expect("counting never fails");
            let theirs = IpcWriteOptions::default().try_with_compression(Some(theirs)).expect("the codec is built in");
            let mut peer = FileWriter::try_new_with_options(Counting::default(), &batch.schema(), theirs)
                .expect("counting never fails");
            bench.compare(
                &format!("{codec} {name}, vs FileWriter"),
                target,
                |times| (0..times).for_each(|_| _ = ours.write(batch).expect("counting never fails")),
                |times| (0..times).for_each(|_| peer.write(batch).expect("counting never fails")),
            );
        }
    }
}
