//! One counter of the 8254, in modes 0 (interrupt on terminal count), 2 (rate generator) and 3 (square wave).
//!
//! A counter that is set to one of the other modes stands still: those wait for an edge on a gate, and the gates are held high.
//! Nothing is counted: what a count is follows from the tick at which it was loaded.

/// A counter.
#[derive(Clone, Copy)]
pub(super) struct Channel {
    mode: Mode,
    access: Access,
    /// Whether it counts in decimal.
    decimal: bool,
    /// What it counts down from, 1 to 65,536.
    count: u64,
    /// A periodic counter's new count, until its period ends.
    next_count: Option<u64>,
    /// The tick at which it was loaded; `None` from the command byte to the first count.
    loaded: Option<u64>,
    /// Whether a one-shot's output has risen.
    fired: bool,
    /// Whether the output has risen since somebody asked.
    edge: bool,
    /// The first of two bytes that are being written.
    low: Option<u8>,
    /// The second of two bytes that are being read is next.
    high_next: bool,
    latched_count: Option<u16>,
    latched_status: Option<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    TerminalCount,
    RateGenerator,
    SquareWave,
    /// A mode that waits for its gate, by number.
    Gated(u8),
}

impl Mode {
    fn number(self) -> u8 {
        match self {
            Mode::TerminalCount => 0,
            Mode::RateGenerator => 2,
            Mode::SquareWave => 3,
            Mode::Gated(number) => number,
        }
    }
}

/// Which bytes of a count are written and read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    Low = 1,
    High = 2,
    Both = 3,
}

impl Channel {
    pub fn new() -> Channel {
        Channel {
            mode: Mode::TerminalCount,
            access: Access::Both,
            decimal: false,
            count: 0x1_0000,
            next_count: None,
            loaded: None,
            fired: false,
            edge: false,
            low: None,
            high_next: false,
            latched_count: None,
            latched_status: None,
        }
    }

    /// The command byte: access in bits 5 and 4, mode in bits 3 to 1, decimal in bit 0.
    pub fn configure(&mut self, command: u8) {
        *self = Channel {
            mode: match command >> 1 & 7 {
                0 => Mode::TerminalCount,
                2 | 6 => Mode::RateGenerator,
                3 | 7 => Mode::SquareWave,
                other => Mode::Gated(other),
            },
            access: match command >> 4 & 3 {
                1 => Access::Low,
                2 => Access::High,
                _ => Access::Both,
            },
            decimal: command & 1 != 0,
            ..Channel::new()
        };
    }

    /// Follows the output to a tick.
    pub fn advance(&mut self, now: u64) {
        let Some(loaded) = self.loaded else {
            return;
        };
        let elapsed = now.saturating_sub(loaded);
        match self.mode {
            Mode::TerminalCount if !self.fired && elapsed > self.count => {
                (self.fired, self.edge) = (true, true);
            }
            Mode::RateGenerator | Mode::SquareWave if elapsed >= self.count => {
                self.edge = true;
                // The new count, if there is one, took over when the first of these periods ended.
                let first_end = loaded.saturating_add(self.count);
                self.count = self.next_count.take().unwrap_or(self.count);
                let over = now.saturating_sub(first_end);
                let into_period = over.checked_rem(self.count).unwrap_or(0);
                self.loaded = Some(now.saturating_sub(into_period));
            }
            _ => {}
        }
    }

    pub fn take_edge(&mut self) -> bool {
        std::mem::take(&mut self.edge)
    }

    /// The tick of the output's next rise.
    pub fn next_edge(&self) -> Option<u64> {
        let end = self.loaded?.saturating_add(self.count);
        match self.mode {
            Mode::TerminalCount if !self.fired => Some(end.saturating_add(1)),
            Mode::RateGenerator | Mode::SquareWave => Some(end),
            _ => None,
        }
    }

    /// One byte of a count.
    pub fn write(&mut self, byte: u8, now: u64) {
        let wide = u16::from(byte);
        match (self.access, self.low.take()) {
            (Access::Low, _) => self.load(wide, now),
            (Access::High, _) => self.load(wide << 8, now),
            (Access::Both, Some(low)) => self.load(wide << 8 | u16::from(low), now),
            (Access::Both, None) => {
                self.low = Some(byte);
                if self.mode == Mode::TerminalCount {
                    self.loaded = None; // half a new count stops a one-shot
                }
            }
        }
    }

    fn load(&mut self, written: u16, now: u64) {
        let count = match (written, self.decimal) {
            (0, _) => self.modulus(),
            (_, true) => from_decimal(written),
            (_, false) => written.into(),
        };
        let periodic = matches!(self.mode, Mode::RateGenerator | Mode::SquareWave);
        if periodic && self.loaded.is_some() {
            self.next_count = Some(count);
        } else {
            self.count = count;
            (self.loaded, self.fired, self.edge) = (Some(now), false, false);
        }
    }

    /// One byte of the latched status, of the latched count, or of the count as it is.
    pub fn read(&mut self, now: u64) -> u8 {
        if let Some(status) = self.latched_status.take() {
            return status;
        }
        let [low, high] = self
            .latched_count
            .unwrap_or_else(|| self.shown(now))
            .to_le_bytes();
        let second = match self.access {
            Access::Low => return self.unlatch(low),
            Access::High => return self.unlatch(high),
            Access::Both => std::mem::take(&mut self.high_next),
        };
        match second {
            true => self.unlatch(high),
            false => {
                self.high_next = true;
                low
            }
        }
    }

    fn unlatch(&mut self, byte: u8) -> u8 {
        self.latched_count = None;
        byte
    }

    /// Keeps the count for the next reads. A count that has not been read yet stays.
    pub fn latch_count(&mut self, now: u64) {
        self.latched_count.get_or_insert(self.shown(now));
    }

    /// Keeps the status for the next read. A status that has not been read yet stays.
    pub fn latch_status(&mut self, now: u64) {
        let waiting = self.loaded.is_none() || self.next_count.is_some();
        let status = u8::from(self.output(now)) << 7
            | u8::from(waiting) << 6
            | (self.access as u8) << 4
            | self.mode.number() << 1
            | u8::from(self.decimal);
        self.latched_status.get_or_insert(status);
    }

    /// The count as the counting element shows it.
    fn shown(&self, now: u64) -> u16 {
        let modulus = self.modulus();
        let left = match self.loaded {
            None => self.count,
            Some(loaded) => self.left(now.saturating_sub(loaded)),
        };
        let left = left.checked_rem(modulus).unwrap_or(0);
        match self.decimal {
            true => to_decimal(left),
            false => left as u16,
        }
    }

    /// What is left of the count so many ticks after it was loaded, which is less than a period for a periodic counter.
    fn left(&self, elapsed: u64) -> u64 {
        let modulus = self.modulus();
        match self.mode {
            // Past 0 it goes on, from the top.
            Mode::TerminalCount => {
                let past = elapsed.checked_rem(modulus).unwrap_or(0);
                self.count.saturating_add(modulus).saturating_sub(past)
            }
            Mode::RateGenerator => self.count.saturating_sub(elapsed),
            // It goes down by two, and twice from the top in a period.
            Mode::SquareWave => {
                let half = self.count.div_ceil(2);
                let into_half = elapsed.checked_sub(half).unwrap_or(elapsed);
                (self.count & !1).saturating_sub(into_half.saturating_mul(2))
            }
            Mode::Gated(_) => self.count,
        }
    }

    fn output(&self, now: u64) -> bool {
        let Some(loaded) = self.loaded else {
            return self.mode != Mode::TerminalCount;
        };
        let elapsed = now.saturating_sub(loaded);
        match self.mode {
            Mode::TerminalCount => self.fired,
            Mode::RateGenerator => self.left(elapsed) != 1,
            Mode::SquareWave => elapsed < self.count.div_ceil(2),
            Mode::Gated(_) => true,
        }
    }

    /// How many values a count has.
    fn modulus(&self) -> u64 {
        if self.decimal { 10_000 } else { 0x1_0000 }
    }
}

/// Four decimal digits, one in each nibble.
fn from_decimal(digits: u16) -> u64 {
    [12, 8, 4, 0].into_iter().fold(0_u64, |value, shift| {
        let digit = u64::from(digits >> shift & 15);
        value.saturating_mul(10).saturating_add(digit)
    })
}

fn to_decimal(value: u64) -> u16 {
    let digits = [
        value / 1000 % 10,
        value / 100 % 10,
        value / 10 % 10,
        value % 10,
    ];
    digits
        .into_iter()
        .fold(0, |shown, digit| shown << 4 | digit as u16)
}

#[cfg(test)]
mod tests;
