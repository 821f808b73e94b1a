//! A sync confirms the batches accepted before it. A failed sync is final: no other is tried, nothing more is written,
//! and no rollback is possible, since the contents of the device are unknown.
//!
//! Fails if a failed sync is repeated, or if anything is written after it.

use std::sync::Arc;

use ipc_shared::{Error, FileFormat, Options, Unify};
use ipc_tests::gate::{Act, KIND, gate};
use ipc_tests::shared::{Output, Words, batch, marks, schema};
use ipc_tests::threads::together;

use super::in_both_formats;

in_both_formats!(a_sync_confirms_what_is_staged, a_failed_sync_is_the_end, a_sync_before_any_schema_has_nothing_to_do);

fn staged() -> Options {
    Options::builder().staging(true).build().unwrap()
}

fn a_sync_confirms_what_is_staged<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(staged()).build().unwrap();
    together(threads, |thread| {
        let receipt = writer.write(&batch(Words::Plain, (thread, 0))).unwrap();
        let confirmed = writer.sync().unwrap();
        assert!(
            confirmed >= receipt.offset + receipt.metadata_length + receipt.body_length,
            "what was accepted before it"
        );
        assert!(gate.len() as u64 >= confirmed, "and no more than the sink has");
    });
    assert_eq!(writer.sync().unwrap(), gate.len() as u64, "from the output's first byte");
    assert_eq!(gate.syncs(), threads + 1);
    assert_eq!(F::framing(&gate.taken()).record_batches().len(), threads);
}

fn a_failed_sync_is_the_end<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(staged()).window(2).build().unwrap();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    writer.sync().unwrap();
    let durable = gate.len() as u64;
    writer.write(&batch(Words::Plain, (0, 1))).unwrap();
    let _out = writer.reserve().unwrap();
    writer.reserve().unwrap().write(&batch(Words::Plain, (0, 2))).unwrap();
    gate.plan_syncs([Act::Fail]);
    let Err(Error::Poisoned { source: first, .. }) = writer.sync() else { panic!() };
    assert_eq!(first.kind(), KIND);
    let (taken, syncs) = (gate.taken(), gate.syncs());
    together(threads, |_| {
        let write = || writer.write(&batch(Words::Plain, (0, 3))).map(drop);
        let told = [writer.sync().map(drop), writer.rollback(), write(), writer.flush(), writer.close().map(drop)];
        for told in told {
            let Err(Error::Poisoned { offset, unconfirmed, source }) = told else { panic!("{told:?}") };
            assert_eq!((offset, unconfirmed), (durable, 2), "what the first sync confirmed, and what has come since");
            assert!(Arc::ptr_eq(&source, &first), "the first error");
        }
    });
    assert_eq!((gate.taken(), gate.syncs(), gate.cuts()), (taken, syncs, 0));
}

#[test]
fn a_sync_is_refused_where_dictionaries_come_at_the_close() {
    let options = || Options::builder().dictionaries(Unify::new().at_close(true)).build().unwrap();
    let refusal =
        "a sync confirms what can be recovered, and with dictionaries at close that is nothing before the close";

    let (sink, gate) = gate();
    let mut encoder = FileFormat::encoder(sink).with_options(options()).start(schema(Words::Own)).unwrap();
    encoder.write(&batch(Words::Own, (0, 0))).unwrap();
    let refused = encoder.sync().unwrap_err();
    assert!(matches!(&refused, ipc_core::Error::InvalidOptions(why) if why == refusal), "{refused:?}");
    assert_eq!((gate.len(), gate.syncs()), (0, 0), "before anything is written");
    encoder.write(&batch(Words::Own, (0, 1))).unwrap();
    encoder.close().unwrap();
    assert_eq!(marks(Words::Own, &FileFormat::whole(&gate.taken())), [(0, 0), (0, 1)]);

    let (sink, gate) = self::gate();
    let writer = FileFormat::to(sink).options(options()).build().unwrap();
    writer.write(&batch(Words::Own, (0, 0))).unwrap();
    let refused = writer.sync().unwrap_err();
    assert!(matches!(&refused, Error::Core(ipc_core::Error::InvalidOptions(why)) if why == refusal), "{refused:?}");
    assert_eq!((gate.len(), gate.syncs()), (0, 0), "before anything is written");
    writer.write(&batch(Words::Own, (0, 1))).unwrap();
    writer.close().unwrap();
    assert_eq!(marks(Words::Own, &FileFormat::whole(&gate.taken())), [(0, 0), (0, 1)]);

    // A schema without dictionaries is written at once.
    let (sink, gate) = self::gate();
    let writer = FileFormat::to(sink).options(options()).build().unwrap();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    assert_eq!(writer.sync().unwrap(), gate.len() as u64);
}

fn a_sync_before_any_schema_has_nothing_to_do<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).build().unwrap();
    together(threads, |_| assert_eq!(writer.sync().unwrap(), 0));
    assert_eq!((gate.len(), gate.syncs()), (0, 0));
}
