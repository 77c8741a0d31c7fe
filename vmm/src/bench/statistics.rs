//! What is said of numbers: the middle, how sure it is, and the tail.

pub use crate::distribution::{Distribution, bounds};
use serde::{Deserialize, Serialize};

/// Resamples of a bootstrap.
const RESAMPLES: usize = 2000;

/// A median with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The median.
    pub median: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

impl Estimate {
    /// The median of values, and the interval that 95 % of the medians of their resamples lie in. `None` without values.
    ///
    /// Resampling is by a generator with a fixed start, so that the same values always come to the same.
    pub fn of(values: &[f64]) -> Option<Estimate> {
        let median = median(values.to_vec())?;
        let mut generator = Generator(0x7261_706c_6573_7321);
        let mut medians: Vec<f64> = (0..RESAMPLES)
            .filter_map(|_| {
                let resample = values
                    .iter()
                    .filter_map(|_| values.get(generator.below(values.len())));
                self::median(resample.copied().collect())
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        let at = |part: f64| medians.get((medians.len() as f64 * part) as usize).copied();
        Some(Estimate {
            median,
            low: at(0.025)?,
            high: at(0.975)?,
        })
    }

    /// Every number through the same function.
    pub fn map(self, by: impl Fn(f64) -> f64) -> Estimate {
        Estimate {
            median: by(self.median),
            low: by(self.low),
            high: by(self.high),
        }
    }
}

/// The middle one of values, or the mean of the middle two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get(values.len().saturating_sub(1) / 2)?;
    Some((lower + upper) / 2.0)
}

/// SplitMix64.
struct Generator(u64);

impl Generator {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * limit as u128) >> 64) as usize
    }
}

/// The ratios of two series that were measured in turn, pair by pair.
pub fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    let pairs = ours.iter().zip(theirs);
    pairs
        .filter(|(_, theirs)| **theirs > 0.0)
        .map(|(ours, theirs)| ours / theirs)
        .collect()
}

#[cfg(test)]
#[path = "statistics_tests.rs"]
mod tests;
