//! What polling costs a VM: how long the poller was awake for it, and what its thread used meanwhile.

use crate::clock::host_tsc;
use crate::cpu;
use crate::shared::lock;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// The number of the poller's thread, when there is one.
static THREAD: OnceLock<u32> = OnceLock::new();

/// The calling thread is the poller.
pub(super) fn is_here() {
    THREAD.get_or_init(cpu::this_thread);
}

/// One VM's. Its lock is taken when the poller wakes and when it leaves, not when it looks.
#[derive(Default)]
pub(super) struct Account(Mutex<Entries>);

#[derive(Clone, Copy, Default)]
struct Entries {
    wakes: u64,
    /// The stretch it is awake in: when it began.
    since: Option<Now>,
    /// All stretches before.
    ticks: u64,
    cpu: Duration,
}

/// A moment: in TSC ticks, and in processor time of the poller's thread.
#[derive(Clone, Copy)]
struct Now {
    ticks: u64,
    cpu: Duration,
}

impl Now {
    fn read() -> Now {
        Now {
            ticks: host_tsc(),
            cpu: THREAD.get().copied().map(cpu::used_by).unwrap_or_default(),
        }
    }
}

/// What polling has cost, in sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    /// How often the poller was woken.
    pub wakes: u64,
    /// For how long it was awake.
    pub awake: Duration,
    /// The processor time of its thread meanwhile.
    pub cpu: Duration,
}

impl Account {
    /// It has woken.
    pub fn wake(&self) {
        let mut entries = lock(&self.0);
        entries.wakes = entries.wakes.wrapping_add(1);
        entries.since = Some(Now::read());
    }

    /// It leaves.
    pub fn leave(&self) {
        let mut entries = lock(&self.0);
        *entries = entries.until(Now::read());
        entries.since = None;
    }

    /// What it has cost until now: a VM's end does not wait for the poller to notice.
    pub fn sum(&self, ticks_per_us: u64) -> Sum {
        let entries = lock(&self.0).until(Now::read());
        let ns = u128::from(entries.ticks) * 1000 / u128::from(ticks_per_us.max(1));
        Sum {
            wakes: entries.wakes,
            awake: Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX)),
            cpu: entries.cpu,
        }
    }
}

impl Entries {
    /// With the stretch it is in counted until a moment.
    fn until(self, now: Now) -> Entries {
        let Some(since) = self.since else { return self };
        let ticks = now.ticks.saturating_sub(since.ticks);
        let cpu = now.cpu.saturating_sub(since.cpu);
        Entries {
            ticks: self.ticks.saturating_add(ticks),
            cpu: self.cpu.saturating_add(cpu),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_add_up_and_the_last_counts_until_now() {
        let now = |ticks, ms| Now {
            ticks,
            cpu: Duration::from_millis(ms),
        };
        let entries = Entries {
            since: Some(now(1000, 5)),
            ticks: 10,
            cpu: Duration::from_millis(1),
            wakes: 2,
        };
        let later = entries.until(now(1500, 8));
        assert_eq!((later.ticks, later.cpu), (510, Duration::from_millis(4)));
        let earlier = entries.until(now(0, 0));
        assert_eq!(
            (earlier.ticks, earlier.cpu),
            (10, entries.cpu),
            "clocks of two processors"
        );
    }

    #[test]
    fn nobody_woke_it() {
        let account = Account::default();
        account.leave();
        let none = Sum {
            wakes: 0,
            awake: Duration::ZERO,
            cpu: Duration::ZERO,
        };
        assert_eq!(account.sum(0), none);
        account.wake();
        account.leave();
        assert_eq!(account.sum(1000).wakes, 1);
    }
}
