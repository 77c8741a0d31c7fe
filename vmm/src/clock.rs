//! The guest's clock: a line through TSC readings, kept near the host's monotonic clock.
//!
//! The line itself, and how a guest reads it, is [`hypercall_abi::info::Time`]. Here is where the line comes from and when it moves.
//! A guest's TSC may be offset from the host's, so the offset is measured once; from then on a reading of the host's
//! own TSC will do.

mod reading;

use crate::memory::{Memory, OutOfRange};
use hypercall_abi::Gpa;
use hypercall_abi::info::{TIME, Time};
pub(crate) use reading::Reading;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The line moves when this long has passed since it last did, and sooner while the VM is young.
const SETTLED: Duration = Duration::from_secs(1);
const YOUNG: Duration = Duration::from_millis(10);
/// Two TSC readings further apart than this had something else between them.
const UNDISTURBED_TICKS: u64 = 20_000;

/// A VM's clock.
pub(crate) struct Clock {
    started: Instant,
    /// The guest's TSC less the host's, wrapping.
    offset: u64,
    /// The first pair of readings, from which the TSC's true rate is learnt.
    origin: (u64, u64),
    /// The host's TSC at which the line wants moving.
    due: AtomicU64,
    line: Mutex<Time>,
}

/// The host's TSC.
pub(crate) fn host_tsc() -> u64 {
    // SAFETY: every x86-64 processor has the instruction, and the host's kernel lets user space execute it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// The host's TSC, when everything before has been done.
pub(crate) fn ordered_tsc() -> u64 {
    // SAFETY: as in `host_tsc`; the fence is of the same age.
    unsafe {
        core::arch::x86_64::_mm_lfence();
        core::arch::x86_64::_rdtsc()
    }
}

impl Clock {
    /// Starts the clock: guest time 0 is now. `guest_tsc` reads the first vCPU's TSC; `khz` is its nominal rate.
    pub fn start<E>(khz: u32, guest_tsc: impl FnOnce() -> Result<u64, E>) -> Result<Clock, E> {
        let before = host_tsc();
        let guest = guest_tsc()?;
        let after = host_tsc();
        // Where the readings allow it the two counters are taken to be the same one. Else the guest's is at least this far on:
        // what the host takes for the guest's time is then never later than what the guest reads.
        let offset = if (before..=after).contains(&guest) {
            0
        } else {
            guest.wrapping_sub(after)
        };
        let started = Instant::now();
        let tsc = host_tsc().wrapping_add(offset);
        let epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let line = Time {
            base_tsc: tsc,
            base_ns: 0,
            mult: (1_000_000_u64 << 32) / u64::from(khz.max(1)),
            epoch_ns: saturating_ns(epoch),
            ..Time::default()
        };
        let due = AtomicU64::new(after.wrapping_add(ticks(YOUNG, line.mult)));
        Ok(Clock {
            started,
            offset,
            origin: (tsc, 0),
            due,
            line: Mutex::new(line),
        })
    }

    /// Writes the line to the shared-info page for the first time.
    pub fn publish(&self, memory: &Memory) -> Result<(), OutOfRange> {
        memory.store(TIME, &*self.lock())
    }

    /// Guest nanoseconds now.
    pub fn now(&self) -> u64 {
        self.lock().at(host_tsc().wrapping_add(self.offset))
    }

    /// How long a tick of the host's TSC is, in nanoseconds, as measured since the start.
    pub fn ns_per_tick(&self) -> f64 {
        let ns = self.started.elapsed().as_nanos() as f64;
        let now = host_tsc().wrapping_add(self.offset);
        ns / now.saturating_sub(self.origin.0).max(1) as f64
    }

    /// Moves the line if it is time to. Costs a TSC reading otherwise, and never waits.
    pub fn tick(&self, memory: &Memory) {
        let before = host_tsc();
        if before < self.due.load(Ordering::Relaxed) {
            return;
        }
        let Ok(mut line) = self.line.try_lock() else {
            return;
        };
        let ns = saturating_ns(self.started.elapsed());
        let tsc = host_tsc();
        if tsc.wrapping_sub(before) > UNDISTURBED_TICKS {
            return; // a bad pair of readings: the next call tries again
        }
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut moved = moved(&line, self.origin, tsc.wrapping_add(self.offset), ns);
        moved.epoch_ns = saturating_ns(wall).saturating_sub(ns);
        *line = moved;
        let pause = Duration::from_nanos(ns).clamp(YOUNG, SETTLED);
        self.due.store(
            tsc.wrapping_add(ticks(pause, moved.mult)),
            Ordering::Relaxed,
        );
        // The page is in RAM, so this cannot fail; if it did, the guest would keep the old line.
        let _ = write(memory, &moved);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Time> {
        // A holder that panicked left a whole line behind: it is assigned in one step.
        self.line
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The writing side of the seqlock; its partner is the guest's reader.
fn write(memory: &Memory, line: &Time) -> Result<(), OutOfRange> {
    let seq: u32 = memory.load(TIME)?;
    let odd = seq | 1;
    memory.store_word32(TIME, odd)?;
    fence(Ordering::Release); // the reader sees `seq` odd before any new field
    let body = zerocopy::IntoBytes::as_bytes(line).get(8..).unwrap_or(&[]);
    memory.write(Gpa(TIME.0 + 8), body)?;
    memory.store_word32(TIME, odd.wrapping_add(1)) // release: all new fields before `seq` even
}

/// The line's next base point: never behind what it said before, at the rate measured since `origin`.
///
/// Behind the true time it steps forward; ahead of it, it goes on a little slower, at most a thousandth.
fn moved(line: &Time, origin: (u64, u64), tsc: u64, ns: u64) -> Time {
    let ticks = tsc.saturating_sub(origin.0);
    let elapsed = ns.saturating_sub(origin.1);
    let mult = match u128::from(elapsed)
        .checked_shl(32)
        .map(|ns| ns.checked_div(ticks.into()))
    {
        Some(Some(rate)) if rate != 0 => u64::try_from(rate).unwrap_or(line.mult),
        _ => line.mult,
    };
    let said = line.at(tsc);
    let ahead = said.saturating_sub(ns).min(10_000_000);
    // A thousandth less at 10 ms ahead or more, in proportion below.
    let slower = (u128::from(mult) * u128::from(ahead) / 10_000_000_000) as u64;
    Time {
        base_tsc: tsc,
        base_ns: said.max(ns),
        mult: mult.saturating_sub(slower),
        ..*line
    }
}

fn ticks(time: Duration, mult: u64) -> u64 {
    let ticks = (u128::from(saturating_ns(time)) << 32) / u128::from(mult.max(1));
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

fn saturating_ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GHZ: Time = Time {
        seq: 0,
        reserved0: 0,
        base_tsc: 1_000,
        base_ns: 0,
        mult: 1 << 32,
        epoch_ns: 0,
        reserved1: [0; 3],
    };
    const ORIGIN: (u64, u64) = (1_000, 0);

    #[test]
    fn a_clock_that_is_behind_steps_forward() {
        let moved = moved(&GHZ, ORIGIN, 1_001_000, 1_100_000);
        assert_eq!(moved.at(1_001_000), 1_100_000);
        assert_eq!(moved.mult, (11 << 32) / 10, "and takes the measured rate");
    }

    #[test]
    fn a_clock_that_is_ahead_never_steps_back_and_is_caught() {
        // It runs at 1 GHz by its own account; the truth is 10 % slower.
        let truth = |tsc: u64| (tsc - 1_000) * 9 / 10;
        let (mut line, mut last) = (GHZ, 0);
        for second in 1..200 {
            let tsc = 1_000 + second * 1_000_000;
            assert!(line.at(tsc) >= last);
            line = moved(&line, ORIGIN, tsc, truth(tsc));
            last = line.at(tsc);
        }
        assert!(
            last - truth(199_001_000) < 100_000,
            "{} ahead",
            last - truth(199_001_000)
        );
    }

    #[test]
    fn nonsense_readings_do_not_break_it() {
        for (tsc, ns) in [
            (0, 0),
            (u64::MAX, u64::MAX),
            (1_000, u64::MAX),
            (u64::MAX, 0),
            (1_000, 5),
        ] {
            let moved = moved(&GHZ, ORIGIN, tsc, ns);
            assert!(moved.base_ns >= ns, "{tsc} {ns}");
        }
    }

    #[test]
    fn an_offset_counter_is_measured() {
        let clock =
            Clock::start(1_000_000, || Ok::<_, ()>(host_tsc().wrapping_sub(1 << 40))).unwrap();
        let error = clock.offset.wrapping_add(1 << 40) as i64;
        assert!(error.abs() < 1 << 30, "{error}");
        assert_eq!(
            Clock::start(1_000_000, || Ok::<_, ()>(host_tsc()))
                .unwrap()
                .offset,
            0
        );
    }

    #[test]
    fn the_page_is_left_even() {
        let memory = Memory::new(2 << 20).unwrap();
        write(&memory, &GHZ).unwrap();
        write(&memory, &GHZ).unwrap();
        let page: Time = memory.load(TIME).unwrap();
        assert_eq!(page, Time { seq: 4, ..GHZ });
    }
}
