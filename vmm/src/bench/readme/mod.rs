//! The results as a README shows them: Markdown tables of the chosen rows, and one plot.
//!
//! Owns the choice of rows and the place of the tables in a file that is otherwise somebody's own.

mod devices;
mod plot;
mod tables;

use super::results::{Line, Results};
use super::statistics::Estimate;
use crate::Error;
pub use plot::render as plot;
use std::path::Path;
pub use tables::render as tables;

/// The line that the tables come after.
pub const BEGIN: &str = "<!-- trapless bench: begin -->";
/// The line that they come before.
pub const END: &str = "<!-- trapless bench: end -->";

/// Rows that do the same work on the three sides of the comparison.
struct Work {
    name: &'static str,
    /// By calls that leave the guest.
    called: &'static [&'static str],
    /// By a call that is polled, or by shared memory.
    without_exit: &'static [&'static str],
    /// As an unmodified kernel does it.
    trapped: &'static [&'static str],
}

/// The tables' and the plot's choice.
const WORKS: &[Work] = &[
    Work {
        name: "nothing (a null call; a bare exit)",
        called: &["null/trap"],
        without_exit: &["null/poll"],
        trapped: &["floor/exit"],
    },
    Work {
        name: "nothing, each of 64 in a batch",
        called: &["batch/trap/64"],
        without_exit: &["batch/poll/64"],
        trapped: &["floor/exit"],
    },
    Work {
        name: "write 64 bytes (16550 UART)",
        called: &["console/trap/64"],
        without_exit: &["console/poll/64"],
        trapped: &["console/uart/64"],
    },
    Work {
        name: "read the clock (PIT; RTC)",
        called: &[],
        without_exit: &["clock/page"],
        trapped: &["clock/pit", "clock/rtc"],
    },
    Work {
        name: "mask events (cli and sti)",
        called: &[],
        without_exit: &["mask/word"],
        trapped: &["mask/cli"],
    },
    Work {
        name: "identify the machine (rdmsr)",
        called: &[],
        without_exit: &["identify/page"],
        trapped: &["identify/rdmsr"],
    },
    Work {
        name: "wait for a time, late by (PIT, hlt)",
        called: &["timer/trap"],
        without_exit: &[],
        trapped: &["timer/pit"],
    },
    Work {
        name: "remap 1 page (invlpg)",
        called: &["remap/trap/1"],
        without_exit: &[],
        trapped: &["remap/invlpg/1"],
    },
    Work {
        name: "remap 1024 pages (invlpg; mov cr3)",
        called: &["remap/trap/1024"],
        without_exit: &[],
        trapped: &["remap/invlpg/1024", "remap/cr3/1024"],
    },
    Work {
        name: "notify a vCPU (interrupt controller)",
        called: &["notify/trap"],
        without_exit: &["notify/poll"],
        trapped: &["notify/pic"],
    },
    Work {
        name: "read 4 KiB from a disk (ATA)",
        called: &[],
        without_exit: &["disk/1"],
        trapped: &["disk/ata"],
    },
    Work {
        name: "send 1460 bytes of a stream (an exit each)",
        called: &[],
        without_exit: &["net/stream"],
        trapped: &["net/stream/trapped"],
    },
    Work {
        name: "a round of a whole program",
        called: &["program/trap"],
        without_exit: &["program/auto"],
        trapped: &["program/trapped"],
    },
];

/// Ratios that say how far from its floor, or from its like, something is: row, against which, and in words.
const RATIOS: &[(&str, &str, &str)] = &[
    (
        "null/trap",
        "floor/exit",
        "a trap call against a loop of bare exits",
    ),
    (
        "null/poll",
        "floor/threads",
        "a polled call against two host threads on such a line",
    ),
    (
        "null/poll",
        "null/trap",
        "a polled call against a trap call",
    ),
    (
        "batch/poll/64",
        "floor/ring",
        "one of 64 polled in a batch against two host threads on such a ring",
    ),
    (
        "batch/poll/64",
        "null/poll",
        "one of 64 polled in a batch against a polled call",
    ),
    (
        "null/auto",
        "null/poll",
        "adaptive against polled, calls dense",
    ),
    (
        "null/rare/auto",
        "null/rare/trap",
        "adaptive against trapping, calls rare",
    ),
    (
        "hog/auto",
        "hog/trap",
        "adaptive against trapping, p99 beside a hog on each core",
    ),
    (
        "program/auto",
        "program/trapped",
        "the whole program against its trapped like",
    ),
    (
        "program/auto",
        "floor/program",
        "the whole program against a plain process",
    ),
    (
        "touch/guest",
        "floor/touch",
        "a mapped page's first touch against a plain process",
    ),
];

fn line<'r>(results: &'r Results, name: &str) -> Option<&'r Line> {
    let line = results.rows.iter().find(|line| line.name == name)?;
    line.cost_ns.is_some().then_some(line)
}

/// A row's ratio to another one.
fn ratio_of(line: &Line, other: &str) -> Option<Estimate> {
    let found = line.against.iter().find(|against| against.name == other)?;
    Some(found.ratio)
}

/// The rows of these names that were measured.
fn lines<'r>(results: &'r Results, names: &[&str]) -> Vec<&'r Line> {
    names
        .iter()
        .filter_map(|name| line(results, name))
        .collect()
}

/// What a file is with other text between its two marks.
///
/// # Errors
/// [`Error::Config`]: it cannot be read, or lacks one of them.
pub fn renewed(path: &Path, text: &str) -> Result<String, Error> {
    let refused = |problem: String| Error::Config(format!("{}: {problem}", path.display()));
    let old = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    let parts = old.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    match parts {
        Some((before, after)) => Ok(format!("{before}{BEGIN}\n{text}{END}{after}")),
        None => Err(refused(format!(
            "the tables go between a line {BEGIN:?} and a later line {END:?}, which are not there"
        ))),
    }
}

#[cfg(test)]
mod tests;
