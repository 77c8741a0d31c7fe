//! For tests: a device with its queues in memory that the test has too, its sockets in a directory of their own, and no KVM.

use super::Vsock;
use crate::config::Vsock as Config;
use crate::io::Sources;
use crate::memory::Memory;
use crate::virtio::{Broken, Device, Queue, Raise};
use event_manager::{
    EventManager, EventOps, Events, MutEventSubscriber, SubscriberId, SubscriberOps,
};
use hypercall_abi::Gpa;
use hypercall_abi::device::QueueSetup;
use hypercall_abi::map::{MIN_MEMORY, RAM_BASE};
use hypercall_abi::vsock::{RECEIVE, SEND};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use vmm_sys_util::epoll::EventSet;

/// Entries of each ring.
pub(super) const SIZE: u16 = 16;
/// The guest's context ID.
pub(super) const CID: u32 = 3;

/// Where a part of a queue's ring is: descriptors, available, used.
pub(super) fn ring(queue: u16, part: u64) -> u64 {
    RAM_BASE + u64::from(queue) * 0x4000 + part * 0x1000
}

/// What the descriptors are told of.
#[derive(Default)]
struct Ready(Arc<Mutex<Vec<(u32, EventSet)>>>);

impl MutEventSubscriber for Ready {
    fn process(&mut self, events: Events, _: &mut EventOps) {
        self.0
            .lock()
            .unwrap()
            .push((events.data(), events.event_set()));
    }

    fn init(&mut self, _: &mut EventOps) {}
}

struct Silent;

impl Raise for Silent {
    fn raise(&self, _: u32, _: u64) {}
}

/// The device and both its sides.
pub(super) struct Stage {
    pub memory: Arc<Memory>,
    pub device: Vsock,
    queues: Vec<Option<Queue>>,
    manager: EventManager<Ready>,
    id: SubscriberId,
    ready: Arc<Mutex<Vec<(u32, EventSet)>>>,
    directory: TempDir,
    offered: [u16; 2],
}

impl Stage {
    pub fn new() -> Stage {
        Stage::configured(|_| {})
    }

    /// Of a device that is other than it is by default.
    pub fn configured(change: impl FnOnce(&mut Config)) -> Stage {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::new(directory.path().join("vsock"));
        config.cid = CID;
        change(&mut config);
        let mut manager = EventManager::new().unwrap();
        let ready = Ready::default();
        let mut stage = Stage {
            memory: Arc::new(Memory::new(MIN_MEMORY).unwrap()),
            device: Vsock::open(&config).unwrap(),
            queues: Vec::new(),
            ready: Arc::clone(&ready.0),
            id: manager.add_subscriber(ready),
            manager,
            directory,
            offered: [0; 2],
        };
        stage.start();
        stage
    }

    /// Where programs connect; with a port behind it, where they listen.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("vsock")
    }

    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Vsock, &mut Vec<Option<Queue>>, &mut Sources) -> T,
    ) -> T {
        let mut ops = self.manager.event_ops(self.id).unwrap();
        let mut sources = Sources::new(&mut ops, 0);
        work(&mut self.device, &mut self.queues, &mut sources)
    }

    /// Makes the queues, which are empty, and starts.
    fn start(&mut self) {
        self.offered = [0; 2];
        self.queues = [RECEIVE, SEND]
            .map(|queue| {
                self.memory.store(Gpa(ring(queue, 1)), &[0_u16; 2]).unwrap();
                self.memory.store(Gpa(ring(queue, 2)), &[0_u16; 2]).unwrap();
                let setup = QueueSetup {
                    descriptors: Gpa(ring(queue, 0)),
                    available: Gpa(ring(queue, 1)),
                    used: Gpa(ring(queue, 2)),
                    queue,
                    size: SIZE,
                    vcpu: 0,
                };
                let memory = Arc::clone(&self.memory);
                Some(Queue::new(&setup, 256, true, memory, Arc::new(Silent), 1).unwrap())
            })
            .into();
        self.with(|device, _, sources| device.start(0, sources));
    }

    /// Resets the device, as its station does when a queue broke, and starts it again.
    pub fn restart(&mut self) {
        self.with(|device, _, sources| device.reset(sources));
        self.start();
    }

    /// Has the device look at both queues.
    pub fn serve(&mut self) -> Result<bool, Broken> {
        self.with(|device, queues, sources| {
            let mut did = false;
            for queue in [RECEIVE, SEND] {
                did |= device.serve(queue.into(), queues, sources)?;
            }
            Ok(did)
        })
    }

    /// Has the device ask for kicks.
    pub fn arm(&mut self) -> Result<bool, Broken> {
        self.with(|device, queues, _| device.arm(queues))
    }

    /// Has the device hear of its sockets.
    pub fn hear(&mut self) -> Result<(), Broken> {
        while self.manager.run_with_timeout(0).unwrap() > 0 {
            let ready = std::mem::take(&mut *self.ready.lock().unwrap());
            for (token, events) in ready {
                self.with(|device, queues, sources| device.ready(token, events, queues, sources))?;
            }
        }
        Ok(())
    }

    /// Has the device hear of one of its tokens.
    pub fn ready(&mut self, token: u32) -> Result<bool, Broken> {
        self.with(|device, queues, sources| device.ready(token, EventSet::IN, queues, sources))
    }

    /// After how many chains the device wants to be kicked, by the ring's `avail_event`.
    pub fn wanted(&self, queue: u16) -> u16 {
        let at = ring(queue, 2) + 4 + u64::from(SIZE) * 8;
        self.memory.load(Gpa(at)).unwrap()
    }

    /// Makes a chain available.
    pub fn offer(&mut self, queue: u16, head: u16) {
        let index = &mut self.offered[usize::from(queue)];
        let place = ring(queue, 1) + 4 + u64::from(*index % SIZE) * 2;
        *index = index.wrapping_add(1);
        self.memory.store(Gpa(place), &head).unwrap();
        self.memory.store(Gpa(ring(queue, 1) + 2), index).unwrap();
    }

    /// How many chains of a queue were made available and are not answered.
    pub fn in_flight(&self, queue: u16) -> u16 {
        let used: u16 = self.memory.load(Gpa(ring(queue, 2) + 2)).unwrap();
        self.offered[usize::from(queue)].wrapping_sub(used)
    }

    /// How many answers there were, wrapping.
    pub fn answers(&self, queue: u16) -> u16 {
        self.memory.load(Gpa(ring(queue, 2) + 2)).unwrap()
    }
}
