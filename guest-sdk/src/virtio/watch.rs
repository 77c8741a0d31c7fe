//! Who looks at the queues that tasks wait for: the executor, before it sleeps.
//!
//! Owns the list of each vCPU's shared queues. What a look wakes is [`queue`](super::queue)'s business, and when to sleep the executor's:
//! ```no_run
//! # fn run_tasks() {}
//! use guest_sdk::{event, virtio};
//! loop {
//!     run_tasks();
//!     if let Some(events) = virtio::settle() {
//!         let _ = event::wait(events | event::USER_EVENTS, None);
//!     }
//! }
//! ```

use crate::event;
use crate::platform::{Vcpu, rings};
use crate::sync::Mutex;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::hint::spin_loop;
use core::sync::atomic::Ordering;
use hypercall_abi::map::MAX_VCPUS;

/// Looks between two looks at the time.
const LOOKS: u32 = 8;

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

/// Looks at every shared queue of this vCPU and wakes whom the completions concern: `None` where there were any. Otherwise the devices are asked
/// to tell of the next ones, and this vCPU may sleep until one of the events that are returned.
///
/// An executor calls this when its tasks have nothing to do, and again after it slept: while it is busy, completions cost no events. Those of
/// [`executor`](mod@crate::executor) do.
pub fn settle() -> Option<u64> {
    settle_beside(0)
}

/// As [`settle`], where somebody else waits for the events in `awaited`, and takes them.
pub(crate) fn settle_beside(awaited: u64) -> Option<u64> {
    let vcpu = Vcpu::current().index();
    let events = queues(vcpu).fold(0, |events, queue| events | queue.event());
    // Taken before the look: what comes after it raises the event again.
    event::take(events & !awaited);
    // Counted, so that each of them is looked at.
    let busy = queues(vcpu).filter(|queue| queue.look()).count() > 0
        || queues(vcpu).filter(|queue| !queue.arm()).count() > 0;
    (!busy).then_some(events)
}

/// Looks for something, as long as that is worth while: not at all while the host does not look at its end of the queues by itself. Says
/// whether it was found.
pub(super) fn look_for_a_while(mut found: impl FnMut() -> bool) -> bool {
    let patience = u64::from(rings());
    if patience == 0 {
        return false;
    }
    let began = now();
    while now().wrapping_sub(began) < patience {
        for _ in 0..LOOKS {
            if found() {
                return true;
            }
            spin_loop();
        }
    }
    false
}

/// Looks at every shared queue of this vCPU for a while, where that is worth while, and wakes whom completions concern; ends early when one of
/// `events` is pending. Says whether there is something to do.
pub(crate) fn glance(events: u64) -> bool {
    let vcpu = Vcpu::current();
    queues(vcpu.index()).next().is_some()
        && look_for_a_while(|| {
            vcpu.pending().load(Ordering::Acquire) & events != 0
                || queues(vcpu.index()).filter(|queue| queue.look()).count() > 0
        })
}

fn now() -> u64 {
    // SAFETY: every x86-64 processor has it, and guests may execute it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// A vCPU's queues. The list is not locked while one of them is used.
fn queues(vcpu: u32) -> impl Iterator<Item = Arc<dyn Watch>> {
    (0..)
        .map_while(move |at| Some(WATCHED.get(vcpu as usize)?.lock().get(at)?.upgrade()))
        .flatten()
}
