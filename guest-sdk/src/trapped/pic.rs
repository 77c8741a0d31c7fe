//! The 8259A interrupt controllers. An interrupt is asked for with [`acknowledge`], since none is ever injected into ring 3.

use super::port;

const COMMAND: u16 = 0x20;
const DATA: u16 = 0x21;
const COMMAND2: u16 = 0xa0;
const DATA2: u16 = 0xa1;
/// The next read of the command port acknowledges.
const POLL: u8 = 0x0c;
/// The interrupt of the highest priority has been handled.
const END: u8 = 0x20;
/// Where the second controller is wired to the first.
const CASCADE: u8 = 2;

/// The interrupt line of the [timer](super::pit).
pub const TIMER: u8 = 0;

fn controller(line: u8) -> (u16, u8) {
    let data = if line < 8 { DATA } else { DATA2 };
    (data, 1 << (line & 7))
}

/// Lets a line, 0 to 15, interrupt. Two exits.
pub fn unmask(line: u8) {
    let (data, bit) = controller(line);
    // SAFETY: the interrupt controllers' registers, here and below.
    unsafe { port::write(data, port::read(data) & !bit) };
}

/// Keeps a line, 0 to 15, from interrupting. Two exits.
pub fn mask(line: u8) {
    let (data, bit) = controller(line);
    // SAFETY: as in `unmask`.
    unsafe { port::write(data, port::read(data) | bit) };
}

/// Takes the pending interrupt of the highest priority, if there is one. Two exits, four for the lines of the second controller.
#[must_use]
pub fn acknowledge() -> Option<u8> {
    match poll(COMMAND)? {
        CASCADE => poll(COMMAND2).map(|line| line + 8),
        line => Some(line),
    }
}

fn poll(command: u16) -> Option<u8> {
    // SAFETY: as in `unmask`.
    let answer = unsafe {
        port::write(command, POLL);
        port::read(command)
    };
    (answer & 0x80 != 0).then_some(answer & 7)
}

/// Says that an acknowledged interrupt has been handled. One exit, two for the lines of the second controller.
pub fn end(line: u8) {
    // SAFETY: as in `unmask`.
    unsafe {
        if line >= 8 {
            port::write(COMMAND2, END);
        }
        port::write(COMMAND, END);
    }
}
