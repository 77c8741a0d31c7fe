//! The result file: one JSON object.
//!
//! Every key is always there. `schema` rises when a key goes, comes or changes its meaning, and readers refuse other schemas.
//!
//! | key | value; times are in nanoseconds, and null means "not known" |
//! |---|---|
//! | `kind` | `"trapless bench"` |
//! | `schema` | [`SCHEMA`] |
//! | `host` | what it ran on: `version` (of Trapless), `host` (`vmx`, `svm`, `software`), `kernel`, `cpu`, `cpus` (those it might use), `online`, `first` and `second` (those it used), `load_before`, `load_after` (of the last minute), `pressure_before`, `pressure_after` (percent of the last 10 s in which something waited for a processor), `huge_pages`, `date` (seconds since 1970) |
//! | `method` | `quick`, `pairs`, `block_ns`, `chunk_ns`, `confidence`, `timer_guest_ns` and `timer_host_ns` (subtracted from every sample), `tsc_mhz` |
//! | `rows` | an array in the order of the table: |
//! | `rows[].name`, `operation`, `mechanism`, `side` (`called`, `trapped`, `floor`), `figure`, `per`, `explain` | the row; `per` is how many operations a round has |
//! | `rows[].skipped` | why it was not measured; then the rest is empty |
//! | `rows[].cost_ns` | the row's figure, by `figure`: what an operation costs (`cost`, and `rate`, which is shown as how many there are in a second), what one in a hundred exceeds (`p99`), or the CPU time of all threads in a second (`cpu`): `median`, `low` and `high` over blocks |
//! | `rows[].against` | an array: `name` of the other row, `ratio` with `median`, `low` and `high`, `pairs` |
//! | `rows[].samples` | how many rounds were timed one by one |
//! | `rows[].p50_ns`, `p90_ns`, `p99_ns`, `p999_ns`, `max_ns` | of those; null where fewer than ten lie beyond |
//! | `rows[].exits` | exits to user space an operation |
//! | `rows[].kicks`, `events` | how often a doorbell woke the host for a device, and how often the host told the guest of one, for each operation, over the blocks that were timed; null for rows in which no device answers |
//! | `rows[].signals` | both together: `median`, `low` and `high` over blocks |
//! | `rows[].cpu_own_ns`, `cpu_others_ns` | CPU time an operation, of the thread that carries it out and of all others |
//! | `rows[].operations` | operations while the following were counted |
//! | `rows[].preemptions`, `waited_ns` | how often, and for how long in all, the operation's thread lost its processor |
//! | `rows[].histogram` | `[from_ns, to_ns, count]` of the timed rounds, empty ones left out |

use super::measured::{Measured, Timer};
use super::rows::{Figure, Place, Side};
use super::statistics::{Distribution, Estimate, bounds};
use super::{Extent, Ground};
use crate::host::{HostKind, Machine, kind};
use serde::{Deserialize, Serialize};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// What `schema` says.
pub const SCHEMA: u32 = 3;

/// What `kind` says.
pub const KIND: &str = "trapless bench";

/// The object: see the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// [`KIND`].
    pub kind: String,
    /// [`SCHEMA`].
    pub schema: u32,
    /// What it ran on.
    pub host: Host,
    /// How it was measured.
    pub method: Method,
    /// The rows.
    pub rows: Vec<Line>,
}

/// `host`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // the module's table
pub struct Host {
    pub version: String,
    pub host: String,
    pub kernel: Option<String>,
    pub cpu: Option<String>,
    pub cpus: Vec<u32>,
    pub online: Vec<u32>,
    pub first: u32,
    pub second: u32,
    pub load_before: Option<f64>,
    pub load_after: Option<f64>,
    pub pressure_before: Option<f64>,
    pub pressure_after: Option<f64>,
    pub huge_pages: Option<String>,
    pub date: u64,
}

/// `method`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // the module's table
pub struct Method {
    pub quick: bool,
    pub pairs: u32,
    pub block_ns: u64,
    pub chunk_ns: u64,
    pub confidence: f64,
    pub timer_guest_ns: f64,
    pub timer_host_ns: f64,
    pub tsc_mhz: f64,
}

/// One of `rows`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // the module's table
pub struct Line {
    pub name: String,
    pub operation: String,
    pub mechanism: String,
    pub side: Side,
    pub figure: Figure,
    pub per: u32,
    pub explain: String,
    pub skipped: Option<String>,
    pub cost_ns: Option<Estimate>,
    pub against: Vec<Against>,
    pub samples: u64,
    pub p50_ns: Option<f64>,
    pub p90_ns: Option<f64>,
    pub p99_ns: Option<f64>,
    pub p999_ns: Option<f64>,
    pub max_ns: Option<f64>,
    pub exits: Option<f64>,
    pub kicks: Option<f64>,
    pub events: Option<f64>,
    pub signals: Option<Estimate>,
    pub cpu_own_ns: Option<f64>,
    pub cpu_others_ns: Option<f64>,
    pub operations: u64,
    pub preemptions: u64,
    pub waited_ns: u64,
    pub histogram: Vec<(f64, f64, u64)>,
}

/// One of `against`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // the module's table
pub struct Against {
    pub name: String,
    pub ratio: Estimate,
    pub pairs: u32,
}

/// What changes about a machine while it is measured.
pub(super) struct Fingerprint {
    machine: Machine,
    pressure: Option<f64>,
}

impl Fingerprint {
    pub fn look() -> Fingerprint {
        let pressure = fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
        Fingerprint {
            machine: Machine::look(),
            pressure: some_pressure(&pressure),
        }
    }
}

/// `avg10` of the line `some`.
fn some_pressure(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let word = some
        .split(' ')
        .find_map(|word| word.strip_prefix("avg10="))?;
    word.parse().ok()
}

impl Results {
    pub(super) fn of(
        ground: &Ground,
        extent: Extent,
        quick: bool,
        before: Fingerprint,
        timer: &Timer,
        rows: Vec<Measured>,
    ) -> Results {
        let after = Fingerprint::look();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let machine = after.machine;
        let ns = |ticks: f64| ticks / ground.ticks_per_ns;
        let timer_of = |line: &Measured| {
            if line.row.place.is_guest() {
                timer.guest
            } else {
                timer.host
            }
        };
        let line = |measured: Measured| {
            let timer = timer_of(&measured);
            Line::of(measured, timer, ground.ticks_per_ns)
        };
        Results {
            kind: KIND.to_owned(),
            schema: SCHEMA,
            host: Host {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                host: kind_name(kind()).to_owned(),
                kernel: machine.kernel,
                cpu: machine.cpu,
                cpus: before.machine.cpus,
                online: machine.online,
                first: ground.cores.first,
                second: ground.cores.second,
                load_before: before.machine.load,
                load_after: machine.load,
                pressure_before: before.pressure,
                pressure_after: after.pressure,
                huge_pages: machine.huge_pages,
                date: now.map_or(0, |since| since.as_secs()),
            },
            method: Method {
                quick,
                pairs: extent.pairs,
                block_ns: extent.block.as_nanos() as u64,
                chunk_ns: extent.chunk.as_nanos() as u64,
                confidence: 0.95,
                timer_guest_ns: ns(timer.guest),
                timer_host_ns: ns(timer.host),
                tsc_mhz: ground.ticks_per_ns * 1e3,
            },
            rows: rows.into_iter().map(line).collect(),
        }
    }
}

/// A kind as the file has it.
fn kind_name(kind: HostKind) -> &'static str {
    match kind {
        HostKind::Vmx => "vmx",
        HostKind::Svm => "svm",
        HostKind::Software => "software",
    }
}

impl Line {
    /// `timer` is what a sample holds of the clock itself, in ticks.
    fn of(measured: Measured, timer: f64, ticks_per_ns: f64) -> Line {
        let row = measured.row;
        let distribution = &measured.distribution;
        let ns = |ticks: f64| (ticks - timer).max(0.0) / f64::from(row.per) / ticks_per_ns;
        let percentile = |part| distribution.percentile(part).map(ns);
        // A program that still runs has not been charged to its parent.
        let is_charged = measured.operations > 0 && !matches!(row.place, Place::Qemu(_));
        let each = |used: u64| is_charged.then(|| used as f64 / measured.operations as f64);
        let signals = &measured.signals;
        let signal =
            |count: u64| (signals.requests > 0).then(|| count as f64 / measured.operations as f64);
        Line {
            name: row.name.to_owned(),
            operation: row.operation.to_owned(),
            mechanism: row.mechanism.to_owned(),
            side: row.side,
            figure: row.figure,
            per: row.per,
            explain: row.explain.to_owned(),
            cost_ns: Estimate::of(&measured.blocks),
            against: against(&measured.ratios),
            samples: distribution.samples(),
            p50_ns: percentile(0.5),
            p90_ns: percentile(0.9),
            p99_ns: percentile(0.99),
            p999_ns: percentile(0.999),
            max_ns: (distribution.samples() > 0).then(|| ns(distribution.max as f64)),
            exits: measured.exits,
            kicks: signal(signals.kicks),
            events: signal(signals.events),
            signals: Estimate::of(&measured.signals_each).filter(|_| signals.requests > 0),
            cpu_own_ns: each(measured.used.own_ns),
            cpu_others_ns: each(measured.used.others_ns),
            operations: measured.operations,
            preemptions: measured.used.preemptions,
            waited_ns: measured.used.waited_ns,
            histogram: histogram(distribution, ns),
            skipped: measured.skipped,
        }
    }
}

fn against(ratios: &[(&str, Vec<f64>)]) -> Vec<Against> {
    let each = |(name, ratios): &(&str, Vec<f64>)| {
        Some(Against {
            name: (*name).to_owned(),
            ratio: Estimate::of(ratios)?,
            pairs: ratios.len() as u32,
        })
    };
    ratios.iter().filter_map(each).collect()
}

fn histogram(distribution: &Distribution, ns: impl Fn(f64) -> f64) -> Vec<(f64, f64, u64)> {
    let bar = |(bucket, count): (&usize, &u64)| {
        let (low, width) = bounds(*bucket);
        (ns(low as f64), ns((low + width) as f64), *count)
    };
    distribution.counts.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_that_of_some() {
        let text = "some avg10=1.53 avg60=0.87 avg300=0.57 total=1\nfull avg10=0.10 avg60=0.00\n";
        assert_eq!(some_pressure(text), Some(1.53));
        assert_eq!(some_pressure(""), None);
    }

    #[test]
    fn kinds_are_named_as_they_are_in_json() {
        for kind in [HostKind::Vmx, HostKind::Svm, HostKind::Software] {
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("{:?}", kind_name(kind)));
        }
    }
}
