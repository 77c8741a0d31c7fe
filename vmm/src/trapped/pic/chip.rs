//! One 8259A: requests, services, masks and priorities, which the datasheet calls IRR, ISR and IMR.
//!
//! All lines are edge-triggered. Special fully nested mode and buffered mode are accepted and make no difference.

/// One 8259A.
#[derive(Clone, Copy)]
pub(super) struct Chip {
    /// IRR.
    pub requested: u8,
    /// ISR.
    in_service: u8,
    /// IMR.
    masked: u8,
    /// ICW2: the vector of line 0. Kept because a driver sets it; nothing injects vectors here.
    vector: u8,
    /// The line of the lowest priority; the one after it, modulo 8, has the highest.
    lowest: u8,
    awaits: Awaits,
    /// ICW1: whether ICW3 and ICW4 are to come.
    cascaded: bool,
    fourth: bool,
    auto_end: bool,
    rotates_on_auto_end: bool,
    special_mask: bool,
    /// Which register the command port shows.
    shows_in_service: bool,
    /// The next read is an acknowledgement.
    polled: bool,
}

/// What the next write to the data port is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Awaits {
    Mask,
    Icw2,
    Icw3,
    Icw4,
}

/// A line's bit in its chip's registers.
pub(super) fn bit(line: u8) -> u8 {
    1 << (line & 7)
}

impl Chip {
    pub fn new(vector: u8) -> Chip {
        Chip {
            requested: 0,
            in_service: 0,
            masked: 0xff,
            vector,
            lowest: 7,
            awaits: Awaits::Mask,
            cascaded: true,
            fourth: true,
            auto_end: false,
            rotates_on_auto_end: false,
            special_mask: false,
            shows_in_service: false,
            polled: false,
        }
    }

    /// How far a line is from the highest priority.
    fn rank(&self, line: u8) -> u8 {
        line.wrapping_sub(self.lowest).wrapping_sub(1) & 7
    }

    /// The line of the highest priority in a set.
    fn highest(&self, set: u8) -> Option<u8> {
        (0..8)
            .filter(|line| set & bit(*line) != 0)
            .min_by_key(|line| self.rank(*line))
    }

    /// The lines in service that hold others back.
    fn blocking(&self) -> u8 {
        match self.special_mask {
            true => self.in_service & !self.masked,
            false => self.in_service,
        }
    }

    /// The request that is presented to the processor, if one is.
    pub fn next(&self) -> Option<u8> {
        let line = self.highest(self.requested & !self.masked)?;
        match self.highest(self.blocking()) {
            Some(blocker) if self.rank(blocker) <= self.rank(line) => None,
            _ => Some(line),
        }
    }

    /// The acknowledgement: the poll byte.
    fn acknowledge(&mut self) -> u8 {
        let Some(line) = self.next() else {
            return 0;
        };
        self.requested &= !bit(line);
        if !self.auto_end {
            self.in_service |= bit(line);
        } else if self.rotates_on_auto_end {
            self.lowest = line;
        }
        0x80 | line
    }

    pub fn read_command(&mut self) -> u8 {
        match (std::mem::take(&mut self.polled), self.shows_in_service) {
            (true, _) => self.acknowledge(),
            (false, true) => self.in_service,
            (false, false) => self.requested,
        }
    }

    pub fn read_data(&mut self) -> u8 {
        match std::mem::take(&mut self.polled) {
            true => self.acknowledge(),
            false => self.masked,
        }
    }

    pub fn write_command(&mut self, value: u8) {
        match value & 0x18 {
            0x10 | 0x18 => self.initialize(value),
            0x08 => self.control(value),
            _ => self.end(value),
        }
    }

    /// ICW1.
    fn initialize(&mut self, value: u8) {
        *self = Chip {
            masked: 0,
            awaits: Awaits::Icw2,
            cascaded: value & 2 == 0,
            fourth: value & 1 != 0,
            ..Chip::new(self.vector)
        };
    }

    /// ICW2 to ICW4, or OCW1.
    pub fn write_data(&mut self, value: u8) {
        let fourth = match self.fourth {
            true => Awaits::Icw4,
            false => Awaits::Mask,
        };
        self.awaits = match self.awaits {
            Awaits::Mask => {
                self.masked = value;
                Awaits::Mask
            }
            Awaits::Icw2 => {
                self.vector = value & !7;
                if self.cascaded { Awaits::Icw3 } else { fourth }
            }
            Awaits::Icw3 => fourth, // the wiring, which is a PC's
            Awaits::Icw4 => {
                self.auto_end = value & 2 != 0;
                Awaits::Mask
            }
        };
    }

    /// OCW2: ends of interrupts and priorities.
    fn end(&mut self, value: u8) {
        let line = value & 7;
        match value >> 5 {
            0 => self.rotates_on_auto_end = false,
            1 => drop(self.end_highest()),
            3 => self.in_service &= !bit(line),
            4 => self.rotates_on_auto_end = true,
            5 => {
                if let Some(ended) = self.end_highest() {
                    self.lowest = ended;
                }
            }
            6 => self.lowest = line,
            7 => {
                self.in_service &= !bit(line);
                self.lowest = line;
            }
            _ => {} // 2: no operation
        }
    }

    fn end_highest(&mut self) -> Option<u8> {
        let line = self.highest(self.blocking())?;
        self.in_service &= !bit(line);
        Some(line)
    }

    /// OCW3: which register is read, poll, special mask.
    fn control(&mut self, value: u8) {
        match value & 7 {
            4.. => self.polled = true,
            2 => self.shows_in_service = false,
            3 => self.shows_in_service = true,
            _ => {}
        }
        match value & 0x60 {
            0x40 => self.special_mask = false,
            0x60 => self.special_mask = true,
            _ => {}
        }
    }
}
