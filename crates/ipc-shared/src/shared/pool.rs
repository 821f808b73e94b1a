//! Idle encoders, for calls on handles that have none of their own. There are as many as calls were ever made at once,
//! and each keeps the memory of the batches that it has encoded.
//!
//! The encoder given back last is taken first, so those at the bottom of the stack are those that recent calls did not
//! need. After each 1,024 calls, the encoders that none of them needed are dropped.

use super::thread_encoder::ThreadEncoder;
use crate::sync::Mutex;

/// A stack of encoders.
#[derive(Debug)]
pub(crate) struct Pool {
    idle: Mutex<Idle>,
}

#[derive(Debug)]
struct Idle {
    encoders: Vec<ThreadEncoder>,
    /// The smallest number of encoders that were left, since `taken` began to count.
    fewest: usize,
    taken: u32,
    is_shut: bool,
}

impl Pool {
    /// The number of calls after which unneeded encoders are dropped.
    const CALLS: u32 = 1024;

    pub(crate) fn new() -> Self {
        Self { idle: Mutex::new(Idle { encoders: Vec::new(), fewest: 0, taken: 0, is_shut: false }) }
    }

    pub(crate) fn take(&self) -> Option<ThreadEncoder> {
        let mut idle = self.idle.lock();
        let taken = idle.encoders.pop();
        idle.fewest = idle.fewest.min(idle.encoders.len());
        idle.taken += 1;
        if idle.taken == Self::CALLS {
            let unneeded = idle.drop_unneeded();
            drop(idle);
            drop(unneeded);
        }
        taken
    }

    pub(crate) fn give_back(&self, encoder: ThreadEncoder) {
        let mut idle = self.idle.lock();
        if idle.is_shut {
            drop(idle);
            drop(encoder);
        } else {
            idle.encoders.push(encoder);
        }
    }

    /// Returns a value whose drop [shuts](Self::shut) the pool, also in a panic.
    pub(crate) fn shut_when_dropped(&self) -> impl Drop {
        struct Shutting<'p>(&'p Pool);
        impl Drop for Shutting<'_> {
            fn drop(&mut self) {
                self.0.shut();
            }
        }
        Shutting(self)
    }

    /// Drops all encoders, and from now on those that are given back.
    pub(crate) fn shut(&self) {
        let mut idle = self.idle.lock();
        idle.is_shut = true;
        let all = std::mem::take(&mut idle.encoders);
        drop(idle);
        drop(all);
    }
}

impl Idle {
    /// Takes out the encoders that no recent call has needed, to be dropped outside the mutex.
    fn drop_unneeded(&mut self) -> Vec<ThreadEncoder> {
        let mut unneeded = Vec::new();
        if self.fewest > 0 {
            let needed = self.encoders.split_off(self.fewest);
            unneeded = std::mem::replace(&mut self.encoders, needed);
        }
        (self.fewest, self.taken) = (self.encoders.len(), 0);
        unneeded
    }
}
