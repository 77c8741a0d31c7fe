//! Whether the I/O thread has a processor of its own to look from.
//!
//! Where it shares one with the vCPU it serves, each of the two looks for what the other is kept from doing. So when it finds that its processor was given
//! to another thread, and has found little for it, it does not look for a while, and kicks are asked for instead.

/// A look in vain that took so many microseconds was interrupted.
const LATE_US: u64 = 20;
/// Looks that found something, past which one interruption is a trifle.
const WORTH_IT: u32 = 256;
/// The shortest time without looking, in microseconds, and how many of them are the longest.
const UNIT_US: u64 = 1000;
const MOST_UNITS: u64 = 1000;
/// Interruptions that are further apart than so many times the last pause have nothing to do with each other.
const FAR: u64 = 16;

/// See the module's documentation. All times are TSC ticks.
#[derive(Debug)]
pub(super) struct Company {
    late: u64,
    unit: u64,
    /// How often the processor was taken away, as of the last look at that.
    preemptions: u64,
    /// Looks that found something since then.
    found: u32,
    pause: u64,
    until: u64,
}

impl Company {
    /// Nothing is known of it yet.
    pub fn new(ticks_per_us: u64) -> Company {
        Company {
            late: ticks_per_us.saturating_mul(LATE_US),
            unit: ticks_per_us.saturating_mul(UNIT_US),
            preemptions: 0,
            found: 0,
            pause: 0,
            until: 0,
        }
    }

    /// Whether it is no time for looking.
    pub fn is_close(&self, now: u64) -> bool {
        now < self.until
    }

    /// Looking begins. `preemptions`: how often this thread's processor was given to another one until now.
    pub fn begin(&mut self, preemptions: u64) {
        self.preemptions = preemptions;
    }

    /// A look has found something. While it is no time for looking, that says nothing.
    #[inline]
    pub fn found(&mut self, now: u64) {
        if !self.is_close(now) {
            self.found = self.found.saturating_add(1);
        }
    }

    /// A look in vain has ended, which took so long. Only where that was too long `preemptions` is asked.
    #[inline]
    pub fn vain(&mut self, now: u64, took: u64, preemptions: impl FnOnce() -> u64) {
        if took > self.late {
            self.interrupted(now, preemptions());
        }
    }

    fn interrupted(&mut self, now: u64, preemptions: u64) {
        if std::mem::replace(&mut self.preemptions, preemptions) == preemptions {
            // The kernel's own work, such as its timer's.
            return;
        }
        if std::mem::take(&mut self.found) >= WORTH_IT {
            self.pause = 0;
            return;
        }
        let near = now.saturating_sub(self.until) < self.pause.saturating_mul(FAR);
        let longest = self.unit.saturating_mul(MOST_UNITS);
        self.pause = match near {
            true => self.pause.saturating_mul(2).clamp(self.unit, longest),
            false => self.unit,
        };
        self.until = now.saturating_add(self.pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that knows of 7 preemptions; a tick is a microsecond.
    fn company() -> Company {
        let mut company = Company::new(1);
        company.begin(7);
        company
    }

    #[test]
    fn a_timer_is_no_company() {
        let mut company = company();
        company.vain(1000, LATE_US, || unreachable!("a short look"));
        company.vain(1100, 60, || 7);
        assert!(!company.is_close(1100));
    }

    #[test]
    fn pauses_grow_while_interruptions_follow_each_other() {
        let mut company = company();
        let mut now = 1_000_000;
        let pauses: Vec<u64> = (8..20)
            .map(|preemptions| {
                company.vain(now, 4000, || preemptions);
                let begun = now;
                while company.is_close(now) {
                    now += UNIT_US;
                }
                now += 100;
                (now - begun) / UNIT_US
            })
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000]);
        now += 1000 * UNIT_US * FAR;
        company.vain(now, 4000, || 100);
        assert!(company.is_close(now + UNIT_US - 1) && !company.is_close(now + UNIT_US));
    }

    #[test]
    fn an_interruption_among_many_finds_is_a_trifle() {
        let mut company = company();
        for _ in 0..WORTH_IT {
            company.found(4000);
        }
        company.vain(5000, 4000, || 8);
        assert!(!company.is_close(5000));
        company.found(8000);
        company.vain(9000, 4000, || 9);
        assert!(company.is_close(9000));
        for _ in 0..WORTH_IT {
            company.found(9100);
        }
        company.vain(9000 + UNIT_US, 4000, || 10);
        assert!(company.is_close(9000 + UNIT_US));
    }
}
