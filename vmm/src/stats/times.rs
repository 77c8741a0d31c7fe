//! How long calls took, and in which part of their way.

use crate::distribution::Distribution;
use std::time::Duration;

/// What carried a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Carried {
    /// The gate, and an exit.
    Trapped,
    /// The call line.
    Polled,
    /// A batch ring.
    Batched,
}

impl Carried {
    /// Every one, in order.
    pub const ALL: [Carried; 3] = [Carried::Trapped, Carried::Polled, Carried::Batched];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Carried::Trapped => "trapped",
            Carried::Polled => "polled",
            Carried::Batched => "batched",
        }
    }
}

/// How long the calls of one row took that were carried in one way.
///
/// | part | trapped or polled | entry of a batch |
/// |---|---|---|
/// | `guest` | the SDK's own work: choosing the transport, writing the call, reading the answer | not known |
/// | `transport` | from the post, or the gate, to where the guest has the answer, less the handler: exit and entry or the line's way to the other processor and back, waiting for the serving thread, and what the host does around the handler | what the host does between two handlers; the way of the submission is `batch_submit`'s |
/// | `handler` | the host's function for this call, with its permission check; of `batch_submit` everything in the batch, of `wait` the waiting, of `line` the call it serves | likewise |
/// | `whole` | all of it, as the guest has it | all but the guest's |
///
/// `handler` is measured by the host, the others come of what the guest times by its own TSC; those are `None` where it does not (it does not use the SDK, or the
/// call does not come back), and where its TSC was found to run at another rate than the host's, or for too short a time to tell. They may have
/// counted fewer calls than `handler` has. Guest and transport are of the calls that `whole` is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallTimes {
    /// The call's number.
    pub number: u32,
    /// What carried it.
    pub carried: Carried,
    /// From the guest's making the call to its having the answer.
    pub whole: Option<Latency>,
    /// The guest's side of that.
    pub guest: Option<Latency>,
    /// The transport's.
    pub transport: Option<Latency>,
    /// The handler's.
    pub handler: Latency,
}

/// What is said of some lengths of time, to a 64th of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// The middle one.
    pub p50: Duration,
    /// What one in a hundred exceeds; `None` where fewer than ten do, of which too little can be said.
    pub p99: Option<Duration>,
    /// The longest.
    pub max: Duration,
}

impl Latency {
    /// Of lengths in ticks; `None` of none.
    pub(crate) fn of(ticks: &Distribution, ns_per_tick: f64) -> Option<Latency> {
        // A conversion from `f64` saturates.
        let time = |ticks: f64| Duration::from_nanos((ticks * ns_per_tick).round() as u64);
        Some(Latency {
            count: ticks.samples(),
            p50: time(ticks.percentile(0.5)?),
            p99: ticks.percentile(0.99).map(time),
            max: time(ticks.max as f64),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_what_is_known_of_them() {
        assert_eq!(Latency::of(&Distribution::default(), 1.0), None);
        let few = Distribution {
            max: 7,
            counts: [(7, 3)].into(),
        };
        let latency = Latency::of(&few, 2.0).unwrap();
        let ns = Duration::from_nanos;
        assert_eq!(
            (latency.p50, latency.p99, latency.max),
            (ns(14), None, ns(14))
        );
        let many = Distribution {
            max: u64::MAX,
            counts: [(7, 980), (9, 20)].into(),
        };
        let latency = Latency::of(&many, 0.4).unwrap();
        assert_eq!((latency.p50, latency.p99), (ns(3), Some(ns(4))));
        assert!(Latency::of(&many, f64::MAX).is_some(), "saturates");
        assert!(Latency::of(&many, f64::NAN).is_some());
    }
}
