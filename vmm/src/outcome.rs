//! How a VM ended.

use crate::fault::{Fault, Panic};
use crate::stats::Stats;

/// How a VM ended, and what it did until then.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// Exits, calls and times.
    pub stats: Stats,
}

/// How a VM ended.
#[derive(Debug)]
pub enum End {
    /// The guest called `exit` with this code, or its last vCPU stopped (0).
    Exit(u8),
    /// The guest panicked and said so.
    Panic(Box<Panic>),
    /// The guest did something it cannot go on from.
    Fault(Box<Fault>),
    /// Somebody stopped it.
    Stopped(StopReason),
}

/// Why a VM was stopped from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopReason {
    /// It ran past its wall-clock limit.
    TimeLimit,
    /// [`Stopper::stop`](crate::Stopper::stop) was called, or a requested shutdown's grace period passed.
    Requested,
}
