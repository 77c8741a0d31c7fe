//! Which vCPU runs which thread.
//!
//! Owns one slot for each vCPU: whether it is stopped, as the host says, the thread it runs or ran last, and a stack that the next thread
//! on it uses again.

use super::SpawnError;
use crate::calls;
use crate::event::{self, UNPARK, VCPU_STOPPED};
use crate::platform::{Vcpu, boot};
use crate::stack::Stack;
use crate::sync::Mutex;
use alloc::boxed::Box;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use hypercall_abi::map::MAX_VCPUS;

const STOPPED: u32 = 1;
const RUNS: u32 = 0;

struct Slot {
    /// [`STOPPED`] or [`RUNS`]. Set to `STOPPED` by the host when the vCPU has left its stack for good.
    state: AtomicU32,
    /// The thread it runs or ran last.
    thread: AtomicU64,
}

static SLOTS: [Slot; MAX_VCPUS as usize] = [const {
    Slot {
        state: AtomicU32::new(STOPPED),
        thread: AtomicU64::new(0),
    }
}; MAX_VCPUS as usize];

/// The stacks of the vCPUs that ever ran a thread. Locked while a thread is started: one at a time.
static STACKS: Mutex<[Option<Stack>; MAX_VCPUS as usize]> =
    Mutex::new([const { None }; MAX_VCPUS as usize]);

/// The last thread's number; the first, `main`'s, is 0.
static LAST: AtomicU64 = AtomicU64::new(0);

/// What a thread does. It must leave nothing on its stack that has to be dropped.
type Body<'a> = Box<dyn FnOnce() + Send + 'a>;

/// What a new vCPU finds in its argument.
struct Start {
    slot: &'static Slot,
    body: Body<'static>,
}

/// A thread by its vCPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Running {
    pub(super) vcpu: u32,
    pub(super) thread: u64,
}

/// Starts a thread on a free vCPU.
pub(super) fn start(stack_bytes: usize, body: Body<'static>) -> Result<Running, SpawnError> {
    let mut stacks = STACKS.lock();
    let others = 1..boot().vcpus.min(MAX_VCPUS);
    let free = |index: &u32| SLOTS[*index as usize].state.load(Ordering::Acquire) == STOPPED;
    let index = others
        .into_iter()
        .find(free)
        .ok_or(SpawnError::NoFreeVcpu)?;
    let (slot, stack) = (&SLOTS[index as usize], &mut stacks[index as usize]);
    let top = fit(stack, stack_bytes).ok_or(SpawnError::NoMemory)?;

    let thread = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    // In this order: a joiner of the slot's last thread sees a stopped vCPU or another thread's number.
    slot.thread.store(thread, Ordering::SeqCst);
    slot.state.store(RUNS, Ordering::SeqCst);
    if let Some(vcpu) = Vcpu::get(index) {
        vcpu.pending().fetch_and(!UNPARK, Ordering::SeqCst);
        vcpu.waiting().store(0, Ordering::Relaxed);
        vcpu.subscribed().store(0, Ordering::Relaxed);
    }
    let start = Box::into_raw(Box::new(Start { slot, body }));
    // SAFETY: the vCPU is stopped, so its stack is nobody's; `begin` takes the box, and what is in it may be sent.
    let started = unsafe { calls::vcpu_start(index, begin, top, start as u64) };
    started.map_err(|status| {
        // SAFETY: the vCPU did not start, so nobody took the box.
        drop(unsafe { Box::from_raw(start) });
        slot.state.store(STOPPED, Ordering::SeqCst);
        SpawnError::Refused(status)
    })?;
    Ok(Running {
        vcpu: index,
        thread,
    })
}

/// The top of a stack of at least `bytes`: the one that is there, or a new one.
fn fit(stack: &mut Option<Stack>, bytes: usize) -> Option<u64> {
    if stack.as_ref().is_none_or(|stack| stack.bytes() < bytes) {
        *stack = None;
        *stack = Some(Stack::new(bytes)?);
    }
    stack.as_ref().map(Stack::top)
}

/// A thread's first function and last.
extern "C" fn begin(argument: u64) -> ! {
    // SAFETY: `start` passed a box, to this thread alone.
    let Start { slot, body } = *unsafe { Box::from_raw(argument as *mut Start) };
    body();
    // The vCPU's next thread has its own idea of faults.
    crate::fault::ignore();
    // SAFETY: what this function owned is dropped, and slots are forever.
    let status = unsafe { calls::vcpu_stop(&slot.state) };
    panic!("a thread's vCPU cannot be stopped: {status}");
}

impl Running {
    pub(super) fn current() -> Running {
        let vcpu = Vcpu::current().index();
        let thread = SLOTS
            .get(vcpu as usize)
            .map_or(0, |slot| slot.thread.load(Ordering::Relaxed));
        Running { vcpu, thread }
    }

    /// Whether the thread has ended and its vCPU is free, or another thread's.
    pub(super) fn is_over(self) -> bool {
        let slot = &SLOTS[self.vcpu as usize];
        // `main`'s vCPU has a slot that says STOPPED, but never another thread.
        let stopped = self.vcpu != 0 && slot.state.load(Ordering::SeqCst) == STOPPED;
        stopped || !self.is_last()
    }

    /// Whether no other thread has run on the vCPU since.
    pub(super) fn is_last(self) -> bool {
        SLOTS[self.vcpu as usize].thread.load(Ordering::SeqCst) == self.thread
    }

    /// Blocks until the thread is over.
    pub(super) fn wait(self) {
        loop {
            // Cleared before the look: the host raises it after it has set the state.
            event::take(VCPU_STOPPED);
            if self.is_over() {
                return;
            }
            let _ = event::rest(VCPU_STOPPED, None);
        }
    }
}
