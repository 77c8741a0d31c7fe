//! A disk's requests, written by hand.

use core::cell::UnsafeCell;
use core::sync::atomic::Ordering;
use hypercall_abi::call as number;
use hypercall_abi::device::Device;
use test_guests::ring::{self, Descriptor, NEXT, Ring, WRITE};
use test_guests::{answers, call, check, vcpu};

/// The ring.
pub static RING: Ring = Ring::empty();

/// Memory that the device uses too.
#[repr(C, align(4096))]
pub struct Place(UnsafeCell<[u8; 4096]>);

// SAFETY: the tests' vCPUs and the device use it in turns.
unsafe impl Sync for Place {}

impl Place {
    const fn new() -> Place {
        Place(UnsafeCell::new([0; 4096]))
    }

    /// Where it is.
    pub fn address(&self) -> u64 {
        self.0.get() as u64
    }

    /// What is there.
    pub fn bytes(&self) -> [u8; 4096] {
        // SAFETY: initialized, and nobody's but the device's, which writes bytes.
        unsafe { self.0.get().read_volatile() }
    }

    /// Fills it.
    pub fn fill(&self, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate().take(4096) {
            // SAFETY: inside.
            unsafe { self.0.get().cast::<u8>().add(index).write_volatile(*byte) };
        }
    }
}

/// A request's header.
pub static HEADER: Place = Place::new();
/// Its data.
pub static DATA: Place = Place::new();
/// Its status, the first byte.
pub static STATUS: Place = Place::new();

/// Kinds of request (virtio 1.2, 5.2.6).
pub const IN: u32 = 0;
pub const OUT: u32 = 1;
pub const FLUSH: u32 = 4;

/// The disk's row in the table.
pub fn device() -> Device {
    ring::device(0)
}

/// Resets the disk and starts it, with empty rings.
pub fn start() {
    RING.available.store(0, Ordering::SeqCst);
    RING.used.store(0, Ordering::SeqCst);
    RING.used_event.store(0, Ordering::SeqCst);
    ring::start(0, &RING);
}

/// Writes a header, and a status that no device writes.
pub fn header(kind: u32, sector: u64) {
    let mut header = [0; 16];
    header[..4].copy_from_slice(&kind.to_le_bytes());
    header[8..].copy_from_slice(&sector.to_le_bytes());
    HEADER.fill(&header);
    STATUS.fill(&[0xff]);
}

/// A descriptor.
pub fn part(address: u64, len: u32, flags: u16, next: u16) -> Descriptor {
    Descriptor {
        address,
        len,
        flags,
        next,
    }
}

/// Writes the descriptors of an ordinary request from a place on: header, data and status.
pub fn describe(head: u16, data: (u64, u32), flags: u16) {
    let place = usize::from(head);
    RING.describe(place, part(HEADER.address(), 16, NEXT, head + 1));
    RING.describe(place + 1, part(data.0, data.1, NEXT | flags, head + 2));
    RING.describe(place + 2, part(STATUS.address(), 1, WRITE, 0));
}

/// Rings, and waits for the device to say something.
pub fn kick() {
    let device = device();
    vcpu::clear(1 << device.event);
    RING.used_event
        .store(RING.used.load(Ordering::SeqCst), Ordering::SeqCst);
    ring::ring(device.doorbell);
    while RING.used.load(Ordering::SeqCst) == 0 && self::device().broken == 0 {
        let bits = 1 << device.event;
        answers!(call(number::WAIT, &[bits, u64::MAX]), OK, "waiting");
        vcpu::clear(bits);
    }
}

/// Offers the chain at descriptor 0 and waits; the status byte.
pub fn ask() -> u8 {
    RING.offer(0);
    kick();
    check!(device().broken == 0, "the queue is sound");
    let status = STATUS.bytes()[0];
    RING.available.store(0, Ordering::SeqCst);
    start();
    status
}

/// A sector is read as it should be: the device works.
pub fn works(sector: u8) {
    start();
    DATA.fill(&[0xff; 512]);
    header(IN, sector.into());
    describe(0, (DATA.address(), 512), WRITE);
    let status = ask();
    check!(status == 0, "status {status}");
    check!(DATA.bytes()[..512] == [sector; 512], "sector {sector}");
}
