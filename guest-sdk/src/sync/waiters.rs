//! A set of vCPUs that wait for a condition, one bit each.
//!
//! Owns who waits and who is woken; the condition itself belongs to the lock or channel around it.

use crate::event::{self, TimedOut, WAKE};
use crate::platform::Vcpu;
use crate::time::Instant;
use core::sync::atomic::{AtomicU64, Ordering};

/// How often a condition is looked at before the vCPU goes to sleep: about a microsecond.
const SPINS: u32 = 64;

/// The waiting vCPUs.
pub(crate) struct Waiters(AtomicU64);

impl Waiters {
    pub(crate) const fn new() -> Waiters {
        Waiters(AtomicU64::new(0))
    }

    /// Blocks until `condition` yields something.
    ///
    /// Whoever makes the condition true must do so by a sequentially consistent operation or under a lock that
    /// the condition takes, and call [`wake_one`](Waiters::wake_one) or [`wake_all`](Waiters::wake_all) after it.
    pub(crate) fn wait_until<T>(&self, mut condition: impl FnMut() -> Option<T>) -> T {
        for _ in 0..SPINS {
            if let Some(met) = condition() {
                return met;
            }
            core::hint::spin_loop();
        }
        loop {
            let enlisted = self.enlist();
            if let Some(met) = condition() {
                // A wake that was meant for this vCPU is not needed any more; it may be for something
                // else than what `condition` found, and another waiter wants to know.
                if !enlisted.leave() {
                    self.wake_one();
                }
                return met;
            }
            enlisted.block();
        }
    }

    /// Joins the set. The caller looks at its condition once more before it [blocks](Enlisted::block).
    pub(crate) fn enlist(&self) -> Enlisted<'_> {
        let vcpu = Vcpu::current();
        // In this order: a wake that comes after this vCPU is in the set must not be taken away.
        event::take(WAKE);
        // Ordered before the caller's look at its condition, as a waker changes that before it looks at the set: one sees the other.
        self.0.fetch_or(vcpu.bit(), Ordering::SeqCst);
        Enlisted {
            waiters: self,
            bit: vcpu.bit(),
        }
    }

    /// Wakes one waiter, if there is any.
    pub(crate) fn wake_one(&self) {
        let mut set = self.0.load(Ordering::SeqCst); // pairs with `enlist`
        while set != 0 {
            let chosen = choose(set);
            let bit = 1 << chosen;
            // Another waker may be faster; it has then woken this one.
            if self.0.fetch_and(!bit, Ordering::SeqCst) & bit != 0 {
                wake(chosen);
                return;
            }
            set = self.0.load(Ordering::SeqCst);
        }
    }

    /// Wakes every waiter.
    pub(crate) fn wake_all(&self) {
        if self.0.load(Ordering::SeqCst) == 0 {
            return; // pairs with `enlist`
        }
        let mut set = self.0.swap(0, Ordering::SeqCst);
        while set != 0 {
            wake(set.trailing_zeros());
            set &= set - 1;
        }
    }
}

/// The waiter to wake: the next one after this vCPU, round the set, so that none is passed over forever.
fn choose(set: u64) -> u32 {
    let turn = (Vcpu::current().index() + 1) & 63;
    (set.rotate_right(turn).trailing_zeros() + turn) & 63
}

fn wake(index: u32) {
    if let Some(vcpu) = Vcpu::get(index) {
        event::raise(vcpu, WAKE);
    }
}

/// This vCPU's membership in a set of waiters.
pub(crate) struct Enlisted<'a> {
    waiters: &'a Waiters,
    bit: u64,
}

impl Enlisted<'_> {
    /// Whether nobody has woken this vCPU yet.
    fn stands(&self) -> bool {
        self.waiters.0.load(Ordering::SeqCst) & self.bit != 0
    }

    /// Blocks until somebody takes this vCPU out of the set.
    pub(crate) fn block(self) {
        while self.stands() {
            let _ = event::block(WAKE, None);
            event::take(WAKE);
        }
    }

    /// Blocks until somebody takes this vCPU out of the set, or the deadline. A shutdown request is served meanwhile: its
    /// handler may use `WAKE` for itself, so whether this vCPU stands is looked at again after it.
    pub(crate) fn rest(self, deadline: Option<Instant>) -> Result<(), TimedOut> {
        while self.stands() {
            if event::rest(WAKE, deadline).is_err() {
                return if self.leave() { Err(TimedOut) } else { Ok(()) };
            }
            event::take(WAKE);
        }
        Ok(())
    }

    /// Leaves the set; false if somebody had already taken this vCPU out.
    pub(crate) fn leave(self) -> bool {
        self.waiters.0.fetch_and(!self.bit, Ordering::SeqCst) & self.bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn the_choice_goes_round() {
        let me = Vcpu::current().index();
        let after = (me + 5) & 63;
        let before = (me + 60) & 63;
        assert_eq!(choose(1 << after | 1 << before), after);
        assert_eq!(choose(1 << before), before);
        assert_eq!(choose(1 << me), me);
        assert_eq!(choose(u64::MAX), (me + 1) & 63);
    }

    #[test]
    fn leaving_tells_whether_one_was_woken() {
        let waiters = Waiters::new();
        assert!(waiters.enlist().leave());
        let enlisted = waiters.enlist();
        waiters.wake_one();
        assert!(!enlisted.leave());
    }

    #[test]
    fn every_waiter_gets_its_turn() {
        static READY: AtomicU32 = AtomicU32::new(0);
        static WAITERS: Waiters = Waiters::new();
        let take = || {
            READY
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| {
                    count.checked_sub(1)
                })
                .ok()
        };
        let threads: std::vec::Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(move || {
                    for _ in 0..500 {
                        WAITERS.wait_until(take);
                    }
                })
            })
            .collect();
        for _ in 0..2_000 {
            READY.fetch_add(1, Ordering::SeqCst);
            WAITERS.wake_one();
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(READY.load(Ordering::SeqCst), 0);
    }
}
