//! The table of rows: what is measured, where it runs, what it is held against. [`calls`], [`machine`], [`disks`], [`net`], [`sockets`] and [`floors`] have the entries.
//!
//! A new row is an entry here and, for work that the guest does not know yet, a function in `examples/bench/rows.rs`.

use super::Ground;
mod calls;
mod disks;
mod floors;
mod machine;
mod net;
mod sockets;

use super::guest::Setup;
use super::subject::Subject;
use crate::Error;
use serde::{Deserialize, Serialize};

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name, by which filters and result files know it.
    pub name: &'static str,
    /// What is done. Rows of one operation are shown together.
    pub operation: &'static str,
    /// How it is done here.
    pub mechanism: &'static str,
    /// Which side of the comparison it is on.
    pub side: Side,
    /// The names of the rows it is held against, in turn with which it is measured.
    pub against: &'static [&'static str],
    /// Operations in one round: what is measured is divided by it.
    pub per: u32,
    /// Where it runs.
    pub place: Place,
    /// What is taken of each block.
    pub figure: Figure,
    /// Whether a thread on each of the two processors computes meanwhile and never stops.
    pub hogs: bool,
    /// What the figure means, for people.
    pub explain: &'static str,
}

impl Row {
    /// Whether a filter lets it through.
    pub fn matches(&self, filter: &str) -> bool {
        self.name.contains(filter) || self.operation.contains(filter)
    }
}

/// A side of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The guest calls the hypervisor, or reads what it shares.
    Called,
    /// The guest executes what an unmodified kernel would, and it is emulated.
    Trapped,
    /// The same work with nothing of ours in it.
    Floor,
}

/// What is taken of each block, and put into ratios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Figure {
    /// What an operation costs.
    Cost,
    /// What one operation in a hundred exceeds.
    P99,
    /// How many operations there are in a second, of which many are under way at a time; kept as what one costs.
    Rate,
    /// CPU time of all threads in a second.
    Cpu,
}

/// Where a row runs.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// In the benchmark's guest, which knows the work by this name.
    Guest(Setup, &'static str),
    /// In the guest, with a processor for each of two vCPUs or for a vCPU and the poller.
    GuestPair(Setup, &'static str),
    /// In this process.
    Host(fn(&Ground) -> Result<Subject, Error>),
    /// In this process, with a thread on each of two processors.
    HostPair(fn(&Ground) -> Result<Subject, Error>),
    /// In QEMU, with this accelerator.
    Qemu(&'static str),
}

impl Place {
    /// The VM and the name of the work, for what the benchmark's guest does.
    pub fn work(self) -> Option<(Setup, &'static str)> {
        match self {
            Place::Guest(setup, work) | Place::GuestPair(setup, work) => Some((setup, work)),
            Place::Host(_) | Place::HostPair(_) | Place::Qemu(_) => None,
        }
    }

    /// Whether it runs in the benchmark's guest.
    pub fn is_guest(self) -> bool {
        self.work().is_some()
    }

    /// Whether it takes two processors.
    pub fn is_pair(self) -> bool {
        matches!(self, Place::GuestPair(..) | Place::HostPair(_))
    }
}

/// The row with a name.
pub fn row(name: &str) -> Option<&'static Row> {
    all().find(|row| row.name == name)
}

/// What most rows are.
const CALL: Row = Row {
    name: "",
    operation: "",
    mechanism: "trap call",
    side: Side::Called,
    against: &["null/trap"],
    per: 1,
    place: Place::Guest(Setup::Trap, "null"),
    figure: Figure::Cost,
    hogs: false,
    explain: "",
};

const TRAPPED: Row = Row {
    side: Side::Trapped,
    ..CALL
};

const FLOOR: Row = Row {
    side: Side::Floor,
    against: &[],
    ..CALL
};

/// Every row, in the order it is shown in.
pub fn all() -> impl Iterator<Item = &'static Row> {
    [
        calls::ROWS,
        machine::ROWS,
        disks::ROWS,
        net::ROWS,
        sockets::ROWS,
        floors::ROWS,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_is_sound() {
        let names: BTreeSet<&str> = all().map(|row| row.name).collect();
        assert_eq!(names.len(), all().count(), "a name twice");
        for each in all() {
            assert!(!each.name.contains(' '), "{} goes over the wire", each.name);
            assert!(each.per > 0 && !each.operation.is_empty(), "{}", each.name);
            assert!(each.explain.ends_with('.'), "{}", each.name);
            for other in each.against {
                let other = row(other).expect("a row to be held against");
                assert_ne!(other.name, each.name);
                assert!(!matches!(other.place, Place::Qemu(_)), "{}", each.name);
                assert_eq!((other.figure, other.hogs), (each.figure, each.hogs));
            }
        }
    }

    #[test]
    fn the_guest_knows_all_work() {
        let guest = include_str!("../../../../examples/bench/rows.rs");
        for (_, work) in all().filter_map(|row| row.place.work()) {
            assert!(guest.contains(&format!("(\"{work}\",")), "{work}");
        }
    }
}
