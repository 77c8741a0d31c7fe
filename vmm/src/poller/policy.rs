//! When polling is worth a processor: pure decisions over TSC readings.

use std::sync::atomic::{AtomicU64, Ordering};

/// Calls in a row that must be dense before the poller is woken for them.
const ROW: u32 = 4;

/// How dense one vCPU's trapped calls are.
///
/// Between two calls pass an exit, which the poller would save, and the guest's own work, which says how long the poller
/// would have looked in vain. The shortest time seen between two stands for the exit, up to what an exit can cost: calls
/// that come evenly but rarely are not dense.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Density {
    window: u64,
    /// The last call, and the last that could have been polled.
    crossed: u64,
    last: u64,
    /// The exit's share, in ticks.
    exit: u64,
    /// The most it can be.
    exit_most: u64,
    row: u32,
}

impl Density {
    /// Calls are dense if the guest's own work between them fits into `window` ticks. No exit costs more than `exit_most`.
    pub fn new(window: u64, exit_most: u64) -> Density {
        Density {
            window,
            crossed: 0,
            last: 0,
            exit: exit_most,
            exit_most,
            row: 0,
        }
    }

    /// Another call by trap, at this time, of whatever kind: says what an exit costs.
    #[inline]
    pub fn cross(&mut self, now: u64) {
        let gap = now.saturating_sub(self.crossed);
        self.crossed = now;
        // Rises slowly, so that one odd reading is not for ever.
        let risen = self.exit.saturating_add(self.exit / 256);
        self.exit = risen.min(gap).min(self.exit_most);
    }

    /// That call could have been polled: whether it ends a row of dense ones.
    #[inline]
    pub fn note(&mut self, now: u64) -> bool {
        let gap = now.saturating_sub(self.last);
        self.last = now;
        let dense = gap.saturating_sub(self.exit) <= self.window;
        self.row = if dense { self.row.saturating_add(1) } else { 0 };
        self.row >= ROW
    }

    /// What an exit costs, in ticks, as far as that can be known from here.
    pub fn exit(&self) -> u64 {
        self.exit
    }
}

/// Windows that a VM may be silent for in all, however often its vCPUs cross between guest and host.
const CROSSINGS: u64 = 8;

/// Whether a VM has been silent for longer than its window: since a call of its was last served, at `busy`, or since a vCPU was last
/// on its way into or out of the guest, until `outside`.
#[inline]
pub(super) fn is_silent(now: u64, busy: u64, outside: u64, window: u64) -> bool {
    let idle = now.saturating_sub(busy);
    let inside = now.saturating_sub(outside.max(busy));
    inside > window || idle > window.saturating_mul(CROSSINGS)
}

/// Calls served in a stretch, past which being late once was an accident: fewer than one call in a thousand paid for it.
const WORTH_IT: u64 = 1000;

/// How long the poller stays away from a VM that it kept waiting: the host had no processor for it.
#[derive(Debug)]
pub(crate) struct Backoff {
    unit: u64,
    length: AtomicU64,
    until: AtomicU64,
}

impl Backoff {
    /// `unit`: the shortest time away, in ticks; the longest is a thousand of them.
    pub fn new(unit: u64) -> Backoff {
        Backoff {
            unit,
            length: AtomicU64::new(0),
            until: AtomicU64::new(0),
        }
    }

    pub fn is_over(&self, now: u64) -> bool {
        now >= self.until.load(Ordering::Relaxed)
    }

    /// It was late, or woken for nothing, after this many calls: away for twice as long as last time, or for the shortest time if it was worth it.
    pub fn late(&self, now: u64, served: u64) {
        let doubled = self.length.load(Ordering::Relaxed).saturating_mul(2);
        let length = match served {
            WORTH_IT.. => self.unit,
            _ => doubled.clamp(self.unit, self.unit.saturating_mul(1000)),
        };
        self.length.store(length, Ordering::Relaxed);
        self.until
            .store(now.saturating_add(length), Ordering::Relaxed);
    }
}

/// How much of each period may be spent on looking for a VM's work: the poller's being awake for it, and what the I/O thread looks at rings in vain.
/// A period begins with the first of either after the last one.
#[derive(Debug)]
pub(super) struct Allowance {
    period: u64,
    /// The most of it, in ticks; all there is where there is no limit.
    most: u64,
    /// When the period began.
    began: AtomicU64,
    /// What is used of it, without the stretch under way.
    used: AtomicU64,
    /// When that stretch began; 0 without one.
    since: AtomicU64,
}

impl Allowance {
    /// `period` in ticks; of it `percent`, of which 100 is no limit.
    pub fn new(period: u64, percent: u32) -> Allowance {
        let most = match percent {
            100.. => u64::MAX,
            _ => period.saturating_mul(percent.into()) / 100,
        };
        Allowance {
            period,
            most,
            began: AtomicU64::new(0),
            used: AtomicU64::new(0),
            since: AtomicU64::new(0),
        }
    }

    fn is_new(&self, now: u64) -> bool {
        now.saturating_sub(self.began.load(Ordering::Relaxed)) >= self.period
    }

    /// Begins a period, if the last one is over. What of a stretch under way was before it is forgotten.
    fn renew(&self, now: u64) {
        if self.is_new(now) {
            self.began.store(now, Ordering::Relaxed);
            self.used.store(0, Ordering::Relaxed);
            let since = self.since.load(Ordering::Relaxed);
            if since != 0 {
                // Fails where the stretch has just ended.
                let order = Ordering::Relaxed;
                let _ = self.since.compare_exchange(since, now, order, order);
            }
        }
    }

    /// Whether the poller may be woken, or the I/O thread look.
    pub fn is_left(&self, now: u64) -> bool {
        self.is_new(now) || self.spent(now) < self.most
    }

    /// The poller wakes.
    pub fn begin(&self, now: u64) {
        self.renew(now);
        self.since.store(now, Ordering::Relaxed);
    }

    /// The I/O thread has looked in vain for so long.
    pub fn charge(&self, now: u64, ticks: u64) {
        self.renew(now);
        self.used.fetch_add(ticks, Ordering::Relaxed);
    }

    fn spent(&self, now: u64) -> u64 {
        let stretch = match self.since.load(Ordering::Relaxed) {
            0 => 0,
            since => now.saturating_sub(since),
        };
        self.used.load(Ordering::Relaxed).saturating_add(stretch)
    }

    /// Whether the poller is to leave.
    #[inline]
    pub fn is_spent(&self, now: u64) -> bool {
        self.spent(now) >= self.most
    }

    /// The poller leaves.
    pub fn end(&self, now: u64) {
        let since = self.since.swap(0, Ordering::Relaxed);
        if since != 0 {
            self.used
                .fetch_add(now.saturating_sub(since), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 100;
    const EXIT: u64 = 60;

    /// Whether the last of these calls, with this much work between them, ends a dense row.
    fn dense(work: &[u64]) -> bool {
        let mut density = Density::new(WINDOW, 200);
        let mut now = 1_000_000;
        let mut last = call(&mut density, now);
        for work in work {
            now += EXIT + work;
            last = call(&mut density, now);
        }
        last
    }

    /// A call by trap that could have been polled.
    fn call(density: &mut Density, now: u64) -> bool {
        density.cross(now);
        density.note(now)
    }

    #[test]
    fn calls_back_to_back_are_dense_and_rare_ones_are_not() {
        assert!(dense(&[0; 5]));
        assert!(dense(&[0, 90, 90, 90, 90]));
        assert!(!dense(&[0; 2]), "a row has to begin");
        assert!(!dense(&[0, 200, 0, 0, 200, 0]));
        assert!(!dense(&[1_000_000; 50]));
    }

    #[test]
    fn calls_that_no_poller_takes_say_what_an_exit_costs_and_end_no_row() {
        let mut density = Density::new(WINDOW, 200);
        for now in [1_000_000, 1_000_060, 1_000_120] {
            density.cross(now);
        }
        assert_eq!(density.exit(), EXIT);
        assert!(
            !call(&mut density, 1_000_180),
            "the first that could be polled"
        );
        let later = [1_000_240, 1_000_300, 1_000_360, 1_000_420];
        assert_eq!(
            later.map(|now| call(&mut density, now)),
            [false, false, false, true]
        );
    }

    #[test]
    fn a_rare_call_ends_the_row() {
        assert!(!dense(&[0, 0, 0, 0, 0, 0, 500]));
        assert!(!dense(&[0, 0, 0, 0, 0, 0, 500, 0]));
    }

    #[test]
    fn a_vcpu_outside_is_not_silent_but_not_for_ever() {
        assert!(!is_silent(1100, 1000, 0, WINDOW) && is_silent(1101, 1000, 0, WINDOW));
        assert!(!is_silent(1250, 1000, 1200, WINDOW) && is_silent(1301, 1000, 1200, WINDOW));
        assert!(!is_silent(1800, 1000, 1800, WINDOW) && is_silent(1801, 1000, 1801, WINDOW));
        assert!(!is_silent(5, 10, 10, WINDOW), "clocks of two processors");
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_does_no_harm() {
        let mut density = Density::new(WINDOW, 200);
        for now in [5, 5, 3, 0, u64::MAX, 0] {
            call(&mut density, now);
        }
    }

    #[test]
    fn of_each_period_a_share_is_allowed_in_one_stretch_or_several() {
        let allowance = Allowance::new(1000, 10);
        assert!(allowance.is_left(5000));
        allowance.begin(5000);
        assert!(!allowance.is_spent(5060));
        allowance.end(5060);
        assert!(allowance.is_left(5500), "40 are left");
        allowance.begin(5500);
        assert!(!allowance.is_spent(5539) && allowance.is_spent(5540));
        allowance.end(5545);
        assert!(!allowance.is_left(5999) && allowance.is_left(6000));
        // The next period begins with the next waking.
        allowance.begin(6700);
        allowance.end(6800);
        assert!(!allowance.is_left(7699) && allowance.is_left(7700));
    }

    #[test]
    fn a_stretch_does_not_last_because_a_period_ends() {
        let allowance = Allowance::new(1000, 10);
        allowance.begin(5000);
        allowance.end(5010);
        allowance.begin(5990);
        assert!(!allowance.is_spent(6079) && allowance.is_spent(6080));
    }

    #[test]
    fn what_the_io_thread_looks_in_vain_is_of_the_same_share() {
        let allowance = Allowance::new(1000, 10);
        allowance.charge(5000, 30);
        assert!(allowance.is_left(5001));
        allowance.begin(5100);
        assert!(!allowance.is_spent(5169) && allowance.is_spent(5170));
        allowance.charge(5120, 40);
        assert!(!allowance.is_left(5140), "the poller's stretch counts");
        assert!(allowance.is_spent(5130));
        allowance.end(5130);
        assert!(!allowance.is_left(5999) && allowance.is_left(6000));
        // Kept from looking, it looks once for each kick, and that is charged as well.
        allowance.charge(5500, 1);
        assert!(!allowance.is_left(5999) && allowance.is_left(6000));
    }

    #[test]
    fn a_new_period_of_one_thread_is_one_of_the_other() {
        let allowance = Allowance::new(1000, 10);
        allowance.begin(5000);
        allowance.charge(5010, 10);
        assert!(allowance.is_spent(5090));
        allowance.charge(6000, 5);
        assert!(!allowance.is_spent(6094) && allowance.is_spent(6095));
        allowance.end(6050);
        assert!(allowance.is_left(6051), "45 are left");
        allowance.charge(6060, 45);
        assert!(!allowance.is_left(6999) && allowance.is_left(7000));
    }

    #[test]
    fn all_of_it_is_no_limit() {
        let allowance = Allowance::new(1000, 100);
        allowance.begin(0);
        assert!(!allowance.is_spent(1 << 60) && allowance.is_left(1 << 60));
    }

    #[test]
    fn the_time_away_doubles_to_a_thousandfold_until_it_is_worth_coming() {
        let backoff = Backoff::new(10);
        assert!(backoff.is_over(0));
        backoff.late(100, 0);
        assert!(!backoff.is_over(109) && backoff.is_over(110));
        backoff.late(200, 999);
        assert!(!backoff.is_over(219) && backoff.is_over(220));
        for _ in 0..20 {
            backoff.late(300, 0);
        }
        assert!(!backoff.is_over(10_299) && backoff.is_over(10_300));
        backoff.late(20_000, 1000);
        assert!(!backoff.is_over(20_009) && backoff.is_over(20_010));
    }
}
