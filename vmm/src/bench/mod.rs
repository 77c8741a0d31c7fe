//! `trapless bench`: what calls cost, what trapping costs, and what the floor is, in one run.
//!
//! # Method
//! A row is measured in turn with each row it is held against, in blocks of some 10 ms, in an order that is reversed from round to round. Both sides of
//! a ratio come from the same round; the median of these ratios is given with an interval that holds 95 % of the medians of
//! their resamples (bootstrap). A block's cost is the middle one of its chunks, each timed as a whole over some 100 µs; percentiles come from rounds
//! that are timed one by one, less what the clock itself costs. A row whose figure is a percentile has longer blocks, and takes that of each. The first vCPU and what is measured in this process share one processor, and
//! all partners have the other. CPU time is charged by the threads' own clocks. Exits are counted in a VM that does nothing but the row's operation,
//! with the same threads on the same processors; kicks and events are those of the blocks that are timed. Where many operations are under way at a time, a block's
//! cost is its length over how many ended.
//!
//! `rows` is the table, `block` the loop, `measure` the order of blocks; [`results`] describes the result file, [`page`] and [`readme`] show it.

mod block;
pub mod compare;
mod exits;
pub mod floor;
mod flow;
mod guest;
mod hogs;
mod host;
mod load;
mod measure;
mod measured;
pub mod page;
mod qemu;
pub mod readme;
pub mod results;
mod rows;
mod signals;
mod sockets;
#[cfg(test)]
mod specification;
mod statistics;
mod subject;
pub mod table;
mod web;
mod wire;

use crate::config::Image;
use crate::histogram;
use crate::{Error, build, kvm, poller};
use block::now;
use host::Cores;
use results::Results;
pub use rows::{Figure, Side};
pub use statistics::Estimate;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Fewer and shorter blocks.
    pub quick: bool,
    /// Only rows whose name or operation has this in it, and what they are held against.
    pub filter: Option<String>,
    /// The `trapless` command, for the row that starts it.
    pub program: PathBuf,
}

/// How long blocks are and how many.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Pairs of blocks, after one that warms up.
    pub pairs: u32,
    /// A block's length.
    pub block: Duration,
    /// The length of a chunk in it.
    pub chunk: Duration,
    /// How long a row and what it is held against may take together: where one round takes longer than a block, there are fewer
    /// pairs.
    pub row: Duration,
    /// Pairs that even the slowest row has.
    pub least_pairs: u32,
    /// How long a block's rounds are timed one by one where a percentile of each block is wanted.
    pub tail: Duration,
    /// Pairs of such blocks.
    pub long_pairs: u32,
}

impl Extent {
    const FULL: Extent = Extent {
        pairs: 40,
        block: Duration::from_millis(10),
        chunk: Duration::from_micros(100),
        row: Duration::from_secs(8),
        least_pairs: 3,
        tail: Duration::from_millis(200),
        long_pairs: 12,
    };
    const QUICK: Extent = Extent {
        pairs: 10,
        block: Duration::from_millis(4),
        chunk: Duration::from_micros(100),
        row: Duration::from_millis(400),
        least_pairs: 2,
        tail: Duration::from_millis(100),
        long_pairs: 2,
    };
}

/// What every row may need.
pub(crate) struct Ground {
    /// Where things run.
    cores: Cores,
    /// TSC ticks in a nanosecond.
    ticks_per_ns: f64,
    /// The benchmark's guest.
    guest: PathBuf,
    /// The guest that is booted.
    hello: PathBuf,
    /// The one that is a web server.
    web: PathBuf,
    /// The `trapless` command.
    program: PathBuf,
}

/// Measures. `progress` is told what is going on, in a few words; `None`: `stop` was set meanwhile.
///
/// # Errors
/// What the host, cargo or a measured guest refused.
pub fn run(
    options: &Options,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(&str),
) -> Result<Option<Results>, Error> {
    drop(kvm::open()?);
    // Asked before threads are pinned: the answer is remembered.
    poller::available();
    progress("building the guests");
    let cores = Cores::choose(&crate::host::Machine::look().cpus);
    let ground = Ground {
        cores,
        guest: build::image(&example("bench"))?,
        hello: build::image(&example("hello"))?,
        web: build::image(&example("http"))?,
        program: options.program.clone(),
        ticks_per_ns: ticks_per_ns(),
    };
    let extent = if options.quick {
        Extent::QUICK
    } else {
        Extent::FULL
    };
    let filter = options.filter.as_deref().unwrap_or_default();
    let before = results::Fingerprint::look();
    let Some((rows, timer)) = measure::all(&ground, extent, filter, stop, progress)? else {
        return Ok(None);
    };
    Ok(Some(Results::of(
        &ground,
        extent,
        options.quick,
        before,
        &timer,
        rows,
    )))
}

/// Reads a filter that lets some row through.
///
/// # Errors
/// A sentence with the names that there are.
pub fn parse_filter(text: &str) -> Result<String, String> {
    match rows::all().any(|row| row.matches(text)) {
        true => Ok(text.to_owned()),
        false => {
            let names: Vec<&str> = rows::all().map(|row| row.name).collect();
            Err(format!(
                "no row has {text:?} in its name or operation; there are {}",
                names.join(", ")
            ))
        }
    }
}

/// A guest of the package `examples`, in the checkout that this program was built from.
fn example(bin: &str) -> Image {
    Image::Package {
        directory: concat!(env!("CARGO_MANIFEST_DIR"), "/../examples").into(),
        package: "examples".to_owned(),
        bin: Some(bin.to_owned()),
        profile: Some("release".to_owned()),
    }
}

/// The TSC's rate, from the host's clock over a while.
fn ticks_per_ns() -> f64 {
    const WHILE: Duration = Duration::from_millis(50);
    let (start, ticks) = (Instant::now(), now());
    while start.elapsed() < WHILE {
        std::hint::spin_loop();
    }
    let ticks = now() - ticks;
    ticks as f64 / (start.elapsed().as_secs_f64() * 1e9)
}
