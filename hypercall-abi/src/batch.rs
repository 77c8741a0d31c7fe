//! An entry of a batch ring: one call of many, submitted together.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One queued call and its answer. One cache line.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
pub struct BatchEntry {
    /// Guest: the call's number.
    pub number: u32,
    /// Host: the status.
    pub status: u32,
    /// Guest: arguments.
    pub args: [u64; 6],
    /// Host: the result.
    pub result: u64,
}

layout!(BatchEntry, size 64, number @ 0, status @ 4, args @ 8, result @ 56);

/// The most entries a ring can have.
pub const MAX_ENTRIES: u32 = 1024;

/// [`BatchRing::flags`](crate::vcpu::BatchRing::flags).
pub mod flags {
    /// Stop at the first entry whose status is not OK; `served` then points behind it.
    pub const STOP_ON_ERROR: u32 = 1 << 0;
    /// The ring may be submitted by its vCPU's [doorbell](crate::doorbell) too. What is queued is then served later, as by
    /// [`BATCH_SUBMIT`](crate::call::BATCH_SUBMIT), up to an entry that only a submission by call can serve; after it
    /// [`BATCH_SERVED`](crate::vcpu::event::BATCH_SERVED) is raised on the vCPU. UNSUPPORTED where the host does not offer [`DOORBELL`](crate::version::feature::DOORBELL).
    pub const DOORBELL: u32 = 1 << 1;
    /// Every flag this version defines.
    pub const ALL: u32 = STOP_ON_ERROR | DOORBELL;
}
