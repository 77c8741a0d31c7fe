//! Threads. A thread is a vCPU: there are as many as the VM was given, all run at once, and none is ever preempted for another.
//!
//! Owns which vCPU runs what, and the stacks. The first thread is `main`'s; when it returns the program ends, whatever
//! the others do.
//!
//! ```no_run
//! use guest_sdk::thread;
//! let sum = thread::spawn(|| (1..=10).sum::<u32>())?;
//! assert_eq!(sum.join(), 55);
//! # Ok::<(), thread::SpawnError>(())
//! ```

mod scope;
mod slot;

use crate::event::{self, UNPARK};
use crate::platform::{Vcpu, boot};
use crate::time::{Duration, Instant};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::fmt;
use hypercall_abi::Status;

pub use scope::{Scope, scope};
use slot::Running;

/// The stack a thread has if nobody asks for more, in bytes.
pub const STACK_BYTES: usize = 256 * 1024;

/// Why a thread was not started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpawnError {
    /// Every vCPU runs a thread. The VM's configuration says how many there are: `[machine] vcpus`.
    NoFreeVcpu,
    /// There is no memory for the stack.
    NoMemory,
    /// The host refused to start the vCPU.
    Refused(Status),
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpawnError::NoFreeVcpu => write!(f, "all {} vCPUs of this VM are taken", boot().vcpus),
            SpawnError::NoMemory => f.write_str("no memory for a stack"),
            SpawnError::Refused(status) => write!(f, "starting a vCPU: {status}"),
        }
    }
}

impl core::error::Error for SpawnError {}

/// Runs `body` on a vCPU of its own. A panic in it ends the VM, as everywhere.
///
/// # Errors
/// See [`SpawnError`].
pub fn spawn<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, SpawnError> {
    spawn_with_stack(STACK_BYTES, body)
}

/// [`spawn`] with a stack of at least `bytes`.
///
/// # Errors
/// See [`SpawnError`].
pub fn spawn_with_stack<T: Send + 'static>(
    bytes: usize,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, SpawnError> {
    let packet = Packet::new();
    let result = Arc::clone(&packet);
    let running = slot::start(bytes, Box::new(move || result.put(body())))?;
    Ok(JoinHandle { running, packet })
}

/// Where a thread leaves its result.
struct Packet<T>(UnsafeCell<Option<T>>);

// SAFETY: the thread writes before its vCPU stops, its joiner reads after that: never at once.
unsafe impl<T: Send> Sync for Packet<T> {}
// SAFETY: it owns its value.
unsafe impl<T: Send> Send for Packet<T> {}

impl<T> Packet<T> {
    fn new() -> Arc<Packet<T>> {
        Arc::new(Packet(UnsafeCell::new(None)))
    }

    fn put(&self, value: T) {
        // SAFETY: only the thread calls this, once, and nobody reads while it runs.
        unsafe { *self.0.get() = Some(value) };
    }
}

/// A thread that can be waited for. Dropping it lets the thread run on.
pub struct JoinHandle<T> {
    running: Running,
    packet: Arc<Packet<T>>,
}

impl<T> JoinHandle<T> {
    /// Blocks until the thread has ended and its vCPU is free again, and returns its result.
    pub fn join(self) -> T {
        self.running.wait();
        // SAFETY: the vCPU has stopped, and a handle is joined once.
        let value = unsafe { (*self.packet.0.get()).take() };
        value.expect("a thread that ended has left its result")
    }

    /// Whether [`join`](JoinHandle::join) would not block.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.running.is_over()
    }

    /// The thread.
    #[must_use]
    pub fn thread(&self) -> Thread {
        Thread {
            running: self.running,
        }
    }
}

/// A thread that can be told from others, and unparked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thread {
    running: Running,
}

/// A number that no other thread of this program has or had.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ThreadId(u64);

impl Thread {
    /// Its number.
    #[must_use]
    pub fn id(self) -> ThreadId {
        ThreadId(self.running.thread)
    }

    /// The vCPU it runs, or ran, on.
    #[must_use]
    pub fn vcpu(self) -> u32 {
        self.running.vcpu
    }

    /// Makes the thread's current or next [`park`] return.
    pub fn unpark(self) {
        // A thread that has ended, but whose vCPU has no other yet, does not mind.
        if let Some(vcpu) = Vcpu::get(self.running.vcpu).filter(|_| self.running.is_last()) {
            event::raise(vcpu, UNPARK);
        }
    }
}

/// The thread that runs this.
#[must_use]
pub fn current() -> Thread {
    Thread {
        running: Running::current(),
    }
}

/// Blocks until this thread is [unparked](Thread::unpark); returns at once if it was since the last time.
pub fn park() {
    while event::take(UNPARK) == 0 {
        let _ = event::rest(UNPARK, None);
    }
}

/// [`park`] for at most this long.
pub fn park_timeout(duration: Duration) {
    let deadline = Instant::now().checked_add(duration);
    while event::take(UNPARK) == 0 {
        if event::rest(UNPARK, deadline).is_err() {
            return;
        }
    }
}

/// Tells the processor that this thread waits for another. No other thread needs this one's vCPU.
pub fn yield_now() {
    core::hint::spin_loop();
}

/// How many threads can run at once: the VM's vCPUs.
#[must_use]
pub fn available_parallelism() -> u32 {
    boot().vcpus
}

pub use crate::time::sleep;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_need_a_vm() {
        assert_eq!(
            spawn(|| ()).err(),
            Some(SpawnError::Refused(Status::UNSUPPORTED))
        );
        let borrowed = 1;
        assert!(scope(|scope| scope.spawn(|| borrowed + 1).is_err()));
    }

    #[test]
    fn an_unpark_is_remembered() {
        current().unpark();
        park();
        park_timeout(Duration::from_micros(50));
    }
}
