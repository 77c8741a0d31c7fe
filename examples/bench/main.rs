//! What `trapless bench` runs in a VM: a table of operations, and a loop that carries out one of them for a while whenever the
//! host says so.
//!
//! The host writes lines to standard input, and gets lines back on standard error; standard output is what some rows write to, and leads nowhere:
//!
//! | line | answer |
//! |---|---|
//! | (start) | `ready` |
//! | `run NAME CHUNK CHUNKS SINGLES`, three lengths in TSC ticks | `block ROUNDS COST`, the cost in thousandths of a tick a round |
//! | `warm NAME CHUNK CHUNKS SINGLES` | the same, and forgotten |
//! | `histogram NAME` | `histogram MAX BUCKET:COUNT ...`, of all blocks until now |
#![no_std]
#![cfg_attr(not(test), no_main)]

extern crate alloc;

#[path = "../../vmm/src/bench/block.rs"]
mod block;
mod disk;
#[path = "../../vmm/src/histogram.rs"]
mod histogram;
mod ping;
mod program;
mod rows;
mod sockets;
mod trapped;
mod window;
mod wire;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use block::{Plan, Run};
use guest_sdk::abi::Status;
use guest_sdk::console::stdin;
use guest_sdk::{eprint, eprintln, thread};
use histogram::Histogram;

guest_sdk::entry!(main);

/// Histograms by the row's name.
type Histograms = BTreeMap<&'static str, Box<Histogram>>;

fn main() -> Result<(), Status> {
    // The second vCPU's thread exists from now on, and the host can pin it.
    if let Ok(second) = thread::spawn(|| ()) {
        second.join();
    }
    let mut histograms = Histograms::new();
    eprintln!("ready");
    for line in stdin().lines() {
        let line = line?;
        let mut words = line.split(' ');
        match words.next() {
            Some("warm") => answer_run(&mut Histograms::new(), words),
            Some("run") => answer_run(&mut histograms, words),
            Some("histogram") => answer_histogram(&histograms, words.next().unwrap_or_default()),
            _ => eprintln!("what is {line:?}?"),
        }
    }
    Ok(())
}

fn answer_run<'w>(histograms: &mut Histograms, mut words: impl Iterator<Item = &'w str>) {
    let name = words.next().unwrap_or_default();
    let Some((name, row)) = rows::ROWS.iter().find(|(known, _)| *known == name) else {
        eprintln!("there is no row {name:?}");
        return;
    };
    let mut length = || words.next()?.parse().ok();
    let (Some(chunk), Some(chunks), Some(singles)) = (length(), length(), length()) else {
        eprintln!("{name} wants three lengths in TSC ticks");
        return;
    };
    let plan = Plan {
        chunk,
        chunks,
        singles,
    };
    let histogram = histograms
        .entry(name)
        .or_insert_with(|| Box::new(Histogram::new()));
    let mut run = Run::new(plan, histogram);
    row(&mut run);
    let cost = run.middle_cost();
    eprintln!("block {} {cost}", run.rounds);
}

fn answer_histogram(histograms: &Histograms, name: &str) {
    let Some(histogram) = histograms.get(name) else {
        eprintln!("nothing was run of {name:?}");
        return;
    };
    eprint!("histogram {}", histogram.max);
    for (bucket, count) in histogram.filled() {
        eprint!(" {bucket}:{count}");
    }
    eprintln!();
}
