//! What a lock owes its waiters.

/// What is due at an unlock, by the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockDuty {
    /// Nothing yet.
    Nothing,
    /// Wake one more waiter, which takes the lock only if it finds it free.
    Nudge,
    /// Hand the lock to the waiter that is next.
    HandOver,
}
