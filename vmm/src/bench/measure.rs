//! The order of blocks: which row is measured when, and what is kept of it.

use super::block::{Plan, Run};
use super::guest::{Block, Guest, Setup};
use super::histogram::Histogram;
use super::hogs::Hogs;
use super::host::{self, Used};
use super::measured::{Measured, Timer};
use super::rows::{self, Figure, Place, Row, row};
use super::signals::Signals;
use super::statistics::{Distribution, ratios};
use super::subject::Subject;
use super::{Extent, Ground, exits, qemu};
use crate::Error;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Measures every row that the filter lets through, and what these are held against. `None`: told to stop.
pub fn all(
    ground: &Ground,
    extent: Extent,
    filter: &str,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(&str),
) -> Result<Option<(Vec<Measured>, Timer)>, Error> {
    // Out of the way of what is measured elsewhere; what is measured here moves to the first processor for its block.
    host::pin(host::this_thread(), &[ground.cores.second]);
    let mut bench = Bench::new(ground, extent);
    let timer = bench.timer()?;
    let wanted: Vec<&'static Row> = rows::all().filter(|row| row.matches(filter)).collect();
    for (index, row) in wanted.iter().enumerate() {
        progress(&format!("{}/{} {}", index + 1, wanted.len(), row.name));
        if !bench.row(row, stop)? {
            return Ok(None);
        }
    }
    progress("counting exits");
    if !bench.finish(stop)? {
        return Ok(None);
    }
    Ok(Some((bench.in_order(), timer)))
}

/// A block, and what happened meanwhile.
struct Passed {
    block: Block,
    used: Used,
    signals: Signals,
}

struct Bench<'g> {
    ground: &'g Ground,
    extent: Extent,
    guests: BTreeMap<Setup, Guest>,
    subjects: BTreeMap<&'static str, Subject>,
    /// Single rounds of rows that run in this process.
    histograms: BTreeMap<&'static str, Box<Histogram>>,
    measured: BTreeMap<&'static str, Measured>,
    /// Where the row that is measured has them.
    hogs: Option<Hogs>,
}

impl<'g> Bench<'g> {
    fn new(ground: &'g Ground, extent: Extent) -> Bench<'g> {
        Bench {
            ground,
            extent,
            guests: BTreeMap::new(),
            subjects: BTreeMap::new(),
            histograms: BTreeMap::new(),
            measured: BTreeMap::new(),
            hogs: None,
        }
    }

    fn plan(&self, figure: Figure) -> Plan {
        let ticks = |time: Duration| (time.as_nanos() as f64 * self.ground.ticks_per_ns) as u64;
        let half = ticks(self.extent.block / 2);
        Plan {
            chunk: ticks(self.extent.chunk),
            chunks: half,
            singles: match figure {
                Figure::Cost | Figure::Cpu => half,
                Figure::P99 | Figure::Rate => ticks(self.extent.tail),
            },
        }
    }

    fn used(&self, own: u32) -> Used {
        let hogs = self.hogs.as_ref();
        Used::until_now(own, hogs.map_or(&[], |hogs| &hogs.ids))
    }

    /// A block of nothing on each side.
    fn timer(&mut self) -> Result<Timer, Error> {
        const NOTHING: &str = "nothing";
        let plan = self.plan(Figure::Cost);
        let guest = self.guest(Setup::Trap)?;
        guest.block(NOTHING, plan, false)?;
        let guest = guest.distribution(NOTHING)?;
        let mut histogram = Histogram::new();
        host::pin(host::this_thread(), &[self.ground.cores.first]);
        Run::new(plan, &mut histogram).over(|| ());
        host::pin(host::this_thread(), &[self.ground.cores.second]);
        let middle = |of: Distribution| of.percentile(0.5).unwrap_or(0.0);
        Ok(Timer {
            guest: middle(guest),
            host: middle(distribution(&histogram)),
        })
    }

    /// The VM of a setup, booted when it is first wanted.
    fn guest(&mut self, setup: Setup) -> Result<&mut Guest, Error> {
        use std::collections::btree_map::Entry;
        match self.guests.entry(setup) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => {
                let guest = Guest::start(setup, &self.ground.guest, self.ground.cores)?;
                Ok(place.insert(guest))
            }
        }
    }

    /// Measures a row against its others. `false`: told to stop.
    fn row(&mut self, row: &'static Row, stop: &AtomicBool) -> Result<bool, Error> {
        let known = self.measured.get(row.name);
        if known.is_some_and(|known| row.against.is_empty() && !known.blocks.is_empty()) {
            return Ok(true); // as what others are held against
        }
        if let Some(reason) = self.unfit(row) {
            self.entry(row).skipped = Some(reason);
            return Ok(true);
        }
        let mut group = vec![row];
        group.extend(row.against.iter().copied().filter_map(self::row));
        group.retain(|row| self.unfit(row).is_none());
        for row in group.iter().filter(|row| row.figure != Figure::Cpu) {
            self.block(row, true)?;
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
        }
        let firsts: Vec<u32> = self.guests.values().map(|guest| guest.thread_id).collect();
        host::pin_others(&firsts, self.ground.cores);
        self.hogs = row.hogs.then(|| Hogs::start(self.ground.cores));
        let mut pairs: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let start = Instant::now();
        let pairs_wanted = match row.figure {
            Figure::Cost => self.extent.pairs,
            Figure::P99 | Figure::Rate => self.extent.long_pairs,
            Figure::Cpu => self.extent.least_pairs,
        };
        for pair in 0..pairs_wanted {
            if pair >= self.extent.least_pairs && start.elapsed() > self.extent.row {
                break;
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            for row in &group {
                let cost = self.block(row, false)?;
                pairs.entry(row.name).or_default().push(cost);
                self.entry(row).blocks.push(cost);
            }
            group.reverse();
        }
        self.hogs = None;
        let ours = pairs.remove(row.name).unwrap_or_default();
        let against = row.against.iter().copied();
        let ratios = against
            .filter_map(|name| Some((name, ratios(&ours, pairs.get(name)?))))
            .collect();
        self.entry(row).ratios = ratios;
        Ok(true)
    }

    /// Why a row cannot be measured here. What it takes to find out is kept.
    fn unfit(&mut self, row: &Row) -> Option<String> {
        if row.place.is_pair() && !self.ground.cores.are_two() {
            return Some("it takes two processors, and this process may use one".to_owned());
        }
        if let Place::Qemu(accelerator) = row.place
            && !self.subjects.contains_key(row.name)
        {
            match qemu::port_reads(accelerator, self.ground.cores) {
                Ok(subject) => self.subjects.insert(row.name, subject),
                Err(reason) => return Some(reason),
            };
        }
        None
    }

    fn entry(&mut self, row: &'static Row) -> &mut Measured {
        let entry = self.measured.entry(row.name);
        entry.or_insert_with(|| Measured::new(row))
    }

    /// Runs one block, and returns its figure, in nanoseconds. One that warms up is forgotten.
    fn block(&mut self, row: &'static Row, warm: bool) -> Result<f64, Error> {
        let plan = self.plan(row.figure);
        let Passed {
            block,
            used,
            signals,
        } = match row.place {
            Place::Guest(setup, work) | Place::GuestPair(setup, work) => {
                self.block_there(setup, work, plan, warm)?
            }
            Place::Host(make) | Place::HostPair(make) => self.block_here(row, make, plan, warm)?,
            Place::Qemu(_) => self.block_here(row, qemu::gone, plan, warm)?,
        };
        let ns = |ticks: f64| ticks / f64::from(row.per) / self.ground.ticks_per_ns;
        let cost = ns(block.cost as f64 / 1000.0);
        if warm {
            return Ok(cost);
        }
        let figure = match row.figure {
            Figure::Cost | Figure::Rate => cost,
            Figure::P99 => ns(self.tail(row)?),
            Figure::Cpu => {
                (used.own_ns + used.others_ns) as f64 / (block.rounds as f64 * cost) * 1e9
            }
        };
        let operations = block.rounds * u64::from(row.per);
        let entry = self.entry(row);
        entry.used.add(&used);
        entry.operations += operations;
        entry.signals.add(&signals);
        let each = (signals.kicks + signals.events) as f64 / operations as f64;
        entry.signals_each.push(each);
        Ok(figure)
    }

    /// A block of what the benchmark's guest does.
    fn block_there(
        &mut self,
        setup: Setup,
        work: &str,
        plan: Plan,
        warm: bool,
    ) -> Result<Passed, Error> {
        let guest = self.guest(setup)?;
        let (thread, told) = (guest.thread_id, Signals::until_now(&guest.gauge));
        let before = self.used(thread);
        let guest = self.guest(setup)?;
        let block = guest.block(work, plan, warm)?;
        let signals = Signals::until_now(&guest.gauge).since(&told);
        let used = self.used(thread).since(&before);
        Ok(Passed {
            block,
            used,
            signals,
        })
    }

    /// A block of what is measured in this process.
    fn block_here(
        &mut self,
        row: &'static Row,
        make: fn(&Ground) -> Result<Subject, Error>,
        plan: Plan,
        warm: bool,
    ) -> Result<Passed, Error> {
        let mut subject = match self.subjects.remove(row.name) {
            Some(subject) => subject,
            None => make(self.ground)?,
        };
        let mut histogram = match self.histograms.remove(row.name) {
            Some(histogram) if !warm => histogram,
            _ => Box::new(Histogram::new()),
        };
        let mut run = Run::new(plan, &mut histogram);
        let here = host::this_thread();
        host::pin(here, &[self.ground.cores.first]);
        let told = subject.signals();
        let before = self.used(here);
        let ran = subject.block(&mut run);
        let used = self.used(here).since(&before);
        let signals = subject.signals().since(&told);
        host::pin(here, &[self.ground.cores.second]);
        ran?;
        let block = Block {
            rounds: run.rounds,
            cost: run.middle_cost(),
        };
        self.subjects.insert(row.name, subject);
        if !warm {
            self.histograms.insert(row.name, histogram);
        }
        Ok(Passed {
            block,
            used,
            signals,
        })
    }

    /// What one round in a hundred of the last block exceeded, in ticks.
    fn tail(&mut self, row: &'static Row) -> Result<f64, Error> {
        let all = self.distribution(row)?;
        let entry = self.entry(row);
        let block = all.since(&entry.distribution);
        entry.distribution = all;
        Ok(block.at(0.99).unwrap_or(0.0))
    }

    /// Every round of a row that was timed by itself until now.
    fn distribution(&mut self, row: &'static Row) -> Result<Distribution, Error> {
        match row.place.work() {
            Some((setup, work)) => self.guest(setup)?.distribution(work),
            None => {
                let histogram = self.histograms.get(row.name);
                Ok(histogram.map_or_else(Distribution::default, |known| distribution(known)))
            }
        }
    }

    /// Fetches the distributions, and counts exits. `false`: told to stop.
    fn finish(&mut self, stop: &AtomicBool) -> Result<bool, Error> {
        let mut measured = std::mem::take(&mut self.measured);
        for entry in measured.values_mut() {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            // What a row of CPU time waits for is no round of an operation.
            if entry.skipped.is_some() || entry.row.figure == Figure::Cpu {
                continue;
            }
            entry.distribution = self.distribution(entry.row)?;
        }
        // Nothing of them is to be taken for a partner of the VM whose exits are counted.
        self.guests.clear();
        let plan = self.plan(Figure::Cost);
        for entry in measured.values_mut() {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            if entry.operations > 0
                && entry.row.figure != Figure::Cpu
                && let Some((setup, work)) = entry.row.place.work()
            {
                entry.exits = exits::count(self.ground, setup, work, entry.row.per, plan)?;
            }
        }
        self.measured = measured;
        Ok(true)
    }

    /// In the table's order.
    fn in_order(mut self) -> Vec<Measured> {
        let mut take = |row: &Row| self.measured.remove(row.name);
        rows::all().filter_map(&mut take).collect()
    }
}

fn distribution(histogram: &Histogram) -> Distribution {
    let counts = histogram.filled();
    Distribution {
        max: histogram.max,
        counts: counts
            .map(|(bucket, count)| (bucket, count.into()))
            .collect(),
    }
}
