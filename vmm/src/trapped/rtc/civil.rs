//! The calendar of the real-time clock: seconds since 1970 as the chip's registers hold them, and back.

/// The register of the hours, whose form depends on status B.
pub(super) const HOURS: u8 = 4;

const DAY: i64 = 86_400;
/// Days in 400 years, after which the calendar repeats.
const ERA: i64 = 146_097;

/// The time registers, in binary and 24 hours. While a guest sets them they may hold anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Civil {
    second: u8,
    minute: u8,
    hour: u8,
    /// 1 is Sunday. Of no influence on the rest.
    weekday: u8,
    /// From 1.
    day: u8,
    /// From 1.
    month: u8,
    /// Of the century.
    year: u8,
    century: u8,
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of_year(year: i64) -> i64 {
    365_i64.saturating_add(is_leap(year).into())
}

fn days_of_month(month: usize, year: i64) -> i64 {
    const DAYS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = i64::from(month == 1 && is_leap(year));
    DAYS.get(month).map_or(0, |days| days.saturating_add(leap))
}

impl Civil {
    pub fn from_seconds(seconds: i64) -> Civil {
        let days = seconds.div_euclid(DAY);
        let of_day = seconds.rem_euclid(DAY);
        // 1970-01-01 was a Thursday.
        let weekday = days.saturating_add(4).rem_euclid(7).saturating_add(1);
        let mut year = days
            .div_euclid(ERA)
            .saturating_mul(400)
            .saturating_add(1970);
        let mut left = days.rem_euclid(ERA);
        while left >= days_of_year(year) {
            left = left.saturating_sub(days_of_year(year));
            year = year.saturating_add(1);
        }
        let mut month = 0;
        while month < 11 && left >= days_of_month(month, year) {
            left = left.saturating_sub(days_of_month(month, year));
            month = month.saturating_add(1);
        }
        Civil {
            second: (of_day % 60) as u8,
            minute: (of_day / 60 % 60) as u8,
            hour: (of_day / 3600) as u8,
            weekday: weekday as u8,
            day: left.saturating_add(1) as u8,
            month: month.saturating_add(1) as u8,
            year: year.rem_euclid(100) as u8,
            century: (year.div_euclid(100) % 100) as u8,
        }
    }

    /// A month or day that no calendar has is the nearest one that it has.
    pub fn to_seconds(self) -> i64 {
        let century = i64::from(self.century).saturating_mul(100);
        let year = century.saturating_add(self.year.into());
        let month = usize::from(self.month.clamp(1, 12)).saturating_sub(1);
        let in_month = days_of_month(month, year);
        let mut days = i64::from(self.day).clamp(1, in_month).saturating_sub(1);
        for before in 0..month {
            days = days.saturating_add(days_of_month(before, year));
        }
        days = match year >= 1970 {
            true => (1970..year).fold(days, |days, year| days.saturating_add(days_of_year(year))),
            false => (year..1970).fold(days, |days, year| days.saturating_sub(days_of_year(year))),
        };
        let minutes = i64::from(self.hour)
            .saturating_mul(60)
            .saturating_add(self.minute.into());
        days.saturating_mul(DAY)
            .saturating_add(minutes.saturating_mul(60))
            .saturating_add(self.second.into())
    }

    /// What a time register holds; `None` for other registers, alarms included.
    pub fn field(mut self, index: u8) -> Option<u8> {
        self.place(index).copied()
    }

    /// Sets a time register, and says whether it is one.
    pub fn set_field(&mut self, index: u8, value: u8) -> bool {
        self.place(index).map(|place| *place = value).is_some()
    }

    fn place(&mut self, index: u8) -> Option<&mut u8> {
        Some(match index {
            0 => &mut self.second,
            2 => &mut self.minute,
            HOURS => &mut self.hour,
            6 => &mut self.weekday,
            7 => &mut self.day,
            8 => &mut self.month,
            9 => &mut self.year,
            super::CENTURY => &mut self.century,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_that_are_known() {
        for (seconds, expected) in [
            (0, (1, 1, 70, 19, 5)),
            (951_782_400, (29, 2, 0, 20, 3)),
            (1_709_164_800, (29, 2, 24, 20, 5)),
            (4_102_444_800, (1, 1, 0, 21, 6)),
            (-DAY, (31, 12, 69, 19, 4)),
        ] {
            let Civil {
                day,
                month,
                year,
                century,
                weekday,
                ..
            } = Civil::from_seconds(seconds);
            assert_eq!((day, month, year, century, weekday), expected, "{seconds}");
        }
    }

    #[test]
    fn every_day_of_two_centuries_comes_back() {
        for day in -20_000..60_000_i64 {
            let seconds = day * DAY + day.rem_euclid(DAY);
            assert_eq!(Civil::from_seconds(seconds).to_seconds(), seconds);
        }
    }
}
