//! The poller: one thread of the process that serves the call lines of all VMs that have lately made many calls.
//!
//! It looks at nothing while no VM is awake: it sleeps on a channel. [`policy`] decides who is woken and when;
//! the handshake with the guest is [`hypercall_abi::line`]'s.

mod account;
mod policy;

pub(crate) use account::Sum;
pub(crate) use policy::Density;

use crate::calls::Caller;
use crate::clock::host_tsc;
use crate::config::{Calls, Transport};
use crate::line::look;
use crate::shared::Shared;
use account::Account;
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use hypercall_abi::info::{PollerAwake, SharedInfo};
use hypercall_abi::line::Look;
use hypercall_abi::{Gpa, call, map};
use policy::{Allowance, Backoff};
use std::hint::spin_loop;
use std::mem::offset_of;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::thread;

/// VMs that can be waiting to be woken at once; one more stays asleep and is tried again later.
const WAKING: usize = 64;
/// What an exit costs at the most, in microseconds: four times what was ever measured.
const EXIT_MOST_US: u64 = 250;
/// Calls that make waking the poller worth while.
const WORTH_WAKING: u64 = 8;
/// Of each such time, in microseconds, the poller may be awake for a VM's share.
const PERIOD_US: u64 = 100_000;
/// Looks at a VM between two looks at the time and at the channel.
const LOOKS: u32 = 32;

/// What the poller and a VM know of each other.
pub(crate) struct Polling {
    /// TSC ticks without a call after which the poller leaves the VM.
    window: u64,
    transport: Transport,
    ticks_per_us: u64,
    /// Whether the poller has this VM, or is about to.
    awake: AtomicBool,
    /// Whether a vCPU waited for it in vain: it is to leave the VM.
    late: AtomicBool,
    /// When a vCPU was last seen between the guest and a call of its own, in TSC ticks.
    outside: AtomicU64,
    /// Patience, in ticks, for the guest.
    patience: AtomicU32,
    /// What a way out of the guest and back costs, in ticks.
    exit: AtomicU64,
    backoff: Backoff,
    allowance: Allowance,
    /// Calls served since it was last woken.
    served: AtomicU64,
    account: Account,
}

/// Whether this process can poll: with a single processor to run on, the poller would only keep the guest from running.
pub(crate) fn available() -> bool {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from)) > 1
}

/// Guest memory's word that says whether the poller has this VM.
fn awake_word() -> Gpa {
    field(offset_of!(PollerAwake, awake))
}

fn field(offset: usize) -> Gpa {
    Gpa(map::SHARED_INFO.wrapping_add((offset_of!(SharedInfo, poller_awake) + offset) as u64))
}

impl Polling {
    pub fn new(calls: &Calls, percent: u32, khz: u32) -> Polling {
        let ticks_per_us = u64::from(khz / 1000).max(1);
        let us = u64::try_from(calls.poll_window.as_micros()).unwrap_or(u64::MAX);
        Polling {
            window: us.saturating_mul(ticks_per_us),
            transport: calls.transport,
            ticks_per_us,
            awake: AtomicBool::new(false),
            late: AtomicBool::new(false),
            outside: AtomicU64::new(0),
            patience: AtomicU32::new(0),
            exit: AtomicU64::new(0),
            backoff: Backoff::new(ticks_per_us.saturating_mul(1000)),
            allowance: Allowance::new(ticks_per_us.saturating_mul(PERIOD_US), percent),
            served: AtomicU64::new(0),
            account: Account::default(),
        }
    }

    /// For how long the rings of devices are looked at after the last request, in ticks; not at all where calls are not polled either, or the VM's
    /// share of a processor is used up.
    ///
    /// When the host's kernel takes a vCPU out of the guest for a moment, as for its timer, the guest is silent for as long as an exit. That must not look
    /// like idleness, which costs it a kick and a wait: on a host whose exits cost 60 µs, each tick of the timer did.
    pub fn ring_window(&self, now: u64) -> u64 {
        match self.transport {
            Transport::Trap => 0,
            _ if !available() || !self.allowance.is_left(now) => 0,
            _ => self
                .window
                .saturating_add(self.exit.load(Ordering::Relaxed)),
        }
    }

    /// Whether polling is given up where it does not pay.
    pub fn is_adaptive(&self) -> bool {
        self.transport == Transport::Auto
    }

    /// The TSC's rate.
    pub fn ticks_per_us(&self) -> u64 {
        self.ticks_per_us
    }

    /// The rings have been looked at in vain for so many ticks.
    pub fn looked(&self, now: u64, ticks: u64) {
        self.allowance.charge(now, ticks);
    }

    /// What an exit costs here, in ticks, as a vCPU's calls say.
    #[inline]
    pub fn learn_exit(&self, exit: u64) {
        self.exit.store(exit, Ordering::Relaxed);
    }

    /// A judge of how dense a vCPU's calls are.
    pub fn density(&self) -> Density {
        Density::new(self.window, self.ticks_per_us.saturating_mul(EXIT_MOST_US))
    }

    /// A vCPU has made a call through the gate that could have been posted. `dense`: not its first in a short time.
    #[inline]
    pub fn trapped(shared: &Arc<Shared>, now: u64, dense: bool) {
        let polling = &shared.polling;
        let wanted = match polling.transport {
            Transport::Trap => false,
            Transport::Auto => dense && polling.backoff.is_over(now),
            Transport::Poll => true,
        };
        if wanted
            && !polling.awake.load(Ordering::Relaxed)
            && polling.allowance.is_left(now)
            && available()
        {
            polling.wake(shared);
        }
    }

    /// A vCPU leaves the guest or enters it. While it is outside it cannot post: that time is not the guest's silence.
    #[inline]
    pub fn crossed(&self) {
        if self.awake.load(Ordering::Relaxed) {
            self.outside.store(host_tsc(), Ordering::Relaxed);
        }
    }

    #[cold]
    fn wake(&self, shared: &Arc<Shared>) {
        let Some(poller) = poller() else { return };
        if self.awake.swap(true, Ordering::AcqRel) {
            return;
        }
        // A quarter of what the way round the poller costs: then even a poller that never comes costs little more than an exit.
        let us = self.ticks_per_us;
        let exit = self.exit.load(Ordering::Relaxed);
        let patience = (exit / 4).clamp(us.saturating_mul(2), us.saturating_mul(50));
        self.patience.store(
            u32::try_from(patience).unwrap_or(u32::MAX),
            Ordering::Relaxed,
        );
        self.late.store(false, Ordering::Relaxed);
        self.served.store(0, Ordering::Relaxed);
        if poller.try_send(Arc::clone(shared)).is_err() {
            self.awake.store(false, Ordering::Release);
        }
    }

    /// A vCPU has waited for the poller in vain, or for longer than a call is worth.
    pub fn late(&self, shared: &Shared) {
        if self.transport == Transport::Auto && self.awake.load(Ordering::Relaxed) {
            // The hint first, so that the next call traps; the poller finds the rest when it runs.
            let _ = shared.memory.store_word32(awake_word(), 0);
            let served = self.served.load(Ordering::Relaxed);
            self.backoff.late(host_tsc(), served);
            self.late.store(true, Ordering::Relaxed);
        }
    }

    /// What polling has cost this VM.
    pub fn cost(&self) -> Sum {
        self.account.sum(self.ticks_per_us)
    }
}

/// The thread's channel; started with the first VM that needs it, and there until the process ends.
fn poller() -> Option<&'static Sender<Arc<Shared>>> {
    static POLLER: OnceLock<Option<Sender<Arc<Shared>>>> = OnceLock::new();
    POLLER
        .get_or_init(|| {
            let (sender, receiver) = bounded(WAKING);
            let name = thread::Builder::new().name("poller".into());
            name.spawn(move || poll(&receiver))
                .is_ok()
                .then_some(sender)
        })
        .as_ref()
}

/// A VM the poller looks at.
struct Awake {
    shared: Arc<Shared>,
    /// When a call was last served.
    busy: u64,
}

/// The thread.
fn poll(receiver: &Receiver<Arc<Shared>>) {
    account::is_here();
    let mut scratch = vec![0; call::MAX_TRANSFER as usize].into_boxed_slice();
    let mut awake: Vec<Awake> = Vec::with_capacity(WAKING);
    loop {
        let new = match awake.is_empty() {
            true => receiver.recv().map_err(|_| TryRecvError::Disconnected),
            false => receiver.try_recv(),
        };
        match new {
            Ok(shared) => awake.push(begin(shared)),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return,
        }
        for vm in &mut awake {
            let served: u64 = (0..LOOKS).map(|_| look_all(&vm.shared, &mut scratch)).sum();
            if served != 0 {
                vm.busy = host_tsc();
                vm.shared
                    .polling
                    .served
                    .fetch_add(served, Ordering::Relaxed);
            }
        }
        awake.retain_mut(|vm| !is_over(vm) || !end(vm, &mut scratch));
    }
}

fn begin(shared: Arc<Shared>) -> Awake {
    let now = host_tsc();
    let polling = &shared.polling;
    polling.account.wake();
    let patience = polling.patience.load(Ordering::Relaxed);
    // The shared-info page is in RAM, so that these cannot fail.
    let _ = shared
        .memory
        .store_word32(field(offset_of!(PollerAwake, patience)), patience);
    let _ = shared.memory.store_word32(awake_word(), 1);
    polling.allowance.begin(now);
    Awake { shared, busy: now }
}

/// As [`sweep`], and then leaves the lines alone for a moment: a guest that posts again at once still has the line to itself. Without the
/// moment it has to take the line back from this core first, and a call costs half as much again. A second one after an answer is what
/// it takes for the guest to see that.
#[inline]
fn look_all(shared: &Shared, scratch: &mut [u8]) -> u64 {
    let served = sweep(shared, scratch);
    spin_loop();
    if served != 0 {
        spin_loop();
    }
    served
}

/// Looks at every line of a VM once; says how many calls it served.
#[inline]
fn sweep(shared: &Shared, scratch: &mut [u8]) -> u64 {
    let mut served = 0;
    for (index, slot) in shared.numbered() {
        if slot.started.load(Ordering::Relaxed) {
            let mut caller = Caller {
                shared,
                slot,
                index,
                scratch,
                may_block: false,
            };
            served += u64::from(look(&mut caller) == Look::Served);
        }
    }
    served
}

fn is_over(vm: &Awake) -> bool {
    let polling = &vm.shared.polling;
    let outside = polling.outside.load(Ordering::Relaxed);
    let now = host_tsc();
    vm.shared.ended()
        || polling.allowance.is_spent(now)
        || polling.late.load(Ordering::Relaxed)
        || policy::is_silent(
            now,
            vm.busy,
            // The kernel's way out and back in does not show: it is allowed for.
            outside.saturating_add(polling.exit.load(Ordering::Relaxed)),
            polling.window,
        )
}

/// Leaves a VM. `false`: a call came at the last moment, so not yet.
fn end(vm: &mut Awake, scratch: &mut [u8]) -> bool {
    let polling = &vm.shared.polling;
    let _ = vm.shared.memory.store_word32(awake_word(), 0);
    // A guest that read the word before this store may just have posted. Not needed for any call to be served, only so that
    // such a guest need not lose its patience; the fence makes its post visible to this last look.
    fence(Ordering::SeqCst);
    if sweep(&vm.shared, scratch) != 0
        && !vm.shared.ended()
        && !polling.late.load(Ordering::Relaxed)
        && !polling.allowance.is_spent(host_tsc())
    {
        vm.busy = host_tsc();
        let _ = vm.shared.memory.store_word32(awake_word(), 1);
        return false;
    }
    polling.allowance.end(host_tsc());
    polling.account.leave();
    let served = polling.served.load(Ordering::Relaxed);
    if served < WORTH_WAKING && polling.transport == Transport::Auto {
        polling.backoff.late(host_tsc(), served);
    }
    polling.awake.store(false, Ordering::Release);
    true
}
