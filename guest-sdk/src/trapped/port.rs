//! The door to ports, for the devices beside this file.

use core::arch::asm;

/// Reads a byte from a port.
///
/// # Safety
/// The port must be a device's that has no say over this program's memory.
pub(super) unsafe fn read(port: u16) -> u8 {
    let value: u8;
    // SAFETY: the caller's promise: what the device does stays in the device.
    unsafe {
        asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags))
    };
    value
}

/// Writes a byte to a port.
///
/// # Safety
/// As for [`read`].
pub(super) unsafe fn write(port: u16, value: u8) {
    // SAFETY: as in `read`.
    unsafe {
        asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags))
    };
}
