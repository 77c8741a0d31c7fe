//! Model-specific registers, an allowed few: the processor's own, and those that hold what is written to them.

use crate::vcpu::is_canonical;
use kvm_bindings::kvm_sregs;

pub(super) const IA32_TIME_STAMP_COUNTER: u32 = 0x10;
pub(super) const IA32_APIC_BASE: u32 = 0x1b;
pub(super) const IA32_EFER: u32 = 0xc000_0080;
pub(super) const IA32_FS_BASE: u32 = 0xc000_0100;
pub(super) const IA32_GS_BASE: u32 = 0xc000_0101;

/// Registers that hold what is written to them: their numbers, and what they hold at first.
const KEPT: [(u32, u64); 11] = [
    (0x174, 0),                     // IA32_SYSENTER_CS
    (0x175, 0),                     // IA32_SYSENTER_ESP
    (0x176, 0),                     // IA32_SYSENTER_EIP
    (0x1a0, 1),                     // IA32_MISC_ENABLE: fast strings
    (0x277, 0x0007_0406_0007_0406), // IA32_PAT
    (0xc000_0081, 0),               // IA32_STAR
    (0xc000_0082, 0),               // IA32_LSTAR
    (0xc000_0083, 0),               // IA32_CSTAR
    (0xc000_0084, 0),               // IA32_FMASK
    (0xc000_0102, 0),               // IA32_KERNEL_GS_BASE
    (0xc000_0103, 0),               // IA32_TSC_AUX
];

/// The registers of one vCPU.
#[derive(Clone, Debug)]
pub(super) struct Msrs {
    kept: [u64; KEPT.len()],
}

impl Msrs {
    pub fn new() -> Msrs {
        Msrs {
            kept: KEPT.map(|(_, value)| value),
        }
    }

    /// What a register holds; `None` where the processor would refuse.
    pub fn read(
        &self,
        number: u32,
        sregs: &kvm_sregs,
        time_stamp: impl FnOnce() -> Option<u64>,
    ) -> Option<u64> {
        Some(match number {
            IA32_TIME_STAMP_COUNTER => time_stamp()?,
            IA32_APIC_BASE => sregs.apic_base,
            IA32_EFER => sregs.efer,
            IA32_FS_BASE => sregs.fs.base,
            IA32_GS_BASE => sregs.gs.base,
            number => *self.kept.get(place(number)?)?,
        })
    }

    /// Sets a register; `None` where the processor would refuse.
    pub fn write(&mut self, number: u32, value: u64, sregs: &mut kvm_sregs) -> Option<()> {
        match number {
            IA32_FS_BASE if is_canonical(value) => sregs.fs.base = value,
            IA32_GS_BASE if is_canonical(value) => sregs.gs.base = value,
            IA32_FS_BASE | IA32_GS_BASE => return None,
            number => *self.kept.get_mut(place(number)?)? = value,
        }
        Some(())
    }
}

/// Where in [`KEPT`] a register is.
fn place(number: u32) -> Option<usize> {
    KEPT.iter().position(|(kept, _)| *kept == number)
}
