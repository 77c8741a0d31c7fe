//! The transport of a guest with calls: one device, the queues its driver has set up, and how far that has come.

use super::table::{event, first_doorbell, offered, set_broken, set_config};
use super::{Broken, Counts, Device, Identity, Queue, Queues, Raise};
use crate::io::Sources;
use crate::memory::Memory;
use crate::stats::{DeviceStats, Latency};
use hypercall_abi::Status;
use hypercall_abi::device::{QueueSetup, feature};
use std::sync::Arc;
use std::time::Duration;
use vmm_sys_util::epoll::EventSet;

/// What a driver's call asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request {
    Reset,
    Features(u64),
    Queue(QueueSetup),
    Start,
}

/// A device at its place in the table.
pub(crate) struct Station {
    device: Box<dyn Device>,
    identity: Identity,
    index: u32,
    memory: Arc<Memory>,
    raise: Arc<dyn Raise>,
    vcpus: u32,
    /// What the driver has taken; 0 before.
    features: u64,
    queues: Vec<Option<Queue>>,
    started: bool,
    /// Whether a queue broke the specification since the last reset.
    broken: bool,
    /// How often the configuration space was changed.
    changes: u32,
    /// Why the device stopped, the last time it did.
    why: Option<&'static str>,
    /// What queues did that are gone.
    gone: Counts,
}

impl Station {
    /// A device that no driver has found yet, in a VM with so many vCPUs.
    pub fn new(
        device: Box<dyn Device>,
        index: u32,
        memory: Arc<Memory>,
        raise: Arc<dyn Raise>,
        vcpus: u32,
    ) -> Station {
        let identity = device.identity();
        let queues = (0..identity.queues).map(|_| None).collect();
        Station {
            device,
            identity,
            index,
            memory,
            raise,
            vcpus,
            features: 0,
            queues,
            started: false,
            broken: false,
            changes: 0,
            why: None,
            gone: Counts::default(),
        }
    }

    /// The doorbells of the queues that are set up, with their queues.
    pub fn doorbells(&self) -> impl Iterator<Item = (u32, u32)> {
        let first = first_doorbell(self.index);
        (0..)
            .zip(&self.queues)
            .filter(|(_, queue)| queue.is_some())
            .map(move |(index, _)| (first.saturating_add(index), index))
    }

    /// Does what a driver's call asks for.
    pub fn carry_out(&mut self, request: &Request, sources: &mut Sources) -> (Status, u64) {
        let done = match *request {
            Request::Reset => {
                self.reset(sources);
                Ok(0)
            }
            Request::Features(wanted) => return self.take(wanted),
            Request::Queue(setup) => self.set_up(&setup),
            Request::Start => self.start(sources),
        };
        match done {
            Ok(result) => (Status::OK, result),
            Err(status) => (status, 0),
        }
    }

    fn reset(&mut self, sources: &mut Sources) {
        if self.started {
            self.device.reset(sources);
        }
        self.gone = self.counts();
        self.queues.iter_mut().for_each(|queue| *queue = None);
        self.features = 0;
        self.started = false;
        self.broken = false;
        set_broken(&self.memory, self.index, false);
    }

    fn take(&mut self, wanted: u64) -> (Status, u64) {
        let offered = offered(&self.identity);
        if self.queues.iter().any(Option::is_some) {
            return (Status::BUSY, 0);
        }
        if wanted & !offered != 0 || wanted & feature::VERSION_1 == 0 {
            return (Status::UNSUPPORTED, offered);
        }
        self.features = wanted;
        (Status::OK, wanted)
    }

    fn set_up(&mut self, setup: &QueueSetup) -> Result<u64, Status> {
        let place = self.queues.get_mut(usize::from(setup.queue));
        let place = place.ok_or(Status::NOT_FOUND)?;
        if setup.vcpu >= self.vcpus {
            return Err(Status::NOT_FOUND);
        }
        if self.started || self.broken || place.is_some() {
            return Err(Status::BUSY);
        }
        if self.features == 0 {
            return Err(Status::BAD_ARGUMENT);
        }
        *place = Some(Queue::new(
            setup,
            self.identity.queue_size,
            self.features & feature::EVENT_IDX != 0,
            Arc::clone(&self.memory),
            Arc::clone(&self.raise),
            event(self.index),
        )?);
        Ok(0)
    }

    fn start(&mut self, sources: &mut Sources) -> Result<u64, Status> {
        if self.started || self.broken {
            return Err(Status::BUSY);
        }
        if self.features == 0 || !self.queues.iter().any(Option::is_some) {
            return Err(Status::BAD_ARGUMENT);
        }
        self.started = true;
        self.device.start(self.features, sources);
        self.tell_changes();
        Ok(0)
    }

    /// A queue's doorbell was rung.
    pub fn kicked(&mut self, queue: u32, sources: &mut Sources) -> bool {
        if let Some(Some(queue)) = self.queues.get_mut(queue as usize) {
            queue.counts.kicks = queue.counts.kicks.wrapping_add(1);
        }
        self.with(sources, |device, queues, sources| {
            device.serve(queue as usize, queues, sources)
        })
    }

    /// A source of the device is ready.
    pub fn ready(&mut self, token: u32, events: EventSet, sources: &mut Sources) -> bool {
        self.with(sources, |device, queues, sources| {
            device.ready(token, events, queues, sources)
        })
    }

    /// Looks at every queue; says whether there was anything.
    pub fn look(&mut self, sources: &mut Sources) -> bool {
        self.with(sources, |device, queues, sources| {
            let mut did = false;
            for queue in 0..queues.len() {
                if queues.get(queue).is_some_and(Option::is_some) {
                    did |= device.serve(queue, queues, sources)?;
                }
            }
            Ok(did)
        })
    }

    /// Asks for kicks; `true`: something came already.
    pub fn arm(&mut self, sources: &mut Sources) -> bool {
        self.with(sources, |device, queues, _| device.arm(queues))
    }

    /// Lets the device work, unless it is not started; when a queue turns out broken it stops.
    fn with(
        &mut self,
        sources: &mut Sources,
        work: impl FnOnce(&mut dyn Device, &mut Queues, &mut Sources) -> Result<bool, Broken>,
    ) -> bool {
        if !self.started {
            return false;
        }
        match work(&mut *self.device, &mut self.queues, sources) {
            Ok(did) => {
                self.tell_changes();
                did
            }
            Err(Broken(why)) => {
                self.started = false;
                self.broken = true;
                self.device.reset(sources);
                self.why = Some(why);
                set_broken(&self.memory, self.index, true);
                for queue in self.queues.iter().flatten() {
                    queue.alert();
                }
                true
            }
        }
    }

    /// Tells the driver if the configuration space is another.
    fn tell_changes(&mut self) {
        if let Some(config) = self.device.changed() {
            self.changes = self.changes.wrapping_add(1);
            set_config(&self.memory, self.index, self.changes, config);
            for queue in self.queues.iter().flatten() {
                queue.alert();
            }
        }
    }

    /// What all queues did until now.
    fn counts(&self) -> Counts {
        let mut counts = self.gone.clone();
        for queue in self.queues.iter().flatten() {
            counts.add(&queue.counts);
        }
        counts
    }

    /// What the device did until now.
    pub fn stats(&self, ns_per_tick: f64) -> DeviceStats {
        let counts = self.counts();
        let (failed, failure) = self.device.failures();
        // A conversion from `f64` saturates.
        let time = |ticks: u64| Duration::from_nanos((ticks as f64 * ns_per_tick) as u64);
        DeviceStats {
            kind: self.identity.kind,
            name: self.identity.name.clone(),
            requests: counts.requests,
            dropped: counts.dropped,
            failed,
            failure,
            kicks: counts.kicks,
            events: counts.events,
            from_guest: counts.from_guest,
            to_guest: counts.to_guest,
            busy: time(counts.ticks),
            latency: Latency::of(&counts.times(), ns_per_tick),
            broken: self.why,
        }
    }

    /// The VM has ended: what the device did.
    pub fn end(mut self, sources: &mut Sources, ns_per_tick: f64) -> DeviceStats {
        self.reset(sources);
        self.stats(ns_per_tick)
    }
}
