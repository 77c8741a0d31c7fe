//! The device table and the configuration spaces, where a guest reads them.

use super::Identity;
use crate::memory::{Memory, OutOfRange};
use hypercall_abi::device::{Device, MAX_DEVICES, feature};
use hypercall_abi::vcpu::event::DEVICE_BASE;
use hypercall_abi::{Gpa, doorbell, map};
use std::mem::offset_of;
use std::sync::atomic::{Ordering, fence};

/// What every device offers.
const OFFERED: u64 = feature::INDIRECT | feature::EVENT_IDX | feature::VERSION_1;
/// Bytes between two configuration spaces, which is also the most that one can have.
const CONFIG_STRIDE: u64 = 256;
const CONFIGS: u64 = map::DEVICES + map::PAGE_SIZE;

const _: () = assert!(
    MAX_DEVICES as u64 * size_of::<Device>() as u64 <= map::PAGE_SIZE
        && MAX_DEVICES as u64 * CONFIG_STRIDE <= 3 * map::PAGE_SIZE
        && DEVICE_BASE + MAX_DEVICES <= 32,
    "the device table, its configuration spaces and its events have their place"
);

/// All feature bits that a device offers.
pub(super) fn offered(identity: &Identity) -> u64 {
    identity.features | OFFERED
}

/// The event bits of a device.
pub(super) fn event(index: u32) -> u64 {
    1_u64
        .checked_shl(DEVICE_BASE.saturating_add(index))
        .unwrap_or(0)
}

/// The first doorbell of a device; the doorbells before it are those of the devices before it.
pub(super) fn first_doorbell(index: u32) -> u32 {
    let queues = u32::from(hypercall_abi::device::MAX_QUEUES);
    doorbell::DEVICES.saturating_add(index.saturating_mul(queues))
}

fn entry(index: u32) -> u64 {
    map::DEVICES.saturating_add(u64::from(index).saturating_mul(size_of::<Device>() as u64))
}

/// Writes the table of a VM that has these devices, before the guest runs.
///
/// # Errors
/// Never in a VM that has a platform area.
pub(crate) fn publish(memory: &Memory, devices: &[Identity]) -> Result<(), OutOfRange> {
    for (index, identity) in (0..).zip(devices) {
        let config = config_at(index);
        let space = identity.config.get(..CONFIG_STRIDE as usize);
        let space = space.unwrap_or(&identity.config);
        let mut name = [0; 32];
        for (to, from) in name.iter_mut().zip(identity.name.bytes()) {
            *to = from;
        }
        let same = devices.iter().take(index as usize);
        let device = Device {
            kind: identity.kind,
            instance: same.filter(|other| other.kind == identity.kind).count() as u32,
            features: offered(identity),
            config: Gpa(config),
            config_len: space.len() as u32,
            queues: identity.queues,
            event: DEVICE_BASE.saturating_add(index) as u16,
            doorbell: first_doorbell(index),
            queue_size: identity.queue_size.into(),
            generation: 0,
            broken: 0,
            reserved: [0; 6],
            name,
        };
        memory.store(Gpa(entry(index)), &device)?;
        memory.write(Gpa(config), space)?;
    }
    Ok(())
}

/// Changes a device's configuration space, for the `count`th time.
pub(super) fn set_config(memory: &Memory, index: u32, count: u32, config: &[u8]) {
    let generation = Gpa(entry(index).saturating_add(offset_of!(Device, generation) as u64));
    let last = count.wrapping_mul(2);
    let space = config.get(..CONFIG_STRIDE as usize).unwrap_or(config);
    // In the platform area, which is RAM: nothing of this fails.
    let _ = memory.store_word32(generation, last.wrapping_sub(1));
    fence(Ordering::Release); // odd, before a byte of the configuration: the guest's `Entry::config` looks at it after the bytes
    let _ = memory.write(Gpa(config_at(index)), space);
    let _ = memory.store_word32(generation, last); // releases the bytes
}

fn config_at(index: u32) -> u64 {
    CONFIGS.saturating_add(u64::from(index).saturating_mul(CONFIG_STRIDE))
}

/// Says in the table whether a device is broken.
pub(super) fn set_broken(memory: &Memory, index: u32, broken: bool) {
    let at = entry(index).saturating_add(offset_of!(Device, broken) as u64);
    // In the platform area, which is RAM.
    let _ = memory.store_word32(Gpa(at), broken.into());
}
