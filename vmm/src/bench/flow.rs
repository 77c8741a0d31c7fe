//! A block of operations of which many are under way at a time, so that a round has no beginning of its own.

use super::block::{Run, now};

impl Run<'_> {
    /// Runs the block. `next` waits for the next operation that ends, and returns the ticks from its beginning: those are the single rounds. What an operation costs
    /// is the block's length over how many have ended.
    pub fn flow(&mut self, mut next: impl FnMut() -> u64) {
        let length = self.plan.chunks + self.plan.singles;
        let (start, mut ended) = (now(), 0);
        let ticks = loop {
            let ticks = next();
            self.histogram.record(ticks);
            ended += 1;
            let ticks = now() - start;
            if ticks >= length {
                break ticks;
            }
        };
        self.rounds += ended;
        self.cost(ticks.saturating_mul(1000) / ended);
    }
}
