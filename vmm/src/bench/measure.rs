//! The order of blocks: which row is measured when, and what is kept of it.

use super::block::{Plan, Run};
use super::guest::{Guest, Setup};
use super::histogram::Histogram;
use super::host::{self, Used};
use super::rows::{self, Place, Row, row};
use super::statistics::{Distribution, ratios};
use super::subject::Subject;
use super::{Extent, Ground, qemu};
use crate::Error;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Pairs that even the slowest row has.
const LEAST_PAIRS: u32 = 3;

/// Exits an operation, from which on the few that starting and ending a VM takes do not count.
const MANY_EXITS: f64 = 100.0;
/// Operations past which the few exits that a VM makes more or less in its own affairs do not matter: one in a hundred.
const ENOUGH_TO_COUNT: u64 = 500;

/// What is known of a row when everything has been measured.
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
}

impl Measured {
    fn new(row: &'static Row) -> Measured {
        Measured {
            row,
            skipped: None,
            blocks: Vec::new(),
            distribution: Distribution::default(),
            ratios: Vec::new(),
            used: Used::default(),
            operations: 0,
            exits: None,
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

struct Bench<'g> {
    ground: &'g Ground,
    extent: Extent,
    guests: BTreeMap<Setup, Guest>,
    subjects: BTreeMap<&'static str, Subject>,
    /// Single rounds of rows that run in this process.
    histograms: BTreeMap<&'static str, Box<Histogram>>,
    measured: BTreeMap<&'static str, Measured>,
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
        }
    }

    fn plan(&self) -> Plan {
        let ticks = |ns: f64| (ns * self.ground.ticks_per_ns) as u64;
        let block = self.extent.block.as_nanos() as f64;
        Plan {
            chunk: ticks(self.extent.chunk.as_nanos() as f64),
            chunks: ticks(block / 2.0),
            singles: ticks(block / 2.0),
        }
    }

    /// A block of nothing on each side.
    fn timer(&mut self) -> Result<Timer, Error> {
        const NOTHING: &str = "nothing";
        let plan = self.plan();
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
        if let Place::Qemu(accelerator) = row.place {
            self.emulator(row, accelerator);
            return Ok(!stop.load(Ordering::Relaxed));
        }
        let mut group = vec![row];
        group.extend(row.against.iter().copied().filter_map(self::row));
        group.retain(|row| self.unfit(row).is_none());
        for row in &group {
            self.block(row, true)?;
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
        }
        self.pin_partners();
        let mut pairs: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let start = Instant::now();
        for pair in 0..self.extent.pairs {
            if pair >= LEAST_PAIRS && start.elapsed() > self.extent.row {
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
        let ours = pairs.remove(row.name).unwrap_or_default();
        let against = row.against.iter().copied();
        let ratios = against
            .filter_map(|name| Some((name, ratios(&ours, pairs.get(name)?))))
            .collect();
        self.entry(row).ratios = ratios;
        Ok(true)
    }

    /// Whatever thread the VMs have started beside their first vCPUs runs on the second processor: further vCPUs, the poller.
    fn pin_partners(&self) {
        let first = |thread: &u32| self.guests.values().any(|guest| guest.thread_id == *thread);
        let partners = host::threads().into_iter().filter(|thread| !first(thread));
        partners.for_each(|thread| host::pin(thread, &[self.ground.cores.second]));
    }

    /// Why a row cannot be measured here.
    fn unfit(&self, row: &Row) -> Option<String> {
        let lacking = row.place.is_pair() && !self.ground.cores.are_two();
        lacking.then(|| "it takes two processors, and this process may use one".to_owned())
    }

    fn entry(&mut self, row: &'static Row) -> &mut Measured {
        let entry = self.measured.entry(row.name);
        entry.or_insert_with(|| Measured::new(row))
    }

    /// Runs one block, and returns what an operation cost in it, in nanoseconds. One that warms up is forgotten.
    fn block(&mut self, row: &'static Row, warm: bool) -> Result<f64, Error> {
        let plan = self.plan();
        let (before, after, rounds, cost);
        match row.place {
            Place::Guest(setup, work) | Place::GuestPair(setup, work) => {
                let guest = self.guest(setup)?;
                before = Used::until_now(guest.thread_id);
                let block = guest.block(work, plan, warm)?;
                after = Used::until_now(guest.thread_id);
                (rounds, cost) = (block.rounds, block.cost);
            }
            Place::Host(make) | Place::HostPair(make) => {
                let subject = match self.subjects.remove(row.name) {
                    Some(subject) => subject,
                    None => make(self.ground)?,
                };
                let subject = self.subjects.entry(row.name).or_insert(subject);
                let mut forgotten = Histogram::new();
                let histogram = match warm {
                    true => &mut forgotten,
                    false => {
                        let entry = self.histograms.entry(row.name);
                        entry.or_insert_with(|| Box::new(Histogram::new()))
                    }
                };
                let mut run = Run::new(plan, histogram);
                let here = host::this_thread();
                host::pin(here, &[self.ground.cores.first]);
                before = Used::until_now(here);
                let ran = subject(&mut run);
                after = Used::until_now(here);
                host::pin(here, &[self.ground.cores.second]);
                ran?;
                (rounds, cost) = (run.rounds, run.middle_cost());
            }
            Place::Qemu(_) => return Ok(f64::NAN),
        }
        if !warm {
            let entry = self.entry(row);
            entry.used.add(&before, &after);
            entry.operations += rounds * u64::from(row.per);
        }
        let ticks = cost as f64 / 1000.0 / f64::from(row.per);
        Ok(ticks / self.ground.ticks_per_ns)
    }

    /// QEMU runs by itself.
    fn emulator(&mut self, row: &'static Row, accelerator: &str) {
        let measured = qemu::port_reads(accelerator, self.extent.pairs);
        let ticks_per_ns = self.ground.ticks_per_ns;
        let entry = self.entry(row);
        match measured {
            Ok(ticks) => entry
                .blocks
                .extend(ticks.iter().map(|each| each / ticks_per_ns)),
            Err(reason) => entry.skipped = Some(reason),
        }
    }

    /// Fetches the distributions, and counts exits. `false`: told to stop.
    fn finish(&mut self, stop: &AtomicBool) -> Result<bool, Error> {
        let mut measured = std::mem::take(&mut self.measured);
        for (name, entry) in &mut measured {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            if let Some(histogram) = self.histograms.get(name) {
                entry.distribution = distribution(histogram);
            }
            if let (Some((setup, work)), None) = (entry.row.place.work(), &entry.skipped) {
                entry.distribution = self.guest(setup)?.distribution(work)?;
                entry.exits = self.exits(setup, work, entry.row.per)?;
            }
        }
        self.measured = measured;
        Ok(true)
    }

    /// Exits an operation: of two VMs that do nothing else, one for longer than the other, what the longer life had more.
    fn exits(&self, setup: Setup, work: &str, per: u32) -> Result<Option<f64>, Error> {
        let plan = self.plan();
        let longer = |times: u64| Plan {
            chunks: plan.chunks * times,
            singles: 0,
            ..plan
        };
        let once = |plan| {
            let mut guest = Guest::start(setup, &self.ground.guest, self.ground.cores)?;
            let block = guest.block(work, plan, true)?;
            Ok::<_, Error>((block.rounds, guest.stats()?))
        };
        let (few, least) = once(longer(1))?;
        let all = least.total_exits() as f64 / (few * u64::from(per)) as f64;
        if all > MANY_EXITS {
            return Ok(Some(all));
        }
        let mut exits = None;
        for times in [4, 16, 64, 256] {
            let (many, most) = once(longer(times))?;
            let operations = many.saturating_sub(few) * u64::from(per);
            if operations == 0 {
                continue;
            }
            let more = most.total_exits().saturating_sub(least.total_exits());
            exits = Some(more as f64 / operations as f64);
            if operations >= ENOUGH_TO_COUNT {
                break;
            }
        }
        Ok(exits)
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
