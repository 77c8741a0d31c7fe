//! The 8254 interval timer of a PC: three counters at 1.193182 MHz, one of them wired to interrupt line 0.
//!
//! Owns the ports and the command byte; a counter is [`channel`]'s. Time is a number that the caller passes, in nanoseconds since
//! the VM was made. All gates are held high.

mod channel;

use channel::Channel;

/// The first counter's port, those of the others following; and the one of the command byte.
pub(super) const FIRST: u16 = 0x40;
pub(super) const COMMAND: u16 = 0x43;

/// The interrupt line of the first counter.
pub(super) const LINE: u8 = 0;
/// Ticks a second.
const RATE: u128 = 1_193_182;
const SECOND_NS: u128 = 1_000_000_000;

/// The chip.
pub(super) struct Pit {
    channels: [Channel; 3],
}

/// Whole ticks by a time.
fn ticks(ns: u64) -> u64 {
    (u128::from(ns).wrapping_mul(RATE) / SECOND_NS) as u64
}

/// The first nanosecond by which so many ticks have passed.
fn nanoseconds(ticks: u64) -> u64 {
    let ns = u128::from(ticks).wrapping_mul(SECOND_NS).div_ceil(RATE);
    u64::try_from(ns).unwrap_or(u64::MAX)
}

impl Pit {
    pub fn new() -> Pit {
        Pit {
            channels: [Channel::new(); 3],
        }
    }

    /// Whether the output of the first counter has risen since this was last asked: an edge on interrupt line 0.
    pub fn take_edge(&mut self, now_ns: u64) -> bool {
        let [first, ..] = &mut self.channels;
        first.advance(ticks(now_ns));
        first.take_edge()
    }

    /// When the output of the first counter will next rise.
    pub fn next_edge(&self) -> Option<u64> {
        let [first, ..] = &self.channels;
        first.next_edge().map(nanoseconds)
    }

    pub fn read(&mut self, port: u16, now_ns: u64) -> u8 {
        match self.channel(port.wrapping_sub(FIRST)) {
            Some(channel) => {
                channel.advance(ticks(now_ns));
                channel.read(ticks(now_ns))
            }
            None => super::FLOATING, // the command byte is write-only
        }
    }

    pub fn write(&mut self, port: u16, value: u8, now_ns: u64) {
        let now = ticks(now_ns);
        for channel in &mut self.channels {
            channel.advance(now);
        }
        match port {
            COMMAND => self.command(value, now),
            _ => {
                if let Some(channel) = self.channel(port.wrapping_sub(FIRST)) {
                    channel.write(value, now);
                }
            }
        }
    }

    fn command(&mut self, value: u8, now: u64) {
        let select = u16::from(value >> 6);
        let Some(channel) = self.channel(select) else {
            return self.read_back(value, now);
        };
        match value & 0x30 {
            0 => channel.latch_count(now),
            _ => channel.configure(value),
        }
    }

    /// Latches count, status or both of the counters that bits 1 to 3 choose; bits 5 and 4 are 0 for what is wanted.
    fn read_back(&mut self, value: u8, now: u64) {
        let chosen = [2_u8, 4, 8].map(|bit| value & bit != 0);
        for (channel, _) in self
            .channels
            .iter_mut()
            .zip(chosen)
            .filter(|(_, chosen)| *chosen)
        {
            if value & 0x20 == 0 {
                channel.latch_count(now);
            }
            if value & 0x10 == 0 {
                channel.latch_status(now);
            }
        }
    }

    fn channel(&mut self, number: u16) -> Option<&mut Channel> {
        self.channels.get_mut(usize::from(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIRD: u16 = 0x42;

    #[test]
    fn a_second_has_its_ticks() {
        assert_eq!(ticks(1_000_000_000), 1_193_182);
        assert_eq!(ticks(nanoseconds(65_536)), 65_536);
        assert_eq!(ticks(nanoseconds(65_536) - 1), 65_535);
        assert_eq!(
            nanoseconds(u64::MAX),
            u64::MAX,
            "beyond five hundred years is never"
        );
    }

    #[test]
    fn a_one_shot_rises_once_and_not_early() {
        let mut pit = Pit::new();
        pit.write(COMMAND, 0x30, 0);
        pit.write(FIRST, 0xa9, 0);
        assert_eq!(pit.next_edge(), None, "half a count is none");
        pit.write(FIRST, 0x04, 0); // 1193 ticks: a millisecond
        let at = pit.next_edge().unwrap();
        assert!((1_000_000..1_002_000).contains(&at), "{at}");
        assert!(!pit.take_edge(at - 1));
        assert!(pit.take_edge(at));
        assert!(!pit.take_edge(at * 1000));
        assert_eq!(pit.next_edge(), None);
    }

    #[test]
    fn read_back_latches_status_before_count() {
        let mut pit = Pit::new();
        pit.write(COMMAND, 0xb4, 0); // channel 2, both bytes, mode 2
        pit.write(THIRD, 0x34, 0);
        pit.write(THIRD, 0x12, 0);
        let later = nanoseconds(0x34);
        pit.write(COMMAND, 0xc8, later);
        assert_eq!(
            pit.read(THIRD, later),
            0x80 | 0x34,
            "output high, both bytes, mode 2"
        );
        assert_eq!(pit.read(THIRD, later * 2), 0x00);
        assert_eq!(pit.read(THIRD, later * 2), 0x12, "as it was latched");
        assert_eq!(pit.read(COMMAND, 0), 0xff);
    }

    #[test]
    fn nothing_a_guest_writes_stops_it() {
        let mut pit = Pit::new();
        let mut state = 1_u32;
        for _ in 0..200_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let port = FIRST + (state >> 30) as u16;
            let now = u64::from(state) << (state >> 27 & 31);
            pit.write(port, (state >> 16) as u8, now);
            pit.read(port, now);
            pit.take_edge(now);
            pit.next_edge();
        }
    }
}
