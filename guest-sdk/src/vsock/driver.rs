//! The device's queues: what comes goes to the [`State`], and what is to be said goes out.
//!
//! Nobody's task is needed for that: the driver is woken as a task would be, when a queue that an executor or a blocked thread looks at has something, and does its work there and
//! then. No queue is used while the state is locked, as using one may wake the driver.

use super::VsockError;
use super::connection::Ports;
use super::state::State;
use crate::sync::Mutex;
use crate::virtio::{Data, Device, Queue, Shape, SharedQueue, device};
use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use alloc::vec;
use alloc::vec::Vec;
use core::task::{Context, Poll, Waker};
use hypercall_abi::vsock::{self as abi, Header};
use zerocopy::IntoBytes;

/// Buffers for packets from the host, and their bytes.
const BUFFERS: u16 = 16;
const BUFFER: usize = HEADER + (32 << 10);
const HEADER: usize = size_of::<Header>();
/// Packets that are on their way to the host at most.
const SENDING: u16 = 64;
/// The most bytes of data in one.
const MOST: usize = 32 << 10;

/// The driver of one device.
pub(super) struct Driver {
    state: Mutex<State>,
    receive: SharedQueue<Vec<u8>>,
    send: SharedQueue<Vec<u8>>,
    /// Buffers of packets that were sent.
    spare: Mutex<Vec<Vec<u8>>>,
    incoming: Waker,
    outgoing: Waker,
    device: Device,
}

/// Wakes the driver: for packets from the host, or for room for packets to it.
enum Bell {
    Incoming(Weak<Driver>),
    Outgoing(Weak<Driver>),
}

impl Wake for Bell {
    fn wake(self: Arc<Bell>) {
        match &*self {
            Bell::Incoming(driver) => {
                if let Some(driver) = driver.upgrade() {
                    driver.take_in();
                }
            }
            Bell::Outgoing(driver) => {
                if let Some(driver) = driver.upgrade() {
                    driver.send_out();
                    driver.with(|state| state.woken.append(&mut state.room));
                }
            }
        }
    }
}

/// The drivers of all devices that were ever opened. They stay.
static DRIVERS: Mutex<Vec<Arc<Driver>>> = Mutex::new(Vec::new());

impl Driver {
    /// The driver of a device, which is set up by whoever asks first.
    pub fn of(entry: device::Entry) -> Result<Arc<Driver>, VsockError> {
        let mut drivers = DRIVERS.lock();
        let known = drivers
            .iter()
            .find(|driver| driver.entry().index() == entry.index());
        if let Some(driver) = known {
            return Ok(Arc::clone(driver));
        }
        let driver = Driver::open(entry)?;
        drivers.push(Arc::clone(&driver));
        Ok(driver)
    }

    /// The device's row in the table.
    pub fn entry(&self) -> device::Entry {
        self.device.entry()
    }

    fn open(entry: device::Entry) -> Result<Arc<Driver>, VsockError> {
        let mut setup = entry.take().map_err(VsockError::Setup)?;
        setup.negotiate(0).map_err(VsockError::Setup)?;
        let queue = |queue, shape| setup.queue(queue, shape).map_err(VsockError::Setup);
        let receive = queue(abi::RECEIVE, Shape::new(BUFFERS))?;
        let send = queue(abi::SEND, Shape::new(SENDING).with(HEADER, 0))?;
        let device = setup.start().map_err(VsockError::Setup)?;
        let cid = entry.config(|space| space.u64(0));
        let driver = Arc::new_cyclic(|driver: &Weak<Driver>| Driver {
            state: Mutex::new(State::new(cid)),
            receive: SharedQueue::new(receive),
            send: SharedQueue::new(send),
            spare: Mutex::new(Vec::with_capacity(SENDING.into())),
            incoming: Waker::from(Arc::new(Bell::Incoming(driver.clone()))),
            outgoing: Waker::from(Arc::new(Bell::Outgoing(driver.clone()))),
            device,
        });
        driver.receive.with(|queue| {
            while !queue.is_full() && queue.post(&[], Data::In(vec![0; BUFFER])).is_ok() {}
        });
        // Looks once, and asks to be woken from now on.
        driver.take_in();
        Ok(driver)
    }

    /// Does something with the state, and wakes and sends what comes of it.
    pub fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let (result, has_mail) = {
            let mut state = self.state.lock();
            let result = work(&mut state);
            (result, !state.outbox.is_empty())
        };
        if has_mail {
            self.send_out();
        }
        // Nothing is locked while a waker runs.
        while let Some(waker) = self.woken() {
            waker.wake();
        }
        result
    }

    fn woken(&self) -> Option<Waker> {
        self.state.lock().woken.pop()
    }

    /// Takes in what the host has sent.
    fn take_in(&self) {
        let mut context = Context::from_waker(&self.incoming);
        loop {
            match self.receive.poll_pop(&mut context) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => {
                    return self.with(|state| state.fail(VsockError::Device(error)));
                }
                Poll::Ready(Ok(done)) => {
                    let Some(buffer) = done.data.into_buffer() else {
                        continue;
                    };
                    let len = buffer.len().min(done.written as usize);
                    self.with(|state| state.hear(&buffer[..len]));
                    // Refused only by a queue that is of no use any more, which the next look says.
                    let _ = self
                        .receive
                        .with(|queue| queue.post(&[], Data::In(buffer)).is_ok());
                }
            }
        }
        self.receive.with(Queue::kick);
    }

    /// Sends the packets without data that wait for it.
    fn send_out(&self) {
        loop {
            let header = {
                let mut state = self.state.lock();
                if state.is_sending {
                    return;
                }
                let Some(header) = state.outbox.pop_front() else {
                    return;
                };
                state.is_sending = true;
                header
            };
            let is_sent = self.post(&header, Data::None).is_ok();
            let mut state = self.state.lock();
            state.is_sending = false;
            if !is_sent {
                state.outbox.push_front(header);
                return;
            }
        }
    }

    /// Puts a packet into the queue; where there is no room, gives its data back and has the driver woken when there is.
    fn post(&self, header: &Header, data: Data<Vec<u8>>) -> Result<(), Data<Vec<u8>>> {
        self.send.with(|queue| {
            // An error is found by who waits for packets.
            let _ = queue.look();
            while let Some(done) = queue.pop() {
                if let Some(buffer) = done.data.into_buffer() {
                    self.spare.lock().push(buffer);
                }
            }
            let posted = queue.post(header.as_bytes(), data);
            queue.kick();
            posted.map_err(|refused| {
                queue.wake_when_ready(&self.outgoing);
                refused.data
            })
        })
    }

    /// Sends bytes on a connection, as many as can be now.
    pub fn poll_write(
        &self,
        ports: Ports,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Poll<Result<usize, VsockError>> {
        let ready = self.with(|state| {
            let cid = state.cid;
            let connection = state.connection(ports)?;
            let Some(len) = connection.write(bytes.len().min(MOST), context.waker()) else {
                return Ok(None);
            };
            let len = len?;
            Ok((len > 0).then(|| (connection.data(cid, len), len)))
        });
        let (header, len) = match ready {
            Err(error) => return Poll::Ready(Err(error)),
            Ok(None) if bytes.is_empty() => return Poll::Ready(Ok(0)),
            Ok(None) => return Poll::Pending,
            Ok(Some(ready)) => ready,
        };
        let mut buffer = self.spare.lock().pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(&bytes[..len as usize]);
        match self.post(&header, Data::Out(buffer)) {
            Ok(()) => Poll::Ready(Ok(len as usize)),
            Err(data) => {
                self.spare.lock().extend(data.into_buffer());
                self.with(|state| {
                    if let Ok(connection) = state.connection(ports) {
                        connection.unsend(len);
                    }
                    state.room.push(context.waker().clone());
                });
                Poll::Pending
            }
        }
    }

    /// Reads what came on a connection.
    pub fn poll_read(
        &self,
        ports: Ports,
        buffer: &mut [u8],
        context: &mut Context<'_>,
    ) -> Poll<Result<usize, VsockError>> {
        self.with(|state| {
            let cid = state.cid;
            let connection = state.connection(ports)?;
            let Some(read) = connection.read(buffer, context.waker()) else {
                return Poll::Pending;
            };
            let credit = connection.credit(cid);
            state.outbox.extend(credit);
            Poll::Ready(read)
        })
    }

    /// Whether the host has taken every packet.
    pub fn poll_flush(&self, context: &mut Context<'_>) -> Poll<Result<(), VsockError>> {
        let is_idle = self.send.with(|queue| {
            let _ = queue.look();
            while let Some(done) = queue.pop() {
                if let Some(buffer) = done.data.into_buffer() {
                    self.spare.lock().push(buffer);
                }
            }
            let is_idle = queue.in_flight() == 0;
            if !is_idle {
                queue.wake_when_ready(&self.outgoing);
            }
            is_idle
        });
        self.with(|state| match state.failed {
            Some(error) => Poll::Ready(Err(error)),
            None if is_idle && state.outbox.is_empty() => Poll::Ready(Ok(())),
            None => {
                state.room.push(context.waker().clone());
                Poll::Pending
            }
        })
    }
}
