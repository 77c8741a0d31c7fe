//! One vCPU and the thread that runs it.
//!
//! [`Vcpu::live`] is its whole life: wait for a start, run until it stops or the VM ends, wait again. What an exit means is
//! decided in [`exit`], an exception's fate in [`exception`], a privileged instruction's in [`privileged`], a call's in [`crate::calls`].

mod exception;
mod exit;
mod privileged;
pub(crate) mod registers;

use crate::backtrace::{self, MAX_FRAMES};
use crate::calls::Caller;
use crate::clock::Reading;
use crate::cpu;
use crate::fault::{CallRecord, Cause, Fault, Registers};
use crate::kvm::refused;
use crate::machine::Machine;
use crate::poller::Density;
use crate::shared::{Shared, Slot, Start, lock};
use crate::stats::{ExitKind, Stats};
use crate::trapped::Privileged;
use crate::{End, Error};
pub(crate) use exception::{FRAME_ROOM, Handler};
use hypercall_abi::map::vcpu_page;
use hypercall_abi::vcpu::{VcpuPage, event};
use hypercall_abi::{Gpa, call};
use kvm_bindings::kvm_regs;
use kvm_ioctls::{SyncReg, VcpuFd};
pub(crate) use registers::is_canonical;
use rustix::thread::{current_timer_slack, set_current_timer_slack};
use std::mem::offset_of;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

/// A vCPU, owned by its thread.
pub(crate) struct Vcpu {
    pub(crate) index: u32,
    fd: VcpuFd,
    pub(crate) machine: Arc<Machine>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) slot: Arc<Slot>,
    stats: Stats,
    density: Density,
    /// Where buffers are copied to and from. As long as the longest transfer.
    pub(crate) scratch: Box<[u8]>,
    /// The guest's fault handler.
    pub(crate) handler: Option<Handler>,
    /// The vector it is handling now.
    pub(crate) handling: Option<u32>,
    /// What its privileged instructions see, where they are emulated.
    privileged: Option<Privileged>,
}

/// While there is one, this thread's sleeps end when they are to: by default the kernel lets a thread sleep 50 µs longer, so as to wake
/// several at once, and a guest's `wait` has a deadline. The thread may be a caller's: it gets back what it had.
struct Punctual {
    before: Option<NonZeroU64>,
}

impl Punctual {
    fn begin() -> Punctual {
        let before = current_timer_slack().ok().and_then(NonZeroU64::new);
        // Where the kernel refuses, waits are a little late, as any thread's.
        let _ = set_current_timer_slack(Some(NonZeroU64::MIN));
        Punctual { before }
    }
}

impl Drop for Punctual {
    fn drop(&mut self) {
        let _ = set_current_timer_slack(self.before);
    }
}

/// How a call, an exception or an exit leaves the vCPU.
pub(crate) enum Next {
    /// It goes on.
    Go,
    /// It stops, and this word is then set to 1 (0: no word).
    Stop(u64),
    /// The VM ends.
    End(End),
}

impl Vcpu {
    /// Makes the vCPU with the host's whole processor, without a start.
    pub fn create(
        machine: Arc<Machine>,
        slot: Arc<Slot>,
        index: u32,
        fd: VcpuFd,
    ) -> Result<Vcpu, Error> {
        let shared = Arc::clone(&machine.shared);
        let density = shared.polling.density();
        let mut vcpu = Vcpu {
            index,
            fd,
            machine,
            shared,
            slot,
            stats: Stats::default(),
            density,
            scratch: vec![0; call::MAX_TRANSFER as usize].into_boxed_slice(),
            handler: None,
            handling: None,
            privileged: None,
        };
        registers::set_processor(&vcpu.fd, vcpu.machine.processor, index)?;
        vcpu.fd.set_sync_valid_reg(SyncReg::Register);
        Ok(vcpu)
    }

    /// Starts a further vCPU's thread.
    ///
    /// # Errors
    /// The host's, where it has no thread or vCPU to give.
    pub fn spawn(machine: &Arc<Machine>, slot: &Arc<Slot>, index: u32) -> Result<(), Error> {
        let id = u64::from(index);
        let fd = machine
            .vm
            .create_vcpu(id)
            .map_err(refused("KVM_CREATE_VCPU"))?;
        let vcpu = Vcpu::create(Arc::clone(machine), Arc::clone(slot), index, fd)?;
        let thread = thread::Builder::new()
            .name(format!("vcpu{index}"))
            .spawn(move || vcpu.live())
            .map_err(|source| Error::Os {
                what: format!("starting the thread of vCPU {index}"),
                source,
            })?;
        lock(&machine.shared.threads).push(thread);
        Ok(())
    }

    /// Lives until the VM ends, and says what it did.
    pub fn live(mut self) -> Stats {
        let slot = Arc::clone(&self.slot);
        let _punctual = Punctual::begin();
        let thread = cpu::this_thread();
        let used = cpu::used_by(thread);
        let first = self.reading();
        if let Err(error) = self.live_on(&slot) {
            self.shared.finish(Err(error));
        }
        // The guest's lengths are held against the host's only where its TSC has kept pace all the while.
        if !first.is_some_and(|first| self.reading().is_some_and(|last| first.agrees(&last))) {
            slot.timing.distrust();
        }
        slot.tally.add_to(&mut self.stats);
        let used = cpu::used_by(thread).saturating_sub(used);
        self.stats.vcpu_cpu.push((self.index, used));
        self.stats
    }

    /// Where its TSC is, if its calls are timed.
    fn reading(&self) -> Option<Reading> {
        let read = || Reading::take(|| registers::guest_tsc(&self.fd)).ok();
        self.slot.timing.is_wanted().then(read).flatten()
    }

    fn live_on(&mut self, slot: &Slot) -> Result<(), Error> {
        // SAFETY: `seated` ends with this function, and the vCPU belongs to our caller.
        let seated = unsafe { slot.seat.take(&mut self.fd) }?;
        while let Some(start) = self.next_start(slot) {
            self.introduce();
            registers::start(&mut self.fd, self.machine.processor, self.index, start);
            self.handler = None;
            self.handling = None;
            self.privileged = self.first_privileged();
            let done_word = match self.run(slot)? {
                Next::Go => break, // the VM has ended
                Next::End(end) => {
                    self.shared.finish(Ok(end));
                    break;
                }
                Next::Stop(word) => word,
            };
            self.stop(slot, done_word);
            registers::reset_fpu(&self.fd)?;
        }
        drop(seated);
        Ok(())
    }

    /// Tells the guest which vCPU this is, in the page at its `gs` base.
    fn introduce(&self) {
        let page = vcpu_page(self.index);
        let index = page.wrapping_add(offset_of!(VcpuPage, index) as u64);
        // The pages of all configured vCPUs are in RAM.
        let _ = self.shared.memory.store(Gpa(page), &page);
        let _ = self.shared.memory.store(Gpa(index), &self.index);
    }

    /// Waits for a start; `None` when the VM has ended.
    fn next_start(&self, slot: &Slot) -> Option<Start> {
        loop {
            slot.bell.listen();
            if self.shared.ended() {
                return None;
            }
            if let Some(start) = slot.take_start() {
                return Some(start);
            }
            slot.bell.sleep(None, None);
        }
    }

    /// Has stopped at the guest's wish.
    fn stop(&mut self, slot: &Slot, done_word: u64) {
        slot.started.store(false, Ordering::SeqCst);
        if done_word != 0 {
            // Checked when the call was made; the guest's memory has not shrunk since.
            let _ = self.shared.memory.store_word32(Gpa(done_word), 1);
        }
        for (index, other) in self.shared.numbered() {
            if other.started.load(Ordering::Acquire) {
                self.shared.raise(index, event::VCPU_STOPPED);
            }
        }
        if self.shared.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.finish(Ok(End::Exit(0)));
        }
    }

    /// Runs from the registers as they are. [`Next::Go`] means that the VM has ended meanwhile.
    fn run(&mut self, slot: &Slot) -> Result<Next, Error> {
        while !self.shared.ended() {
            if slot.flush.swap(false, Ordering::SeqCst) {
                registers::flush_translations(&self.fd)?;
            }
            // SeqCst, before the last look: whoever sets `flush` or ends the VM afterwards sees `in_guest` and kicks. The
            // partners are `mmu_flush` and `Shared::finish`.
            slot.in_guest.store(true, Ordering::SeqCst);
            if slot.flush.load(Ordering::SeqCst) || self.shared.ended() {
                slot.in_guest.store(false, Ordering::SeqCst);
                continue;
            }
            let exit = exit::enter(&mut self.fd, self.shared.trapped.as_ref());
            slot.in_guest.store(false, Ordering::SeqCst);
            self.shared.polling.crossed();
            let next = self.handle(exit?)?;
            self.shared.polling.crossed();
            match next {
                Next::Go => {}
                next => return Ok(next),
            }
        }
        Ok(Next::Go)
    }

    /// The registers as KVM left them in the shared page at the last exit.
    pub(crate) fn registers(&mut self) -> &mut kvm_regs {
        &mut self.fd.sync_regs_mut().regs
    }

    /// Takes changes to [`registers`](Vcpu::registers) along at the next entry.
    pub(crate) fn registers_changed(&mut self) {
        self.fd.set_sync_dirty_reg(SyncReg::Register);
    }

    /// This vCPU as the caller of what any transport carries, and its own thread as who serves it.
    pub(crate) fn caller(&mut self) -> Caller<'_> {
        Caller {
            shared: &self.shared,
            slot: &self.slot,
            index: self.index,
            scratch: &mut self.scratch,
            may_block: true,
        }
    }

    fn recent_calls(&self) -> Vec<CallRecord> {
        self.slot.recent.list()
    }

    fn count(&mut self, kind: ExitKind) {
        if let Some(count) = self.stats.exits.get_mut(kind as usize) {
            *count = count.wrapping_add(1);
        }
    }

    /// The first call stops this clock.
    fn note_first_call(&mut self) {
        if self.stats.to_first_call.is_none() {
            self.stats.to_first_call = Some(self.shared.created.elapsed());
        }
    }

    /// Everything a report says about this vCPU now, as registers and backtrace.
    pub(crate) fn fault(&mut self, cause: Cause, registers: Registers) -> Next {
        let frames = self.walk(&cause, &registers);
        Next::End(End::Fault(Box::new(Fault {
            vcpu: self.index,
            cause,
            registers,
            backtrace: frames,
            stack: self.shared.stack,
            calls: self.recent_calls(),
        })))
    }

    /// The registers, backtrace and last calls for a report, from the given `rip` and `rbp` or from the registers' own.
    pub(crate) fn account(
        &mut self,
        at: Option<(u64, u64)>,
    ) -> Result<(Registers, Vec<u64>, Vec<CallRecord>), Error> {
        let registers = self.all_registers()?;
        let (rip, rbp) = at.unwrap_or((registers.rip, registers.rbp()));
        let read = |address| self.shared.memory.load::<u64>(Gpa(address)).ok();
        Ok((
            registers,
            backtrace::walk(rip, rbp, MAX_FRAMES, read),
            self.recent_calls(),
        ))
    }

    fn walk(&self, cause: &Cause, registers: &Registers) -> Vec<u64> {
        let read = |address| self.shared.memory.load::<u64>(Gpa(address)).ok();
        let (rip, rsp, rbp) = (registers.rip, registers.rsp(), registers.rbp());
        match cause {
            Cause::Exception { address, .. } | Cause::Nested { address, .. } if *address == rip => {
                backtrace::walk_bad_call(rip, rsp, rbp, MAX_FRAMES, read)
            }
            _ => backtrace::walk(rip, rbp, MAX_FRAMES, read),
        }
    }
}
