//! The state a vCPU starts in: 64-bit mode at ring 3 (Intel SDM volume 3, 9.8.5 and 4.5), and small changes to it later.

use crate::Error;
use crate::fault::Registers;
use crate::kvm::{Processor, refused};
use crate::platform::corner;
use crate::shared::Start;
use hypercall_abi::map;
use kvm_bindings::{
    Msrs, kvm_dtable, kvm_fpu, kvm_msr_entry, kvm_regs, kvm_segment, kvm_sregs, kvm_xcr, kvm_xcrs,
};
use kvm_ioctls::{SyncReg, VcpuFd};

/// PE, MP, ET, NE, WP, AM, PG.
const CR0: u64 = 0x8005_0033;
/// PAE, OSFXSR, OSXMMEXCPT, FSGSBASE.
const CR4: u64 = 1 << 5 | 1 << 9 | 1 << 10 | 1 << 16;
const CR4_OSXSAVE: u64 = 1 << 18;
/// Bit 3 of CR3: of no consequence to us, and changing it is a new root to KVM.
const CR3_WRITE_THROUGH: u64 = 1 << 3;
/// LME, LMA, NXE. Not SCE: `syscall` is an invalid opcode, where it would otherwise enter ring 0.
const EFER: u64 = 0xd00;
/// Where the local APIC's registers would be, and enabled: the value at reset. There is no APIC behind it.
const APIC_BASE: u64 = 0xfee0_0800;
/// The first vCPU is the bootstrap processor.
const APIC_FIRST: u64 = 1 << 8;
/// The flag that is always set.
pub(crate) const FLAGS: u64 = 2;
/// The flags a guest may choose for itself: arithmetic, TF, DF, AC, ID.
const OWN_FLAGS: u64 = 0x0024_0dd5;

fn segment(selector: u16, kind: u8, long: u8) -> kvm_segment {
    kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector,
        type_: kind,
        present: 1,
        dpl: 3,
        db: u8::from(long == 0),
        s: 1,
        l: long,
        g: 1,
        ..Default::default()
    }
}

/// Code that runs at ring 3.
fn code() -> kvm_segment {
    segment(corner::CODE3, 0xb, 1)
}

fn data() -> kvm_segment {
    segment(corner::DATA3, 0x3, 0)
}

/// Gives a new vCPU the host's processor, with an identity of its own.
pub(crate) fn set_processor(fd: &VcpuFd, processor: &Processor, index: u32) -> Result<(), Error> {
    let mut cpuid = processor.cpuid.clone();
    for leaf in cpuid.as_mut_slice() {
        match leaf.function {
            1 => leaf.ebx = leaf.ebx & 0x00ff_ffff | index << 24,
            0xb | 0x1f => leaf.edx = index,
            _ => {}
        }
    }
    fd.set_cpuid2(&cpuid).map_err(refused("KVM_SET_CPUID2"))?;
    if processor.xcr0 != 0 {
        let mut xcrs = kvm_xcrs {
            nr_xcrs: 1,
            ..Default::default()
        };
        xcrs.xcrs[0] = kvm_xcr {
            xcr: 0,
            value: processor.xcr0,
            ..Default::default()
        };
        fd.set_xcrs(&xcrs).map_err(refused("KVM_SET_XCRS"))?;
    }
    Ok(())
}

/// 64-bit mode at ring 3, with the platform's page tables and ring-0 corner.
pub(crate) fn ring3(processor: &Processor, index: u32) -> kvm_sregs {
    let mut sregs = kvm_sregs {
        cs: code(),
        ..Default::default()
    };
    for data_segment in [
        &mut sregs.ds,
        &mut sregs.es,
        &mut sregs.ss,
        &mut sregs.fs,
        &mut sregs.gs,
    ] {
        *data_segment = data();
    }
    sregs.gs.base = map::vcpu_page(index);
    sregs.ldt = kvm_segment {
        unusable: 1,
        ..Default::default()
    };
    sregs.tr = kvm_segment {
        base: corner::task(index),
        limit: corner::TASK_LIMIT,
        selector: corner::TASK,
        type_: 11, // a busy 64-bit TSS
        present: 1,
        ..Default::default()
    };
    sregs.gdt = kvm_dtable {
        base: corner::GDT_BASE,
        limit: corner::GDT_LIMIT,
        ..Default::default()
    };
    sregs.idt = kvm_dtable {
        base: corner::IDT_BASE,
        limit: corner::IDT_LIMIT,
        ..Default::default()
    };
    sregs.cr0 = CR0;
    sregs.cr3 = map::PAGE_TABLES;
    sregs.cr4 = CR4 | if processor.xcr0 != 0 { CR4_OSXSAVE } else { 0 };
    sregs.efer = EFER;
    sregs.apic_base = APIC_BASE | if index == 0 { APIC_FIRST } else { 0 };
    sregs
}

/// Puts a vCPU at a start, whatever it did before; all but its x87 and SSE state. Takes effect when it next enters the
/// guest, through the registers in the shared page: that saves the requests.
pub(super) fn start(fd: &mut VcpuFd, processor: &Processor, index: u32, start: Start) {
    let regs = kvm_regs {
        rip: start.entry,
        rsp: start.stack.wrapping_sub(8),
        rdi: start.argument,
        rflags: flags(0, processor.iopl),
        ..Default::default()
    };
    let page = fd.sync_regs_mut();
    (page.regs, page.sregs) = (regs, ring3(processor, index));
    fd.set_sync_dirty_reg(SyncReg::Register);
    fd.set_sync_dirty_reg(SyncReg::SystemRegister);
}

/// Makes x87 and SSE state what it is on a new vCPU.
pub(super) fn reset_fpu(fd: &VcpuFd) -> Result<(), Error> {
    let fpu = kvm_fpu {
        fcw: 0x37f,
        mxcsr: 0x1f80,
        ..Default::default()
    };
    fd.set_fpu(&fpu).map_err(refused("KVM_SET_FPU"))
}

/// The flags register for a guest that wishes for some flags, on a host where it needs this IOPL.
pub(crate) fn flags(wished: u64, iopl: u64) -> u64 {
    wished & OWN_FLAGS | FLAGS | iopl
}

/// Back at ring 3 from a stub at ring 0.
pub(super) fn leave_ring0(fd: &VcpuFd, mut sregs: kvm_sregs) -> Result<(), Error> {
    sregs.cs = code();
    sregs.ss = data();
    fd.set_sregs(&sregs).map_err(refused("KVM_SET_SREGS"))
}

/// Makes the vCPU forget every cached translation: a new root is a flush.
pub(super) fn flush_translations(fd: &VcpuFd) -> Result<(), Error> {
    let mut sregs = fd.get_sregs().map_err(refused("KVM_GET_SREGS"))?;
    sregs.cr3 ^= CR3_WRITE_THROUGH;
    fd.set_sregs(&sregs).map_err(refused("KVM_SET_SREGS"))
}

/// What the guest's TSC reads now.
pub(crate) fn guest_tsc(fd: &VcpuFd) -> Result<u64, Error> {
    const IA32_TIME_STAMP_COUNTER: u32 = 0x10;
    let entry = kvm_msr_entry {
        index: IA32_TIME_STAMP_COUNTER,
        ..Default::default()
    };
    let mut msrs = Msrs::from_entries(&[entry])
        .map_err(|_| Error::Config("one register is too many".into()))?;
    fd.get_msrs(&mut msrs).map_err(refused("KVM_GET_MSRS"))?;
    Ok(msrs.as_slice().first().map_or(0, |entry| entry.data))
}

/// Whether an address has bit 47 copied into all bits above it.
pub(crate) fn is_canonical(address: u64) -> bool {
    let high = (address as i64) >> 47;
    high == 0 || high == -1
}

/// The general registers in the processor's numbering.
pub(crate) fn general(regs: &kvm_regs) -> [u64; 16] {
    [
        regs.rax, regs.rcx, regs.rdx, regs.rbx, regs.rsp, regs.rbp, regs.rsi, regs.rdi, regs.r8,
        regs.r9, regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15,
    ]
}

/// Sets the general registers from the processor's numbering.
pub(crate) fn set_general(regs: &mut kvm_regs, general: [u64; 16]) {
    [
        regs.rax, regs.rcx, regs.rdx, regs.rbx, regs.rsp, regs.rbp, regs.rsi, regs.rdi, regs.r8,
        regs.r9, regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15,
    ] = general;
}

impl Registers {
    /// Everything a report shows.
    pub(crate) fn new(regs: &kvm_regs, sregs: &kvm_sregs) -> Registers {
        Registers {
            gpr: general(regs),
            rip: regs.rip,
            rflags: regs.rflags,
            cr2: sregs.cr2,
            cr3: sregs.cr3,
            fs_base: sregs.fs.base,
            gs_base: sregs.gs.base,
        }
    }

    /// The stack pointer.
    #[must_use]
    pub fn rsp(&self) -> u64 {
        self.gpr[4]
    }

    /// The frame pointer.
    #[must_use]
    pub fn rbp(&self) -> u64 {
        self.gpr[5]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_addresses() {
        for (address, canonical) in [
            (0, true),
            (0x7fff_ffff_ffff, true),
            (0x8000_0000_0000, false),
            (0xffff_7fff_ffff_ffff, false),
            (0xffff_8000_0000_0000, true),
            (u64::MAX, true),
        ] {
            assert_eq!(is_canonical(address), canonical, "{address:#x}");
        }
    }

    #[test]
    fn a_guest_chooses_no_flag_that_is_the_hosts() {
        assert_eq!(flags(u64::MAX, 0), OWN_FLAGS | 2);
        assert_eq!(flags(0, 3 << 12), 0x3002);
        assert_eq!(OWN_FLAGS & (3 << 12 | 1 << 9 | 1 << 17), 0, "IOPL, IF, VM");
    }

    #[test]
    fn general_registers_keep_their_numbers() {
        let mut regs = kvm_regs::default();
        set_general(&mut regs, std::array::from_fn(|number| number as u64));
        assert_eq!(
            (regs.rax, regs.rsp, regs.rdi, regs.r8, regs.r15),
            (0, 4, 7, 8, 15)
        );
        assert_eq!(general(&regs), std::array::from_fn(|number| number as u64));
    }
}
