//! What is known of a row when everything has been measured.

use super::host::Used;
use super::rows::Row;
use super::signals::Signals;
use super::statistics::Distribution;

/// A row and its figures.
pub struct Measured {
    /// The row.
    pub row: &'static Row,
    /// Or why it was not measured.
    pub skipped: Option<String>,
    /// Nanoseconds an operation, block by block.
    pub blocks: Vec<f64>,
    /// Single rounds, in ticks.
    pub distribution: Distribution,
    /// For each row it is held against, the ratio of each pair.
    pub ratios: Vec<(&'static str, Vec<f64>)>,
    /// What its threads used.
    pub used: Used,
    /// Operations carried out meanwhile.
    pub operations: u64,
    /// Exits to user space an operation, where they can be counted.
    pub exits: Option<f64>,
    /// What driver and device told each other meanwhile, where there are any.
    pub signals: Signals,
    /// That for each operation, block by block.
    pub signals_each: Vec<f64>,
}

impl Measured {
    /// Nothing yet.
    pub fn new(row: &'static Row) -> Measured {
        Measured {
            row,
            skipped: None,
            blocks: Vec::new(),
            distribution: Distribution::default(),
            ratios: Vec::new(),
            used: Used::default(),
            operations: 0,
            exits: None,
            signals: Signals::default(),
            signals_each: Vec::new(),
        }
    }
}

/// What reading the clock around a round costs, in ticks, on each side.
pub struct Timer {
    /// In the guest.
    pub guest: f64,
    /// In this process.
    pub host: f64,
}
