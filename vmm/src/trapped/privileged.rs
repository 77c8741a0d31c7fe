//! A vCPU's privileged registers as an unmodified kernel would find them, and what its privileged instructions do to them.
//!
//! Owns the interrupt flag, CR0, CR4 and the descriptor-table registers, which are only kept and shown; CR3 is the processor's own.
//! Model-specific registers are [`msr`](super::msr)'s. What the processor would refuse a kernel is refused here too.

use super::msr::Msrs;
use super::{FLOATING, Operation};
use crate::vcpu::is_canonical;
use crate::vcpu::registers::{general, set_general};
use hypercall_abi::map::PAGE_SIZE;
use kvm_bindings::{kvm_regs, kvm_sregs};

/// Of CR0: PE and PG, without which there is no 64-bit mode, and the bits that it has at all.
const CR0_NEEDED: u64 = 0x8000_0001;
const CR0_KNOWN: u64 = 0xe005_003f;
/// Of CR4: PAE, and the bits up to SMAP that the architecture defines and that are not the virtual machine extensions'.
const CR4_NEEDED: u64 = 1 << 5;
const CR4_KNOWN: u64 = 0x0037_17ff;
/// Of CR3: the bits that choose the caching of the root, which make no difference.
const CR3_CACHING: u64 = 0x18;
/// The one of them that makes a root a new one to KVM.
const CR3_WRITE_THROUGH: u64 = 8;

/// A descriptor-table register.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Table {
    base: u64,
    limit: u16,
}

/// The registers of one vCPU.
#[derive(Clone, Debug)]
pub(crate) struct Privileged {
    interrupts: bool,
    cr0: u64,
    cr4: u64,
    gdt: Table,
    idt: Table,
    msrs: Msrs,
}

/// What is left to do after an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    /// Nothing: registers are as it leaves them.
    Done,
    /// The vCPU is to sleep until it is interrupted, which it may be (`true`) or not.
    Halt(bool),
    /// The processor would raise a general protection fault.
    Refused,
}

/// What an instruction may look at beside registers.
pub(crate) trait Surroundings {
    /// Bytes of RAM.
    fn ram(&self) -> u64;
    /// Ten bytes of RAM, if they are there.
    fn ten_bytes(&self, address: u64) -> Option<[u8; 10]>;
    /// The guest's time-stamp counter, if the host can say.
    fn time_stamp(&self) -> Option<u64>;
}

impl Privileged {
    /// As a kernel's entry finds them: interrupts off.
    pub fn new(cr0: u64, cr4: u64) -> Privileged {
        Privileged {
            interrupts: false,
            cr0,
            cr4,
            gdt: Table::default(),
            idt: Table::default(),
            msrs: Msrs::new(),
        }
    }

    /// Takes over the processor's own flag, where `cli` and `sti` change that.
    pub fn set_interrupts(&mut self, on: bool) {
        self.interrupts = on;
    }

    /// Does what an instruction does, except for `rip`.
    pub fn execute(
        &mut self,
        operation: Operation,
        regs: &mut kvm_regs,
        sregs: &mut kvm_sregs,
        around: &impl Surroundings,
    ) -> Effect {
        let done = match operation {
            Operation::DisableInterrupts => {
                self.interrupts = false;
                Some(())
            }
            Operation::EnableInterrupts => {
                self.interrupts = true;
                Some(())
            }
            Operation::Halt => return Effect::Halt(self.interrupts),
            Operation::ReadMsr => self
                .msrs
                .read(regs.rcx as u32, sregs, || around.time_stamp())
                .map(|value| (regs.rax, regs.rdx) = (value & u64::from(u32::MAX), value >> 32)),
            Operation::WriteMsr => {
                let value = regs.rdx << 32 | u64::from(regs.rax as u32);
                self.msrs.write(regs.rcx as u32, value, sregs)
            }
            Operation::ReadControl { control, to } => self.read_control(control, to, regs, sregs),
            Operation::WriteControl { control, from } => general(regs)
                .get(from)
                .and_then(|value| self.write_control(control, *value, sregs, around.ram())),
            Operation::Invalidate => {
                sregs.cr3 ^= CR3_WRITE_THROUGH;
                Some(())
            }
            Operation::LoadGdt { address } => {
                load_table(address, around).map(|table| self.gdt = table)
            }
            Operation::LoadIdt { address } => {
                load_table(address, around).map(|table| self.idt = table)
            }
            Operation::In { bytes } => {
                set_low(&mut regs.rax, bytes);
                Some(())
            }
            Operation::Out => Some(()),
        };
        match done {
            Some(()) => Effect::Done,
            None => Effect::Refused,
        }
    }

    fn read_control(
        &self,
        control: usize,
        to: usize,
        regs: &mut kvm_regs,
        sregs: &kvm_sregs,
    ) -> Option<()> {
        let value = match control {
            0 => self.cr0,
            2 => sregs.cr2,
            3 => sregs.cr3 & !CR3_CACHING,
            4 => self.cr4,
            _ => return None,
        };
        let mut all = general(regs);
        *all.get_mut(to)? = value;
        set_general(regs, all);
        Some(())
    }

    fn write_control(
        &mut self,
        control: usize,
        value: u64,
        sregs: &mut kvm_sregs,
        ram: u64,
    ) -> Option<()> {
        match control {
            0 if value & CR0_NEEDED == CR0_NEEDED && value & !CR0_KNOWN == 0 => self.cr0 = value,
            2 => sregs.cr2 = value,
            3 => sregs.cr3 = new_root(value, sregs.cr3, ram)?,
            4 if value & CR4_NEEDED != 0 && value & !(CR4_KNOWN | sregs.cr4) == 0 => {
                self.cr4 = value;
            }
            _ => return None,
        }
        Some(())
    }
}

/// What CR3 is to hold for a root that the guest chose: not what it holds now, so that its translations are forgotten.
fn new_root(value: u64, now: u64, ram: u64) -> Option<u64> {
    let root = value & !CR3_CACHING;
    let last = ram.checked_sub(PAGE_SIZE)?;
    if !root.is_multiple_of(PAGE_SIZE) || root > last {
        return None;
    }
    Some(if root == now {
        root | CR3_WRITE_THROUGH
    } else {
        root
    })
}

/// A limit and a base.
fn load_table(address: u64, around: &impl Surroundings) -> Option<Table> {
    let [l0, l1, base @ ..] = around.ten_bytes(address)?;
    let base = u64::from_le_bytes(base);
    is_canonical(base).then_some(Table {
        base,
        limit: u16::from_le_bytes([l0, l1]),
    })
}

/// What `in` from a floating port leaves in `rax`.
fn set_low(rax: &mut u64, bytes: u8) {
    *rax = match bytes {
        1 => *rax | u64::from(FLOATING),
        2 => *rax | u64::from(u16::MAX),
        _ => u32::MAX.into(),
    };
}

#[cfg(test)]
mod tests {
    use super::super::msr::{IA32_EFER, IA32_FS_BASE, IA32_GS_BASE, IA32_TIME_STAMP_COUNTER};
    use super::*;

    struct Few;

    impl Surroundings for Few {
        fn ram(&self) -> u64 {
            0x10_0000
        }

        fn time_stamp(&self) -> Option<u64> {
            Some(0x1_0000_0002)
        }

        fn ten_bytes(&self, address: u64) -> Option<[u8; 10]> {
            match address {
                0x1000 => Some([0x7f, 0, 0, 0x20, 0, 0, 0, 0, 0, 0]),
                0x2000 => Some([0xff; 10]),
                0x3000 => Some([0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 0x80]),
                _ => None,
            }
        }
    }

    struct Cpu {
        privileged: Privileged,
        regs: kvm_regs,
        sregs: kvm_sregs,
    }

    impl Cpu {
        fn new() -> Cpu {
            Cpu {
                privileged: Privileged::new(0x8005_0033, 0x1_0620),
                regs: kvm_regs::default(),
                sregs: kvm_sregs {
                    cr2: 0x1234,
                    cr3: 0xd_0000,
                    cr4: 0x5_0620,
                    efer: 0xd00,
                    ..Default::default()
                },
            }
        }

        fn run(&mut self, operation: Operation) -> Effect {
            let Cpu {
                privileged,
                regs,
                sregs,
            } = self;
            privileged.execute(operation, regs, sregs, &Few)
        }

        fn write_control(&mut self, control: usize, value: u64) -> Effect {
            self.regs.rsi = value;
            self.run(Operation::WriteControl { control, from: 6 })
        }

        fn read_control(&mut self, control: usize) -> u64 {
            let to = 9;
            assert_eq!(
                self.run(Operation::ReadControl { control, to }),
                Effect::Done
            );
            self.regs.r9
        }

        fn write_msr(&mut self, number: u32, value: u64) -> Effect {
            // What is above 32 bits does not count.
            self.regs.rcx = u64::from(number) | 7 << 40;
            (self.regs.rdx, self.regs.rax) = (value >> 32, value | u64::MAX << 32);
            self.run(Operation::WriteMsr)
        }

        fn read_msr(&mut self, number: u32) -> (Effect, u64) {
            self.regs.rcx = number.into();
            let effect = self.run(Operation::ReadMsr);
            (effect, self.regs.rdx << 32 | self.regs.rax)
        }
    }

    #[test]
    fn halt_depends_on_the_interrupt_flag() {
        let mut cpu = Cpu::new();
        assert_eq!(cpu.run(Operation::Halt), Effect::Halt(false));
        cpu.run(Operation::EnableInterrupts);
        assert_eq!(cpu.run(Operation::Halt), Effect::Halt(true));
        cpu.run(Operation::DisableInterrupts);
        assert_eq!(cpu.run(Operation::Halt), Effect::Halt(false));
    }

    #[test]
    fn control_registers() {
        let mut cpu = Cpu::new();
        assert_eq!(cpu.read_control(2), 0x1234);
        assert_eq!(cpu.write_control(0, 0x8005_003b), Effect::Done);
        assert_eq!(cpu.read_control(0), 0x8005_003b);
        assert_eq!(cpu.sregs.cr0, 0, "the processor's own is not touched");
        assert_eq!(cpu.write_control(4, 0x6a0), Effect::Done);
        assert_eq!(cpu.read_control(4), 0x6a0);
        for (control, value) in [
            (0, 0x5_0033),
            (0, 0x8005_0033 | 1 << 40),
            (4, 0x600),
            (4, 1 << 13 | 1 << 5),
            (8, 0),
        ] {
            assert_eq!(cpu.write_control(control, value), Effect::Refused);
        }
    }

    #[test]
    fn a_root_is_always_a_new_one() {
        let mut cpu = Cpu::new();
        for root in [0xd_0000, 0xd_0000, 0xe_0000, 0xe_0018, 0xd_0000] {
            let before = cpu.sregs.cr3;
            assert_eq!(cpu.write_control(3, root), Effect::Done);
            assert_ne!(cpu.sregs.cr3, before);
            assert_eq!(cpu.read_control(3), root & !0x18);
        }
        let before = cpu.sregs.cr3;
        cpu.run(Operation::Invalidate);
        assert_ne!(cpu.sregs.cr3, before);
        assert_eq!(cpu.read_control(3), 0xd_0000);
        for root in [0x10_0000, 0xd_0001, 0xd_0800, u64::MAX, 1 << 63 | 0xd_0000] {
            assert_eq!(cpu.write_control(3, root), Effect::Refused, "{root:#x}");
        }
    }

    #[test]
    fn model_specific_registers() {
        let mut cpu = Cpu::new();
        assert_eq!(cpu.read_msr(IA32_EFER), (Effect::Done, 0xd00));
        assert_eq!(cpu.write_msr(IA32_EFER, 0xd01), Effect::Refused);
        assert_eq!(cpu.read_msr(0x277), (Effect::Done, 0x0007_0406_0007_0406));
        for number in [0xc000_0082, IA32_FS_BASE, IA32_GS_BASE] {
            let value = 0x7fff_1234_5678;
            assert_eq!(cpu.write_msr(number, value), Effect::Done);
            assert_eq!(cpu.read_msr(number), (Effect::Done, value));
        }
        assert_eq!(cpu.sregs.fs.base, 0x7fff_1234_5678);
        assert_eq!(cpu.write_msr(IA32_GS_BASE, 1 << 47), Effect::Refused);
        assert_eq!(
            cpu.read_msr(IA32_TIME_STAMP_COUNTER),
            (Effect::Done, 0x1_0000_0002)
        );
        assert_eq!(cpu.write_msr(IA32_TIME_STAMP_COUNTER, 0), Effect::Refused);
        for unknown in [0, 0x11, 0x4b56_4d00, u32::MAX] {
            assert_eq!(cpu.read_msr(unknown).0, Effect::Refused, "{unknown:#x}");
            assert_eq!(cpu.write_msr(unknown, 0), Effect::Refused, "{unknown:#x}");
        }
    }

    #[test]
    fn descriptor_tables() {
        let mut cpu = Cpu::new();
        assert_eq!(
            cpu.run(Operation::LoadGdt { address: 0x1000 }),
            Effect::Done
        );
        let table = Table {
            base: 0x2000,
            limit: 0x7f,
        };
        assert_eq!((cpu.privileged.gdt, cpu.sregs.gdt.base), (table, 0));
        assert_eq!(
            cpu.run(Operation::LoadIdt { address: 0x2000 }),
            Effect::Done
        );
        assert_eq!(cpu.privileged.idt.limit, 0xffff);
        for address in [0x3000, 0x4000, u64::MAX] {
            assert_eq!(cpu.run(Operation::LoadIdt { address }), Effect::Refused);
        }
    }

    #[test]
    fn a_floating_port_sets_what_was_read() {
        let mut cpu = Cpu::new();
        for (bytes, expected) in [
            (1, 0x1234_5678_9abc_deff_u64),
            (2, 0x1234_5678_9abc_ffff),
            (4, 0xffff_ffff),
        ] {
            cpu.regs.rax = 0x1234_5678_9abc_def0;
            cpu.run(Operation::In { bytes });
            assert_eq!(cpu.regs.rax, expected);
        }
    }
}
