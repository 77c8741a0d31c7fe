//! For tests: the device's end of a queue, by the `virtio-queue` crate over this process's own memory.

use super::{Buffer, Queue};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::{vec, vec::Vec};
use virtio_queue::{Queue as DeviceQueue, QueueOwnedT, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap, GuestRegionMmap, MmapRegion};

/// All addresses that a process can have, as guest memory: its own.
fn memory() -> GuestMemoryMmap {
    const START: usize = 0x1000;
    const LEN: usize = 0x7fff_ffff_e000;
    // SAFETY: nothing is mapped or unmapped by this. It is accessed only where a queue's rings or a request's living buffers are.
    let region = unsafe { MmapRegion::build_raw(START as *mut u8, LEN, 3, 0x22) }.unwrap();
    let region = GuestRegionMmap::new(region, GuestAddress(START as u64)).unwrap();
    GuestMemoryMmap::from_regions(vec![region]).unwrap()
}

/// The device's end.
pub(super) struct Peer {
    pub(super) memory: GuestMemoryMmap,
    pub(super) queue: DeviceQueue,
    /// Heads that it has and has not returned yet: their first device-writable buffer, and how many bytes it may write in all.
    pub(super) held: VecDeque<(u16, Option<GuestAddress>, u32)>,
    /// What it read, of each request.
    pub(super) read: Vec<Vec<u8>>,
    pub(super) notifications: usize,
}

impl Peer {
    pub(super) fn of<B: Buffer>(queue: &Queue<B>) -> Peer {
        let setup = queue.setup(0);
        let mut end = DeviceQueue::new(1024).unwrap();
        end.set_size(setup.size);
        end.try_set_desc_table_address(GuestAddress(setup.descriptors.0))
            .unwrap();
        end.try_set_avail_ring_address(GuestAddress(setup.available.0))
            .unwrap();
        end.try_set_used_ring_address(GuestAddress(setup.used.0))
            .unwrap();
        end.set_event_idx(true);
        end.set_ready(true);
        let memory = memory();
        assert!(end.is_valid(&memory));
        Peer {
            memory,
            queue: end,
            held: VecDeque::new(),
            read: Vec::new(),
            notifications: 0,
        }
    }

    /// Takes what is available, and asks to be kicked for more.
    pub(super) fn fetch(&mut self) {
        loop {
            while let Some(chain) = self.queue.iter(&self.memory).unwrap().next() {
                let head = chain.head_index();
                let (mut first, mut writable, mut read) = (None, 0, Vec::new());
                for segment in chain {
                    if segment.is_write_only() {
                        first = first.or(Some(segment.addr()));
                        writable += segment.len();
                    } else {
                        let mut bytes = vec![0; segment.len() as usize];
                        self.memory.read_slice(&mut bytes, segment.addr()).unwrap();
                        read.extend(bytes);
                    }
                }
                self.held.push_back((head, first, writable));
                self.read.push(read);
            }
            if !self.queue.enable_notification(&self.memory).unwrap() {
                return;
            }
        }
    }

    /// Returns the request at a place among those it has, with its first writable byte set.
    pub(super) fn give_back(&mut self, place: usize, byte: u8) {
        let (head, first, writable) = self.held.remove(place).unwrap();
        if let Some(address) = first {
            self.memory.write_obj(byte, address).unwrap();
        }
        self.queue.add_used(&self.memory, head, writable).unwrap();
    }

    /// Returns what it was never given.
    pub(super) fn lie(&mut self) {
        self.queue.add_used(&self.memory, 1, 0).unwrap();
    }

    /// Notifies, if the driver asked to be; says whether it did.
    pub(super) fn notify(&mut self) -> bool {
        let asked = self.queue.needs_notification(&self.memory).unwrap();
        self.notifications += usize::from(asked);
        asked
    }
}

pub(super) fn wake(queue: &mut Queue<impl Buffer>) {
    while let Some(waker) = queue.woken() {
        waker.wake();
    }
}

/// Counts how often it is woken.
#[derive(Default)]
pub(super) struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    pub(super) fn new() -> (Arc<Bell>, Waker) {
        let bell = Arc::new(Bell::default());
        (Arc::clone(&bell), Waker::from(bell))
    }

    pub(super) fn rung(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
