//! A driver of a card in the same process: rings written by hand in memory that both ends have.

use super::super::{Backend, Card, HEADER, Sent, TIMER};
use crate::io::Sources;
use crate::memory::Memory;
use crate::rate::Limit;
use crate::virtio::{Broken, Device, Queue, Raise};
use event_manager::{
    EventManager, EventOps, Events, MutEventSubscriber, SubscriberId, SubscriberOps,
};
use hypercall_abi::Gpa;
use hypercall_abi::device::{QueueSetup, feature};
use hypercall_abi::map::RAM_BASE;
use hypercall_abi::net::{RECEIVE, SEND};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use vmm_sys_util::epoll::EventSet;

/// Entries of each ring.
pub const SIZE: u16 = 16;
/// Bytes between two buffers.
const STRIDE: u64 = 0x2_0000;
const BUFFERS: u64 = RAM_BASE + 0x10_0000;
const MEMORY: u64 = 16 << 20;

/// A descriptor's flags.
pub const NEXT: u16 = 1;
pub const WRITE: u16 = 2;

/// What a card in a test is connected to.
#[derive(Default)]
pub struct Ends {
    pub to_guest: VecDeque<Vec<u8>>,
    pub from_guest: Vec<Vec<u8>>,
    pub is_full: bool,
    pub is_gone: bool,
}

/// The backend of a test, which holds the other end.
pub struct Fake(pub Arc<Mutex<Ends>>, pub u64);

impl Backend for Fake {
    fn features(&self) -> u64 {
        self.1
    }

    fn watch(&mut self, _: u64, _: &mut Sources) -> io::Result<()> {
        Ok(())
    }

    fn forget(&mut self, _: &mut Sources) {}

    fn ready(&mut self, _: u32, _: EventSet, _: &mut Sources) {}

    fn send(&mut self, packet: &[u8]) -> Sent {
        let mut ends = self.0.lock().unwrap();
        if ends.is_gone {
            return Sent::Dropped;
        }
        if ends.is_full {
            return Sent::Full;
        }
        ends.from_guest.push(packet.to_vec());
        Sent::Taken
    }

    fn receive(&mut self, room: &mut [u8]) -> Option<usize> {
        let packet = self.0.lock().unwrap().to_guest.pop_front()?;
        let len = packet.len().min(room.len());
        room[..len].copy_from_slice(&packet[..len]);
        Some(packet.len())
    }

    fn has_link(&self) -> bool {
        !self.0.lock().unwrap().is_gone
    }
}

/// Keeps the tokens of what was ready.
#[derive(Default)]
struct Ready(Arc<Mutex<Vec<u32>>>);

impl MutEventSubscriber for Ready {
    fn process(&mut self, events: Events, _: &mut EventOps) {
        self.0.lock().unwrap().push(events.data());
    }
    fn init(&mut self, _: &mut EventOps) {}
}

/// Somewhere to watch descriptors.
pub struct Floor {
    manager: EventManager<Ready>,
    id: SubscriberId,
    ready: Arc<Mutex<Vec<u32>>>,
}

impl Floor {
    pub fn new() -> Floor {
        let mut manager = EventManager::new().unwrap();
        let ready = Ready::default();
        Floor {
            ready: Arc::clone(&ready.0),
            id: manager.add_subscriber(ready),
            manager,
        }
    }

    pub fn with<T>(&mut self, work: impl FnOnce(&mut Sources) -> T) -> T {
        let mut ops = self.manager.event_ops(self.id).unwrap();
        work(&mut Sources::new(&mut ops, 0))
    }

    /// Waits until a token is ready.
    pub fn wait(&mut self, token: u32) {
        while !std::mem::take(&mut *self.ready.lock().unwrap()).contains(&token) {
            self.manager.run().unwrap();
        }
    }
}

/// Counts events.
#[derive(Default)]
pub struct Raised(AtomicU64);

impl Raise for Raised {
    fn raise(&self, _: u32, _: u64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The driver, with its card.
pub struct Driver {
    pub memory: Arc<Memory>,
    pub ends: Arc<Mutex<Ends>>,
    pub card: Card,
    queues: Vec<Option<Queue>>,
    floor: Floor,
    raised: Arc<Raised>,
    /// By queue: how many chains were offered, and how many answers were seen.
    offered: [u16; 2],
    seen: [u16; 2],
}

fn ring(queue: u16, part: u64) -> u64 {
    RAM_BASE + u64::from(queue) * 0x1_0000 + part * 0x4000
}

/// Where a buffer is: one for each descriptor of each queue.
pub fn buffer(queue: u16, descriptor: u16) -> u64 {
    BUFFERS + u64::from(queue * SIZE + descriptor) * STRIDE
}

impl Driver {
    /// A card that is started with these features, of which its backend offers some.
    pub fn new(features: u64) -> Driver {
        Driver::limited(features, Limit::default())
    }

    /// One that may do so much in a second.
    pub fn limited(features: u64, limit: Limit) -> Driver {
        let memory = Arc::new(Memory::new(MEMORY).unwrap());
        let ends = Arc::new(Mutex::new(Ends::default()));
        let backend = Fake(Arc::clone(&ends), features);
        let mut card = Card::new(
            "net0".into(),
            [2, 0, 0, 0, 0, 1],
            1500,
            Box::new(backend),
            limit,
        );
        let raised = Arc::new(Raised::default());
        let mut floor = Floor::new();
        let queues = [RECEIVE, SEND].map(|queue| {
            let setup = QueueSetup {
                descriptors: Gpa(ring(queue, 0)),
                available: Gpa(ring(queue, 1)),
                used: Gpa(ring(queue, 2)),
                queue,
                size: SIZE,
                vcpu: 0,
            };
            let raise = Arc::clone(&raised);
            Some(Queue::new(&setup, 256, true, Arc::clone(&memory), raise, 1).unwrap())
        });
        floor.with(|sources| card.start(features | feature::VERSION_1, sources));
        Driver {
            memory,
            ends,
            card,
            queues: queues.into(),
            floor,
            raised,
            offered: [0; 2],
            seen: [0; 2],
        }
    }

    /// Writes a descriptor.
    pub fn describe(&self, queue: u16, place: u16, address: u64, len: u32, flags: u16, next: u16) {
        let at = ring(queue, 0) + u64::from(place) * 16;
        let store = |at, bytes: &[u8]| self.memory.write(Gpa(at), bytes).unwrap();
        store(at, &address.to_le_bytes());
        store(at + 8, &len.to_le_bytes());
        store(at + 12, &flags.to_le_bytes());
        store(at + 14, &next.to_le_bytes());
    }

    /// Makes a chain available.
    pub fn offer(&mut self, queue: u16, head: u16) {
        let index = &mut self.offered[usize::from(queue)];
        let place = ring(queue, 1) + 4 + u64::from(*index % SIZE) * 2;
        *index = index.wrapping_add(1);
        self.memory.store(Gpa(place), &head).unwrap();
        self.memory.store(Gpa(ring(queue, 1) + 2), index).unwrap();
    }

    /// Queues a buffer of `len` bytes for a packet, at a descriptor of its own.
    pub fn give(&mut self, place: u16, len: u32) {
        self.describe(RECEIVE, place, buffer(RECEIVE, place), len, WRITE, 0);
        self.offer(RECEIVE, place);
    }

    /// Queues a packet to be sent, at a descriptor of its own.
    pub fn send(&mut self, place: u16, packet: &[u8]) {
        let at = buffer(SEND, place);
        self.memory.write(Gpa(at), packet).unwrap();
        self.describe(SEND, place, at, packet.len() as u32, 0, 0);
        self.offer(SEND, place);
    }

    /// Has the card look at both queues.
    pub fn look(&mut self) -> Result<bool, Broken> {
        let (card, queues) = (&mut self.card, &mut self.queues);
        self.floor.with(|sources| {
            let received = card.serve(RECEIVE.into(), queues, sources)?;
            Ok(card.serve(SEND.into(), queues, sources)? | received)
        })
    }

    /// Has the card hear of its backend.
    pub fn ready(&mut self) -> Result<bool, Broken> {
        let (card, queues) = (&mut self.card, &mut self.queues);
        self.floor
            .with(|sources| card.ready(0, EventSet::IN, queues, sources))
    }

    /// Has the card hear that there is something in its limits again, when there is.
    pub fn rung(&mut self) -> Result<bool, Broken> {
        self.floor.wait(TIMER);
        let (card, queues) = (&mut self.card, &mut self.queues);
        self.floor
            .with(|sources| card.ready(TIMER, EventSet::IN, queues, sources))
    }

    /// Has the card ask for kicks; says whether something had come.
    pub fn arm(&mut self) -> Result<bool, Broken> {
        self.card.arm(&mut self.queues)
    }

    /// After how many chains the device wants to be kicked, by the ring's `avail_event`.
    pub fn wanted(&self, queue: u16) -> u16 {
        let at = ring(queue, 2) + 4 + u64::from(SIZE) * 8;
        self.memory.load(Gpa(at)).unwrap()
    }

    /// The answers since this was asked last: heads and lengths.
    pub fn answers(&mut self, queue: u16) -> Vec<(u32, u32)> {
        let end: u16 = self.memory.load(Gpa(ring(queue, 2) + 2)).unwrap();
        let mut answers = Vec::new();
        let seen = &mut self.seen[usize::from(queue)];
        while *seen != end {
            let at = ring(queue, 2) + 4 + u64::from(*seen % SIZE) * 8;
            let [head, len]: [u32; 2] = self.memory.load(Gpa(at)).unwrap();
            answers.push((head, len));
            *seen = seen.wrapping_add(1);
        }
        answers
    }

    /// Bytes of a received packet.
    pub fn received(&self, place: u16, len: u32) -> Vec<u8> {
        let mut bytes = vec![0; len as usize];
        let at = Gpa(buffer(RECEIVE, place));
        self.memory.read(at, &mut bytes).unwrap();
        bytes
    }

    pub fn dropped(&self) -> u64 {
        let queues = self.queues.iter().flatten();
        queues.map(|queue| queue.counts.dropped).sum()
    }

    pub fn events(&self) -> u64 {
        self.raised.0.load(Ordering::SeqCst)
    }

    /// Ends the driver's time.
    pub fn reset(&mut self) {
        let card = &mut self.card;
        self.floor.with(|sources| card.reset(sources));
    }
}

/// A packet with no wishes, whose frame has `len` bytes of a value.
pub fn packet(len: usize, value: u8) -> Vec<u8> {
    let mut packet = vec![0; HEADER];
    packet.resize(HEADER + len, value);
    packet
}
