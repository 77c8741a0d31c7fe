//! Two result files side by side: what got slower, what got faster, beyond the noise.
//!
//! A row is compared by its ratios to the rows it is held against, which hold still when the machine as a whole is faster or slower on
//! another day, and by its cost where it has none; and by the kicks and events that a driver and its device take for an operation. A change
//! counts when the two 95 % intervals do not touch and the medians are further apart than [`INDIFFERENT`]. A floor is the host's business: that it has moved is a remark.

use super::results::{KIND, Line, Results, SCHEMA};
use super::rows::Side;
use super::statistics::Estimate;
use super::table::{count, ratio, time};
use crate::Error;
use serde::Deserialize;
use std::fmt;
use std::path::Path;

/// Medians that differ by less than this part are the same.
pub const INDIFFERENT: f64 = 0.03;

/// Kicks and events of one operation in so many are the same as none.
const INDIFFERENT_SIGNALS: f64 = 0.01;

/// A figure that two files have of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Its ratio to the row with this name.
    Ratio(String),
    /// What it costs, in nanoseconds.
    Cost,
    /// Kicks and events, an operation.
    Signals,
}

/// One figure that is not what it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The row.
    pub name: String,
    /// Which of its figures.
    pub figure: Compared,
    /// What it was.
    pub old: Estimate,
    /// What it is.
    pub new: Estimate,
}

impl Change {
    fn is_beyond_noise(&self) -> bool {
        let (old, new) = (self.old, self.new);
        let indifferent = match self.figure {
            Compared::Signals => INDIFFERENT_SIGNALS.max(INDIFFERENT * old.median),
            Compared::Ratio(_) | Compared::Cost => INDIFFERENT * old.median,
        };
        let apart = new.low > old.high || new.high < old.low;
        apart && (new.median - old.median).abs() > indifferent
    }

    /// Whether it is one for the worse.
    #[must_use]
    pub fn is_slower(&self) -> bool {
        self.new.median > self.old.median
    }
}

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// Every change beyond the noise.
    pub changes: Vec<Change>,
    /// Figures that both files have.
    pub compared: usize,
    /// What makes the comparison less than it could be.
    pub remarks: Vec<String>,
}

impl Changes {
    /// The changes for the worse.
    pub fn slower(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.is_slower())
    }
}

/// What every result file says of itself, whatever its schema.
#[derive(Deserialize)]
struct Label {
    kind: String,
    schema: u32,
}

/// Reads a result file.
///
/// # Errors
/// [`Error::Config`]: it is not there, not a result file, or one of another schema.
pub fn read(path: &Path) -> Result<Results, Error> {
    let refused = |problem: String| Error::Config(format!("{}: {problem}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    let label: Result<Label, _> = serde_json::from_str(&text);
    match label {
        Ok(Label { kind, schema }) if kind == KIND && schema != SCHEMA => Err(refused(format!(
            "its schema is {schema}, and this trapless compares schema {SCHEMA}; measure again with one of the two versions"
        ))),
        Ok(Label { kind, .. }) if kind == KIND => {
            serde_json::from_str(&text).map_err(|error| refused(error.to_string()))
        }
        _ => Err(refused(
            "it is not a result file; `trapless bench --json FILE` writes one".to_owned(),
        )),
    }
}

/// Compares.
///
/// # Errors
/// [`Error::Config`]: the files are of different kinds of host.
pub fn compare(old: &Results, new: &Results) -> Result<Changes, Error> {
    if old.host.host != new.host.host {
        return Err(Error::Config(format!(
            "the old results are of a {} host and these of a {} host: what is slower there says nothing about a change here",
            old.host.host, new.host.host
        )));
    }
    let (mut changes, mut floors) = (Vec::new(), Vec::new());
    let mut compared = 0;
    for line in &new.rows {
        let Some(before) = old.rows.iter().find(|old| old.name == line.name) else {
            continue;
        };
        for change in figures(before, line) {
            match (line.side, change.is_beyond_noise()) {
                (Side::Floor, true) => floors.push(format!("a floor has moved: {change}")),
                (Side::Floor, false) => {}
                (_, different) => {
                    compared += 1;
                    changes.extend(different.then_some(change));
                }
            }
        }
    }
    Ok(Changes {
        changes,
        compared,
        remarks: remarks(old, new).into_iter().chain(floors).collect(),
    })
}

/// What both files have of a row: its ratios, or its cost; and what drivers and devices told each other.
fn figures(old: &Line, new: &Line) -> Vec<Change> {
    let name = &new.name;
    let change = |figure, old: Estimate, new: Estimate| Change {
        name: name.clone(),
        figure,
        old,
        new,
    };
    let ratios = new.against.iter().filter_map(|new| {
        let old = old.against.iter().find(|old| old.name == new.name)?;
        let figure = Compared::Ratio(new.name.clone());
        Some(change(figure, old.ratio, new.ratio))
    });
    let mut all: Vec<Change> = ratios.collect();
    if let (true, Some(old), Some(new)) = (all.is_empty(), old.cost_ns, new.cost_ns) {
        all.push(change(Compared::Cost, old, new));
    }
    if let (Some(old), Some(new)) = (old.signals, new.signals) {
        all.push(change(Compared::Signals, old, new));
    }
    all
}

fn remarks(old: &Results, new: &Results) -> Vec<String> {
    let unknown = "unknown".to_owned();
    let pairs = [
        ("processor", &old.host.cpu, &new.host.cpu),
        ("kernel", &old.host.kernel, &new.host.kernel),
    ];
    let mut remarks: Vec<String> = pairs
        .into_iter()
        .filter(|(_, old, new)| old != new)
        .map(|(what, old, new)| {
            let (old, new) = (
                old.as_ref().unwrap_or(&unknown),
                new.as_ref().unwrap_or(&unknown),
            );
            format!("another {what}: {new}; it was {old}")
        })
        .collect();
    if old.method.quick != new.method.quick {
        remarks.push("one of the two is quick, which is noisier than it says".to_owned());
    }
    remarks
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slower = self.slower().count();
        let faster = self.changes.len() - slower;
        writeln!(
            f,
            "\nFigures compared with the old results: {}; {slower} slower, {faster} faster, the others as they were",
            self.compared
        )?;
        for remark in &self.remarks {
            writeln!(f, "  note: {remark}")?;
        }
        for change in &self.changes {
            writeln!(f, "  {change}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |show: fn(f64) -> String| {
            let figure = |of: Estimate| {
                let [median, low, high] = [of.median, of.low, of.high].map(show);
                format!("{median} [{low} to {high}]")
            };
            format!("{}, was {}", figure(self.new), figure(self.old))
        };
        let word = match (&self.figure, self.is_slower()) {
            (Compared::Signals, true) => "more",
            (Compared::Signals, false) => "fewer",
            (_, true) => "slower",
            (_, false) => "faster",
        };
        write!(f, "{word:<6}  {:<18}", self.name)?;
        if !matches!(self.figure, Compared::Signals) {
            let by = (self.new.median / self.old.median - 1.0) * 100.0;
            write!(f, " {by:+.1} %")?;
        }
        match &self.figure {
            Compared::Ratio(other) => write!(f, "  against {other}: {}", shown(ratio)),
            Compared::Cost => write!(f, ": {}", shown(time)),
            Compared::Signals => write!(f, " kicks and events: {}", shown(count)),
        }
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
pub(super) mod tests;
