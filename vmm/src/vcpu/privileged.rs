//! A privileged instruction at ring 3, where the VM has the trapped side: fetched, emulated, and gone on from; and what a written port
//! sets off.
//!
//! Owns the way from an exception to [`crate::trapped`] and back, and the sleep of `hlt`. Addresses are looked up as if the guest's RAM
//! were mapped at its own addresses, as it is at the start: code that runs elsewhere gets its exception.

use super::{Next, Vcpu, registers};
use crate::Error;
use crate::console::Sent;
use crate::fault::{Cause, Registers};
use crate::memory::OutOfRange;
use crate::shared::{Shared, Slot};
use crate::trapped::{Effect, Interrupt, LONGEST, Privileged, Surroundings, Trapped, decode};
use hypercall_abi::Gpa;
use kvm_bindings::{kvm_regs, kvm_sregs};
use kvm_ioctls::VcpuFd;

/// IF. Nothing is delivered to a guest either way.
const INTERRUPT_FLAG: u64 = 1 << 9;

/// The VM around an instruction, and its vCPU.
struct Around<'v> {
    shared: &'v Shared,
    fd: &'v VcpuFd,
}

impl Surroundings for Around<'_> {
    fn ram(&self) -> u64 {
        self.shared.memory.size()
    }

    fn ten_bytes(&self, address: u64) -> Option<[u8; 10]> {
        self.shared.memory.load(Gpa(address)).ok()
    }

    fn time_stamp(&self) -> Option<u64> {
        registers::guest_tsc(self.fd).ok()
    }
}

impl Vcpu {
    /// What privileged instructions see at a start; `None` where they are not emulated.
    pub(super) fn first_privileged(&self) -> Option<Privileged> {
        self.shared.trapped.as_ref()?;
        let sregs = registers::ring3(self.machine.processor, self.index);
        Some(Privileged::new(sregs.cr0, sregs.cr4))
    }

    /// Emulates the instruction that raised an exception, with the registers of ring 3 at that moment. `None`: it is the guest's to
    /// handle.
    pub(super) fn emulate(
        &mut self,
        mut regs: kvm_regs,
        mut sregs: kvm_sregs,
    ) -> Result<Option<Next>, Error> {
        let (Some(privileged), Some(trapped)) = (&mut self.privileged, &self.shared.trapped) else {
            return Ok(None);
        };
        let mut bytes = [0; LONGEST];
        let bytes = fetch(&self.shared, regs.rip, &mut bytes);
        let Some((operation, length)) = decode(bytes, &regs, &sregs) else {
            return Ok(None);
        };
        let iopl = self.machine.processor.iopl;
        // With an IOPL, `cli` and `sti` do not come here: they have changed the processor's own flag, which stays as it is.
        let own_flag = (iopl != 0).then_some(regs.rflags & INTERRUPT_FLAG);
        if let Some(flag) = own_flag {
            privileged.set_interrupts(flag != 0);
        }
        let around = Around {
            shared: &self.shared,
            fd: &self.fd,
        };
        match privileged.execute(operation, &mut regs, &mut sregs, &around) {
            Effect::Refused => return Ok(None),
            Effect::Done => {}
            Effect::Halt(true) => halt(&self.shared, &self.slot, trapped),
            Effect::Halt(false) => {
                let what =
                    "hlt with interrupts off: nothing would ever wake this vCPU; sti comes first"
                        .into();
                let registers = Registers::new(&regs, &sregs);
                return Ok(Some(self.fault(Cause::Broken(what), registers)));
            }
        }
        regs.rip = regs.rip.wrapping_add(length);
        regs.rflags = registers::flags(regs.rflags, iopl) | own_flag.unwrap_or(0);
        registers::leave_ring0(&self.fd, sregs)?;
        *self.registers() = regs;
        self.registers_changed();
        Ok(Some(Next::Go))
    }

    /// A device's register has been written, and perhaps a byte sent.
    pub(super) fn port_written(&mut self, sent: Option<u8>) {
        let shared = &self.shared;
        // The devices' lock orders the write before these rings: a vCPU in `halt` that took it earlier was listening by then.
        for (_, other) in shared.numbered().filter(|(index, _)| *index != self.index) {
            other.bell.ring();
        }
        let Some(byte) = sent else {
            return;
        };
        let sink = shared.console.sink(false);
        // A serial line has no way to say that nobody reads it.
        let (Sent::All | Sent::Stopped | Sent::Refused(_)) =
            sink.send(&[byte], &self.slot.bell, || shared.ended());
    }
}

/// Copies the bytes of an instruction in, as many as there are before the end of RAM.
fn fetch<'b>(shared: &Shared, rip: u64, bytes: &'b mut [u8; LONGEST]) -> &'b [u8] {
    let there = shared.memory.size().saturating_sub(rip);
    let there = usize::try_from(there).unwrap_or(LONGEST).min(LONGEST);
    let part = bytes.get_mut(..there).unwrap_or_default();
    match shared.memory.read(Gpa(rip), part) {
        Ok(()) => part,
        Err(OutOfRange) => &[],
    }
}

/// Sleeps until the interrupt controller has an interrupt or the VM ends.
fn halt(shared: &Shared, slot: &Slot, trapped: &Trapped) {
    loop {
        slot.bell.listen();
        if shared.ended() {
            return;
        }
        // After `listen`: a device that is written from now on rings the bell.
        let left = match trapped.interrupt() {
            Interrupt::Pending => return,
            Interrupt::In(time) => Some(time),
            Interrupt::Unknown => None,
        };
        slot.bell.sleep(left, None);
    }
}
