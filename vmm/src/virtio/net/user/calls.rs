//! The connections that the guest has yet to take, in the order in which they came: who is next when it can take another one, and who has waited for
//! too long.

use super::stream::{Phase, Stream};
use smoltcp::time::Instant;
use std::collections::HashMap;

/// Their numbers.
#[derive(Default)]
pub(super) struct Calls(Vec<u64>);

impl Calls {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn add(&mut self, number: u64) {
        self.0.push(number);
    }

    /// One of them was taken, or has ended.
    pub fn remove(&mut self, number: u64) {
        self.0.retain(|call| *call != number);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The guest has ended a connection at a port of its own, and may take another one there: says which asks at once.
    pub fn freed(
        &self,
        port: u16,
        now: Instant,
        streams: &mut HashMap<u64, Stream>,
    ) -> Option<u64> {
        let mut next = None;
        for number in &self.0 {
            if let Some(stream) = streams.get_mut(number)
                && stream.pair.port == port
                && let Phase::Calling(_, call) = &mut stream.phase
                && call.hope(now, next.is_none())
            {
                next = Some(*number);
            }
        }
        next
    }

    /// The guest has been given its address: says when the first of them asks.
    pub fn addressed(&self, now: Instant, streams: &mut HashMap<u64, Stream>) -> Option<Instant> {
        let mut next = None;
        for number in &self.0 {
            if let Some(stream) = streams.get_mut(number)
                && let Phase::Calling(_, call) = &mut stream.phase
            {
                call.addressed(now);
                stream.deadline = Some(call.deadline());
                next = stream.deadline.into_iter().chain(next).min();
            }
        }
        next
    }

    /// Those that have waited for long enough, also where the guest takes no frames at all; and when the next one will have.
    pub fn over(
        &self,
        now: Instant,
        streams: &HashMap<u64, Stream>,
    ) -> (Vec<u64>, Option<Instant>) {
        let (mut over, mut next) = (Vec::new(), None::<Instant>);
        for number in &self.0 {
            if let Some(Phase::Calling(_, call)) = streams.get(number).map(|stream| &stream.phase) {
                match call.is_over(now) {
                    true => over.push(*number),
                    false => next = Some(next.map_or(call.until, |next| next.min(call.until))),
                }
            }
        }
        (over, next)
    }
}
