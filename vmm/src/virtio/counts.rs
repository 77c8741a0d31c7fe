//! What a queue did.

use super::Chain;
use crate::distribution::Distribution;
use crate::histogram::Histogram;
use std::ops::AddAssign;

/// It.
#[derive(Clone, Default)]
pub(crate) struct Counts {
    /// Requests answered.
    pub requests: u64,
    /// What went nowhere: packets of a network card.
    pub dropped: u64,
    /// Kicks: how often its doorbell woke the host.
    pub kicks: u64,
    /// How often the guest was told.
    pub events: u64,
    /// Bytes that requests carried from the guest, and to it.
    pub from_guest: u64,
    pub to_guest: u64,
    /// TSC ticks from taking a request to answering it: their sum.
    pub ticks: u64,
    /// How many took how long. In a box of its own, so that a queue is small.
    times: Box<Histogram>,
}

impl Counts {
    /// A request is answered, with so many bytes for the guest. `now`: in TSC ticks.
    pub fn answer(&mut self, chain: &Chain, written: u32, now: u64) {
        let ticks = now.saturating_sub(chain.taken);
        self.requests = self.requests.wrapping_add(1);
        self.from_guest = self.from_guest.wrapping_add(chain.readable_bytes());
        self.to_guest = self.to_guest.wrapping_add(written.into());
        self.ticks = self.ticks.wrapping_add(ticks);
        self.times.record(ticks);
    }

    /// Adds another queue's.
    pub fn add(&mut self, other: &Counts) {
        self.requests = self.requests.wrapping_add(other.requests);
        self.dropped = self.dropped.wrapping_add(other.dropped);
        self.kicks = self.kicks.wrapping_add(other.kicks);
        self.events = self.events.wrapping_add(other.events);
        self.from_guest = self.from_guest.wrapping_add(other.from_guest);
        self.to_guest = self.to_guest.wrapping_add(other.to_guest);
        self.ticks = self.ticks.wrapping_add(other.ticks);
        self.times.add_assign(&other.times);
    }

    /// How long requests took, in ticks.
    pub fn times(&self) -> Distribution {
        let filled = self.times.filled();
        Distribution {
            max: self.times.max,
            counts: filled
                .map(|(bucket, count)| (bucket, count.into()))
                .collect(),
        }
    }
}
