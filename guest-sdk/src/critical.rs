//! Critical sections, for crates that ask for them by the crate `critical-section`.
//!
//! Owns the one lock that they all are. Nothing is disabled meanwhile: other vCPUs run on, and wait only for this lock. It keeps
//! threads apart, not a fault handler from the code that it interrupted.

use crate::platform::Vcpu;
use crate::sync::Waiters;
use core::sync::atomic::{AtomicU32, Ordering};

const FREE: u32 = 0;

/// [`FREE`], or the index + 1 of the vCPU inside.
static HOLDER: AtomicU32 = AtomicU32::new(FREE);
static WAITERS: Waiters = Waiters::new();

/// The implementation that [`entry!`](crate::entry!) registers.
#[derive(Debug)]
pub struct Section;

// SAFETY: from `acquire` to its `release` the vCPU inside is the only one, and what it did is visible to the next: `enter` and the
// store are sequentially consistent.
unsafe impl critical_section::Impl for Section {
    unsafe fn acquire() -> critical_section::RawRestoreState {
        let me = Vcpu::current().index() + 1;
        match enter(me) {
            Ok(()) => false,
            Err(holder) if holder == me => true,
            Err(_) => {
                WAITERS.wait_until(|| enter(me).ok());
                false
            }
        }
    }

    unsafe fn release(nested: critical_section::RawRestoreState) {
        if !nested {
            // Before the look at the waiters, as one of them enlists before it tries to enter.
            HOLDER.store(FREE, Ordering::SeqCst);
            WAITERS.wake_one();
        }
    }
}

/// Takes the lock, or says who holds it.
fn enter(me: u32) -> Result<(), u32> {
    HOLDER
        .compare_exchange(FREE, me, Ordering::SeqCst, Ordering::SeqCst)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::UnsafeCell;
    use critical_section::Impl;

    struct Count(UnsafeCell<u32>);

    // SAFETY: used within critical sections only.
    unsafe impl Sync for Count {}

    #[test]
    fn one_thread_at_a_time_and_nested() {
        static COUNT: Count = Count(UnsafeCell::new(0));
        let add = || {
            for _ in 0..2_000 {
                // SAFETY: released below, in the reverse order.
                let (outer, inner) = unsafe { (Section::acquire(), Section::acquire()) };
                assert_eq!((outer, inner), (false, true));
                // SAFETY: this thread is the only one inside.
                unsafe { *COUNT.0.get() += 1 };
                // SAFETY: acquired above.
                unsafe { Section::release(inner) };
                // SAFETY: acquired above.
                unsafe { Section::release(outer) };
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(add);
            }
        });
        // SAFETY: the threads have ended.
        assert_eq!(unsafe { *COUNT.0.get() }, 8_000);
    }
}
