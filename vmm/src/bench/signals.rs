//! What a guest's drivers and its devices told each other: kicks one way, events the other.

use crate::gauge::Gauge;

/// Sums over all devices of a VM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// Requests answered: without any, nothing of devices was measured.
    pub requests: u64,
    /// How often a doorbell woke the host.
    pub kicks: u64,
    /// How often the guest was told.
    pub events: u64,
}

impl Signals {
    /// Reads them.
    pub fn until_now(gauge: &Gauge) -> Signals {
        let mut all = Signals::default();
        for device in gauge.devices() {
            all.requests += device.requests;
            all.kicks += device.kicks;
            all.events += device.events;
        }
        all
    }

    /// Those after an earlier reading.
    pub fn since(&self, before: &Signals) -> Signals {
        Signals {
            requests: self.requests.saturating_sub(before.requests),
            kicks: self.kicks.saturating_sub(before.kicks),
            events: self.events.saturating_sub(before.events),
        }
    }

    /// Adds others.
    pub fn add(&mut self, more: &Signals) {
        self.requests += more.requests;
        self.kicks += more.kicks;
        self.events += more.events;
    }
}
