//! Whether a vCPU's TSC goes on as the host's does.

use super::{UNDISTURBED_TICKS, ordered_tsc};

/// A vCPU's TSC between two readings of the host's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    before: u64,
    guest: u64,
    after: u64,
}

impl Reading {
    /// One that nothing came between, or the closest of a few.
    pub fn take<E>(guest_tsc: impl Fn() -> Result<u64, E>) -> Result<Reading, E> {
        let one = || {
            let before = ordered_tsc();
            let guest = guest_tsc()?;
            let after = ordered_tsc();
            Ok(Reading {
                before,
                guest,
                after,
            })
        };
        let mut closest: Reading = one()?;
        for _ in 0..16 {
            if closest.width() <= UNDISTURBED_TICKS {
                break;
            }
            let next = one()?;
            if next.width() < closest.width() {
                closest = next;
            }
        }
        Ok(closest)
    }

    fn width(&self) -> u64 {
        self.after.saturating_sub(self.before)
    }

    /// Whether between this reading and a later one both counters have gone on alike: as one and the same, or offset but by as many ticks as can be told, to
    /// one in fifty.
    pub fn agrees(&self, later: &Reading) -> bool {
        let is_same = |reading: &Reading| (reading.before..=reading.after).contains(&reading.guest);
        let guest = later.guest.wrapping_sub(self.guest);
        let least = later.before.saturating_sub(self.after);
        let most = later.after.saturating_sub(self.before);
        let alike = (least..=most).contains(&guest) && most - least <= most / 50;
        is_same(self) && is_same(later) || alike
    }
}

#[cfg(test)]
mod tests {
    use super::super::host_tsc;
    use super::*;

    #[test]
    fn counters_of_one_rate_agree_and_others_do_not() {
        let reading = |before, guest, after| Reading {
            before,
            guest,
            after,
        };
        let same = reading(100, 150, 200);
        assert!(same.agrees(&reading(300, 301, 400)), "one counter");
        assert!(!same.agrees(&reading(300, 250, 400)), "it fell back");
        let offset = reading(1_000, 77, 1_010);
        assert!(offset.agrees(&reading(101_000, 100_080, 101_010)));
        assert!(!offset.agrees(&reading(101_000, 90_080, 101_010)), "slower");
        assert!(!offset.agrees(&reading(101_000, 177, 201_010)), "reset");
        assert!(
            !offset.agrees(&reading(1_100, 172, 1_110)),
            "too soon to tell"
        );
        assert!(!offset.agrees(&reading(0, 0, 0)), "backwards");
        let offset = reading(1_000, u64::MAX - 10, 1_010);
        assert!(
            offset.agrees(&reading(101_000, 100_000 - 12, 101_010)),
            "wraps"
        );
        let real = Reading::take(|| Ok::<_, ()>(host_tsc())).unwrap();
        assert!(real.agrees(&Reading::take(|| Ok::<_, ()>(host_tsc())).unwrap()));
    }
}
