//! Encoding alone: a sink that only counts.

use arrow_ipc::writer::FileWriter;
use ipc_core::Encoder;

use crate::batches::{mixed, nested, wide};
use crate::measure::Bench;
use crate::sinks::Counting;

pub(crate) fn run(bench: &mut Bench) {
    let cases = [("5 mixed columns", mixed(1024)), ("200 columns", wide(1024)), ("nested lists", nested(1024))];
    for (name, batch) in cases {
        let mut ours = Encoder::stream(Counting::default()).start(batch.schema()).expect("counting never fails");
        let mut peer = FileWriter::try_new(Counting::default(), &batch.schema()).expect("counting never fails");
        bench.compare(
            &format!("encode {name}, vs FileWriter"),
            8.0,
            |times| (0..times).for_each(|_| _ = ours.write(&batch).expect("counting never fails")),
            |times| (0..times).for_each(|_| peer.write(&batch).expect("counting never fails")),
        );
    }
}
