//! The driver's end of a device's queues, for tests: rings written word by word, right or wrong, in memory that both ends have.

use super::{Queue, Raise};
use crate::memory::Memory;
use hypercall_abi::device::QueueSetup;
use hypercall_abi::map::{MIN_MEMORY, RAM_BASE};
use hypercall_abi::{Gpa, Status};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zerocopy::{Immutable, IntoBytes};

/// Entries of each ring.
pub(crate) const SIZE: u16 = 16;
/// Bytes of a queue's three parts.
const STRIDE: u64 = 0x800;
const AVAILABLE: u64 = 0x200;
const USED: u64 = 0x400;
/// Where buffers can be.
pub(crate) const BUFFERS: u64 = RAM_BASE + 0x4_0000;

/// A descriptor's flags.
pub(crate) const NEXT: u16 = 1;
pub(crate) const WRITE: u16 = 2;
pub(crate) const INDIRECT: u16 = 4;

/// A descriptor (virtio 1.2, 2.7.5).
#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Descriptor {
    pub address: u64,
    pub len: u32,
    pub flags: u16,
    pub next: u16,
}

/// Counts events.
#[derive(Default)]
struct Raised(AtomicU64);

impl Raise for Raised {
    fn raise(&self, _: u32, _: u64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The driver.
pub(crate) struct Peer {
    pub memory: Arc<Memory>,
    raised: Arc<Raised>,
    /// By queue: how many chains were offered, and how many answers were seen.
    offered: Vec<u16>,
    seen: Vec<u16>,
}

impl Peer {
    /// In the least memory that a VM can have.
    pub fn new() -> Peer {
        Peer {
            memory: Arc::new(Memory::new(MIN_MEMORY).unwrap()),
            raised: Arc::default(),
            offered: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// Queues from 0 on, empty, as a device has them.
    pub fn queues(&mut self, count: u16) -> Vec<Option<Queue>> {
        self.offered = vec![0; count.into()];
        self.seen = vec![0; count.into()];
        let queue = |queue| {
            let zeros = [0; STRIDE as usize];
            self.memory.write(Gpa(ring(queue)), &zeros).unwrap();
            self.queue(&setup(queue)).ok()
        };
        (0..count).map(queue).collect()
    }

    /// A queue as it is asked for.
    pub fn queue(&self, setup: &QueueSetup) -> Result<Queue, Status> {
        let memory = Arc::clone(&self.memory);
        let raised: Arc<dyn Raise> = Arc::clone(&self.raised) as _;
        Queue::new(setup, 64, true, memory, raised, 1)
    }

    /// Writes a descriptor.
    pub fn describe(&self, queue: u16, place: u16, descriptor: &Descriptor) {
        let at = ring(queue) + u64::from(place % SIZE) * 16;
        self.memory.write(Gpa(at), descriptor.as_bytes()).unwrap();
    }

    /// Offers a chain.
    pub fn offer(&mut self, queue: u16, head: u16) {
        let index = &mut self.offered[usize::from(queue)];
        let at = ring(queue) + AVAILABLE;
        let entry = at + 4 + u64::from(*index % SIZE) * 2;
        self.memory.write(Gpa(entry), &head.to_le_bytes()).unwrap();
        *index = index.wrapping_add(1);
        self.memory
            .write(Gpa(at + 2), &index.to_le_bytes())
            .unwrap();
    }

    /// Says that so many more chains are offered than are.
    pub fn leap(&self, queue: u16, by: u16) {
        let index = self.offered[usize::from(queue)].wrapping_add(by);
        let at = Gpa(ring(queue) + AVAILABLE + 2);
        self.memory.write(at, &index.to_le_bytes()).unwrap();
    }

    /// Offers one buffer with these bytes, for the device to read. A place's buffer is 4 KiB of its own.
    pub fn give(&mut self, queue: u16, place: u16, bytes: &[u8]) {
        let address = buffer(queue, place);
        self.memory.write(Gpa(address), bytes).unwrap();
        let len = bytes.len() as u32;
        let descriptor = Descriptor {
            address,
            len,
            ..Descriptor::default()
        };
        self.describe(queue, place, &descriptor);
        self.offer(queue, place);
    }

    /// Offers one buffer for the device to write.
    pub fn ask(&mut self, queue: u16, place: u16, len: u32) {
        let descriptor = Descriptor {
            address: buffer(queue, place),
            len,
            flags: WRITE,
            next: 0,
        };
        self.describe(queue, place, &descriptor);
        self.offer(queue, place);
    }

    /// The answers since this was asked last: heads and lengths.
    pub fn answers(&mut self, queue: u16) -> Vec<(u32, u32)> {
        let used = ring(queue) + USED;
        let end: u16 = self.memory.load(Gpa(used + 2)).unwrap();
        let mut answers = Vec::new();
        let seen = &mut self.seen[usize::from(queue)];
        while *seen != end {
            let at = used + 4 + u64::from(*seen % SIZE) * 8;
            let [head, len]: [u32; 2] = self.memory.load(Gpa(at)).unwrap();
            answers.push((head, len));
            *seen = seen.wrapping_add(1);
        }
        answers
    }

    /// The answers to buffers that were to be written, as bytes.
    pub fn received(&mut self, queue: u16) -> Vec<Vec<u8>> {
        let answers = self.answers(queue);
        let bytes = |(head, len): (u32, u32)| {
            let mut bytes = vec![0; len as usize];
            let at = Gpa(buffer(queue, head as u16));
            self.memory.read(at, &mut bytes).unwrap();
            bytes
        };
        answers.into_iter().map(bytes).collect()
    }

    /// After how many chains the device wants to be kicked, by the ring's `avail_event`.
    pub fn wanted(&self, queue: u16) -> u16 {
        let at = ring(queue) + USED + 4 + u64::from(SIZE) * 8;
        self.memory.load(Gpa(at)).unwrap()
    }
}

/// Where a queue is, unless it is asked for elsewhere.
pub(crate) fn setup(queue: u16) -> QueueSetup {
    QueueSetup {
        descriptors: Gpa(ring(queue)),
        available: Gpa(ring(queue) + AVAILABLE),
        used: Gpa(ring(queue) + USED),
        queue,
        size: SIZE,
        vcpu: 0,
    }
}

fn ring(queue: u16) -> u64 {
    RAM_BASE + u64::from(queue) * STRIDE
}

/// The part of a queue that the driver writes.
pub(crate) fn offered(queue: u16) -> Range<u64> {
    ring(queue)..ring(queue) + USED
}

/// The part that the device writes.
pub(crate) fn answered(queue: u16) -> Range<u64> {
    ring(queue) + USED..ring(queue) + STRIDE
}

/// A place's 4 KiB.
pub(crate) fn buffer(queue: u16, place: u16) -> u64 {
    BUFFERS + (u64::from(queue % 8) * 16 + u64::from(place % SIZE)) * 0x1000
}
