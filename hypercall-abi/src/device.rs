//! Devices: virtio, without registers.
//!
//! What a device is, what it can do and its configuration space are read in a [table](Device) at [`map::DEVICES`](crate::map::DEVICES), as long as the boot page says. It is
//! set up by calls, in this order: [`DEVICE_RESET`](crate::call::DEVICE_RESET) (if it may have been used before), [`DEVICE_FEATURES`](crate::call::DEVICE_FEATURES), a
//! [`QUEUE_SETUP`](crate::call::QUEUE_SETUP) for each queue, [`DEVICE_START`](crate::call::DEVICE_START).
//!
//! Queues are the split virtqueues of the virtio specification 1.2 (section 2.7), with [`EVENT_IDX`](feature::EVENT_IDX) always offered. The driver rings a queue's
//! [doorbell](crate::doorbell) when the ring's `avail_event` says so; the device raises its event on the queue's vCPU when `used_event` says so. Queues and buffers lie at or above
//! [`RAM_BASE`](crate::map::RAM_BASE). A queue that breaks the specification (a loop, a head that is not there, a buffer outside memory) stops: its device raises its event, sets [`Device::broken`], and serves nothing until it is reset.

use crate::Gpa;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The most devices a VM can have: each has an event bit below [`GUEST_EVENTS`](crate::vcpu::event::GUEST_EVENTS).
pub const MAX_DEVICES: u32 = 24;
/// The most queues a device can have.
pub const MAX_QUEUES: u16 = 64;
/// The most entries a queue can have.
pub const MAX_QUEUE_SIZE: u16 = 1024;

/// One device. Written by the host before the guest runs; read-only to the guest. The configuration space, `generation` and `broken` change also later.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Device {
    /// What it is: the virtio specification's device ID, of [`kind`].
    pub kind: u32,
    /// Which of its kind, from 0, in the order of the configuration.
    pub instance: u32,
    /// Feature bits the device offers, as the virtio specification numbers them.
    pub features: u64,
    /// Its configuration space, as the specification lays it out; read-only to the guest.
    pub config: Gpa,
    /// Bytes of it.
    pub config_len: u32,
    /// How many queues it has.
    pub queues: u16,
    /// The [event](crate::vcpu::event) bit it raises: when a queue has something, when the configuration changes, when it breaks.
    pub event: u16,
    /// The doorbell of its first queue; the others follow.
    pub doorbell: u32,
    /// The most entries its queues can have, a power of two.
    pub queue_size: u32,
    /// Odd while the host changes the configuration space, higher by two afterwards: a reader that finds it changed reads again.
    pub generation: u32,
    /// Not 0 after a queue broke the specification: the device needs a reset.
    pub broken: u32,
    /// Zero.
    pub reserved: [u64; 6],
    /// Its name in the configuration, UTF-8, padded with zeros.
    pub name: [u8; 32],
}

layout!(Device, size 128, kind @ 0, instance @ 4, features @ 8, config @ 16, config_len @ 24, queues @ 28, event @ 30, doorbell @ 32,
    queue_size @ 36, generation @ 40, broken @ 44, reserved @ 48, name @ 96);

/// A queue's place and size, for [`QUEUE_SETUP`](crate::call::QUEUE_SETUP). Guest writes; the host copies it once.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct QueueSetup {
    /// The descriptor table, 16-byte aligned.
    pub descriptors: Gpa,
    /// The available ring, 2-byte aligned.
    pub available: Gpa,
    /// The used ring, 4-byte aligned.
    pub used: Gpa,
    /// Which of the device's queues.
    pub queue: u16,
    /// Entries, a power of two.
    pub size: u16,
    /// The vCPU on which the device raises its event for this queue.
    pub vcpu: u32,
}

layout!(QueueSetup, size 32, descriptors @ 0, available @ 8, used @ 16, queue @ 24, size @ 26, vcpu @ 28);

/// [`Device::kind`]: the device IDs of the virtio specification 1.2, section 5, that hosts of this version know.
pub mod kind {
    /// A network card (5.1).
    pub const NET: u32 = 1;
    /// A disk (5.2).
    pub const BLOCK: u32 = 2;
    /// A console with several ports (5.3).
    pub const CONSOLE: u32 = 3;
    /// Random numbers (5.4).
    pub const RNG: u32 = 4;
    /// Sockets to the host (5.10).
    pub const VSOCK: u32 = 19;

    /// Every kind and its table's name in configuration files.
    pub const ALL: &[(u32, &str)] = &[
        (NET, "net"),
        (BLOCK, "disk"),
        (CONSOLE, "console"),
        (RNG, "rng"),
        (VSOCK, "vsock"),
    ];
}

/// Feature bits that any device offers (virtio 1.2, section 6).
pub mod feature {
    /// Descriptors may lead to tables of descriptors.
    pub const INDIRECT: u64 = 1 << 28;
    /// Both sides say up to where they need no notification.
    pub const EVENT_IDX: u64 = 1 << 29;
    /// The device follows version 1 of the specification. Offered always, and a driver must take it.
    pub const VERSION_1: u64 = 1 << 32;
}

/// Whether an index of a ring that went from `old` to `new` has passed the entry after which the other side wants to be told, by the `event` it keeps
/// (sections 2.7.7.2 and 2.7.10.1): a driver's question before a kick, a device's before an event.
#[must_use]
pub const fn crossed(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}
