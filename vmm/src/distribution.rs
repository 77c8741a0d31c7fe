//! What is said of the counts of a [histogram](crate::histogram): how many, the largest, and percentiles.

use crate::histogram::bucket;
use std::collections::BTreeMap;

/// A distribution, as counts by [bucket].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// The largest value, exactly.
    pub max: u64,
    /// Counts by bucket.
    pub counts: BTreeMap<usize, u64>,
}

impl Distribution {
    /// What has been added to an earlier state of it.
    pub fn since(&self, earlier: &Distribution) -> Distribution {
        let before = |bucket| earlier.counts.get(bucket).copied().unwrap_or(0);
        let counts = self.counts.iter();
        Distribution {
            max: self.max,
            counts: counts
                .map(|(bucket, count)| (*bucket, count.saturating_sub(before(bucket))))
                .collect(),
        }
    }

    /// How many values.
    pub fn samples(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The least value that at least `part` of all values, from 0 to 1, do not exceed: the middle of its bucket. `None` where fewer than ten values
    /// lie beyond it, of which too little can be said.
    pub fn percentile(&self, part: f64) -> Option<f64> {
        // Rounded: 0.999 is not a binary number, and 1 - 0.999 of 10,000 must be 10.
        let beyond = (self.samples() as f64 * (1.0 - part)).round();
        (part <= 0.5 || beyond >= 10.0)
            .then(|| self.at(part))
            .flatten()
    }

    /// Likewise, however few lie beyond it. `None` without values.
    pub fn at(&self, part: f64) -> Option<f64> {
        let rank = ((self.samples() as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        let (index, _) = self.counts.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        })?;
        let (low, width) = bounds(*index);
        Some((low as f64 + (width as f64 - 1.0) / 2.0).min(self.max as f64))
    }
}

/// A bucket's least value and its width.
pub fn bounds(index: usize) -> (u64, u64) {
    let shift = (index / 64).saturating_sub(1) as u32;
    let kept = index as u64 - u64::from(shift) * 64;
    debug_assert_eq!(bucket(kept << shift), index);
    (kept << shift, 1 << shift)
}
