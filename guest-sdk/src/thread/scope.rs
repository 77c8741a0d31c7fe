//! Threads that borrow from the function that starts them, and end before it goes on.

use super::{JoinHandle, Packet, STACK_BYTES, SpawnError, slot, slot::Running};
use crate::sync::Mutex;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::mem;

/// The threads of a [`scope`].
pub struct Scope<'scope, 'env: 'scope> {
    running: Mutex<Vec<Running>>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// Runs `body`, and returns when every thread that it started through the scope has ended.
///
/// ```no_run
/// use guest_sdk::thread;
/// let numbers = [1, 2, 3, 4];
/// let (left, right) = numbers.split_at(2);
/// let sum = thread::scope(|scope| {
///     let left = scope.spawn(|| left.iter().sum::<i32>())?;
///     Ok::<_, thread::SpawnError>(right.iter().sum::<i32>() + left.join())
/// })?;
/// assert_eq!(sum, 10);
/// # Ok::<(), thread::SpawnError>(())
/// ```
pub fn scope<'env, T>(body: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T) -> T {
    let scope = Scope {
        running: Mutex::new(Vec::new()),
        scope: PhantomData,
        env: PhantomData,
    };
    let value = body(&scope);
    // A thread may start further ones until it ends.
    while let Some(running) = next(&scope) {
        running.wait();
    }
    value
}

fn next(scope: &Scope) -> Option<Running> {
    scope.running.lock().pop()
}

impl<'scope> Scope<'scope, '_> {
    /// Runs `body` on a vCPU of its own; see [`spawn`](super::spawn).
    ///
    /// # Errors
    /// See [`SpawnError`].
    pub fn spawn<T: Send + 'scope>(
        &'scope self,
        body: impl FnOnce() -> T + Send + 'scope,
    ) -> Result<JoinHandle<T>, SpawnError> {
        let packet = Packet::new();
        let result = Arc::clone(&packet);
        let body: Box<dyn FnOnce() + Send + 'scope> = Box::new(move || result.put(body()));
        // SAFETY: only the lifetime changes, and what is borrowed outlives the thread: `scope` does not return before every
        // thread in `running` is over, panics end the VM, and this one is in there before anybody can wait for it.
        let body: Box<dyn FnOnce() + Send> = unsafe { mem::transmute(body) };
        let mut threads = self.running.lock();
        let running = slot::start(STACK_BYTES, body)?;
        threads.push(running);
        Ok(JoinHandle { running, packet })
    }
}
