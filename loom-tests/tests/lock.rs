//! Models of the lock alone.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "the code of tests")]

use ipc_shared::lock::{Lock, Refused};
use ipc_shared::model;
use loom::sync::Arc;
use loom::thread;
use loom_tests::{Coverage, explore, explore_unbounded};

/// Adds 1 `times` times, and says whether it was ever refused.
fn add(lock: &Lock<u32>, times: u32) {
    for _ in 0..times {
        *lock.lock().expect("nobody ends the lock") += 1;
    }
}

/// Two threads that add 1 so many times.
fn two_threads(coverage: &Coverage, times: u32) {
    let before = model::parks();
    let lock = Arc::new(Lock::new(0));
    let other = {
        let lock = Arc::clone(&lock);
        thread::spawn(move || add(&lock, times))
    };
    add(&lock, times);
    other.join().unwrap();
    assert_eq!(*lock.lock().unwrap(), 2 * times);
    coverage.met_if(model::parks() > before);
}

#[test]
fn mutex_2x1() {
    explore_unbounded("a park", |coverage| two_threads(coverage, 1));
}

#[test]
fn mutex_2x2() {
    explore_unbounded("a park", |coverage| two_threads(coverage, 2));
}

#[test]
fn mutex_3() {
    explore("two threads asleep", |coverage| {
        let before = model::parks();
        let lock = Arc::new(Lock::new(0));
        let others = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || add(&lock, 1))
        });
        add(&lock, 1);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(*lock.lock().unwrap(), 3);
        coverage.met_if(model::parks() >= before + 2);
    });
}

#[test]
fn parked_without_signal() {
    explore_unbounded("a waiter asleep when the only unlock comes", |coverage| {
        let lock = Arc::new(Lock::new(0));
        let guard = lock.lock().unwrap();
        let waiter = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                add(&lock, 1);
                model::parks_of_this_thread()
            })
        };
        // Nobody comes by later to mend it: a waiter that sleeps behind this unlock's back sleeps for ever.
        drop(guard);
        coverage.met_if(waiter.join().unwrap() > 0);
    });
}

#[test]
fn spurious_wakeup() {
    explore("a park that returns early", |coverage| {
        let lock = Arc::new(Lock::new(0));
        let before = model::parks();
        let other = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                model::wake_spuriously_once();
                add(&lock, 1);
            })
        };
        add(&lock, 1);
        other.join().unwrap();
        assert_eq!(*lock.lock().unwrap(), 2);
        coverage.met_if(model::parks() > before);
    });
}

#[test]
fn close_with_parked_waiter() {
    explore("a waiter that is asleep when the lock is closed", |coverage| {
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
        assert_eq!(lock.lock().err(), Some(Refused::Closed));
        coverage.met_if(asleep);
    });
}

#[test]
fn double_close() {
    explore("a closer that came too late", |coverage| {
        let lock = Arc::new(Lock::new(()));
        let close = |lock: &Lock<()>| lock.lock().map(ipc_shared::lock::Guard::close).is_ok();
        let others = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || close(&lock))
        });
        let won = others.into_iter().map(|other| other.join().unwrap()).filter(|won| *won).count();
        assert_eq!(won, 1, "exactly one closes");
        coverage.met();
    });
}

#[test]
fn what_was_written_before_the_end_is_seen_after_it() {
    explore("a thread that finds the lock closed", |coverage| {
        let lock = Arc::new(Lock::new(()));
        let written = Arc::new(loom::cell::UnsafeCell::new(0));
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
fn panic_poisons() {
    explore("a waiter that is asleep when the holder panics", |coverage| {
        let lock = Arc::new(Lock::new(0));
        let before = model::parks();
        let waiter = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || lock.lock().map(|mut value| *value += 1))
        };
        let died = model::catch(|| {
            let _guard = lock.lock().unwrap();
            thread::yield_now();
            model::panic()
        });
        assert!(died.is_none());
        let asleep = model::parks() > before;
        let waited = waiter.join().unwrap();
        assert_eq!(lock.lock().err(), Some(Refused::Poisoned));
        coverage.met_if(asleep && waited == Err(Refused::Poisoned));
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

#[test]
fn dropped_by_the_last() {
    explore("a waiter that outlived the one that woke it", |coverage| {
        /// Counts its ends.
        struct Value(Arc<loom::sync::atomic::AtomicUsize>);
        impl Drop for Value {
            fn drop(&mut self) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }

        let before = model::parkers();
        let drops = Arc::new(loom::sync::atomic::AtomicUsize::new(0));
        let lock = Arc::new(Lock::new(Value(Arc::clone(&drops))));
        let others = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                drop(lock.lock().unwrap());
                drop(lock);
                model::parks_of_this_thread()
            })
        });
        // loom itself reports a lock that nobody drops, or that somebody uses behind its end.
        drop(lock);
        let slept = others.into_iter().map(|other| other.join().unwrap()).sum::<usize>();
        assert_eq!(drops.load(std::sync::atomic::Ordering::Relaxed), 1, "the value is dropped, once");
        assert_eq!(model::parkers(), before, "nobody keeps a waiter that has gone");
        coverage.met_if(slept > 0);
    });
}

#[test]
fn bounded_handoff() {
    explore("a waiter that was overtaken, and then handed the lock", |coverage| {
        let lock = Arc::new(Lock::new(0u32));
        let guard = lock.lock().unwrap();
        let waiter = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                let seen = *lock.lock().unwrap();
                (seen, model::parks_of_this_thread())
            })
        };
        drop(guard);
        // Comes back again and again. A waiter that was woken in vain is due, since the patience of a model ends at
        // every second look: it sleeps once more, and the next unlock hands it the lock.
        add(&lock, 3);
        let (seen, parks) = waiter.join().unwrap();
        assert!(parks <= 2, "a waiter that was due went back to sleep");
        coverage.met_if(seen > 0 && parks == 2);
    });
}

#[test]
fn asking_twice_is_told() {
    explore("a thread that holds the lock asks again", |coverage| {
        let lock = Arc::new(Lock::new(0));
        let other = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || add(&lock, 1))
        };
        let guard = lock.lock().unwrap();
        assert_eq!(lock.lock().err(), Some(Refused::Reentrant));
        drop(guard);
        add(&lock, 1);
        other.join().unwrap();
        coverage.met();
    });
}
