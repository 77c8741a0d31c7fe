//! How long a call takes, for a host that asks for it.
//!
//! Owns what [`abi::CallTimes`](hypercall_abi::vcpu::CallTimes) says of the last call. A host that does not ask costs a call one predictable branch, and
//! nothing of this is run.

use crate::gate::{self, Answer};
use crate::platform::{Vcpu, timed};
use core::arch::x86_64::{_mm_lfence, _rdtsc};
use core::sync::atomic::Ordering;

/// One call's. `ON` is whether the host asked: without, it is nothing.
pub(crate) struct Stopwatch<const ON: bool> {
    began: u64,
    handed: u64,
    answered: u64,
}

impl<const ON: bool> Stopwatch<ON> {
    /// The call begins.
    #[inline]
    pub fn begin() -> Stopwatch<ON> {
        let now = Self::now();
        Stopwatch {
            began: now,
            handed: now,
            answered: now,
        }
    }

    /// It is about to be handed over.
    #[inline]
    pub fn handed(&mut self) {
        self.handed = Self::now();
    }

    /// Its answer has come.
    #[inline]
    pub fn answered(&mut self) {
        self.answered = Self::now();
    }

    /// It ends. The host looks at its next call.
    #[inline]
    pub fn note(self) {
        if ON {
            let carried = self.answered.saturating_sub(self.handed);
            let own = Self::now()
                .saturating_sub(self.began)
                .saturating_sub(carried);
            let times = Vcpu::current().times();
            times.carried.store(carried, Ordering::Relaxed);
            times.own.store(own, Ordering::Relaxed);
            // Only this vCPU writes. Release: whoever sees it sees the lengths.
            let count = times.count.load(Ordering::Relaxed).wrapping_add(1);
            times.count.store(count, Ordering::Release);
        }
    }

    #[inline]
    fn now() -> u64 {
        match ON {
            // SAFETY: every x86-64 processor has both, and guests may execute them. The fence keeps what is before the reading before it.
            true => unsafe {
                _mm_lfence();
                _rdtsc()
            },
            false => 0,
        }
    }
}

/// [`gate::call`], timed if the host asks for it: for calls that come back.
///
/// # Safety
/// As [`gate::call`].
#[inline]
pub(crate) unsafe fn gate(number: u32, token: u32, args: [u64; 6]) -> Answer {
    if timed() {
        // SAFETY: the caller's promise.
        return unsafe { timed_gate(number, token, args) };
    }
    // SAFETY: the caller's promise.
    unsafe { gate::call(number, token, args) }
}

/// # Safety
/// As [`gate::call`].
#[cold]
unsafe fn timed_gate(number: u32, token: u32, args: [u64; 6]) -> Answer {
    let mut watch = Stopwatch::<true>::begin();
    watch.handed();
    // SAFETY: the caller's promise.
    let answer = unsafe { gate::call(number, token, args) };
    watch.answered();
    watch.note();
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_counted_and_one_that_nobody_asked_for_is_none() {
        let times = Vcpu::current().times();
        let count = || times.count.load(Ordering::Relaxed);
        let before = count();
        let mut off = Stopwatch::<false>::begin();
        off.handed();
        off.answered();
        off.note();
        assert_eq!(count(), before);

        let mut watch = Stopwatch::<true>::begin();
        watch.handed();
        let handed = watch.handed;
        while Stopwatch::<true>::now() < handed + 1000 {}
        watch.answered();
        watch.note();
        assert_eq!(count(), before.wrapping_add(1));
        assert!(times.carried.load(Ordering::Relaxed) >= 1000);
    }
}
