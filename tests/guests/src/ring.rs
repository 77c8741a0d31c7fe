//! A device driven by hand: rings written word by word, right or wrong.

use crate::gate::{Answer, call};
use crate::{answers, boot};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU16, Ordering};
use hypercall_abi::device::{Device, QueueSetup, feature};
use hypercall_abi::{Gpa, call as number, doorbell, map};

/// Entries of each ring.
pub const SIZE: usize = 16;

/// A descriptor (virtio 1.2, 2.7.5).
#[derive(Clone, Copy, Default)]
#[repr(C, align(16))]
pub struct Descriptor {
    /// Where the buffer is.
    pub address: u64,
    /// How many bytes.
    pub len: u32,
    /// [`NEXT`], [`WRITE`], [`INDIRECT`].
    pub flags: u16,
    /// The descriptor that follows.
    pub next: u16,
}

/// Another descriptor follows.
pub const NEXT: u16 = 1;
/// The device writes.
pub const WRITE: u16 = 2;
/// The buffer is a table of descriptors.
pub const INDIRECT: u16 = 4;

/// The three parts of a split virtqueue.
#[repr(C, align(4096))]
pub struct Ring {
    descriptors: [UnsafeCell<Descriptor>; SIZE],
    /// Flags of the available ring.
    pub available_flags: AtomicU16,
    /// How many chains were made available, wrapping.
    pub available: AtomicU16,
    /// Their heads.
    pub heads: [AtomicU16; SIZE],
    /// Up to where the guest wants no event.
    pub used_event: AtomicU16,
    _gap: [u16; 3],
    /// Flags of the used ring.
    pub used_flags: AtomicU16,
    /// How many chains were answered, wrapping.
    pub used: AtomicU16,
    /// Their heads and lengths, each two half words of 16 bits.
    pub answers: [[AtomicU16; 4]; SIZE],
    /// Up to where the device wants no kick.
    pub available_event: AtomicU16,
}

// SAFETY: the guest's vCPUs share it no otherwise than the device does: word by word.
unsafe impl Sync for Ring {}

impl Ring {
    /// An empty one.
    #[must_use]
    pub const fn empty() -> Ring {
        // SAFETY: it consists of integers, for which all zeros are a value.
        unsafe { core::mem::zeroed() }
    }

    /// Writes a descriptor.
    pub fn describe(&self, place: usize, descriptor: Descriptor) {
        // SAFETY: in bounds, and the device only copies it.
        unsafe {
            self.descriptors[place % SIZE]
                .get()
                .write_volatile(descriptor)
        };
    }

    /// Makes a chain available.
    pub fn offer(&self, head: u16) {
        let index = self.available.load(Ordering::Relaxed);
        self.heads[usize::from(index) % SIZE].store(head, Ordering::Relaxed);
        // The device sees the head before the index.
        self.available
            .store(index.wrapping_add(1), Ordering::SeqCst);
    }

    /// Where it is and how long, for the host.
    #[must_use]
    pub fn setup(&self, queue: u16) -> QueueSetup {
        QueueSetup {
            descriptors: Gpa(self.descriptors.as_ptr() as u64),
            available: Gpa(&raw const self.available_flags as u64),
            used: Gpa(&raw const self.used_flags as u64),
            queue,
            size: SIZE as u16,
            vcpu: 0,
        }
    }
}

/// The device table's entry of a device.
#[must_use]
pub fn device(index: u32) -> Device {
    if index >= boot().devices {
        crate::fail(format_args!("there is no device {index}"));
    }
    let entry = map::DEVICES as *const Device;
    // SAFETY: the table is as long as the boot page says, and any bytes are a `Device`.
    unsafe { entry.add(index as usize).read_volatile() }
}

/// Makes a device's call.
pub fn ask(what: u32, device: u32, argument: u64) -> Answer {
    call(what, &[device.into(), argument])
}

/// What every device offers.
pub const FEATURES: u64 = feature::VERSION_1 | feature::EVENT_IDX | feature::INDIRECT;

/// Resets a device, takes the features that every device has, registers queue 0 and starts.
pub fn start(index: u32, ring: &Ring) {
    answers!(ask(number::DEVICE_RESET, index, 0), OK, "reset");
    answers!(
        ask(number::DEVICE_FEATURES, index, FEATURES),
        OK,
        "features"
    );
    set_up(index, &ring.setup(0));
    answers!(ask(number::DEVICE_START, index, 0), OK, "start");
}

/// Registers a queue.
pub fn set_up(index: u32, setup: &QueueSetup) {
    let answer = ask(
        number::QUEUE_SETUP,
        index,
        core::ptr::from_ref(setup) as u64,
    );
    answers!(answer, OK, "queue");
}

/// Rings a doorbell through its gate.
pub fn ring(number: u32) {
    // SAFETY: the host fills the gate before boot, and it preserves every register.
    unsafe {
        core::arch::asm!("call {gate}", gate = in(reg) doorbell::GATE, in("eax") number);
    }
}
