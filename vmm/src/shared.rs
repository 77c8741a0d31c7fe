//! What all threads of one VM share, and how it comes to an end. All but KVM's part, which is [`Machine`](crate::machine::Machine)'s.
//!
//! The first thread to end the VM decides how; every other one finds out when it next looks, and is made to look.

use crate::bell::Bell;
use crate::calls::Ring;
use crate::clock::Clock;
use crate::config::Limits;
use crate::console::Console;
use crate::doorbell::Doorbells;
use crate::io::Io;
use crate::kick::Seat;
use crate::memory::Memory;
use crate::poller::Polling;
use crate::recent::Recent;
use crate::stats::Stats;
use crate::tally::Tally;
use crate::timing::Timing;
use crate::trapped::Trapped;
use crate::virtio::Station;
use crate::watch::Watch;
use crate::{End, Error, StopReason};
use hypercall_abi::Gpa;
use hypercall_abi::line::Claim;
use hypercall_abi::map::vcpu_page;
use hypercall_abi::vcpu::{VcpuPage, event};
use std::mem::offset_of;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// A VM's threads' common ground.
pub(crate) struct Shared {
    // Before `memory`: it keeps the VM, whose slot points into that, and fields drop in order.
    pub doorbells: Doorbells,
    pub memory: Arc<Memory>,
    /// The devices, until the I/O thread takes them.
    pub devices: Mutex<Vec<Station>>,
    /// How many there are.
    pub device_count: u32,
    /// The I/O thread, once something needed it; nothing inside where it could not be started.
    pub io: OnceLock<Option<Io>>,
    pub clock: Clock,
    pub console: Console,
    /// What is there beside the calls, if the configuration asks for it.
    pub trapped: Option<Trapped>,
    pub limits: Limits,
    pub slots: Box<[Arc<Slot>]>,
    /// The bounds of the first vCPU's stack, for reports.
    pub stack: (u64, u64),
    pub created: Instant,
    /// ABI feature bits this VM is offered.
    pub features: u64,
    pub polling: Polling,
    pub watch: Watch,
    /// Threads of all vCPUs but the first.
    pub threads: Mutex<Vec<JoinHandle<Stats>>>,
    /// vCPUs that run or wait: the VM ends with the last of them.
    pub running: AtomicU32,
    pub ending: Ending,
}

/// Whether and how a VM has ended.
#[derive(Default)]
pub(crate) struct Ending {
    ended: AtomicBool,
    how: Mutex<Option<Result<End, Error>>>,
}

/// What the others may know of a vCPU.
pub(crate) struct Slot {
    pub bell: Bell,
    pub seat: Seat,
    /// Whether it has been started and has not stopped.
    pub started: AtomicBool,
    /// Whether it is in the guest, or about to enter and past its last look at `flush`.
    pub in_guest: AtomicBool,
    /// Whether it is to forget its address translations before it enters again.
    pub flush: AtomicBool,
    /// Where it is to start, until its thread has taken notice.
    pub start: Mutex<Option<Start>>,
    /// Whether it has a thread.
    pub threaded: AtomicBool,
    /// Who serves its call line.
    pub claim: Claim<AtomicU32>,
    /// Its batch ring.
    pub ring: Mutex<Option<Ring>>,
    pub recent: Recent,
    pub tally: Tally,
    pub timing: Timing,
}

/// Where a vCPU starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub entry: u64,
    /// 16-byte aligned for an ordinary function; the return address goes below it.
    pub stack: u64,
    pub argument: u64,
}

impl Slot {
    /// One without a vCPU yet. `timed`: whether its calls are.
    pub fn new(timed: bool) -> std::io::Result<Slot> {
        Ok(Slot {
            bell: Bell::new()?,
            seat: Seat::default(),
            started: AtomicBool::new(false),
            in_guest: AtomicBool::new(false),
            flush: AtomicBool::new(false),
            start: Mutex::new(None),
            threaded: AtomicBool::new(false),
            claim: Claim::default(),
            ring: Mutex::new(None),
            recent: Recent::default(),
            tally: Tally::default(),
            timing: Timing::new(timed),
        })
    }

    /// Takes the start that was asked for.
    pub fn take_start(&self) -> Option<Start> {
        lock(&self.start).take()
    }
}

/// Locks, also after a panic elsewhere: what these locks guard is replaced whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The address of a vCPU's pending events.
pub(crate) fn pending(index: u32) -> Gpa {
    Gpa(vcpu_page(index)
        + (offset_of!(VcpuPage, events) + offset_of!(hypercall_abi::vcpu::Events, pending)) as u64)
}

fn subscribed(index: u32) -> Gpa {
    Gpa(vcpu_page(index)
        + (offset_of!(VcpuPage, events) + offset_of!(hypercall_abi::vcpu::Events, subscribed))
            as u64)
}

impl Shared {
    /// Whether the VM has come to its end.
    pub fn ended(&self) -> bool {
        self.ending.ended.load(Ordering::SeqCst)
    }

    /// Ends the VM, unless somebody else has, and makes every vCPU notice.
    pub fn finish(&self, how: Result<End, Error>) {
        let mut end = lock(&self.ending.how);
        if end.is_some() {
            return;
        }
        *end = Some(how);
        drop(end);
        // SeqCst: before the rings and kicks. A vCPU that is past its last look at `ended` is kicked out of the guest; one that
        // listens is rung; any other looks.
        self.ending.ended.store(true, Ordering::SeqCst);
        for slot in &self.slots {
            slot.bell.ring();
            slot.seat.kick();
        }
        self.watch.dismiss();
    }

    /// How the VM ended. Called once, by the thread that ran it, after `ended`.
    pub fn take_end(&self) -> Result<End, Error> {
        lock(&self.ending.how)
            .take()
            .unwrap_or(Ok(End::Stopped(StopReason::Requested)))
    }

    /// Raises events on a vCPU and wakes it if it waits.
    pub fn raise(&self, index: u32, bits: u64) {
        if let Some(slot) = self.slot(index) {
            // The pages of all configured vCPUs are in RAM, so this cannot fail. SeqCst: before the ring looks for a listener.
            let _ = self.memory.or_word(pending(index), bits);
            slot.bell.ring();
        }
    }

    /// The I/O thread, which the first one to ask starts.
    pub fn io(self: &Arc<Shared>) -> Option<&Io> {
        self.io.get_or_init(|| Io::start(self).ok()).as_ref()
    }

    /// The slot of a vCPU that a guest names.
    pub fn slot(&self, index: u32) -> Option<&Arc<Slot>> {
        self.slots.get(usize::try_from(index).ok()?)
    }

    /// The slots and their indices.
    pub fn numbered(&self) -> impl Iterator<Item = (u32, &Arc<Slot>)> {
        (0..).zip(self.slots.iter())
    }

    /// Asks the guest to end: with an event and a grace period if it said that it listens to that, else at once.
    pub fn request_shutdown(self: &Arc<Shared>) {
        let mut heard = false;
        for (index, slot) in self.numbered() {
            let subscribed = self.memory.load_word(subscribed(index)).unwrap_or(0);
            if slot.started.load(Ordering::Acquire) && subscribed & event::SHUTDOWN != 0 {
                self.raise(index, event::SHUTDOWN);
                heard = true;
            }
        }
        let grace = Instant::now().checked_add(self.limits.grace);
        let waits =
            heard && grace.is_some_and(|at| Watch::by(self, at, StopReason::Requested).is_ok());
        if !waits {
            self.finish(Ok(End::Stopped(StopReason::Requested)));
        }
    }
}
