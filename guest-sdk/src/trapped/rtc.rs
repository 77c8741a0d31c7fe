//! The MC146818 real-time clock.

use super::port;
use core::time::Duration;

const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;
const SECONDS: u8 = 0;
const MINUTES: u8 = 2;
const HOURS: u8 = 4;
const DAY: u8 = 7;
const MONTH: u8 = 8;
const YEAR: u8 = 9;
const CENTURY: u8 = 0x32;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
/// Status A: the registers are about to change.
const UPDATING: u8 = 0x80;
/// Status B: numbers are binary.
const BINARY: u8 = 4;

/// A date and a time of day, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DateTime {
    /// With its century.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

/// Reads the clock: waits until no update is near, reads the registers, and again until the seconds are those it began with.
/// At least twenty exits.
#[must_use]
pub fn read() -> DateTime {
    loop {
        while register(STATUS_A) & UPDATING != 0 {
            core::hint::spin_loop();
        }
        let raw = [SECONDS, MINUTES, HOURS, DAY, MONTH, YEAR, CENTURY].map(register);
        let binary = register(STATUS_B) & BINARY != 0;
        if register(SECONDS) == raw[0] {
            let [second, minute, hour, day, month, year, century] =
                raw.map(|value| if binary { value } else { from_decimal(value) });
            return DateTime {
                year: u16::from(century) * 100 + u16::from(year),
                month,
                day,
                hour,
                minute,
                second,
            };
        }
    }
}

fn register(index: u8) -> u8 {
    // SAFETY: the clock's registers.
    unsafe {
        port::write(INDEX, index);
        port::read(DATA)
    }
}

fn from_decimal(value: u8) -> u8 {
    (value >> 4) * 10 + (value & 15)
}

impl DateTime {
    /// The time since 1970 of a date that is not before.
    #[must_use]
    pub fn since_epoch(self) -> Duration {
        let (year, month) = (u64::from(self.year), u64::from(self.month));
        // Years that begin in March, so that the leap day is their last.
        let (year, month) = if month > 2 {
            (year, month - 3)
        } else {
            (year.saturating_sub(1), month + 9)
        };
        let leap_days = year / 4 - year / 100 + year / 400;
        let days_before_month = (month * 153 + 2) / 5;
        let days = year * 365 + leap_days + days_before_month + u64::from(self.day);
        let days = days.saturating_sub(EPOCH_DAYS);
        let minutes = u64::from(self.hour) * 60 + u64::from(self.minute);
        Duration::from_secs(days * 86_400 + minutes * 60 + u64::from(self.second))
    }
}

/// What the sum of days above is for 1970-01-01.
const EPOCH_DAYS: u64 = 1969 * 365 + 1969 / 4 - 1969 / 100 + 1969 / 400 + 306 + 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_that_are_known() {
        for (date, seconds) in [
            ((1970, 1, 1), 0),
            ((2000, 2, 29), 951_782_400),
            ((2024, 3, 1), 1_709_251_200),
            ((2100, 1, 1), 4_102_444_800),
        ] {
            let (year, month, day) = date;
            let time = DateTime {
                year,
                month,
                day,
                hour: 1,
                minute: 2,
                second: 3,
            };
            let expected = Duration::from_secs(seconds + 3723);
            assert_eq!(time.since_epoch(), expected, "{date:?}");
        }
    }

    #[test]
    fn decimal_digits() {
        assert_eq!([0x00, 0x09, 0x10, 0x59].map(from_decimal), [0, 9, 10, 59]);
    }
}
