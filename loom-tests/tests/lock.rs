//! Models of the lock alone: how it is taken, waited for and handed on. How it ends is modelled in `lock_end.rs`.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "the code of tests")]

use ipc_shared::internals::{Lock, Refused, model};
use loom::sync::Arc;
use loom::thread;
use loom_tests::{Coverage, Event, explore, explore_unbounded, explore_within};

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
    explore_within(4, "a park that returned early, and a lock handed over all the same", |coverage| {
        let lock = Arc::new(Lock::new(0));
        let guard = lock.lock().unwrap();
        let others = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                model::wake_spuriously_once();
                add(&lock, 1);
                // Never asleep: what the signal says is then all that tells this thread that the lock is its own.
                model::has_woken_spuriously() && model::parks_of_this_thread() == 0
            })
        });
        drop(guard);
        add(&lock, 1);
        coverage.met_if(others.map(|other| other.join().unwrap()).contains(&true));
        assert_eq!(*lock.lock().unwrap(), 3);
    });
}

#[test]
fn drop_with_waiters() {
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

/// Takes the lock, and says what was under it and how often this thread had to sleep.
fn take(lock: &Lock<u32>) -> (u32, usize) {
    let mut value = lock.lock().expect("nobody ends the lock");
    *value += 1;
    (*value - 1, model::parks_of_this_thread())
}

#[test]
fn bounded_handoff() {
    explore("a waiter that was overtaken, and then handed the lock", |coverage| {
        let lock = Arc::new(Lock::new(0));
        let guard = lock.lock().unwrap();
        let waiter = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || take(&lock))
        };
        drop(guard);
        // Comes back again and again. A waiter that was woken in vain is due, since the patience of a model ends at the
        // second look: it sleeps once more, and the next unlock hands it the lock.
        add(&lock, 3);
        let (seen, parks) = waiter.join().unwrap();
        assert!(parks <= 2, "a waiter that was due went back to sleep");
        coverage.met_if(seen > 0 && parks == 2);
    });
}

#[test]
fn handed_over_on_the_way() {
    explore("a waiter that was woken, and overtaken before it came", |coverage| {
        let before = model::parks();
        let lock = Arc::new(Lock::new(0));
        let guard = lock.lock().unwrap();
        let waiter = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || take(&lock))
        };
        thread::yield_now();
        let is_asleep = model::parks() > before;
        drop(guard);
        // Comes back again and again, while the waiter may not get to run. The second look, at the second time, ends the
        // patience of a model.
        add(&lock, 3);
        let (seen, parks) = waiter.join().unwrap();
        assert!(!is_asleep || seen <= 2, "overtaken {seen} times");
        coverage.met_if(is_asleep && seen == 2 && parks == 1);
    });
}

#[test]
fn late_waker() {
    explore_within(2, "a lock handed to a waiter whose waker had been stopped", |coverage| {
        let lock = Arc::new(Lock::new(0));
        let [stopped, gone] = [(); 2].map(|()| Arc::new(Event::default()));
        let parks = model::parks();
        let guard = lock.lock().unwrap();
        let waiter = thread::spawn({
            let (lock, gone) = (Arc::clone(&lock), Arc::clone(&gone));
            move || {
                let taken = take(&lock);
                gone.come();
                taken
            }
        });
        while model::parks() == parks {
            thread::yield_now();
        }
        let other = thread::spawn({
            let (lock, stopped) = (Arc::clone(&lock), Arc::clone(&stopped));
            move || {
                // Comes back again and again, while the waiter sleeps and the thread that is to wake it stands still.
                stopped.wait();
                add(&lock, 4);
            }
        });
        // Once it has given the lock back, this thread does nothing until the waiter has had the lock.
        model::before_the_next_wake(move || {
            stopped.come();
            gone.wait();
        });
        drop(guard);
        let (seen, parks) = waiter.join().unwrap();
        other.join().unwrap();
        assert_eq!(*lock.lock().unwrap(), 5);
        coverage.met_if(seen == 2 && parks == 1);
    });
}

#[test]
fn bounded_handoff_in_order() {
    explore_within(4, "a waiter that was overtaken, and then handed the lock while another slept", |coverage| {
        let lock = Arc::new(Lock::new(0));
        let guard = lock.lock().unwrap();
        let waiters = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || take(&lock))
        });
        drop(guard);
        // Overtakes a waiter, once.
        drop(lock.lock().unwrap());
        let mut taken = waiters.map(|waiter| waiter.join().unwrap());
        taken.sort_unstable();
        let [(_, first), (_, second)] = taken;
        assert!(first != 1 || second != 2, "a waiter that was due comes behind one that was not");
        coverage.met_if((first, second) == (2, 1));
    });
}

#[test]
fn one_is_woken_at_a_time() {
    explore_within(2, "two unlocks while a waiter was on its way", |coverage| {
        let lock = Arc::new(Lock::new(0));
        let before = model::waking();
        let guard = lock.lock().unwrap();
        let waiters = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || add(&lock, 1))
        });
        drop(guard);
        let woken = model::waking() > before;
        add(&lock, 2);
        assert!(model::waking() <= before + 1, "two waiters are on their way");
        coverage.met_if(woken && model::waking() > before);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
}

#[test]
fn another_is_nudged() {
    explore_within(2, "two waiters on their way, of which the one that was woken comes last", |coverage| {
        model::be_patient(4);
        let lock = Arc::new(Lock::new(0));
        let (parks, wakes, waking) = (model::parks(), model::wakes(), model::waking());
        let guard = lock.lock().unwrap();
        let waiters = [1, 2].map(|sleepers| {
            let waiter = thread::spawn({
                let lock = Arc::clone(&lock);
                move || take(&lock).0
            });
            while model::parks() < parks + sleepers {
                thread::yield_now();
            }
            waiter
        });
        drop(guard);
        // Overtakes the one that was woken, until it looks at the clock.
        add(&lock, 1);
        let overtook = take(&lock).0 == 1;
        let tried = model::wakes() - wakes;
        assert!(!overtook || tried >= 2, "nobody tries, though the one that was woken does not come");
        let both_awake = model::waking() == waking + 2;
        let taken = waiters.map(|waiter| waiter.join().unwrap());
        coverage.met_if(both_awake && taken[0] > taken[1]);
        // Comes back until the patience of a model has ended: nobody is handed the lock that has gone.
        add(&lock, 8);
        assert_eq!(*lock.lock().unwrap(), 12);
    });
}

#[test]
fn asking_twice_is_told() {
    explore("a thread that asks again while another sleeps", |coverage| {
        let lock = Arc::new(Lock::new(0));
        let other = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                add(&lock, 1);
                model::parks_of_this_thread()
            })
        };
        let guard = lock.lock().unwrap();
        assert_eq!(lock.lock().err(), Some(Refused::Reentrant));
        drop(guard);
        add(&lock, 1);
        coverage.met_if(other.join().unwrap() > 0);
    });
}
