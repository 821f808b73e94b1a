//! `close` keeps every batch that was accepted in a place, in order, and gives up the places that are still out.
//!
//! Fails where `close` waits for a place that its own thread holds, where it drops what waits behind one, or where a
//! place that comes back late is filled nevertheless.

use std::sync::Mutex;

use ipc_shared::Error;
use ipc_tests::shared::{Output, Words, batch, marks, schema};
use ipc_tests::threads::together;

use super::in_both_formats;

in_both_formats!(what_waits_behind_places_still_out_is_kept, accepted_before_close_means_written_in_order);

fn what_waits_behind_places_still_out_is_kept<F: Output>(threads: usize) {
    let writer = F::to(Vec::new()).window(2 * threads).build().unwrap();
    let places: Vec<_> = (0..2 * threads).map(|number| (number, Mutex::new(writer.reserve().ok()))).collect();
    let fill = |place: usize| {
        let (number, slot) = &places[place];
        slot.lock().unwrap().take().unwrap().write(&batch(Words::Plain, (0, *number))).map_err(Error::from)
    };
    together(threads, |thread| fill(2 * thread + 1).unwrap());
    assert_eq!(writer.stats().record_batches, 0, "they all wait behind the first");
    let summary = writer.close().unwrap();
    assert_eq!(summary.stats.record_batches, threads as u64);
    together(threads, |thread| {
        let late = fill(2 * thread);
        assert!(matches!(late, Err(Error::Closed)), "{late:?}");
    });
    drop(places);
    let expected: Vec<_> = (0..threads).map(|n| (0, 2 * n + 1)).collect();
    assert_eq!(marks(Words::Plain, &F::whole(&writer.into_inner().unwrap())), expected);
}

/// One thread closes while the others fill slots. Accepted batches are written, in the order of their slots.
fn accepted_before_close_means_written_in_order<F: Output>(threads: usize) {
    for round in 0..if threads == 16 { 20 } else { 50 } {
        let writer = F::to(Vec::new()).schema(schema(Words::Plain)).window(threads).build().unwrap();
        let next = Mutex::new(0);
        let accepted = together(threads, |thread| {
            let mut accepted = Vec::new();
            if thread == 0 {
                while writer.stats().record_batches < round % 7 {
                    std::thread::yield_now();
                }
                writer.close().unwrap();
                return accepted;
            }
            loop {
                let mut number = next.lock().unwrap();
                let slot = match writer.try_reserve() {
                    Ok(Some(slot)) => slot,
                    Ok(None) => continue,
                    Err(Error::Closed) => return accepted,
                    Err(error) => panic!("{error:?}"),
                };
                let mark = (0, *number);
                *number += 1;
                drop(number);
                match slot.write(&batch(Words::Plain, mark)).map_err(Error::from) {
                    Ok(()) => accepted.push(mark),
                    Err(Error::Closed) => return accepted,
                    Err(error) => panic!("{error:?}"),
                }
            }
        });
        let mut accepted = accepted.concat();
        accepted.sort_unstable();
        assert_eq!(marks(Words::Plain, &F::whole(&writer.into_inner().unwrap())), accepted);
    }
}
