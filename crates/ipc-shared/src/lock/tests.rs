//! The lock with real threads and real time. Every schedule of it is in the models.

use std::sync::atomic::AtomicBool;
use std::thread;

use super::*;

#[test]
fn threads_take_turns() {
    let lock = Lock::new(0u64);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..10_000).for_each(|_| *lock.lock().unwrap() += 1));
        }
    });
    assert_eq!(lock.into_inner(), 80_000);
}

#[test]
fn closing_sends_every_waiter_away() {
    let lock = Lock::new(());
    let guard = lock.lock().unwrap();
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..8).map(|_| scope.spawn(|| lock.lock().err())).collect();
        thread::sleep(std::time::Duration::from_millis(20));
        guard.close();
        waiters.into_iter().for_each(|w| assert_eq!(w.join().unwrap(), Some(Refused::Closed)));
    });
    assert_eq!(lock.lock().err(), Some(Refused::Closed));
}

#[test]
fn poisoning_sends_every_waiter_away() {
    let lock = Lock::new(());
    let guard = lock.lock().unwrap();
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..8).map(|_| scope.spawn(|| lock.lock().err())).collect();
        thread::sleep(std::time::Duration::from_millis(20));
        guard.poison();
        waiters.into_iter().for_each(|w| assert_eq!(w.join().unwrap(), Some(Refused::Poisoned)));
    });
    assert_eq!(lock.lock().err(), Some(Refused::Poisoned));
}

#[test]
fn a_panic_alone_gives_the_lock_back() {
    let lock = Lock::new(());
    let died = thread::scope(|scope| {
        let holder = scope.spawn(|| {
            let _guard = lock.lock().unwrap();
            panic!("on purpose");
        });
        holder.join()
    });
    assert!(died.is_err() && lock.lock().is_ok());
}

#[test]
fn a_poisoned_lock_can_be_revived_and_a_closed_one_cannot() {
    let lock = Lock::new(1);
    assert!(lock.revive().is_none());
    lock.lock().unwrap().poison();
    let mut guard = lock.revive().unwrap();
    assert!(lock.revive().is_none() && lock.lock().err() == Some(Refused::Reentrant));
    *guard += 1;
    drop(guard);
    let guard = lock.lock().unwrap();
    assert_eq!(*guard, 2);
    guard.close();
    assert!(lock.revive().is_none());
}

#[test]
fn asking_twice_is_told() {
    let lock = Lock::new(());
    let guard = lock.lock().unwrap();
    assert_eq!(lock.lock().err(), Some(Refused::Reentrant));
    drop(guard);
    assert!(lock.lock().is_ok());
}

#[test]
fn a_waiter_gets_it_from_a_thread_that_keeps_coming_back() {
    let lock = Lock::new(());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                let _guard = lock.lock().unwrap();
                let start = std::time::Instant::now();
                while start.elapsed().as_micros() < 50 {}
            }
        });
        for _ in 0..50 {
            drop(lock.lock().unwrap());
        }
        stop.store(true, Relaxed);
    });
}

#[test]
fn waiters_are_nudged_in_turn() {
    let mut queue = Queue::new();
    assert!(queue.nudge().is_none());
    let waiter = |token| Waiter { token, signal: AtomicU8::new(WAITING), waker: Parker::new().waker() };
    queue.waiters.extend([1, 2, 3].map(waiter).map(Arc::new));
    let nudged: Vec<_> = (0..5).map(|_| queue.nudge().unwrap().token).collect();
    assert_eq!(nudged, [1, 2, 3, 1, 2]);
    queue.waiters.truncate(1);
    assert_eq!(queue.nudge().unwrap().token, 1);
}

#[test]
fn more_threads_than_there_is_room_for_wait() {
    let lock = Lock::new(0);
    let guard = lock.lock().unwrap();
    thread::scope(|scope| {
        for _ in 0..3 * Queue::ROOM {
            scope.spawn(|| *lock.lock().unwrap() += 1);
        }
        let asleep = || lock.queue.lock().waiters.len();
        while asleep() < 3 * Queue::ROOM {
            thread::yield_now();
        }
        drop(guard);
    });
    assert_eq!(lock.into_inner(), 3 * Queue::ROOM);
}
