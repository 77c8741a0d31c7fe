//! The devices of this VM: what each is, what it offers, and its configuration space.
//!
//! Owns the reading of the [device table](hypercall_abi::device). Taking a device and setting it up is [`Setup`](super::Setup)'s business.
//!
//! ```
//! use guest_sdk::virtio::{device, kind};
//! for device in device::all() {
//!     guest_sdk::println!("{} {}", device.name(), device.instance());
//! }
//! // In a unit test, on the host, there are none.
//! assert!(device::find(kind::BLOCK, 0).is_none());
//! ```

use core::fmt;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU8, Ordering, fence};
use hypercall_abi::device::{MAX_DEVICES, MAX_QUEUE_SIZE};
use hypercall_abi::map;
use hypercall_abi::words::DeviceWords;

/// One row of the device table.
#[derive(Clone, Copy)]
pub struct Entry {
    index: u32,
    row: &'static DeviceWords,
}

/// Every device, in the order of the configuration.
pub fn all() -> impl Iterator<Item = Entry> {
    (0..crate::platform::boot().devices.min(MAX_DEVICES)).map(|index| {
        let row = map::DEVICES as usize + index as usize * size_of::<DeviceWords>();
        Entry {
            index,
            // SAFETY: the boot page says that the host has written so many rows there, which stay readable for as long as the guest
            // runs; what it changes later are atomics, of which this side only loads. The stand-in's boot page says 0.
            row: unsafe { &*(row as *const DeviceWords) },
        }
    })
}

/// The device of a [kind](super::kind) with an instance number, which counts from 0.
#[must_use]
pub fn find(kind: u32, instance: u32) -> Option<Entry> {
    all().find(|entry| entry.kind() == kind && entry.instance() == instance)
}

/// The device of a [kind](super::kind) with a name in the configuration.
#[must_use]
pub fn find_named(kind: u32, name: &str) -> Option<Entry> {
    all().find(|entry| entry.kind() == kind && entry.name() == name)
}

impl Entry {
    /// Its place in the table, by which calls name it.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// What it is: see [`kind`](super::kind).
    #[must_use]
    pub fn kind(&self) -> u32 {
        self.row.kind
    }

    /// Which of its kind, from 0.
    #[must_use]
    pub fn instance(&self) -> u32 {
        self.row.instance
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        let padded = &self.row.name;
        let name = padded.split(|&byte| byte == 0).next().unwrap_or(padded);
        core::str::from_utf8(name).unwrap_or_default()
    }

    /// The feature bits it offers.
    #[must_use]
    pub fn features(&self) -> u64 {
        self.row.features
    }

    /// How many queues it has.
    #[must_use]
    pub fn queues(&self) -> u16 {
        self.row.queues
    }

    /// The most entries its queues can have.
    #[must_use]
    pub fn queue_size(&self) -> u16 {
        self.row.queue_size.min(MAX_QUEUE_SIZE.into()) as u16
    }

    /// The event it raises, as a mask of one bit.
    #[must_use]
    pub fn event(&self) -> u64 {
        1 << (self.row.event & 63)
    }

    /// The doorbell of one of its queues, which the queue's [`kick`](super::Queue::kick) rings.
    #[must_use]
    pub fn doorbell(&self, queue: u16) -> u32 {
        self.row.doorbell.wrapping_add(queue.into())
    }

    /// Whether it has found a queue that breaks the specification, and waits for a reset.
    #[must_use]
    pub fn broken(&self) -> bool {
        self.row.broken.load(Ordering::Acquire) != 0
    }

    /// Another number after each change of the configuration space.
    pub(super) fn generation(&self) -> u32 {
        self.row.generation.load(Ordering::Acquire)
    }

    /// Reads the configuration space: `read` sees all of it as it was at one moment, and may be called several times for that.
    ///
    /// ```no_run
    /// # let device = guest_sdk::virtio::device::find(2, 0).unwrap();
    /// let (sectors, block_size) = device.config(|space| (space.u64(0), space.u32(20)));
    /// ```
    pub fn config<T>(&self, read: impl Fn(&Config) -> T) -> T {
        let generation = &self.row.generation;
        let config = Config {
            start: self.row.config.0 as usize,
            len: self.row.config_len as usize,
        };
        loop {
            let before = generation.load(Ordering::Acquire); // the host makes it odd before it changes a byte
            if before.is_multiple_of(2) {
                let value = read(&config);
                fence(Ordering::Acquire); // the bytes before the second look: the host makes it even after it has changed the last
                if generation.load(Ordering::Relaxed) == before {
                    return value;
                }
            }
            spin_loop();
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("index", &self.index)
            .field("kind", &self.kind())
            .field("instance", &self.instance())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// A device's configuration space, little-endian. What is beyond its end reads as 0: a field that this device does not have.
pub struct Config {
    start: usize,
    len: usize,
}

impl Config {
    /// Bytes from an offset on.
    #[must_use]
    pub fn bytes<const LEN: usize>(&self, offset: usize) -> [u8; LEN] {
        core::array::from_fn(|index| {
            let at = offset.saturating_add(index);
            if at >= self.len {
                return 0;
            }
            // SAFETY: inside the space that the table names, which is readable for as long as the guest runs; the host writes it at any time.
            unsafe { AtomicU8::from_ptr((self.start + at) as *mut u8) }.load(Ordering::Relaxed)
        })
    }

    /// The byte at an offset.
    #[must_use]
    pub fn u8(&self, offset: usize) -> u8 {
        self.bytes::<1>(offset)[0]
    }

    /// The 16-bit number at an offset.
    #[must_use]
    pub fn u16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self.bytes(offset))
    }

    /// The 32-bit number at an offset.
    #[must_use]
    pub fn u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.bytes(offset))
    }

    /// The 64-bit number at an offset.
    #[must_use]
    pub fn u64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.bytes(offset))
    }
}

#[cfg(test)]
mod tests;
