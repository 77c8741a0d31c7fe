//! The shared-info page: what every vCPU may read at any time without a call.

use crate::Gpa;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The shared-info page. Written by the host, also while the guest runs; read-only to the guest.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SharedInfo {
    /// The clock.
    pub time: Time,
    /// Rises by one whenever this VM becomes a copy of another: a clone or a restored backup. A guest that keeps
    /// random state reseeds when it changes.
    pub generation: u64,
    /// Zero.
    pub reserved: [u64; 7],
    /// Not 0 while a host thread polls the call lines. Its own cache line.
    pub poller_awake: PollerAwake,
}

layout!(SharedInfo, size 192, time @ 0, generation @ 64, poller_awake @ 128);

/// The word that says whether a post to a call line will be seen without a kick.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
pub struct PollerAwake {
    /// Host writes, guest reads. A hint: see [`line`](crate::line) for why a stale one does no harm.
    pub awake: u32,
    /// How many TSC ticks a posted call is worth waiting for before the guest makes a [`LINE`](crate::call::LINE) call. Host writes.
    pub patience: u32,
    /// Not 0 while the host looks at the queues of devices without being kicked: how many TSC ticks a completion is worth looking for
    /// before a [`WAIT`](crate::call::WAIT) for it. Host writes; a hint.
    pub rings: u32,
    /// Not 0 where the host asks the guest to note in its [`CallTimes`](crate::vcpu::CallTimes) how long its calls take. Host writes, before the
    /// guest runs. A guest that does not care does nothing.
    pub timed: u32,
    /// Zero.
    pub reserved: [u32; 12],
}

/// The guest's clock, as a line through a TSC reading.
///
/// Guest time in nanoseconds since the VM started:
/// `base_ns + ((rdtsc - base_tsc) * mult >> 32)`, the product taken in 128 bits. Nothing is assumed about the host's own TSC.
///
/// A seqlock: the host makes `seq` odd, writes, makes it even. A reader reads `seq` (acquire), the fields, then `seq` again after an
/// acquire fence, and begins anew when it was odd or has changed. The host moves the line from time to time, never so
/// that the clock of a reader steps back.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C, align(64))]
pub struct Time {
    /// Odd while the host writes.
    pub seq: u32,
    /// Zero.
    pub reserved0: u32,
    /// The guest's TSC at the base point.
    pub base_tsc: u64,
    /// Guest nanoseconds at the base point.
    pub base_ns: u64,
    /// Nanoseconds per TSC tick, times 2^32.
    pub mult: u64,
    /// Nanoseconds from the Unix epoch to guest time 0: add it to guest time for the time of day.
    pub epoch_ns: u64,
    /// Zero.
    pub reserved1: [u64; 3],
}

layout!(Time, size 64, seq @ 0, base_tsc @ 8, base_ns @ 16, mult @ 24, epoch_ns @ 32);
layout!(PollerAwake, size 64, awake @ 0, patience @ 4, rings @ 8, timed @ 12);

impl Time {
    /// Guest nanoseconds at a TSC reading. A reading before the base point counts as the base point; past
    /// `u64::MAX` ns (584 years) the clock stands still.
    #[must_use]
    pub const fn at(&self, tsc: u64) -> u64 {
        let ticks = tsc.saturating_sub(self.base_tsc) as u128;
        let ns = ((ticks * self.mult as u128) >> 32) + self.base_ns as u128;
        if ns > u64::MAX as u128 {
            u64::MAX
        } else {
            ns as u64
        }
    }
}

/// Where [`SharedInfo::time`] is.
pub const TIME: Gpa = Gpa(crate::map::SHARED_INFO);
