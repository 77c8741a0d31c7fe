//! The interrupt flag and `hlt`.

use core::arch::asm;

/// `cli`. One exit.
pub fn disable() {
    // SAFETY: at ring 3 the flag is the host's emulation, and only `hlt` looks at it.
    unsafe { asm!("cli", options(nostack)) };
}

/// `sti`. One exit.
pub fn enable() {
    // SAFETY: as in `disable`.
    unsafe { asm!("sti", options(nostack)) };
}

/// `hlt`: sleeps until the [interrupt controller](super::pic) has an interrupt. One exit.
///
/// With interrupts [disabled](disable), as they are at the start, this ends the VM: nothing could wake it.
pub fn halt() {
    // SAFETY: goes on behind the instruction, with every register as it was.
    unsafe { asm!("hlt", options(nostack)) };
}
