//! A token bucket.
//!
//! It holds what a tenth of a second gives. What is taken may be more than is there: the next one waits for longer then, so that nothing is
//! ever too large, and the rate is kept all the same.

use std::time::Duration;

const NANOS: i128 = 1_000_000_000;
/// The part of a second for which a bucket that is full lasts.
const BURST: i128 = 10;

/// Tokens that come at a rate. Time is nanoseconds since whenever.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    per_second: i128,
    /// What is there, in 10^-9 tokens; less than 0 where more was taken.
    level: i128,
    /// The time of `level`.
    at: u64,
}

impl Bucket {
    /// A full one at time 0.
    pub fn new(per_second: u64) -> Bucket {
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
    pub fn wait(&mut self, now: u64) -> Option<Duration> {
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

    pub fn take(&mut self, count: u64) {
        let tokens = i128::from(count).saturating_mul(NANOS);
        self.level = self.level.saturating_sub(tokens);
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
}
