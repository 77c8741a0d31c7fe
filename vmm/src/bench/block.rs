//! The loop that everything is measured with.
//!
//! A block is a few milliseconds of one operation over and over: first in chunks that are timed as a whole, so that the clock's own
//! cost does not count, then one by one, for the distribution. Compiled twice, into the guest and into the host, so that
//! both sides of a comparison run the same code. Uses `core` alone.

use super::histogram::Histogram;
use core::arch::x86_64::{_mm_lfence, _rdtsc};

/// The most chunks of a block that count.
const CHUNKS: usize = 256;

/// The most rounds of a chunk: no operation is shorter than to need more.
const MOST_ROUNDS: u64 = 1 << 20;

/// How long the parts of a block last, in TSC ticks.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// A chunk, if it has room for two rounds of the operation.
    pub chunk: u64,
    /// All chunks together; at least one is run.
    pub chunks: u64,
    /// All single rounds together; at least one is run.
    pub singles: u64,
}

/// A block that is being measured.
pub struct Run<'h> {
    pub(super) plan: Plan,
    pub(super) histogram: &'h mut Histogram,
    costs: [u64; CHUNKS],
    count: usize,
    /// How often the operation was carried out, warm-up included.
    pub rounds: u64,
}

impl<'h> Run<'h> {
    /// A block that has yet to be run.
    pub fn new(plan: Plan, histogram: &'h mut Histogram) -> Run<'h> {
        Run {
            plan,
            histogram,
            costs: [0; CHUNKS],
            count: 0,
            rounds: 0,
        }
    }

    /// Runs the block. `round` is one round of the operation.
    pub fn over(&mut self, mut round: impl FnMut()) {
        let first = time(1, &mut round);
        self.rounds += 1;
        if first >= self.plan.chunks + self.plan.singles {
            self.single(first); // that was the block
            return;
        }
        let rounds = self.chunk_rounds(&mut round);
        if rounds == 1 {
            self.timed(|| time(1, &mut round));
            return;
        }
        let start = now();
        while self.has_room() && (self.count == 0 || now() - start < self.plan.chunks) {
            let ticks = time(rounds, &mut round);
            self.rounds += rounds;
            self.cost(ticks * 1000 / rounds);
        }
        let start = now();
        while now() - start < self.plan.singles {
            let ticks = time(1, &mut round);
            self.rounds += 1;
            self.histogram.record(ticks);
        }
    }

    /// Runs the block. `round` is one round of an operation that is no shorter than a chunk or times itself, and returns its ticks.
    pub fn timed(&mut self, mut round: impl FnMut() -> u64) {
        let start = now();
        let length = self.plan.chunks + self.plan.singles;
        while self.has_room() && (self.count == 0 || now() - start < length) {
            let ticks = round();
            self.rounds += 1;
            self.single(ticks);
        }
    }

    /// A round that counts as a chunk and as itself.
    fn single(&mut self, ticks: u64) {
        self.cost(ticks.saturating_mul(1000));
        self.histogram.record(ticks);
    }

    /// What a round costs in this block, in thousandths of a tick: the middle one of its chunks, which a short disturbance does not reach.
    pub fn middle_cost(&mut self) -> u64 {
        let costs = self.costs.get_mut(..self.count).unwrap_or_default();
        costs.sort_unstable();
        costs.get(costs.len() / 2).copied().unwrap_or(0)
    }

    /// How many rounds fill a chunk, found by doubling, which also warms everything up. The best of a few goes counts: the first
    /// call of many may still trap.
    fn chunk_rounds(&mut self, round: &mut impl FnMut()) -> u64 {
        const GOES: u32 = 16;
        let mut rounds = 1;
        loop {
            let (start, mut best) = (now(), u64::MAX);
            for _ in 0..GOES {
                best = best.min(time(rounds, round).max(1));
                self.rounds += rounds;
                if now() - start > 8 * self.plan.chunk {
                    break;
                }
            }
            if best >= self.plan.chunk / 2 || rounds >= MOST_ROUNDS {
                return (rounds * self.plan.chunk / best).clamp(1, MOST_ROUNDS);
            }
            rounds *= 2;
        }
    }

    fn has_room(&self) -> bool {
        self.count < CHUNKS
    }

    /// What a round costs in one chunk, in thousandths of a tick.
    pub(super) fn cost(&mut self, millis: u64) {
        if let Some(cost) = self.costs.get_mut(self.count) {
            *cost = millis;
            self.count += 1;
        }
    }
}

/// The ticks that some rounds take, the clock's own included once.
#[inline(always)]
fn time(rounds: u64, round: &mut impl FnMut()) -> u64 {
    let start = now();
    for _ in 0..rounds {
        round();
    }
    now() - start
}

/// The TSC, read after everything before it is done and before anything after it begins.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: every x86-64 processor has both instructions; host kernel and hypervisor let user code read the TSC.
    unsafe {
        _mm_lfence();
        let ticks = _rdtsc();
        _mm_lfence();
        ticks
    }
}
