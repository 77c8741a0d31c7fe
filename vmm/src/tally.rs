//! Counts of the calls that did not come through the gate. The thread that serves a vCPU's line or ring counts; there is one at a
//! time, so that a load and a store will do.

use crate::stats::Stats;
use hypercall_abi::{Status, call};
use std::sync::atomic::{AtomicU64, Ordering};

const ROWS: usize = call::TABLE.len();

/// One vCPU's.
pub(crate) struct Tally {
    polled: [AtomicU64; ROWS],
    batched: [AtomicU64; ROWS],
    refused: [AtomicU64; ROWS],
    unknown: AtomicU64,
}

impl Default for Tally {
    fn default() -> Tally {
        let row = || [const { AtomicU64::new(0) }; ROWS];
        Tally {
            polled: row(),
            batched: row(),
            refused: row(),
            unknown: AtomicU64::new(0),
        }
    }
}

fn increment(count: &AtomicU64) {
    count.store(
        count.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
}

impl Tally {
    /// A call in the call line, of a row of the table if it has one.
    #[inline]
    pub fn count_polled(&self, row: Option<usize>, status: Status) {
        self.count(&self.polled, row, status);
    }

    /// Likewise in a batch.
    #[inline]
    pub fn count_batched(&self, row: Option<usize>, status: Status) {
        self.count(&self.batched, row, status);
    }

    #[inline]
    fn count(&self, carried: &[AtomicU64; ROWS], row: Option<usize>, status: Status) {
        increment(
            row.and_then(|row| carried.get(row))
                .unwrap_or(&self.unknown),
        );
        if status != Status::OK
            && let Some(refused) = row.and_then(|row| self.refused.get(row))
        {
            increment(refused);
        }
    }

    /// Adds these counts to a vCPU's others.
    pub fn add_to(&self, stats: &mut Stats) {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let rows = self.polled.iter().zip(&self.batched).zip(&self.refused);
        for (count, ((polled, batched), refused)) in stats.calls.iter_mut().zip(rows) {
            count.polled += load(polled);
            count.batched += load(batched);
            count.made += load(polled) + load(batched);
            count.refused += load(refused);
        }
        stats.unknown_calls += load(&self.unknown);
    }
}
