//! The pair of 8259A interrupt controllers of a PC: requests, masks, priorities, and the acknowledgement by poll.
//!
//! Owns the ports and the cascade between the chips; a chip is [`chip`]'s. What raises a line is the devices' business.

mod chip;

use chip::{Chip, bit};

pub(super) const COMMAND: u16 = 0x20;
pub(super) const DATA: u16 = 0x21;
pub(super) const COMMAND2: u16 = 0xa0;
pub(super) const DATA2: u16 = 0xa1;

/// Where the second chip's output is wired to the first.
const CASCADE: u8 = 2;

/// Both chips.
pub(super) struct Pic {
    first: Chip,
    second: Chip,
}

impl Pic {
    /// As a PC's firmware leaves it: initialized, everything masked.
    pub fn new() -> Pic {
        Pic {
            first: Chip::new(0x08),
            second: Chip::new(0x70),
        }
    }

    /// An edge on a line, 0 to 15.
    pub fn raise(&mut self, line: u8) {
        match line {
            0..=7 => self.first.requested |= bit(line),
            _ => self.second.requested |= bit(line),
        }
        self.cascade();
    }

    /// Whether the processor's interrupt pin is high.
    pub fn interrupts(&self) -> bool {
        self.first.next().is_some()
    }

    /// Whether an edge on a line of the first chip would make the pin high.
    pub fn listens_to(&self, line: u8) -> bool {
        let mut first = self.first;
        first.requested |= bit(line);
        first.next().is_some()
    }

    pub fn read(&mut self, port: u16) -> u8 {
        let value = match port {
            COMMAND => self.first.read_command(),
            DATA => self.first.read_data(),
            COMMAND2 => self.second.read_command(),
            DATA2 => self.second.read_data(),
            _ => super::FLOATING,
        };
        self.cascade();
        value
    }

    pub fn write(&mut self, port: u16, value: u8) {
        match port {
            COMMAND => self.first.write_command(value),
            DATA => self.first.write_data(value),
            COMMAND2 => self.second.write_command(value),
            DATA2 => self.second.write_data(value),
            _ => {}
        }
        self.cascade();
    }

    /// The second chip's output pin is an input of the first.
    fn cascade(&mut self) {
        match self.second.next() {
            Some(_) => self.first.requested |= bit(CASCADE),
            None => self.first.requested &= !bit(CASCADE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLL: u8 = 0x0c;
    const END: u8 = 0x20;

    /// Set up as an ordinary kernel does, with nothing masked.
    fn ready() -> Pic {
        let mut pic = Pic::new();
        for (port, value) in [
            (COMMAND, 0x11),
            (DATA, 0x30),
            (DATA, 4),
            (DATA, 1),
            (COMMAND2, 0x11),
            (DATA2, 0x38),
            (DATA2, 2),
            (DATA2, 1),
        ] {
            pic.write(port, value);
        }
        for port in [DATA, DATA2] {
            assert_eq!(pic.read(port), 0, "ICW1 clears the mask");
        }
        pic
    }

    fn poll(pic: &mut Pic, port: u16) -> u8 {
        pic.write(port, POLL);
        pic.read(port)
    }

    #[test]
    fn masked_lines_wait() {
        let mut pic = Pic::new();
        pic.raise(0);
        assert!(!pic.interrupts() && !pic.listens_to(1));
        assert_eq!(pic.read(COMMAND), 1, "requested all the same");
        pic.write(DATA, 0xfe);
        assert!(pic.interrupts());
    }

    #[test]
    fn a_poll_acknowledges_and_the_end_lets_the_next_through() {
        let mut pic = ready();
        assert_eq!(poll(&mut pic, COMMAND), 0, "nothing to acknowledge");
        pic.raise(4);
        pic.raise(3);
        assert_eq!(poll(&mut pic, COMMAND), 0x83);
        pic.write(COMMAND, 0x0b);
        assert_eq!(pic.read(COMMAND), 1 << 3, "in service");
        pic.write(COMMAND, 0x0a);
        assert_eq!(pic.read(COMMAND), 1 << 4, "still requested");
        assert!(!pic.interrupts(), "of lower priority");
        pic.raise(1);
        assert!(pic.interrupts(), "of higher priority");
        assert_eq!(poll(&mut pic, COMMAND), 0x81);
        pic.write(COMMAND, END);
        assert!(!pic.interrupts(), "line 3 is still in service");
        pic.write(COMMAND, END | 0x40 | 3);
        assert_eq!(poll(&mut pic, COMMAND), 0x84);
    }

    #[test]
    fn the_second_chip_comes_through_line_2() {
        let mut pic = ready();
        pic.raise(8);
        assert_eq!(pic.read(COMMAND), 1 << 2);
        assert_eq!(poll(&mut pic, COMMAND), 0x82);
        assert_eq!(poll(&mut pic, COMMAND2), 0x80);
        assert!(!pic.interrupts());
        pic.write(COMMAND2, END);
        pic.write(COMMAND, END);
        pic.raise(15);
        assert!(pic.interrupts());
        pic.write(DATA2, 0x80);
        assert!(!pic.interrupts(), "masked at the second");
    }

    #[test]
    fn priorities_rotate() {
        let mut pic = ready();
        pic.write(COMMAND, 0xc0 | 3); // line 3 is the lowest, so line 4 the highest
        pic.raise(3);
        pic.raise(4);
        assert_eq!(poll(&mut pic, COMMAND), 0x84);
        pic.write(COMMAND, 0xa0); // end, and line 4 becomes the lowest
        pic.raise(4);
        assert_eq!(poll(&mut pic, COMMAND), 0x83);
    }

    #[test]
    fn automatic_ends_and_special_mask() {
        let mut pic = ready();
        for (port, value) in [(COMMAND, 0x11), (DATA, 0x30), (DATA, 4), (DATA, 3)] {
            pic.write(port, value);
        }
        pic.raise(5);
        assert_eq!(poll(&mut pic, COMMAND), 0x85);
        pic.raise(6);
        assert!(pic.interrupts(), "line 5 has ended by itself");

        let mut pic = ready();
        pic.raise(5);
        assert_eq!(poll(&mut pic, COMMAND), 0x85);
        pic.raise(6);
        pic.write(DATA, 1 << 5);
        assert!(!pic.interrupts());
        pic.write(COMMAND, 0x68);
        assert!(pic.interrupts(), "a masked line holds nobody back");
    }

    #[test]
    fn a_single_chip_without_icw4() {
        let mut pic = Pic::new();
        pic.write(COMMAND, 0x12);
        pic.write(DATA, 0x40);
        pic.write(DATA, 0xaa);
        assert_eq!(pic.read(DATA), 0xaa, "the second write is a mask already");
    }
}
