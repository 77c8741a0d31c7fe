//! How much a device may do in a second: token buckets, and the timer that says when there is something in them again.
//!
//! A bucket holds what a tenth of a second gives. What is taken may be more than is there: the next one waits for longer then, so that nothing is
//! ever too large, and the rate is kept all the same.

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

const NANOS: i128 = 1_000_000_000;
/// The part of a second for which a bucket that is full lasts.
const BURST: i128 = 10;

/// Tokens that come at a rate. Time is nanoseconds since whenever.
#[derive(Clone, Debug)]
struct Bucket {
    per_second: i128,
    /// What is there, in 10^-9 tokens; less than 0 where more was taken.
    level: i128,
    /// The time of `level`.
    at: u64,
}

impl Bucket {
    /// A full one at time 0.
    fn new(per_second: u64) -> Bucket {
        let per_second = i128::from(per_second.max(1));
        let mut bucket = Bucket {
            per_second,
            level: 0,
            at: 0,
        };
        bucket.level = bucket.most();
        bucket
    }

    fn most(&self) -> i128 {
        self.per_second
            .saturating_mul(NANOS)
            .saturating_div(BURST)
            .max(NANOS)
    }

    /// How long until there is something in it; nothing: there is now.
    fn wait(&mut self, now: u64) -> Option<Duration> {
        let passed = now.saturating_sub(self.at);
        self.at = now.max(self.at);
        let gained = self.per_second.saturating_mul(passed.into());
        self.level = self.level.saturating_add(gained).min(self.most());
        let missing = 1_i128.saturating_sub(self.level);
        if missing <= 0 {
            return None;
        }
        let nanos = missing
            .saturating_add(self.per_second.saturating_sub(1))
            .checked_div(self.per_second)
            .unwrap_or(NANOS);
        Some(Duration::from_nanos(nanos.try_into().unwrap_or(u64::MAX)))
    }

    fn take(&mut self, count: u64) {
        let tokens = i128::from(count).saturating_mul(NANOS);
        self.level = self.level.saturating_sub(tokens);
    }
}

/// A device's limits.
pub(crate) struct Limit {
    operations: Option<Bucket>,
    bytes: Option<Bucket>,
    started: Instant,
    timer: OwnedFd,
    /// Whether the timer runs.
    waiting: bool,
}

impl Limit {
    /// Limits in a second; `None` where there are none.
    ///
    /// # Errors
    /// The host's, where it has no timer to give.
    pub fn new(operations: Option<u64>, bytes: Option<u64>) -> io::Result<Option<Limit>> {
        if operations.is_none() && bytes.is_none() {
            return Ok(None);
        }
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Some(Limit {
            operations: operations.map(Bucket::new),
            bytes: bytes.map(Bucket::new),
            started: Instant::now(),
            timer: timerfd_create(TimerfdClockId::Monotonic, flags)?,
            waiting: false,
        }))
    }

    /// Whether another request may begin. If not, the timer is readable when one may.
    pub fn admits(&mut self) -> bool {
        if self.waiting {
            return false;
        }
        let now = self.started.elapsed().as_nanos();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let buckets = [&mut self.operations, &mut self.bytes];
        let waits = buckets.into_iter().flatten();
        let wait = waits.filter_map(|bucket| bucket.wait(now)).max();
        let Some(wait) = wait else {
            return true;
        };
        // Fails for no time that a duration of this kind can be; then there is no limit rather than no disk.
        self.waiting = self.set(wait).is_ok();
        !self.waiting
    }

    /// Whether requests wait for the timer.
    pub fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Counts a request that begins.
    pub fn charge(&mut self, bytes: u64) {
        if let Some(bucket) = &mut self.operations {
            bucket.take(1);
        }
        if let Some(bucket) = &mut self.bytes {
            bucket.take(bytes);
        }
    }

    /// The timer was readable.
    pub fn rung(&mut self) {
        let mut count = [0; 8];
        // Nothing to read means that it was set anew since.
        match rustix::io::read(&self.timer, &mut count) {
            Err(Errno::AGAIN) => {}
            _ => self.waiting = false,
        }
    }

    fn set(&self, wait: Duration) -> io::Result<()> {
        let wait = wait.max(Duration::from_nanos(1));
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let value = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: wait.subsec_nanos().into(),
        };
        let time = Itimerspec {
            it_interval: zero,
            it_value: value,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &time)?;
        Ok(())
    }
}

impl AsFd for Limit {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// How many requests of `cost` begin in `seconds`, if each waits for as long as it is told.
    fn begun(per_second: u64, cost: u64, seconds: u64) -> u64 {
        let mut bucket = Bucket::new(per_second);
        let (mut now, mut count) = (0, 0);
        loop {
            if let Some(wait) = bucket.wait(now) {
                now += u64::try_from(wait.as_nanos()).unwrap();
                assert_eq!(bucket.wait(now), None, "the wait is long enough");
            }
            if now >= seconds * SECOND {
                return count;
            }
            bucket.take(cost);
            count += 1;
        }
    }

    #[test]
    fn a_rate_is_kept_after_a_tenth_of_a_second_s_burst() {
        for (per_second, cost) in [
            (1_u64, 1),
            (7, 1),
            (1000, 1),
            (1 << 20, 4096),
            (1 << 40, 1 << 30),
        ] {
            let most = (per_second * 10 + per_second / 10).div_ceil(cost) + 1;
            let least = per_second * 10 / cost;
            let count = begun(per_second, cost, 10);
            assert!(
                (least..=most).contains(&count),
                "{per_second}/{cost}: {count} of {least} to {most}"
            );
        }
    }

    #[test]
    fn what_is_more_than_a_bucket_holds_delays_the_next() {
        let mut bucket = Bucket::new(100);
        assert_eq!(bucket.wait(0), None);
        bucket.take(1010);
        let wait = bucket.wait(0).unwrap();
        assert!((10.0..10.001).contains(&wait.as_secs_f64()), "{wait:?}");
    }

    #[test]
    fn time_that_goes_back_or_far_does_no_harm() {
        for per_second in [1, u64::MAX] {
            let mut bucket = Bucket::new(per_second);
            for now in [u64::MAX, 0, 5, u64::MAX] {
                let _ = bucket.wait(now);
                bucket.take(u64::MAX);
            }
        }
    }

    #[test]
    fn the_timer_rings_when_there_is_something_again() {
        assert!(Limit::new(None, None).unwrap().is_none());
        let mut limit = Limit::new(Some(1000), Some(1 << 30)).unwrap().unwrap();
        assert!(limit.admits() && !limit.is_waiting());
        while limit.admits() {
            limit.charge(4096);
        }
        assert!(limit.is_waiting() && !limit.admits());
        let mut polled = [rustix::event::PollFd::new(
            &limit,
            rustix::event::PollFlags::IN,
        )];
        rustix::event::poll(&mut polled, None).unwrap();
        limit.rung();
        assert!(!limit.is_waiting());
    }
}
