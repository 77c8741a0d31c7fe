//! The I/O thread of a VM: it serves devices and doorbells, and sleeps while there is nothing to do.
//!
//! Started by the first call that needs it, and gone with the VM. vCPU threads send it [orders](Order) and wait for their answers;
//! it never waits for them.

mod company;
mod floor;
mod sources;

pub(crate) use sources::Sources;
#[cfg(test)]
pub(crate) use sources::with_sources;

use crate::shared::{Shared, lock};
use crate::stats::DeviceStats;
use crate::virtio::Request;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use event_manager::{EventManager, SubscriberOps};
use floor::Floor;
use hypercall_abi::Status;
use std::io;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

/// What the thread is told.
enum Order {
    /// A driver's call.
    Device(u32, Request, Sender<(Status, u64)>),
    /// From now on, or no longer, a vCPU's batch ring may be submitted by its doorbell.
    Batch(u32, bool, Sender<(Status, u64)>),
    /// What have the devices done until now?
    Stats(Sender<Vec<DeviceStats>>),
    /// The VM has ended.
    End,
}

/// What the thread did, in all.
#[derive(Default)]
pub(crate) struct Work {
    /// What each device did, in order of the device table.
    pub devices: Vec<DeviceStats>,
    /// The thread's processor time.
    pub cpu: Duration,
    /// For how long it looked at queues in vain, by the clock.
    pub looking: Duration,
}

/// The way to a VM's I/O thread.
pub(crate) struct Io {
    orders: Sender<Order>,
    /// Rung after an order was sent.
    bell: EventFd,
    thread: Mutex<Option<JoinHandle<Work>>>,
}

impl Io {
    /// Starts the thread, which takes the VM's devices over.
    ///
    /// # Errors
    /// The host's, where it has no thread or descriptor to give.
    pub fn start(shared: &Arc<Shared>) -> io::Result<Io> {
        let (orders, receiver) = unbounded();
        let bell = EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK)?;
        let (ours, shared) = (bell.try_clone()?, Arc::clone(shared));
        let manager = EventManager::new().map_err(io::Error::other)?;
        let thread = thread::Builder::new()
            .name("io".into())
            .spawn(move || run(manager, shared, ours, receiver))?;
        Ok(Io {
            orders,
            bell,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Has a driver's call carried out.
    pub fn device(&self, index: u32, request: Request) -> (Status, u64) {
        self.call(|reply| Order::Device(index, request, reply))
    }

    /// Has a vCPU's batch ring served when its doorbell is rung, or no longer.
    pub fn batch(&self, vcpu: u32, listen: bool) -> (Status, u64) {
        self.call(|reply| Order::Batch(vcpu, listen, reply))
    }

    /// What the devices have done until now.
    pub fn stats(&self) -> Vec<DeviceStats> {
        self.ask(Order::Stats).unwrap_or_default()
    }

    fn call(&self, order: impl FnOnce(Sender<(Status, u64)>) -> Order) -> (Status, u64) {
        self.ask(order).unwrap_or((Status::IO, 0))
    }

    /// `None` only if the thread is gone.
    fn ask<T>(&self, order: impl FnOnce(Sender<T>) -> Order) -> Option<T> {
        let (reply, answer) = bounded(1);
        self.tell(order(reply));
        answer.recv().ok()
    }

    fn tell(&self, order: Order) {
        // Both fail only if the thread is gone, which whoever waits for an answer finds out.
        let _ = self.orders.send(order);
        let _ = self.bell.write(1);
    }

    /// Ends the thread, and says what it did.
    pub fn end(&self) -> Work {
        self.tell(Order::End);
        let thread = lock(&self.thread).take();
        thread
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default()
    }
}

/// The thread.
fn run(
    mut manager: EventManager<Floor>,
    shared: Arc<Shared>,
    bell: EventFd,
    orders: Receiver<Order>,
) -> Work {
    let Ok(floor) = Floor::new(shared, bell, orders) else {
        return Work::default();
    };
    let id = manager.add_subscriber(floor);
    loop {
        // Fails only if the kernel takes the descriptor away; a VM without I/O ends by its own means.
        let ran = manager.run();
        match manager.subscriber_mut(id) {
            Ok(floor) if ran.is_ok() && !floor.is_over() => {}
            Ok(floor) => return floor.take_work(),
            Err(_) => return Work::default(),
        }
    }
}
