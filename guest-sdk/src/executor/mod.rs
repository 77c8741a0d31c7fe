//! Many tasks on one vCPU: an executor that sleeps in the one call that waits.
//!
//! Owns the loop that polls a vCPU's tasks, and what they wait for: points in time, [events](crate::event::next), each other. Tasks and
//! their queue are [`embassy_executor`]'s, and its wakers may be used from any vCPU. While every task waits, the vCPU is in a single call to
//! the host, up to the earliest time that any of them waits for, and makes no exit.
//!
//! ```ignore
//! #[guest_sdk::main]
//! async fn main(spawner: Spawner) {
//!     spawner.spawn(blink().expect("one of it"));
//!     executor::sleep(Duration::from_secs(1)).await;
//! }
//!
//! #[guest_sdk::task]
//! async fn blink() { /* … */ }
//! ```
//!
//! [`main`](crate::main) and [`task`](crate::task) say the rest. `embassy-time`, `embassy-sync`, `embassy-futures` and whatever else is written for
//! embassy work on it: name them in `Cargo.toml` and use them.
//!
//! # Several vCPUs
//! A task stays on its vCPU. A second vCPU has an executor of its own, `thread::spawn(|| executor::run(async |spawner| …))`, and a
//! [`Spawner::make_send`] of it takes tasks from the others.
//!
//! # Beside blocking code
//! Tasks of a vCPU take turns where they `.await`; one that blocks, in [`event::wait`] or a contended
//! [`Mutex`](crate::sync::Mutex), keeps the others of its vCPU waiting. Blocking code waits for a future with [`block_on`].
//!
//! # What is linked
//! Nothing, in a program that does not ask for it. [`main`](crate::main) expands to [`executor!`](crate::executor!), which defines what
//! `embassy-executor` and `embassy-time` call; a program that brings an executor of its own leaves that out.

mod driver;
pub(crate) mod waits;
mod waker;

use crate::event::{self, ROOT, TASKS};
use crate::platform::Vcpu;
use crate::shutdown;
use crate::time::{Duration, Instant};
use crate::virtio;
use alloc::boxed::Box;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll};
use embassy_executor::raw;

pub use embassy_executor::{SendSpawner, SpawnError, SpawnToken, Spawner};

#[doc(hidden)]
pub use driver::Driver as __Driver;
#[doc(hidden)]
pub use embassy_executor as __embassy_executor;
#[doc(hidden)]
pub use embassy_time_driver as __embassy_time_driver;

/// Runs `main` and the tasks it spawns on this vCPU, until `main` has ended, and returns its value. What tasks are left then are never polled
/// again.
///
/// ```
/// # guest_sdk::executor!();
/// use guest_sdk::executor;
/// assert_eq!(executor::run(async |_spawner| 6 * 7), 42);
/// ```
pub fn run<T>(main: impl AsyncFnOnce(Spawner) -> T) -> T {
    let index = Vcpu::current().index() as usize;
    // Wakers may outlive the run, and they point here.
    let tasks: &raw::Executor = Box::leak(Box::new(raw::Executor::new(
        core::ptr::without_provenance_mut(index),
    )));
    let poll_tasks = || {
        // SAFETY: nobody else has this executor but as a spawner, which does not poll; tasks that it polls do not get here again.
        unsafe { tasks.poll() }
    };
    drive(main(tasks.spawner()), TASKS | ROOT, poll_tasks)
}

/// Blocks until a future is ready, and returns its value. Tasks of this vCPU that run elsewhere on the stack wait meanwhile.
///
/// ```
/// use guest_sdk::{event, executor};
/// let mine = 1 << 40;
/// event::notify(event::current_vcpu(), mine)?;
/// assert_eq!(executor::block_on(event::next(mine)), mine);
/// # Ok::<(), event::NotifyError>(())
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    drive(future, ROOT, || ())
}

/// Completes after at least this long.
pub async fn sleep(duration: Duration) {
    sleep_until(Instant::now().checked_add(duration)).await;
}

/// Completes at `deadline`; `None` is never.
pub async fn sleep_until(deadline: Option<Instant>) {
    let Some(deadline) = deadline else {
        return core::future::pending().await;
    };
    poll_fn(|context| {
        if Instant::now() >= deadline {
            return Poll::Ready(());
        }
        waits::until(deadline.as_nanos(), context.waker());
        Poll::Pending
    })
    .await;
}

/// Polls `root`, and the tasks that are ready, until `root` is ready; sleeps while nothing is. `events` are those of [`ROOT`] and
/// [`TASKS`] that this loop serves.
fn drive<F: Future>(root: F, events: u64, mut poll_tasks: impl FnMut()) -> F::Output {
    let vcpu = Vcpu::current();
    let waker = waker::root(vcpu);
    let mut context = Context::from_waker(&waker);
    let mut root = pin!(root);
    event::raise(vcpu, ROOT);
    loop {
        shutdown::serve();
        waits::wake_due(vcpu);
        // Taken before the polling: what is woken from now on is polled in the next round.
        let ready = event::take(events);
        if ready & ROOT != 0
            && let Poll::Ready(value) = root.as_mut().poll(&mut context)
        {
            // For the loop that this one may have been called from, whose events it took.
            event::raise(vcpu, events);
            return value;
        }
        if ready & TASKS != 0 {
            poll_tasks();
        }
        if ready == 0 {
            let (awaited, deadline) = waits::of(vcpu);
            if virtio::glance(events | awaited) {
                continue;
            }
            let Some(devices) = virtio::settle_beside(awaited) else {
                continue;
            };
            // Nothing is ready, and whoever makes something so raises one of these.
            let events = events | awaited | devices;
            let _ = event::rest(events, deadline.map(Instant::from_nanos));
        }
    }
}

/// What `embassy-executor` calls when an executor has a task to poll: `context` is its vCPU's index.
#[doc(hidden)]
pub fn __pend(context: *mut ()) {
    let vcpu = u32::try_from(context.addr()).ok().and_then(Vcpu::get);
    if let Some(vcpu) = vcpu {
        event::raise(vcpu, TASKS);
    }
}

#[cfg(test)]
mod tests;
