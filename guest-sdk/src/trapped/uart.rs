//! The 16550 serial port, driven as an early console drives it: byte by byte, each when the chip is ready.

use super::port;

const DATA: u16 = 0x3f8;
const LINE_STATUS: u16 = 0x3fd;
/// Line status: the transmitter holds nothing.
const EMPTY: u8 = 0x20;

/// Sends bytes: a read of the line status and a write for each, two exits.
pub fn write(bytes: &[u8]) {
    for byte in bytes {
        // SAFETY: the serial port's registers.
        while unsafe { port::read(LINE_STATUS) } & EMPTY == 0 {
            core::hint::spin_loop();
        }
        // SAFETY: as above.
        unsafe { port::write(DATA, *byte) };
    }
}
