//! How much a device may do in a second: token [buckets](bucket), and the timer that says when there is something in them again.
//!
//! While requests wait nothing asks for kicks and nobody looks: the timer alone brings the device back.

mod bucket;

use crate::Error;
use crate::io::Sources;
use bucket::Bucket;
#[cfg(test)]
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use vmm_sys_util::epoll::EventSet;

/// What a device may do. By [`Default`] there is no limit.
#[derive(Default)]
pub(crate) struct Limit {
    operations: Option<Bucket>,
    bytes: Option<Bucket>,
    /// There is one where there is a limit.
    timer: Option<Timer>,
}

/// What is readable when another request may begin.
struct Timer {
    started: Instant,
    fd: OwnedFd,
    /// Whether it runs.
    waiting: bool,
    /// How often it rang.
    rings: usize,
}

impl Limit {
    /// The limits of a device, in a second; `None` where there are none.
    ///
    /// # Errors
    /// [`Error::Os`], which names the device, where the host has no timer to give.
    pub fn new(device: &str, operations: Option<u64>, bytes: Option<u64>) -> Result<Limit, Error> {
        if operations.is_none() && bytes.is_none() {
            return Ok(Limit::default());
        }
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags).map_err(|error| Error::Os {
            what: format!("making the timer of {device}"),
            source: error.into(),
        })?;
        Ok(Limit {
            operations: operations.map(Bucket::new),
            bytes: bytes.map(Bucket::new),
            timer: Some(Timer {
                started: Instant::now(),
                fd,
                waiting: false,
                rings: 0,
            }),
        })
    }

    /// Has its device hear, by this token, when requests may begin again. Where that cannot be there is no limit from now on, rather than a device that waits
    /// for ever.
    pub fn watch(&mut self, token: u32, sources: &mut Sources) {
        if let Some(timer) = &self.timer
            && sources.watch(&timer.fd, token, EventSet::IN).is_err()
        {
            self.timer = None;
        }
    }

    /// Its device hears nothing any more.
    pub fn forget(&self, sources: &mut Sources) {
        if let Some(timer) = &self.timer {
            sources.forget(&timer.fd);
        }
    }

    /// Whether another request may begin. If not, the device hears when one may; until then it neither asks for kicks nor looks.
    pub fn admits(&mut self) -> bool {
        let Some(timer) = &mut self.timer else {
            return true;
        };
        if timer.waiting {
            return false;
        }
        let now = timer.started.elapsed().as_nanos();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let buckets = [&mut self.operations, &mut self.bytes];
        let waits = buckets.into_iter().flatten();
        let wait = waits.filter_map(|bucket| bucket.wait(now)).max();
        let Some(wait) = wait else {
            return true;
        };
        // Fails for no time that a duration of this kind can be; then there is no limit rather than no device.
        timer.waiting = timer.set(wait).is_ok();
        !timer.waiting
    }

    /// Whether requests wait for the timer.
    pub fn is_waiting(&self) -> bool {
        self.timer.as_ref().is_some_and(|timer| timer.waiting)
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

    /// The device heard of it.
    pub fn rung(&mut self) {
        let Some(timer) = &mut self.timer else {
            return;
        };
        let mut count = [0; 8];
        // Nothing to read means that it was set anew since.
        match rustix::io::read(&timer.fd, &mut count) {
            Err(Errno::AGAIN) => {}
            _ => {
                timer.waiting = false;
                timer.rings = timer.rings.wrapping_add(1);
            }
        }
    }

    /// So many queues, by index, in the order in which they are served once the timer has rung: each time another one is the first, so that none takes all
    /// there is.
    pub fn turns(&self, queues: usize) -> impl Iterator<Item = usize> + use<> {
        let rings = self.timer.as_ref().map_or(0, |timer| timer.rings);
        let first = rings.checked_rem(queues).unwrap_or(0);
        (first..queues).chain(0..first)
    }
}

impl Timer {
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
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &time)?;
        Ok(())
    }
}

#[cfg(test)]
impl Limit {
    /// Takes what there is, and more, so that whatever comes waits.
    pub fn exhaust(&mut self) {
        while self.admits() {
            self.charge(1);
        }
    }

    /// How many of what has a limit may have begun at most since a time before it was made: the burst, what has come since, and what one request took on
    /// credit.
    pub fn most(per_second: u64, began: Instant, credit: u64) -> u64 {
        let come = u128::from(per_second) * began.elapsed().as_nanos() / 1_000_000_000;
        (per_second / 10).max(1) + u64::try_from(come).unwrap() + credit
    }

    /// Waits until the timer rings.
    pub fn sleep(&self) {
        let timer = self.timer.as_ref().unwrap();
        let mut polled = [PollFd::new(&timer.fd, PollFlags::IN)];
        poll(&mut polled, None).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timer_rings_when_there_is_something_again() {
        let mut limit = Limit::new("a test", Some(1000), Some(1 << 30)).unwrap();
        assert!(limit.admits() && !limit.is_waiting());
        limit.exhaust();
        assert!(limit.is_waiting() && !limit.admits());
        limit.rung();
        assert!(limit.is_waiting(), "it did not ring yet");
        limit.sleep();
        limit.rung();
        assert!(!limit.is_waiting());
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        let mut limit = Limit::new("a test", None, None).unwrap();
        limit.charge(u64::MAX);
        assert!(limit.admits() && !limit.is_waiting());
        assert!(limit.turns(3).eq([0, 1, 2]));
    }

    #[test]
    fn whoever_was_first_is_not_the_next_time() {
        let mut limit = Limit::new("a test", Some(1000), None).unwrap();
        for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]] {
            assert!(limit.turns(3).eq(order));
            limit.exhaust();
            limit.sleep();
            limit.rung();
        }
        assert_eq!(limit.turns(0).next(), None);
    }
}
