//! A condition under a mutex, waited for.
//!
//! ```
//! use guest_sdk::sync::{Condvar, Mutex};
//! static READY: Mutex<bool> = Mutex::new(true);
//! static CHANGED: Condvar = Condvar::new();
//! let ready = CHANGED.wait_while(READY.lock(), |ready| !*ready);
//! assert!(*ready);
//! ```

use super::{MutexGuard, Waiters};
use crate::event::TimedOut;
use crate::time::Instant;

/// Threads that wait for a change of what a mutex guards.
pub struct Condvar {
    waiters: Waiters,
}

impl Condvar {
    /// One that nobody waits for.
    #[must_use]
    pub const fn new() -> Condvar {
        Condvar {
            waiters: Waiters::new(),
        }
    }

    /// Unlocks, blocks until notified, and locks again.
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let mutex = guard.mutex();
        // Enlisted before the lock is free, so that no change made under it goes unnoticed.
        let enlisted = self.waiters.enlist();
        drop(guard);
        let _ = enlisted.rest(None);
        mutex.lock()
    }

    /// Waits for as long as `condition` holds.
    pub fn wait_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while condition(&mut guard) {
            guard = self.wait(guard);
        }
        guard
    }

    /// Unlocks, blocks until notified or the deadline, and locks again; says which it was.
    pub fn wait_until<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Instant,
    ) -> (MutexGuard<'a, T>, Result<(), TimedOut>) {
        let mutex = guard.mutex();
        let enlisted = self.waiters.enlist();
        drop(guard);
        let outcome = enlisted.rest(Some(deadline));
        (mutex.lock(), outcome)
    }

    /// Wakes one of those that wait.
    pub fn notify_one(&self) {
        self.waiters.wake_one();
    }

    /// Wakes all that wait.
    pub fn notify_all(&self) {
        self.waiters.wake_all();
    }
}

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::Mutex;
    use crate::time::Duration;
    use std::sync::Arc;

    #[test]
    fn turns_alternate() {
        let turn = Arc::new((Mutex::new(0_u32), Condvar::new()));
        let threads: std::vec::Vec<_> = (0..2)
            .map(|parity| {
                let turn = Arc::clone(&turn);
                std::thread::spawn(move || {
                    for _ in 0..500 {
                        let mut guard =
                            turn.1.wait_while(turn.0.lock(), |turn| *turn % 2 != parity);
                        *guard += 1;
                        drop(guard);
                        turn.1.notify_all();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(*turn.0.lock(), 1_000);
    }

    #[test]
    fn a_deadline_ends_the_wait() {
        let mutex = Mutex::new(());
        let condvar = Condvar::new();
        let deadline = Instant::now() + Duration::from_millis(1);
        let (_guard, outcome) = condvar.wait_until(mutex.lock(), deadline);
        assert_eq!(outcome, Err(TimedOut));
        assert!(Instant::now() >= deadline);
    }
}
