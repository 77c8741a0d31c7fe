//! A lock that blocks.
//!
//! ```
//! use guest_sdk::sync::Mutex;
//! static TOTAL: Mutex<u64> = Mutex::new(0);
//! *TOTAL.lock() += 1;
//! ```

use super::Waiters;
use crate::platform::Vcpu;
use core::cell::UnsafeCell;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

const FREE: u32 = 0;

/// A value that one vCPU uses at a time. Locking it twice on one vCPU panics: it would never end.
pub struct Mutex<T: ?Sized> {
    /// [`FREE`], or the holder's index + 1.
    holder: AtomicU32,
    waiters: Waiters,
    value: UnsafeCell<T>,
}

// SAFETY: a guard is the only way to the value, and there is one at a time: `&Mutex` hands out `&mut T`, to any thread.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}
// SAFETY: the mutex owns its value.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}

impl<T> Mutex<T> {
    /// An unlocked mutex.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex {
            holder: AtomicU32::new(FREE),
            waiters: Waiters::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Blocks until the value is free.
    ///
    /// # Panics
    /// If this vCPU holds it already.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let me = Vcpu::current().index() + 1;
        match self.acquire(me) {
            Ok(()) => {}
            Err(holder) if holder == me => {
                panic!("deadlock: a mutex locked twice on vCPU {}", me - 1)
            }
            Err(_) => self.waiters.wait_until(|| self.acquire(me).ok()),
        }
        MutexGuard { mutex: self }
    }

    /// The value if it is free, without blocking.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.acquire(Vcpu::current().index() + 1).ok()?;
        Some(MutexGuard { mutex: self })
    }

    /// The value, where the borrow checker knows that nobody else has it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Takes the lock, or says who holds it.
    fn acquire(&self, me: u32) -> Result<(), u32> {
        // Sequentially consistent: a waiter enlists before it tries, an unlocker frees before it looks at the waiters.
        self.holder
            .compare_exchange(FREE, me, Ordering::SeqCst, Ordering::SeqCst)
            .map(drop)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(guard) => f.debug_tuple("Mutex").field(&&*guard).finish(),
            None => f.write_str("Mutex(<locked>)"),
        }
    }
}

/// The right to a mutex's value; unlocks it when dropped.
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
}

// SAFETY: a shared guard gives out `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// The mutex this locks.
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this guard holds the lock.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard holds the lock, and is borrowed exclusively.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.mutex.holder.store(FREE, Ordering::SeqCst);
        self.mutex.waiters.wake_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn counts_under_contention() {
        let count = Arc::new(Mutex::new(0));
        let threads: std::vec::Vec<_> = (0..4)
            .map(|_| {
                let count = Arc::clone(&count);
                std::thread::spawn(move || {
                    for _ in 0..5_000 {
                        *count.lock() += 1;
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(*count.lock(), 20_000);
    }

    #[test]
    fn a_held_lock_is_not_taken() {
        let mutex = Mutex::new(1);
        let guard = mutex.lock();
        assert!(mutex.try_lock().is_none());
        drop(guard);
        assert!(mutex.try_lock().is_some());
    }

    #[test]
    #[should_panic(expected = "deadlock: a mutex locked twice")]
    fn locking_twice_panics() {
        let mutex = Mutex::new(());
        let _guard = mutex.lock();
        let _again = mutex.lock();
    }
}
