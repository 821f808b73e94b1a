//! Models of the lock's end: closed, poisoned, revived. That a panic poisons is the writer's doing, and modelled there.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "the code of tests")]

use ipc_shared::internals::{Guard, Lock, Refused, model};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use loom_tests::{explore, explore_unbounded};

#[test]
fn close_with_parked_waiter() {
    explore("a waiter that is asleep when the lock is closed", |coverage| {
        let parkers = model::parkers();
        let lock = Arc::new(Lock::new(0));
        let guard = lock.lock().unwrap();
        let before = model::parks();
        let waiters = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || lock.lock().map(drop))
        });
        thread::yield_now();
        let asleep = model::parks() > before;
        guard.close();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Err(Refused::Closed));
        }
        assert_eq!(model::parkers(), parkers, "nobody keeps a waiter that has gone");
        assert_eq!(lock.lock().err(), Some(Refused::Closed));
        coverage.met_if(asleep);
    });
}

#[test]
fn double_close() {
    explore("a closer that slept while another closed", |coverage| {
        let lock = Arc::new(Lock::new(()));
        let close = |lock: &Lock<()>| lock.lock().map(Guard::close).is_ok();
        let others = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || (close(&lock), model::parks_of_this_thread()))
        });
        let results = others.map(|other| other.join().unwrap());
        assert_eq!(results.iter().filter(|(won, _)| *won).count(), 1, "exactly one closes");
        coverage.met_if(results.iter().any(|(won, parks)| !won && *parks > 0));
    });
}

#[test]
fn what_was_written_before_the_end_is_seen_after_it() {
    explore("a thread that finds the lock closed", |coverage| {
        let lock = Arc::new(Lock::new(()));
        let written = Arc::new(UnsafeCell::new(0));
        let reader = {
            let (lock, written) = (Arc::clone(&lock), Arc::clone(&written));
            thread::spawn(move || match lock.lock() {
                Ok(_) => false,
                // SAFETY: loom reports a race if the close does not happen before this.
                Err(_) => written.with(|value| unsafe { *value == 7 } || panic!("the write is not seen")),
            })
        };
        let guard = lock.lock().unwrap();
        // SAFETY: only this thread writes, before it closes the lock.
        written.with_mut(|value| unsafe { *value = 7 });
        guard.close();
        coverage.met_if(reader.join().unwrap());
    });
}

#[test]
fn poison_with_parked_waiter() {
    explore("a waiter that is asleep when the lock is poisoned", |coverage| {
        let lock = Arc::new(Lock::new(0));
        let guard = lock.lock().unwrap();
        let before = model::parks();
        let waiter = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || lock.lock().map(drop))
        };
        thread::yield_now();
        let asleep = model::parks() > before;
        guard.poison();
        assert_eq!(waiter.join().unwrap(), Err(Refused::Poisoned));
        assert_eq!(lock.lock().err(), Some(Refused::Poisoned));
        coverage.met_if(asleep);
    });
}

#[test]
fn revived_by_another() {
    explore_unbounded("a lock poisoned by one thread and revived by another", |coverage| {
        let lock = Arc::new(Lock::new(0));
        let poisoner = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                let mut guard = lock.lock().unwrap();
                *guard += 1;
                guard.poison();
            })
        };
        let revived = lock.revive().map(|mut value| *value += 1).is_some();
        poisoner.join().unwrap();
        let found = lock.lock().map(|value| *value);
        assert_eq!(found, if revived { Ok(2) } else { Err(Refused::Poisoned) });
        coverage.met_if(revived);
    });
}

#[test]
fn revive_vs_parked_waiter() {
    explore_unbounded("a waiter sent away from a lock that is revived by the time it wakes up", |coverage| {
        let lock = Arc::new(Lock::new(0));
        let guard = lock.lock().unwrap();
        let waiter = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || (lock.lock().map(|mut value| *value += 1), model::parks_of_this_thread()))
        };
        thread::yield_now();
        guard.poison();
        *lock.revive().expect("nobody else revives it") += 10;
        let (waited, parks) = waiter.join().unwrap();
        assert_eq!(*lock.lock().unwrap(), 10 + u32::from(waited.is_ok()));
        coverage.met_if(waited == Err(Refused::Poisoned) && parks > 0);
    });
}

#[test]
fn revive_vs_waiter_that_looks_by_itself() {
    explore("a waiter sent away that takes the lock from the queue once it is revived", |coverage| {
        let lock = Arc::new(Lock::new(0));
        let guard = lock.lock().unwrap();
        let waiter = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                model::wake_spuriously_once();
                (lock.lock().map(|mut value| *value += 1), model::has_woken_spuriously())
            })
        };
        guard.poison();
        *lock.revive().expect("nobody else revives it") += 10;
        let (waited, has_looked) = waiter.join().unwrap();
        assert_eq!(*lock.lock().unwrap(), 10 + u32::from(waited.is_ok()));
        coverage.met_if(waited.is_ok() && has_looked);
    });
}

#[test]
fn revive_vs_woken_waiter() {
    explore("a waiter woken before the poison that comes back after the revival", |coverage| {
        let lock = Arc::new(Lock::new(0));
        let guard = lock.lock().unwrap();
        let waiter = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || (lock.lock().map(|mut value| *value += 1), model::parks_of_this_thread()))
        };
        // Wakes the waiter if it sleeps; it tries again, perhaps only when all of this is over.
        drop(guard);
        lock.lock().unwrap().poison();
        drop(lock.revive().expect("nobody else revives it"));
        let (waited, parks) = waiter.join().unwrap();
        assert_eq!(*lock.lock().unwrap(), u32::from(waited.is_ok()));
        coverage.met_if(waited.is_ok() && parks > 0);
    });
}
