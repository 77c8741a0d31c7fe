//! An exception at ring 3: an instruction to emulate, reflected to the guest's handler, or the end of the VM.

use super::{Next, Vcpu, registers};
use crate::Error;
use crate::fault::{Cause, Registers};
use crate::kvm::refused;
use crate::platform::corner;
use crate::stats::ExitKind;
use hypercall_abi::Gpa;
use hypercall_abi::fault::{FaultFrame, vector};
use kvm_bindings::kvm_regs;

/// A registered fault handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handler {
    pub entry: u64,
    pub stack: u64,
}

/// What a reflected exception takes of the handler's stack: the frame and a return address.
pub(crate) const FRAME_ROOM: u64 = size_of::<FaultFrame>() as u64 + 8;

/// What a stub and the processor pushed, from the stack pointer up (SDM volume 3, figure 6-9).
struct Pushed {
    vector: u32,
    code: u32,
    ring0: bool,
}

impl Vcpu {
    /// A stub has reported an exception.
    pub(super) fn exception(&mut self) -> Result<Next, Error> {
        let sregs = self.fd.get_sregs().map_err(refused("KVM_GET_SREGS"))?;
        let mut regs = *self.registers();
        let stub =
            corner::is_stub_stack(self.index, regs.rsp) && sregs.cs.selector == corner::CODE0;
        let pushed = if stub {
            self.unwind_stub(&mut regs)
        } else {
            None
        };
        let Some(pushed) = pushed else {
            self.count(ExitKind::Exception);
            return self
                .broken("a write to a port that only the host's exception stubs use".into());
        };
        let address = if pushed.vector == vector::PAGE_FAULT {
            sregs.cr2
        } else {
            0
        };
        let registers = Registers::new(&regs, &sregs);
        let Pushed {
            vector,
            code,
            ring0,
        } = pushed;
        let emulated = match vector {
            vector::PROTECTION | vector::INVALID_OPCODE if !ring0 => self.emulate(regs, sregs)?,
            _ => None,
        };
        if let Some(next) = emulated {
            self.count(ExitKind::Emulated);
            return Ok(next);
        }
        self.count(ExitKind::Exception);
        if let Some(first) = self.handling {
            return Ok(self.fault(
                Cause::Nested {
                    vector,
                    code,
                    address,
                    first,
                },
                registers,
            ));
        }
        let handler = self
            .handler
            .filter(|_| !ring0 && vector != vector::DOUBLE_FAULT);
        let Some(handler) = handler else {
            return Ok(self.fault(
                Cause::Exception {
                    vector,
                    code,
                    address,
                },
                registers,
            ));
        };
        let frame = FaultFrame {
            vector,
            code,
            address,
            gpr: registers.gpr,
            rip: registers.rip,
            rflags: registers.rflags,
        };
        let Ok(rsp) = self.push_frame(handler, &frame) else {
            let what = format!(
                "its fault handler's stack at {:#x} is not in memory",
                handler.stack
            );
            return Ok(self.fault(Cause::Broken(what), registers));
        };
        self.handling = Some(vector);
        registers::leave_ring0(&self.fd, sregs)?;
        let flags = registers::flags(0, self.machine.processor.iopl);
        let regs = self.registers();
        (regs.rip, regs.rsp, regs.rdi, regs.rflags) =
            (handler.entry, rsp, rsp.wrapping_add(8), flags);
        self.registers_changed();
        Ok(Next::Go)
    }

    /// Replaces the stub's view of the registers with that of the code it interrupted.
    fn unwind_stub(&self, regs: &mut kvm_regs) -> Option<Pushed> {
        let words: [u64; 7] = self.shared.memory.load(Gpa(regs.rsp)).ok()?;
        let [vector, code, rip, cs, rflags, rsp, _ss] = words;
        (regs.rip, regs.rflags, regs.rsp) = (rip, rflags, rsp);
        // The stub pushed the vector; more than 8 bits of it are somebody else's doing.
        Some(Pushed {
            vector: vector as u8 as u32,
            code: code as u32,
            ring0: cs & 3 == 0,
        })
    }

    /// Writes the frame and a zero return address to the handler's stack; returns the stack pointer.
    fn push_frame(
        &self,
        handler: Handler,
        frame: &FaultFrame,
    ) -> Result<u64, hypercall_abi::Status> {
        let memory = &self.shared.memory;
        let below = handler.stack.wrapping_sub(FRAME_ROOM);
        memory.buffer(below, FRAME_ROOM)?;
        memory.store(Gpa(below), &0_u64)?;
        memory.store(Gpa(below.wrapping_add(8)), frame)?;
        Ok(below)
    }

    /// Continues where a frame says.
    pub(crate) fn leave_handler(&mut self, frame: &FaultFrame) {
        self.handling = None;
        let flags = registers::flags(frame.rflags, self.machine.processor.iopl);
        let regs = self.registers();
        registers::set_general(regs, frame.gpr);
        (regs.rip, regs.rflags) = (frame.rip, flags);
        self.registers_changed();
    }
}
