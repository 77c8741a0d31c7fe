//! Who looks at the queues that tasks wait for: the executor, before it sleeps.
//!
//! Owns the list of each vCPU's shared queues. What a look wakes is [`queue`](super::queue)'s business, and when to sleep the executor's:
//! ```no_run
//! # fn run_tasks() {}
//! use guest_sdk::{event, virtio};
//! loop {
//!     run_tasks();
//!     if !virtio::settle() {
//!         let _ = event::wait(virtio::EVENTS | event::USER_EVENTS, None);
//!     }
//! }
//! ```

use crate::event;
use crate::platform::Vcpu;
use crate::sync::Mutex;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use hypercall_abi::map::MAX_VCPUS;

pub use hypercall_abi::vcpu::event::DEVICE_EVENTS as EVENTS;

/// A queue as this module sees it.
pub(super) trait Watch: Send + Sync {
    /// The event its device raises.
    fn event(&self) -> u64;
    /// Looks at what the device has returned, and wakes whom it concerns; says whether there was something, or an error to wake for.
    fn look(&self) -> bool;
    /// Asks the device for an event, if anybody waits for one. `false`: look again.
    fn arm(&self) -> bool;
}

/// Each vCPU's queues.
static WATCHED: [Mutex<Vec<Weak<dyn Watch>>>; MAX_VCPUS as usize] =
    [const { Mutex::new(Vec::new()) }; MAX_VCPUS as usize];

/// Puts a queue in a vCPU's list, for as long as it lives.
pub(super) fn add(vcpu: u32, queue: &Arc<dyn Watch>) {
    if let Some(list) = WATCHED.get(vcpu as usize) {
        let mut list = list.lock();
        list.retain(|queue| queue.strong_count() > 0);
        list.push(Arc::downgrade(queue));
    }
}

/// Looks at every shared queue of this vCPU and wakes whom the completions concern. Where there are none, the devices are asked to
/// raise [their events](EVENTS) for the next ones. Says whether anybody may have been woken: if not, this vCPU may sleep until an event.
///
/// An executor calls this when its tasks have nothing to do, and again after it slept: while it is busy, completions cost no events.
pub fn settle() -> bool {
    let list = WATCHED[Vcpu::current().index() as usize].lock();
    let queues = || list.iter().filter_map(Weak::upgrade);
    // Taken before the look: what comes after it raises the event again.
    let events = queues().fold(0, |events, queue| events | queue.event());
    event::take(events);
    // Counted, so that each of them is looked at.
    let found = queues().filter(|queue| queue.look()).count();
    found > 0 || queues().filter(|queue| !queue.arm()).count() > 0
}
