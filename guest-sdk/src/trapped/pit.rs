//! The 8254 interval timer, which counts at [`RATE`].

use super::port;
use core::time::Duration;

const COUNTER: u16 = 0x40;
const COMMAND: u16 = 0x43;
/// First counter, both bytes, interrupt on terminal count.
const ONESHOT: u8 = 0x30;
/// First counter, both bytes, rate generator.
const PERIODIC: u8 = 0x34;
/// First counter: keep the count until it is read.
const LATCH: u8 = 0x00;

/// Ticks a second.
pub const RATE: u32 = 1_193_182;
/// The longest count.
pub const LONGEST: u32 = 0x1_0000;

/// The count for a time: whole ticks that are not less, 1 to [`LONGEST`].
#[must_use]
pub fn ticks(time: Duration) -> u32 {
    let ticks = (time.as_nanos() * u128::from(RATE)).div_ceil(1_000_000_000);
    u32::try_from(ticks).unwrap_or(LONGEST).clamp(1, LONGEST)
}

/// Arms the timer: interrupt line 0 rises after so many ticks, 1 to [`LONGEST`]. Three exits.
pub fn oneshot(ticks: u32) {
    program(ONESHOT, ticks);
}

/// Lets interrupt line 0 rise every so many ticks, 2 to [`LONGEST`]. Three exits.
pub fn periodic(ticks: u32) {
    program(PERIODIC, ticks);
}

fn program(command: u8, ticks: u32) {
    let [low, high, ..] = ticks.clamp(1, LONGEST).to_le_bytes(); // the longest count is written as 0
    // SAFETY: the timer's registers.
    unsafe {
        port::write(COMMAND, command);
        port::write(COUNTER, low);
        port::write(COUNTER, high);
    }
}

/// What is left of the count. Three exits.
#[must_use]
pub fn read() -> u16 {
    // SAFETY: as above.
    unsafe {
        port::write(COMMAND, LATCH);
        u16::from_le_bytes([port::read(COUNTER), port::read(COUNTER)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_never_too_short() {
        for (micros, expected) in [(0, 1), (1, 2), (1_000, 1194), (1_000_000, LONGEST)] {
            assert_eq!(ticks(Duration::from_micros(micros)), expected);
        }
    }
}
