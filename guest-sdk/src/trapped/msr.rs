//! Model-specific registers.

use core::arch::asm;

/// The time-stamp counter.
pub const TIME_STAMP_COUNTER: u32 = 0x10;
/// Which extended features are on.
pub const EFER: u32 = 0xc000_0080;
/// The base of `fs`.
pub const FS_BASE: u32 = 0xc000_0100;
/// The base of `gs`, which is this vCPU's page.
pub const GS_BASE: u32 = 0xc000_0101;

/// `rdmsr`. One exit. A register that the host does not have is a general protection fault.
#[must_use]
pub fn read(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reading has no effect; a fault is the fault handler's.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    };
    u64::from(high) << 32 | u64::from(low)
}

/// `wrmsr`. One exit. A register or a value that the host does not accept is a general protection fault.
///
/// # Safety
/// The running code must not depend on what is changed: the base of `gs` is where this SDK finds its vCPU.
pub unsafe fn write(register: u32, value: u64) {
    let (low, high) = (value as u32, (value >> 32) as u32);
    // SAFETY: the caller's promise.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") low, in("edx") high, options(nostack, preserves_flags));
    };
}
