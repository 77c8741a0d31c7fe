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

/// Reads as many 16-bit words from a port as fill a buffer of an even length: one instruction.
///
/// # Safety
/// As for [`read`].
pub(super) unsafe fn read_words(port: u16, words: &mut [u8]) {
    let count = words.len() / 2;
    // SAFETY: the caller's promise; what is written is `count` words inside the buffer. The direction flag is clear, as the ABI has it.
    unsafe {
        asm!("rep insw", in("dx") port, inout("rdi") words.as_mut_ptr() => _, inout("rcx") count => _, options(nostack, preserves_flags))
    };
}

/// Writes a buffer of an even length to a port, in 16-bit words: one instruction.
///
/// # Safety
/// As for [`read`].
pub(super) unsafe fn write_words(port: u16, words: &[u8]) {
    let count = words.len() / 2;
    // SAFETY: the caller's promise; what is read is `count` words inside the buffer. The direction flag is clear, as the ABI has it.
    unsafe {
        asm!("rep outsw", in("dx") port, inout("rsi") words.as_ptr() => _, inout("rcx") count => _, options(nostack, readonly, preserves_flags))
    };
}
