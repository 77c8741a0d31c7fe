//! The clock and the timers that `embassy-time` asks for.

use super::waits;
use crate::time::now_ns;
use core::task::Waker;
use embassy_time_driver::TICK_HZ;

const NS: u64 = 1_000_000_000;
const _: () = assert!(
    TICK_HZ <= u64::MAX / NS,
    "a second's ticks, in nanoseconds, overflow"
);

/// Guest time, in whatever ticks the program's `embassy-time` counts.
#[derive(Debug)]
pub struct Driver;

impl embassy_time_driver::Driver for Driver {
    fn now(&self) -> u64 {
        ticks(now_ns())
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        waits::until(nanoseconds(at), waker);
    }
}

/// The ticks that are over.
fn ticks(ns: u64) -> u64 {
    (ns / NS).saturating_mul(TICK_HZ) + ns % NS * TICK_HZ / NS
}

/// The first nanosecond at which so many ticks are over; the clock's end where that is past it.
fn nanoseconds(ticks: u64) -> u64 {
    let rest = (ticks % TICK_HZ * NS).div_ceil(TICK_HZ);
    (ticks / TICK_HZ).saturating_mul(NS).saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_over_when_it_says_so() {
        for at in [0, 1, 7, TICK_HZ - 1, TICK_HZ, 86_400 * TICK_HZ + 3] {
            let ns = nanoseconds(at);
            assert_eq!(ticks(ns), at);
            assert!(at == 0 || ticks(ns - 1) < at);
        }
        assert_eq!(nanoseconds(u64::MAX), u64::MAX);
    }
}
