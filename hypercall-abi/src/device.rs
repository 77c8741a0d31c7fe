//! How a device is described: an array at [`map::DEVICES`](crate::map::DEVICES), as long as the boot page says.

use crate::Gpa;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One device. Written by the host before the guest runs; read-only to the guest.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Device {
    /// What it is: the virtio specification's device ID.
    pub kind: u32,
    /// Which of its kind, from 0, in the order of the configuration.
    pub instance: u32,
    /// Feature bits the device offers, as the virtio specification numbers them.
    pub features: u64,
    /// Its configuration space, read-only to the guest.
    pub config: Gpa,
    /// Bytes of it.
    pub config_len: u32,
    /// How many queues it has.
    pub queues: u16,
    /// The [event](crate::vcpu::event) bit it raises.
    pub event: u16,
    /// Its name in the configuration, UTF-8, padded with zeros.
    pub name: [u8; 32],
}

layout!(Device, size 64, kind @ 0, instance @ 4, features @ 8, config @ 16, config_len @ 24, queues @ 28, event @ 30, name @ 32);
