//! The vCPU page: one page for each vCPU, shared with the host, at its `gs` base.

use crate::Gpa;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A vCPU's page. The guest may scribble on all of it and harms only itself: the host keeps its own copy of what it relies on.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct VcpuPage {
    /// This page's own address, so that `mov rax, gs:[0]` yields a pointer. Host writes at start.
    pub this: Gpa,
    /// This vCPU's index. Host writes at start.
    pub index: u32,
    /// Zero.
    pub reserved0: u32,
    /// For the guest's runtime; the host never looks.
    pub guest_words: [u64; 6],
    /// Pending events.
    pub events: Events,
    /// The polled transport's line.
    pub line: CallLine,
    /// The batch ring's registration.
    pub ring: BatchRing,
    /// How long the last call took.
    pub times: CallTimes,
}

layout!(VcpuPage, size 384, this @ 0, index @ 8, guest_words @ 16, events @ 64, line @ 128, ring @ 192, times @ 320);

/// Events of one vCPU. Own cache line.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
pub struct Events {
    /// The pending bits: see [`event`]. Both set bits with an atomic OR; only the guest clears them, with an atomic AND, before
    /// it looks for what they announce.
    pub pending: u64,
    /// The bits this guest acts on. Guest writes. The host consults it for [`event::SHUTDOWN`]: an operator's stop is announced and
    /// given a grace period only if some vCPU subscribes to that bit, and is immediate otherwise.
    pub subscribed: u64,
    /// Not 0 while this vCPU is in, or about to make, a `WAIT` call. Guest writes, so that its other vCPUs know whether
    /// a bit they set in `pending` needs a `NOTIFY` call to be noticed.
    pub waiting: u32,
    /// Zero.
    pub reserved: [u32; 11],
}

layout!(Events, size 64, pending @ 0, subscribed @ 8, waiting @ 16);

/// The event bits.
pub mod event {
    /// The console has input, or its end: read it.
    pub const CONSOLE_INPUT: u64 = 1 << 0;
    /// The operator asks the guest to end; it has a grace period to do so.
    pub const SHUTDOWN: u64 = 1 << 1;
    /// Some vCPU has stopped.
    pub const VCPU_STOPPED: u64 = 1 << 2;
    /// The VM is now a copy: see [`SharedInfo::generation`](crate::info::SharedInfo::generation).
    pub const GENERATION: u64 = 1 << 3;
    /// This vCPU's batch ring, which a doorbell had submitted, has been served.
    pub const BATCH_SERVED: u64 = 1 << 4;
    /// The first bit that devices may be given.
    pub const DEVICE_BASE: u32 = 8;
    /// The bits that devices may be given.
    pub const DEVICE_EVENTS: u64 = 0xffff_ff00;
    /// The bits the guest may set on its vCPUs for its own purposes; the host never does.
    pub const GUEST_EVENTS: u64 = 0xffff_ffff_0000_0000;
}

/// One call in shared memory: request and answer in a single cache line.
///
/// Served while [`PollerAwake::awake`](crate::info::PollerAwake::awake) is not 0. The guest fills `args` and `number`, then stores `post` + 1. The host copies
/// the line, acts on its copy, stores the result to `args[0]` and `status`, then stores the `post` it served to
/// `answered`. The handshake, as the code that both sides run, is [`line`](crate::line). A guest that has waited for its
/// patience makes a [`LINE`](crate::call::LINE) call, which has the line served at once. Retries of an `AGAIN` travel through the gate.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
pub struct CallLine {
    /// Guest: how many calls were posted here, wrapping.
    pub post: u32,
    /// Guest: the call's number.
    pub number: u32,
    /// Guest: arguments. Host: the result, in `args[0]`.
    pub args: [u64; 6],
    /// Host: the status.
    pub status: u32,
    /// Host: the last `post` that was answered.
    pub answered: u32,
}

layout!(CallLine, size 64, post @ 0, number @ 4, args @ 8, status @ 56, answered @ 60);

/// The registration and the indices of this vCPU's batch ring.
///
/// `entries` is a power of two; indices are free-running and taken modulo it, as in Xen's shared rings. Producer and
/// consumer indices have a cache line each. The host reads the registration once, at `BATCH_SETUP`, and keeps its own count
/// of what it has served.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
pub struct BatchRing {
    /// Guest, before `BATCH_SETUP`: the array of [`BatchEntry`](crate::batch::BatchEntry).
    pub entries_gpa: Gpa,
    /// Guest, before `BATCH_SETUP`: how many entries, a power of two, 1 to 1024.
    pub entries: u32,
    /// Guest, before `BATCH_SETUP`: see [`batch::flags`](crate::batch::flags).
    pub flags: u32,
    /// Guest: entries queued so far (release).
    pub queued: u32,
    /// Zero.
    pub reserved0: [u32; 11],
    /// Host: entries served so far (release).
    pub served: u32,
    /// Zero.
    pub reserved1: [u32; 15],
}

layout!(BatchRing, size 128, entries_gpa @ 0, entries @ 8, flags @ 12, queued @ 16, served @ 64);

/// How long this vCPU's last call took, by the guest's TSC, where the host asks for that: see [`PollerAwake::timed`](crate::info::PollerAwake::timed). Own cache line.
///
/// Guest writes, after it has the answer: the two lengths, then `count` + 1. The host reads it when it next serves a call of this vCPU, and takes it for the
/// call it served before if `count` has risen by exactly one since. These are lengths, not times of day, so that the guest's TSC may be offset from the host's.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
pub struct CallTimes {
    /// How many calls were noted here, wrapping.
    pub count: u32,
    /// Zero.
    pub reserved0: u32,
    /// Ticks from where the call was handed over (posted, or the gate called) to where its answer had come.
    pub carried: u64,
    /// Ticks of the guest's own before that and after it.
    pub own: u64,
    /// Zero.
    pub reserved1: [u64; 5],
}

layout!(CallTimes, size 64, count @ 0, carried @ 8, own @ 16);
