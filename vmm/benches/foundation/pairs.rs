//! Paired timings and what is said of them.

use std::time::Duration;

/// Timings of ours and of the floor, taken in turn.
#[derive(Default)]
pub struct Pairs {
    pairs: Vec<(f64, f64)>,
}

impl Pairs {
    pub fn push(&mut self, ours: Duration, floor: Duration) {
        self.pairs.push((ours.as_secs_f64(), floor.as_secs_f64()));
    }

    pub fn ratios(&self) -> Vec<f64> {
        self.pairs
            .iter()
            .map(|(ours, floor)| ours / floor)
            .collect()
    }

    /// Seconds.
    pub fn median_ours(&self) -> f64 {
        spread(self.pairs.iter().map(|pair| pair.0).collect()).1
    }

    /// Seconds.
    pub fn median_floor(&self) -> f64 {
        spread(self.pairs.iter().map(|pair| pair.1).collect()).1
    }
}

/// Lower quartile, median, upper quartile.
pub fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |part: usize| values[(values.len() - 1) * part / 4];
    (at(1), at(2), at(3))
}
