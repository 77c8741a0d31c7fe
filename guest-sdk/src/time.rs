//! Clocks that are read without a call, and `sleep`.
//!
//! Owns the reading of the shared page's time line. The host moves that line; see
//! [`abi::info::Time`](hypercall_abi::info::Time) for the formula.
//!
//! ```
//! use guest_sdk::time::{Duration, Instant, sleep};
//! let start = Instant::now();
//! sleep(Duration::from_millis(1));
//! assert!(start.elapsed() >= Duration::from_millis(1));
//! ```

use core::ops::{Add, AddAssign, Sub, SubAssign};

pub use core::time::Duration;

#[cfg(any(pv_guest, target_os = "none"))]
pub use line::{epoch_ns, now_ns};
#[cfg(not(any(pv_guest, target_os = "none")))]
pub use wrapped::{epoch_ns, now_ns};

/// A reading of the guest's clock, which never steps back and starts near 0 with the VM.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Instant(u64);

impl Instant {
    /// Now.
    #[must_use]
    pub fn now() -> Instant {
        Instant(now_ns())
    }

    /// So many guest nanoseconds after time 0.
    #[must_use]
    pub fn from_nanos(ns: u64) -> Instant {
        Instant(ns)
    }

    /// The time that has passed since; zero if this instant is yet to come.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Instant::now().duration_since(self)
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    #[must_use]
    pub fn duration_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This instant and some time; `None` past the clock's end, 584 years after the VM's start.
    #[must_use]
    pub fn checked_add(self, duration: Duration) -> Option<Instant> {
        let ns = u64::try_from(duration.as_nanos()).ok()?;
        self.0.checked_add(ns).map(Instant)
    }

    /// This instant less some time; `None` before the VM's start.
    #[must_use]
    pub fn checked_sub(self, duration: Duration) -> Option<Instant> {
        let ns = u64::try_from(duration.as_nanos()).ok()?;
        self.0.checked_sub(ns).map(Instant)
    }

    /// Guest nanoseconds since the VM's start, as calls take their deadlines.
    #[must_use]
    pub fn as_nanos(self) -> u64 {
        self.0
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, duration: Duration) -> Instant {
        self.checked_add(duration)
            .expect("an instant past the end of the clock")
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, duration: Duration) -> Instant {
        self.checked_sub(duration)
            .expect("an instant before the start of the clock")
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

/// The time of day as the host knows it. It may be set, and then it steps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SystemTime(u64);

/// 1970-01-01 00:00:00 UTC.
pub const UNIX_EPOCH: SystemTime = SystemTime(0);

impl SystemTime {
    /// Now.
    #[must_use]
    pub fn now() -> SystemTime {
        SystemTime(epoch_ns().saturating_add(now_ns()))
    }

    /// The time from `earlier` to this one.
    ///
    /// # Errors
    /// The time from this one to `earlier`, if `earlier` is later.
    pub fn duration_since(self, earlier: SystemTime) -> Result<Duration, Duration> {
        match self.0.checked_sub(earlier.0) {
            Some(ns) => Ok(Duration::from_nanos(ns)),
            None => Err(Duration::from_nanos(earlier.0.saturating_sub(self.0))),
        }
    }
}

/// Blocks for at least this long. Costs one call, and no processor time.
pub fn sleep(duration: Duration) {
    sleep_until(Instant::now().checked_add(duration));
}

/// Blocks until `deadline`; `None` is never.
pub fn sleep_until(deadline: Option<Instant>) {
    while deadline.is_none_or(|deadline| Instant::now() < deadline) {
        // Woken early by a shutdown request, of which the handler has run: sleep on.
        let _ = crate::event::rest(0, deadline);
    }
}

/// The clock, from the shared page.
#[cfg(any(pv_guest, target_os = "none"))]
mod line {
    use core::sync::atomic::{AtomicU32, Ordering, fence};
    use hypercall_abi::info::Time;

    /// Guest nanoseconds since the VM's start.
    #[must_use]
    pub fn now_ns() -> u64 {
        let line = read();
        line.at(tsc())
    }

    /// Nanoseconds from the Unix epoch to guest time 0.
    #[must_use]
    pub fn epoch_ns() -> u64 {
        read().epoch_ns
    }

    fn read() -> Time {
        let page = crate::platform::time();
        loop {
            // SAFETY: the page is readable, and the word aligned; the host writes it atomically.
            let seq = unsafe { AtomicU32::from_ptr((&raw const (*page).seq).cast_mut()) };
            let before = seq.load(Ordering::Acquire);
            // SAFETY: as above. Whatever a concurrent write makes of the fields is thrown away below.
            let line = unsafe { page.read_volatile() };
            fence(Ordering::Acquire); // the fields are read before the second look at `seq`; pairs with the host's writer
            if before & 1 == 0 && seq.load(Ordering::Relaxed) == before {
                return line;
            }
            core::hint::spin_loop();
        }
    }

    fn tsc() -> u64 {
        // SAFETY: every x86-64 processor has both instructions, and the host lets ring 3 read the TSC. The fence
        // keeps the reading behind that of the line, so that a clock read twice does not step back.
        unsafe {
            core::arch::x86_64::_mm_lfence();
            core::arch::x86_64::_rdtsc()
        }
    }
}

/// The clock of the host flavour.
#[cfg(not(any(pv_guest, target_os = "none")))]
mod wrapped {
    /// Nanoseconds since the first look at the clock.
    #[must_use]
    pub fn now_ns() -> u64 {
        crate::stand_in::now_ns()
    }

    /// Nanoseconds from the Unix epoch to clock time 0.
    #[must_use]
    pub fn epoch_ns() -> u64 {
        crate::stand_in::epoch_ns()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_add_up() {
        let start = Instant(1_000);
        assert_eq!(
            start + Duration::from_nanos(5) - start,
            Duration::from_nanos(5)
        );
        assert_eq!(start - (start + Duration::from_nanos(5)), Duration::ZERO);
        assert_eq!(start.checked_sub(Duration::from_micros(2)), None);
        assert_eq!(start.checked_add(Duration::MAX), None);
    }

    #[test]
    fn system_time_reports_which_way() {
        let (early, late) = (SystemTime(10), SystemTime(25));
        assert_eq!(late.duration_since(early), Ok(Duration::from_nanos(15)));
        assert_eq!(early.duration_since(late), Err(Duration::from_nanos(15)));
        assert!(SystemTime::now().duration_since(UNIX_EPOCH).is_ok());
    }

    #[test]
    fn sleeping_takes_its_time() {
        let start = Instant::now();
        sleep(Duration::from_millis(2));
        assert!(start.elapsed() >= Duration::from_millis(2));
    }
}
