//! Values that are made once, by whoever needs them first.
//!
//! ```
//! use guest_sdk::sync::{LazyLock, OnceLock};
//! static NAME: OnceLock<&str> = OnceLock::new();
//! static SQUARES: LazyLock<[u32; 4]> = LazyLock::new(|| core::array::from_fn(|n| (n * n) as u32));
//! assert_eq!(*NAME.get_or_init(|| "guest"), "guest");
//! assert_eq!(SQUARES[3], 9);
//! ```

use super::Waiters;
use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;
use core::ops::Deref;
use core::sync::atomic::{AtomicU32, Ordering};

const EMPTY: u32 = 0;
const MAKING: u32 = 1;
const MADE: u32 = 2;

/// A value that is set at most once.
pub struct OnceLock<T> {
    state: AtomicU32,
    waiters: Waiters,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is written by the one thread that moved the state to MAKING, and only shared after it is MADE.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}
// SAFETY: the lock owns its value.
unsafe impl<T: Send> Send for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> OnceLock<T> {
        OnceLock {
            state: AtomicU32::new(EMPTY),
            waiters: Waiters::new(),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// The value, if it was made.
    pub fn get(&self) -> Option<&T> {
        // Pairs with the store of MADE in `get_or_init`: the value is written before it.
        if self.state.load(Ordering::SeqCst) != MADE {
            return None;
        }
        // SAFETY: MADE says that the value was written, and nobody writes it again.
        Some(unsafe { (*self.value.get()).assume_init_ref() })
    }

    /// Sets the value.
    ///
    /// # Errors
    /// Gives it back where there is one already.
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().expect("an initializer runs once"));
        value.map_or(Ok(()), Err)
    }

    /// The value; makes it first if nobody has, and blocks while somebody does. `make` must not ask for the value itself.
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        match self
            .state
            .compare_exchange(EMPTY, MAKING, Ordering::SeqCst, Ordering::SeqCst)
        {
            Ok(_) => {
                let value = make();
                // SAFETY: this thread made the state MAKING, so nobody else touches the value until it is MADE.
                unsafe { (*self.value.get()).write(value) };
                self.state.store(MADE, Ordering::SeqCst);
                self.waiters.wake_all();
            }
            Err(_) => self.waiters.wait_until(|| self.get().map(drop)),
        }
        self.get().expect("the value was made")
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> OnceLock<T> {
        OnceLock::new()
    }
}

impl<T> Drop for OnceLock<T> {
    fn drop(&mut self) {
        if *self.state.get_mut() == MADE {
            // SAFETY: MADE says that there is a value, and this is its last use.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}

/// A value made at its first use.
pub struct LazyLock<T, F = fn() -> T> {
    value: OnceLock<T>,
    make: Cell<Option<F>>,
}

// SAFETY: `make` is only touched inside `get_or_init`'s initializer, which one thread runs, once.
unsafe impl<T: Send + Sync, F: Send> Sync for LazyLock<T, F> {}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// A value that `make` will make.
    pub const fn new(make: F) -> LazyLock<T, F> {
        LazyLock {
            value: OnceLock::new(),
            make: Cell::new(Some(make)),
        }
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.get_or_init(|| {
            let make = self.make.take().expect("an initializer runs once");
            make()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn made_once_and_seen_by_all() {
        static MADE: AtomicU32 = AtomicU32::new(0);
        static VALUE: LazyLock<u32> = LazyLock::new(|| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            MADE.fetch_add(1, Ordering::SeqCst) + 7
        });
        let threads: std::vec::Vec<_> = (0..4).map(|_| std::thread::spawn(|| *VALUE)).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 7);
        }
        assert_eq!(MADE.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn set_once() {
        let lock = OnceLock::new();
        assert_eq!(lock.get(), None);
        assert_eq!(lock.set(1), Ok(()));
        assert_eq!(lock.set(2), Err(2));
        assert_eq!(lock.get(), Some(&1));
    }
}
