//! Batches are appended in the order in which their slots were reserved, regardless of which thread fills them and
//! when. Filling a slot never waits for another slot.
//!
//! Fails where a place is appended before its turn, where what waits behind a place is forgotten when that one is
//! filled or given up, where a thread that holds two waits for itself, or where `reserve` lets more than the window
//! hold in, or nobody although there is room again.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use ipc_tests::random::Random;
use ipc_tests::shared::{Output, Words, batch, marks};
use ipc_tests::threads::{let_others_park, together};
use rayon::prelude::{IntoParallelIterator, ParallelIterator};

use super::in_both_formats;

in_both_formats!(
    a_pool_fills_them_in_any_order,
    the_order_is_that_of_reservation,
    one_thread_fills_its_later_place_first,
    a_place_given_up_holds_nobody_up,
    reserve_waits_while_the_window_is_full,
    the_window_bounds_what_waits,
);

fn a_pool_fills_them_in_any_order<F: Output>(threads: usize) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let writer = F::to(Vec::new()).window(40).build().unwrap();
    for round in 0..5 {
        let mut slots: Vec<_> = (0..40).map(|number| (number, writer.reserve().unwrap())).collect();
        let mut random = Random::labelled(round, threads);
        for i in (1..slots.len()).rev() {
            slots.swap(i, random.below(i + 1));
        }
        let number = |n: usize| (7, usize::try_from(round).unwrap() * 40 + n);
        pool.install(|| {
            slots.into_par_iter().for_each(|(n, slot)| slot.write(&batch(Words::Plain, number(n))).unwrap());
        });
    }
    writer.close().unwrap();
    let expected: Vec<_> = (0..200).map(|number| (7, number)).collect();
    assert_eq!(marks(Words::Plain, &F::whole(&writer.into_inner().unwrap())), expected);
}

/// Threads take places whenever there is one, as the tasks of a pool do, and fill them after different times.
fn the_order_is_that_of_reservation<F: Output>(threads: usize) {
    let writer = F::to(Vec::new()).build().unwrap();
    let next = Mutex::new(0);
    let is_done = |number: &usize| *number < 12 * threads;
    together(threads, |thread| {
        let mut random = Random::labelled(3, thread);
        loop {
            // Number and place are taken as one, so that the numbers tell the order of the places.
            let mut number = next.lock().unwrap();
            if !is_done(&number) {
                break;
            }
            let Some(slot) = writer.try_reserve().unwrap() else {
                drop(number);
                std::thread::yield_now();
                continue;
            };
            let mark = (0, *number);
            *number += 1;
            drop(number);
            for _ in 0..random.below(20) {
                std::thread::yield_now();
            }
            slot.write(&batch(Words::Plain, mark)).unwrap();
        }
    });
    writer.close().unwrap();
    let expected: Vec<_> = (0..12 * threads).map(|number| (0, number)).collect();
    assert_eq!(marks(Words::Plain, &F::whole(&writer.into_inner().unwrap())), expected);
}

fn one_thread_fills_its_later_place_first<F: Output>(threads: usize) {
    let writer = F::to(Vec::new()).window(2 * threads).build().unwrap();
    for round in 0..10 {
        together(threads, |thread| {
            let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
            second.write(&batch(Words::Plain, (thread, 2 * round + 1))).unwrap();
            first.write(&batch(Words::Plain, (thread, 2 * round))).unwrap();
        });
    }
    writer.flush().unwrap();
    assert_eq!(writer.stats().record_batches, 20 * threads as u64, "all are written, also without close");
    writer.close().unwrap();
    let found = marks(Words::Plain, &F::whole(&writer.into_inner().unwrap()));
    for thread in 0..threads {
        let numbers: Vec<_> = found.iter().filter(|mark| mark.0 == thread).map(|mark| mark.1).collect();
        assert_eq!(numbers, (0..20).collect::<Vec<_>>(), "each thread's batches in the order of its places");
    }
}

fn a_place_given_up_holds_nobody_up<F: Output>(threads: usize) {
    let writer = F::to(Vec::new()).window(2 * threads).build().unwrap();
    let slots: Vec<_> = (0..2 * threads).map(|number| (number, Mutex::new(writer.reserve().ok()))).collect();
    // Odd places are filled, even ones given up, at the same time and from the last to the first.
    together(threads, |thread| {
        let (number, filled) = &slots[2 * threads - 1 - 2 * thread];
        filled.lock().unwrap().take().unwrap().write(&batch(Words::Plain, (0, *number))).unwrap();
        let (_, given_up) = &slots[2 * threads - 2 - 2 * thread];
        drop(given_up.lock().unwrap().take());
    });
    writer.flush().unwrap();
    assert_eq!(writer.stats().record_batches, threads as u64);
    let all: Vec<_> = (0..2 * threads).map(|_| writer.try_reserve().unwrap().is_some()).collect();
    assert!(all.into_iter().all(|has_room| has_room), "the window is empty again");
    drop(slots);
    writer.close().unwrap();
    let expected: Vec<_> = (0..threads).map(|n| (0, 2 * n + 1)).collect();
    assert_eq!(marks(Words::Plain, &F::whole(&writer.into_inner().unwrap())), expected);
}

fn reserve_waits_while_the_window_is_full<F: Output>(threads: usize) {
    let writer = F::to(Vec::new()).window(2).build().unwrap();
    let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
    let through = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 1..threads {
            let (writer, through) = (&writer, &through);
            scope.spawn(move || {
                let slot = writer.reserve().unwrap();
                through.fetch_add(1, SeqCst);
                // Half of the places are given up: that makes room as well.
                if thread % 2 == 0 {
                    slot.write(&batch(Words::Plain, (thread, 0))).unwrap();
                }
            });
        }
        let_others_park();
        assert_eq!(through.load(SeqCst), 0, "the window is full");
        assert!(writer.try_reserve().unwrap().is_none());
        second.write(&batch(Words::Plain, (0, 1))).unwrap();
        let_others_park();
        assert_eq!(through.load(SeqCst), 0, "what waits behind a place takes room like the place itself");
        assert!(writer.try_reserve().unwrap().is_none());
        first.write(&batch(Words::Plain, (0, 0))).unwrap();
    });
    assert_eq!(through.load(SeqCst), threads - 1, "all go on, as room appears");
    writer.close().unwrap();
    let found = marks(Words::Plain, &F::whole(&writer.into_inner().unwrap()));
    assert_eq!(found.len(), 2 + (threads - 1) / 2);
    assert_eq!(found[..2], [(0, 0), (0, 1)]);
}

fn the_window_bounds_what_waits<F: Output>(threads: usize) {
    let writer = F::to(Vec::new()).window(threads).build().unwrap();
    let taken = together(threads, |_| {
        let mut taken = Vec::new();
        while let Some(slot) = writer.try_reserve().unwrap() {
            taken.push(slot);
        }
        taken
    });
    assert_eq!(taken.iter().map(Vec::len).sum::<usize>(), threads, "as many places as the window has");
}
