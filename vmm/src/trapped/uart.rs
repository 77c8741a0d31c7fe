//! The 16550 serial port of a PC, at its first address. The chip is `vm-superio`'s.
//!
//! Owns its wiring: a byte that is sent goes to whoever wrote the register, an interrupt is an edge on line 4. Nothing is ever
//! received: the console's input belongs to the calls.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use vm_superio::serial::NoEvents;
use vm_superio::{Serial, Trigger};

/// The first of its eight ports, and the last.
pub(super) const FIRST: u16 = 0x3f8;
pub(super) const LAST: u16 = 0x3ff;
/// Its interrupt line.
pub(super) const LINE: u8 = 4;

/// The chip.
pub(super) struct Uart {
    /// What it has sent is in its writer until the write that caused it is over.
    serial: Serial<Line, NoEvents, Vec<u8>>,
}

/// The chip's interrupt pin, as far as it has risen.
struct Line(AtomicBool);

impl Trigger for Line {
    type E = Infallible;

    fn trigger(&self) -> Result<(), Infallible> {
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// A port's register.
fn register(port: u16) -> u8 {
    (port & 7) as u8
}

impl Uart {
    pub fn new() -> Uart {
        Uart {
            serial: Serial::new(Line(AtomicBool::new(false)), Vec::new()),
        }
    }

    /// Whether the interrupt pin has risen since this was last asked.
    pub fn take_edge(&self) -> bool {
        self.serial.interrupt_evt().0.swap(false, Ordering::Relaxed)
    }

    pub fn read(&mut self, port: u16) -> u8 {
        self.serial.read(register(port))
    }

    /// Writes a register and returns the byte that was sent by it, if one was.
    pub fn write(&mut self, port: u16, value: u8) -> Option<u8> {
        // Neither a vector nor a flag refuses anything.
        let _ = self.serial.write(register(port), value);
        self.serial.writer_mut().pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IER: u16 = FIRST + 1;
    const IIR: u16 = FIRST + 2;
    const LCR: u16 = FIRST + 3;
    const MCR: u16 = FIRST + 4;
    const LSR: u16 = FIRST + 5;

    #[test]
    fn a_byte_is_sent_when_it_is_written() {
        let mut uart = Uart::new();
        assert_eq!(uart.read(LSR) & 0x60, 0x60, "empty");
        assert_eq!(uart.write(FIRST, b'x'), Some(b'x'));
        assert_eq!(uart.read(LSR) & 0x60, 0x60, "empty again");
        assert!(!uart.take_edge(), "interrupts are off");
    }

    #[test]
    fn the_divisor_is_not_sent() {
        let mut uart = Uart::new();
        uart.write(LCR, 0x83);
        assert_eq!(uart.write(FIRST, 1), None);
        uart.write(LCR, 3);
        assert_eq!(uart.write(FIRST, 1), Some(1));
    }

    #[test]
    fn an_empty_holding_register_interrupts() {
        let mut uart = Uart::new();
        uart.write(IER, 2);
        uart.write(FIRST, b'x');
        assert!(uart.take_edge() && !uart.take_edge());
        assert_eq!(uart.read(IIR) & 0xf, 2);
        assert_eq!(uart.read(IIR) & 0xf, 1, "reading it ends it");
    }

    #[test]
    fn loopback_sends_nothing() {
        let mut uart = Uart::new();
        uart.write(MCR, 0x10);
        assert_eq!(uart.write(FIRST, b'x'), None);
        assert_eq!(uart.read(FIRST), b'x');
    }

    #[test]
    fn loopback_without_end_takes_no_more_room() {
        let mut uart = Uart::new();
        uart.write(MCR, 0x10);
        for _ in 0..10_000 {
            uart.write(FIRST, b'x');
        }
        assert!(uart.serial.state().in_buffer.len() <= 64);
    }
}
