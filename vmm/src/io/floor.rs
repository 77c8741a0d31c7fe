//! What the I/O thread does when it wakes: orders, doorbells, sources, and looking at queues without being asked to while they are busy.
//!
//! After a device has had something to do, its queues are looked at for the poll window: a driver that goes on need not kick, and is not told to.
//! Then kicks are asked for again, and the thread sleeps.

use super::company::Company;
use super::{Order, Sources, Work};
use crate::calls::{self, Caller};
use crate::clock::host_tsc;
use crate::cpu;
use crate::shared::{Shared, lock};
use crate::virtio::{Raise, Request, Station};
use crossbeam_channel::Receiver;
use event_manager::{EventOps, Events, MutEventSubscriber};
use hypercall_abi::info::{PollerAwake, SharedInfo};
use hypercall_abi::vcpu::event::BATCH_SERVED;
use hypercall_abi::{Gpa, Status, call, map};
use std::collections::BTreeMap;
use std::hint::spin_loop;
use std::io;
use std::mem::offset_of;
use std::sync::{Arc, Weak};
use std::time::Duration;
use vmm_sys_util::epoll::EventSet;
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

/// Looks at the queues between two looks at the descriptors.
const LOOKS: u32 = 256;
/// Looks in vain, one after the other, before the descriptors are looked at: what comes by a socket should not wait for the queues.
const VAIN: u32 = 16;

/// Whose an event is, as its 32 bits of data say: the high eight.
mod party {
    pub const FLOOR: u32 = 0;
    pub const BATCH: u32 = 1;
    /// A queue's doorbell: this and the device's index.
    pub const KICK: u32 = 0x40;
    /// A source of a device's own: this and the device's index.
    pub const SOURCE: u32 = 0x80;
    pub const SHIFT: u32 = 24;
}
/// The low bits of the floor's own events.
const ORDERS: u32 = 0;
const AWAKE: u32 = 1;

fn data(party: u32, value: u32) -> u32 {
    party << party::SHIFT | value
}

/// Where a device says what it watches.
fn of_device<'o, 'm>(ops: &'o mut EventOps<'m>, index: u32) -> Sources<'o, 'm> {
    Sources::new(ops, data(party::SOURCE.saturating_add(index), 0))
}

/// Everything the thread has.
pub(super) struct Floor {
    shared: Arc<Shared>,
    orders: Receiver<Order>,
    /// Rung for orders.
    bell: EventFd,
    /// Readable while the queues are looked at without kicks.
    awake: EventFd,
    is_awake: bool,
    /// When there last was something to do, in TSC ticks.
    busy: u64,
    /// For how long queues were looked at in vain, likewise.
    looking: u64,
    /// When the last look ended.
    looked: u64,
    company: Company,
    stations: Vec<Station>,
    /// The doorbells of started devices, by their events' data: where they are heard, and their numbers.
    kicks: BTreeMap<u32, (EventFd, u32)>,
    /// Those of batch rings, by vCPU.
    batches: BTreeMap<u32, EventFd>,
    scratch: Box<[u8]>,
    over: bool,
    work: Work,
}

impl Floor {
    pub fn new(shared: Arc<Shared>, bell: EventFd, orders: Receiver<Order>) -> io::Result<Floor> {
        let stations = std::mem::take(&mut *lock(&shared.devices));
        Ok(Floor {
            orders,
            bell,
            awake: EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK)?,
            is_awake: false,
            busy: 0,
            looking: 0,
            looked: 0,
            company: Company::new(shared.polling.ticks_per_us()),
            stations,
            kicks: BTreeMap::new(),
            batches: BTreeMap::new(),
            scratch: vec![0; call::MAX_TRANSFER as usize].into_boxed_slice(),
            over: false,
            work: Work::default(),
            shared,
        })
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    pub fn take_work(&mut self) -> Work {
        std::mem::take(&mut self.work)
    }

    fn obey(&mut self, order: Order, ops: &mut EventOps) {
        // An answer that nobody waits for any more is lost, and that is all.
        match order {
            Order::Device(index, request, reply) => {
                let _ = reply.send(self.carry_out(index, &request, ops));
            }
            Order::Batch(vcpu, listen, reply) => {
                let _ = reply.send(self.set_batch(vcpu, listen, ops));
            }
            Order::Stats(reply) => {
                let ns_per_tick = self.shared.clock.ns_per_tick();
                let stations = self.stations.iter();
                let stats = stations.map(|station| station.stats(ns_per_tick));
                let _ = reply.send(stats.collect());
            }
            Order::End => {
                self.over = true;
                let ns_per_tick = self.shared.clock.ns_per_tick();
                for (index, station) in (0..).zip(std::mem::take(&mut self.stations)) {
                    let mut sources = of_device(ops, index);
                    let stats = station.end(&mut sources, ns_per_tick);
                    self.work.devices.push(stats);
                }
                // A conversion from `f64` saturates.
                let looking = (self.looking as f64 * ns_per_tick) as u64;
                self.work.looking = Duration::from_nanos(looking);
                self.work.cpu = cpu::used_by(cpu::this_thread());
            }
        }
    }

    fn carry_out(&mut self, index: u32, request: &Request, ops: &mut EventOps) -> (Status, u64) {
        let Some(station) = self.stations.get_mut(index as usize) else {
            return (Status::NOT_FOUND, 0);
        };
        if matches!(request, Request::Reset) {
            let first = data(party::KICK.saturating_add(index), 0);
            let later = self.kicks.split_off(&first);
            for (data, (bell, number)) in later {
                if data >> party::SHIFT != first >> party::SHIFT {
                    self.kicks.insert(data, (bell, number));
                    continue;
                }
                // Fails only for what is not watched.
                let _ = ops.remove(Events::empty(&bell));
                self.shared.doorbells.forget(number);
            }
        }
        let mut sources = of_device(ops, index);
        let answer = station.carry_out(request, &mut sources);
        if !matches!(request, Request::Start) || answer.0 != Status::OK {
            return answer;
        }
        for (number, queue) in station.doorbells() {
            let Ok(bell) = self.shared.doorbells.listen(number) else {
                return (Status::IO, 0);
            };
            let kick = data(party::KICK.saturating_add(index), queue);
            if ops
                .add(Events::with_data(&bell, kick, EventSet::IN))
                .is_err()
            {
                return (Status::IO, 0);
            }
            self.kicks.insert(kick, (bell, number));
        }
        // What a driver queued before it started the device counts as well.
        self.rouse();
        answer
    }

    fn set_batch(&mut self, vcpu: u32, listen: bool, ops: &mut EventOps) -> (Status, u64) {
        let shared = &self.shared;
        if let Some(bell) = self.batches.remove(&vcpu) {
            let _ = ops.remove(Events::empty(&bell));
            shared.doorbells.forget(vcpu);
        }
        if listen {
            let Ok(bell) = shared.doorbells.listen(vcpu) else {
                return (Status::IO, 0);
            };
            let events = Events::with_data(&bell, data(party::BATCH, vcpu), EventSet::IN);
            if ops.add(events).is_err() {
                return (Status::IO, 0);
            }
            self.batches.insert(vcpu, bell);
        }
        (Status::OK, 0)
    }

    /// Serves a batch ring whose doorbell was rung.
    fn serve_batch(&mut self, vcpu: u32) {
        let Some(slot) = self.shared.slot(vcpu) else {
            return;
        };
        if let Some(bell) = self.batches.get(&vcpu) {
            let _ = bell.read();
        }
        // What comes of it is in the ring; a ring that cannot be served is the next submission's to refuse.
        let _ = calls::submit(&mut Caller {
            shared: &self.shared,
            slot,
            index: vcpu,
            scratch: &mut self.scratch,
            may_block: false,
        });
        self.shared.raise(vcpu, BATCH_SERVED);
    }

    /// There was something to do: looks for more, with or without being kicked.
    fn rouse(&mut self) {
        self.busy = host_tsc();
        if !self.is_awake {
            // Fails only when the counter is full.
            let _ = self.awake.write(1);
            self.is_awake = true;
            self.company.begin(cpu::preemptions());
            self.tell(self.window(self.busy));
        }
    }

    /// For how long the queues are looked at after there was something.
    fn window(&self, now: u64) -> u64 {
        let polling = &self.shared.polling;
        match polling.is_adaptive() && self.company.is_close(now) {
            true => 0,
            false => polling.ring_window(now),
        }
    }

    /// Says to the guest for how many ticks a completion is worth looking for.
    fn tell(&self, ticks: u64) {
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
        let offset =
            offset_of!(SharedInfo, poller_awake).wrapping_add(offset_of!(PollerAwake, rings));
        let at = map::SHARED_INFO.wrapping_add(offset as u64);
        // The shared-info page is in RAM.
        let _ = self.shared.memory.store_word32(Gpa(at), ticks);
    }

    /// Looks at every queue, for as long as there is something and for the poll window after that.
    fn look(&mut self, ops: &mut EventOps) {
        let mut now = host_tsc();
        // What was between, at the descriptors, was in vain as well if nothing came of it.
        let mut vain = match self.busy > self.looked {
            true => 0,
            false => now.saturating_sub(self.looked),
        };
        let mut in_a_row = 0_u32;
        for _ in 0..LOOKS {
            let began = now;
            let found = self.each(ops, Station::look);
            now = host_tsc();
            if found {
                self.busy = now;
                self.company.found(now);
                in_a_row = 0;
            } else {
                let took = now.saturating_sub(began);
                vain = vain.saturating_add(took);
                self.company.vain(now, took, cpu::preemptions);
                in_a_row = in_a_row.saturating_add(1);
                if in_a_row > VAIN {
                    break;
                }
            }
            spin_loop();
        }
        self.looked = now;
        self.looking = self.looking.saturating_add(vain);
        self.shared.polling.looked(now, vain);
        let window = self.window(now);
        if now.saturating_sub(self.busy) <= window {
            return;
        }
        self.tell(0);
        if self.each(ops, Station::arm) {
            self.busy = host_tsc();
            self.tell(window);
            return;
        }
        let _ = self.awake.read();
        self.is_awake = false;
    }

    /// Has every started device do something; says whether any did.
    fn each(
        &mut self,
        ops: &mut EventOps,
        act: impl Fn(&mut Station, &mut Sources) -> bool,
    ) -> bool {
        let mut did = false;
        for (index, station) in (0..).zip(&mut self.stations) {
            let mut sources = of_device(ops, index);
            did |= act(station, &mut sources);
        }
        did
    }
}

impl MutEventSubscriber for Floor {
    fn init(&mut self, ops: &mut EventOps) {
        for (event, token) in [(&self.bell, ORDERS), (&self.awake, AWAKE)] {
            // The first descriptors of a new set: nothing is in their way.
            let _ = ops.add(Events::with_data(
                event,
                data(party::FLOOR, token),
                EventSet::IN,
            ));
        }
    }

    fn process(&mut self, events: Events, ops: &mut EventOps) {
        let (party, value) = (events.data() >> party::SHIFT, events.data() & 0xff_ffff);
        match party {
            party::FLOOR if value == AWAKE => self.look(ops),
            party::FLOOR => {
                let _ = self.bell.read();
                while let Ok(order) = self.orders.try_recv() {
                    self.obey(order, ops);
                }
            }
            party::BATCH => self.serve_batch(value),
            party::KICK..party::SOURCE => {
                let index = party.saturating_sub(party::KICK);
                if let Some(station) = self.stations.get_mut(index as usize) {
                    if let Some((bell, _)) = self.kicks.get(&events.data()) {
                        let _ = bell.read();
                    }
                    let mut sources = of_device(ops, index);
                    station.kicked(value, &mut sources);
                    self.rouse();
                }
            }
            _ => {
                let index = party.saturating_sub(party::SOURCE);
                if let Some(station) = self.stations.get_mut(index as usize) {
                    let mut sources = of_device(ops, index);
                    if station.ready(value, events.event_set(), &mut sources) {
                        self.rouse();
                    }
                }
            }
        }
    }
}

// Weak: a VM owns its devices until the I/O thread takes them.
impl Raise for Weak<Shared> {
    fn raise(&self, vcpu: u32, bits: u64) {
        if let Some(shared) = self.upgrade() {
            shared.raise(vcpu, bits);
        }
    }
}
