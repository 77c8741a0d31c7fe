//! Doorbells: one-way kicks. Ringing one says "look", carries nothing, and nothing comes back.
//!
//! # The gate
//! The guest loads the doorbell's number into `eax` and executes a near `call` to [`GATE`]. Every register is preserved; flags are
//! undefined. Where the host offers [`DOORBELL`](crate::version::feature::DOORBELL) that wakes who listens without leaving the guest for long: the kernel tells it, and the guest
//! goes on. A doorbell that nobody listens to does nothing. Rings are not counted: several before the listener looks are one.
//!
//! # Numbers
//! | number | who listens |
//! |---|---|
//! | 0 to [`MAX_VCPUS`] - 1 | who serves that vCPU's batch ring, if it was registered with [`flags::DOORBELL`](crate::batch::flags::DOORBELL) |
//! | [`DEVICES`] and up | the queues of devices, as the [device table](crate::device) says |

use crate::map::{HYPERCALL_PAGE, MAX_VCPUS};

/// Where the doorbells' gate is: in the hypercall page, behind that of calls.
pub const GATE: u64 = HYPERCALL_PAGE + 0x40;

/// The first doorbell of a device's.
pub const DEVICES: u32 = 64;

const _: () = assert!(DEVICES >= MAX_VCPUS, "every batch ring has a doorbell");
