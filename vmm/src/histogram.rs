//! Counts of how long single operations took, in buckets that are 1/64 of an octave wide or less.
//!
//! Compiled twice, into the benchmark's guest and into the host: so it uses `core` alone. What is said of counts is
//! the host's `Distribution`.

use core::ops::AddAssign;

/// Bits of a value that its bucket keeps, beside the highest.
const FINE: u32 = 6;

/// Values above this, in TSC ticks, count as this: some minutes.
const LARGEST: u64 = (1 << 40) - 1;

/// How many buckets there are.
pub const BUCKETS: usize = bucket(LARGEST) + 1;

/// The bucket of a value.
pub const fn bucket(ticks: u64) -> usize {
    let ticks = if ticks > LARGEST { LARGEST } else { ticks };
    let shift = (u64::BITS - ticks.leading_zeros()).saturating_sub(FINE + 1);
    ((shift as usize) << FINE) + (ticks >> shift) as usize
}

/// The counts.
#[derive(Clone)]
pub struct Histogram {
    counts: [u32; BUCKETS],
    /// The largest value, exactly; 0 without any.
    pub max: u64,
}

impl Histogram {
    /// One that has counted nothing.
    pub const fn new() -> Histogram {
        Histogram {
            counts: [0; BUCKETS],
            max: 0,
        }
    }

    /// Counts a value.
    pub fn record(&mut self, ticks: u64) {
        self.max = self.max.max(ticks);
        if let Some(count) = self.counts.get_mut(bucket(ticks)) {
            *count = count.saturating_add(1);
        }
    }

    /// The buckets that are not empty, in order, with their counts.
    pub fn filled(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        let all = self.counts.iter().copied().enumerate();
        all.filter(|(_, count)| *count > 0)
    }
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram::new()
    }
}

impl AddAssign<&Histogram> for Histogram {
    fn add_assign(&mut self, other: &Histogram) {
        self.max = self.max.max(other.max);
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
    }
}
