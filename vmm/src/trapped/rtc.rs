//! The MC146818 real-time clock of a PC and its battery-backed bytes.
//!
//! Owns the index port, the time registers in the forms that status B asks for, and update-in-progress. Time is a number that the caller
//! passes; what a guest sets is kept as a distance to it. Alarm and periodic interrupts are not raised. The calendar is
//! [`civil`]'s.

mod civil;

use civil::Civil;
use std::time::Duration;

pub(super) const INDEX: u16 = 0x70;
pub(super) const DATA: u16 = 0x71;

const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
const STATUS_C: u8 = 0x0c;
const STATUS_D: u8 = 0x0d;
/// Where a PC keeps the century.
const CENTURY: u8 = 0x32;

/// Status A: an update is near or under way.
const UPDATING: u8 = 0x80;
/// Status B: updates are held off while the time is set; numbers are binary; hours go to 23.
const SET: u8 = 0x80;
const BINARY: u8 = 0x04;
const HOURS_24: u8 = 0x02;
/// In an hour register of the 12-hour form.
const AFTERNOON: u8 = 0x80;
/// Status C: an update has ended since it was last read.
const UPDATED: u8 = 0x10;
/// Status D: the battery is good.
const VALID: u8 = 0x80;

/// How long before the registers change update-in-progress rises: the warning of 244 µs and the update cycle of 1984 µs.
const UPDATE: Duration = Duration::from_micros(244 + 1984);
const BEFORE_UPDATE: Duration = match Duration::from_secs(1).checked_sub(UPDATE) {
    Some(time) => time,
    None => Duration::ZERO,
};

/// The clock.
pub(super) struct Rtc {
    index: u8,
    memory: [u8; 128],
    /// Seconds that the guest has set it ahead of the time passed in.
    ahead: i64,
    /// The time that is being set, while updates are held off.
    setting: Option<Civil>,
    /// The second in which status C was last read.
    seen: i64,
}

impl Rtc {
    pub fn new() -> Rtc {
        let mut memory = [0; 128];
        for (index, value) in [(STATUS_A, 0x26), (STATUS_B, HOURS_24), (STATUS_D, VALID)] {
            if let Some(byte) = memory.get_mut(usize::from(index)) {
                *byte = value;
            }
        }
        Rtc {
            index: STATUS_D,
            memory,
            ahead: 0,
            setting: None,
            seen: 0,
        }
    }

    /// `now` is since 1970.
    pub fn read(&mut self, port: u16, now: Duration) -> u8 {
        if port != DATA {
            return super::FLOATING; // the index is write-only
        }
        match self.index {
            STATUS_A => {
                let near = self.setting.is_none() && sub_second(now) >= BEFORE_UPDATE;
                self.byte(STATUS_A) | if near { UPDATING } else { 0 }
            }
            STATUS_C => {
                let second = self.second(now);
                let before = std::mem::replace(&mut self.seen, second);
                if second == before { 0 } else { UPDATED }
            }
            index => match self.time(now).field(index) {
                Some(value) => self.encode(index, value),
                None => self.byte(index),
            },
        }
    }

    /// `now` is since 1970.
    pub fn write(&mut self, port: u16, value: u8, now: Duration) {
        if port == INDEX {
            self.index = value & 0x7f; // bit 7 masks NMIs, of which there are none
            return;
        }
        match self.index {
            STATUS_A => self.keep(value & !UPDATING),
            STATUS_B => self.control(value, now),
            STATUS_C | STATUS_D => {}
            index => {
                let decoded = self.decode(index, value);
                let mut time = self.time(now);
                if !time.set_field(index, decoded) {
                    self.keep(value);
                } else if self.setting.is_some() {
                    self.setting = Some(time);
                } else {
                    self.set(time, now);
                }
            }
        }
    }

    fn control(&mut self, value: u8, now: Duration) {
        match (value & SET != 0, self.setting) {
            (true, None) => self.setting = Some(self.time(now)),
            (false, Some(time)) => {
                self.setting = None;
                self.set(time, now);
            }
            _ => {}
        }
        self.keep(value);
    }

    fn set(&mut self, time: Civil, now: Duration) {
        let host = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        self.ahead = time.to_seconds().saturating_sub(host);
    }

    fn second(&self, now: Duration) -> i64 {
        i64::try_from(now.as_secs())
            .unwrap_or(i64::MAX)
            .saturating_add(self.ahead)
    }

    fn time(&self, now: Duration) -> Civil {
        self.setting
            .unwrap_or_else(|| Civil::from_seconds(self.second(now)))
    }

    fn byte(&self, index: u8) -> u8 {
        self.memory.get(usize::from(index)).copied().unwrap_or(0)
    }

    /// Keeps a byte where the index points.
    fn keep(&mut self, value: u8) {
        if let Some(byte) = self.memory.get_mut(usize::from(self.index)) {
            *byte = value;
        }
    }

    fn is_twelve_hours(&self, index: u8) -> bool {
        index == civil::HOURS && self.byte(STATUS_B) & HOURS_24 == 0
    }

    /// A number in the form status B asks for.
    fn encode(&self, index: u8, value: u8) -> u8 {
        let (value, afternoon) = match (self.is_twelve_hours(index), value) {
            (false, value) => (value, 0),
            (true, 0) => (12, 0),
            (true, hour @ 1..=11) => (hour, 0),
            (true, 12) => (12, AFTERNOON),
            (true, hour) => (hour.saturating_sub(12), AFTERNOON),
        };
        let shown = match self.byte(STATUS_B) & BINARY {
            0 => ((value / 10) << 4) | (value % 10),
            _ => value,
        };
        shown | afternoon
    }

    /// A number from the form status B says it has.
    fn decode(&self, index: u8, value: u8) -> u8 {
        let twelve = self.is_twelve_hours(index);
        let afternoon = twelve && value & AFTERNOON != 0;
        let value = if twelve { value & !AFTERNOON } else { value };
        let value = match self.byte(STATUS_B) & BINARY {
            0 => (value >> 4).saturating_mul(10).saturating_add(value & 15),
            _ => value,
        };
        match (twelve, afternoon) {
            (false, _) => value,
            (true, false) => value % 12,
            (true, true) => (value % 12).saturating_add(12),
        }
    }
}

fn sub_second(now: Duration) -> Duration {
    Duration::from_nanos(now.subsec_nanos().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2009-02-13 23:31:30, a Friday.
    const NOW: Duration = Duration::from_secs(1_234_567_890);
    /// Seconds, minutes, hours, day of week, day, month, year, century.
    const TIME: [u8; 8] = [0, 2, 4, 6, 7, 8, 9, CENTURY];

    fn read(rtc: &mut Rtc, index: u8, now: Duration) -> u8 {
        rtc.write(INDEX, index, now);
        rtc.read(DATA, now)
    }

    fn write(rtc: &mut Rtc, index: u8, value: u8, now: Duration) {
        rtc.write(INDEX, index, now);
        rtc.write(DATA, value, now);
    }

    fn time(rtc: &mut Rtc, now: Duration) -> [u8; 8] {
        TIME.map(|index| read(rtc, index, now))
    }

    #[test]
    fn the_time_is_decimal_until_told_otherwise() {
        let mut rtc = Rtc::new();
        let decimal = [0x30, 0x31, 0x23, 6, 0x13, 0x02, 0x09, 0x20];
        assert_eq!(time(&mut rtc, NOW), decimal);
        write(&mut rtc, STATUS_B, BINARY | HOURS_24, NOW);
        assert_eq!(time(&mut rtc, NOW), [30, 31, 23, 6, 13, 2, 9, 20]);
    }

    #[test]
    fn twelve_hours() {
        let mut rtc = Rtc::new();
        write(&mut rtc, STATUS_B, BINARY, NOW);
        let hours: Vec<u8> = (0..24)
            .map(|hour| {
                read(
                    &mut rtc,
                    4,
                    Duration::from_secs(1_234_483_200 + hour * 3600),
                )
            })
            .collect();
        assert_eq!(hours[..2], [12, 1]);
        assert_eq!(hours[11..14], [11, 12 | AFTERNOON, 1 | AFTERNOON]);
        assert_eq!(hours[23], 11 | AFTERNOON);
        write(&mut rtc, 4, 12, NOW);
        write(&mut rtc, STATUS_B, BINARY | HOURS_24, NOW);
        assert_eq!(
            read(&mut rtc, 4, NOW),
            0,
            "twelve in the morning is midnight"
        );
    }

    #[test]
    fn update_in_progress_comes_before_the_change() {
        let mut rtc = Rtc::new();
        for (micros, expected) in [
            (0, 0),
            (997_771, 0),
            (997_772, UPDATING),
            (999_999, UPDATING),
        ] {
            let now = NOW + Duration::from_micros(micros);
            assert_eq!(
                read(&mut rtc, STATUS_A, now) & UPDATING,
                expected,
                "{micros}"
            );
        }
    }

    #[test]
    fn a_time_that_is_set_goes_on_from_there() {
        let mut rtc = Rtc::new();
        write(&mut rtc, STATUS_B, SET | BINARY | HOURS_24, NOW);
        for (index, value) in TIME.into_iter().zip([59, 59, 23, 2, 28, 2, 24, 20]) {
            write(&mut rtc, index, value, NOW);
        }
        let later = NOW + Duration::from_secs(100);
        assert_eq!(read(&mut rtc, 0, later), 59, "held while it is set");
        assert_eq!(
            read(&mut rtc, STATUS_A, later + BEFORE_UPDATE) & UPDATING,
            0
        );
        write(&mut rtc, STATUS_B, BINARY | HOURS_24, later);
        let next = later + Duration::from_secs(1);
        assert_eq!(time(&mut rtc, next), [0, 0, 0, 5, 29, 2, 24, 20]);
    }

    #[test]
    fn updates_are_reported_once_each() {
        let mut rtc = Rtc::new();
        read(&mut rtc, STATUS_C, NOW);
        assert_eq!(read(&mut rtc, STATUS_C, NOW), 0);
        assert_eq!(
            read(&mut rtc, STATUS_C, NOW + Duration::from_secs(1)),
            UPDATED
        );
        assert_eq!(read(&mut rtc, STATUS_D, NOW), VALID);
    }

    #[test]
    fn other_bytes_are_kept_and_no_byte_harms() {
        let mut rtc = Rtc::new();
        write(&mut rtc, 0x80 | 0x40, 0xa5, NOW);
        assert_eq!(read(&mut rtc, 0x40, NOW), 0xa5);
        for index in 0..=255 {
            for value in 0..=255 {
                write(&mut rtc, index, value, NOW);
                read(&mut rtc, index, Duration::MAX);
            }
        }
    }
}
