//! The virtio console: its queues, its ports' names, and who is at their host's side.
//!
//! Owns the device and the messages about ports. It is set up when the first port is opened, and reset when the last one is gone. What a port's bytes are is
//! [`port`](super::port)'s business.

use super::port::OpenError;
use crate::executor::block_on;
use crate::sync::Mutex;
use crate::virtio::{
    Completion, Data, Device, Error, Queue, Setup, SetupError, Shape, SharedQueue, device, kind,
};
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use alloc::vec;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::mem::{offset_of, take};
use core::task::{Context, Poll, Waker};
use hypercall_abi::console::{
    CONTROL_IN, CONTROL_OUT, Config, MAX_NAME, MAX_PORTS, event, feature, port_in,
};

/// Bytes of a message about a port, without a name.
const MESSAGE: usize = 8;
/// Entries of each queue.
const ENTRIES: u16 = 16;
/// Entries of the queues of messages.
const CONTROL_ENTRIES: u16 = 64;

/// The console that is set up.
static CONSOLE: Mutex<Weak<Ports>> = Mutex::new(Weak::new());

/// The console.
pub(super) struct Ports {
    control_in: SharedQueue<Vec<u8>>,
    control_out: SharedQueue<Vec<u8>>,
    pub(super) wires: Vec<Wires>,
    links: Mutex<Vec<Link>>,
    waiting: Arc<Waiting>,
    _device: Device,
}

/// A port's queues.
pub(super) struct Wires {
    pub(super) input: SharedQueue<Vec<u8>>,
    pub(super) output: SharedQueue<Vec<u8>>,
}

/// What is known of a port.
#[derive(Clone, Default)]
struct Link {
    name: Option<String>,
    is_taken: bool,
    /// Whether somebody is at the host's side, and how often somebody went away.
    is_open: bool,
    closes: u64,
}

/// Whoever waits for a message: all of them are woken by any.
#[derive(Default)]
struct Waiting(Mutex<Vec<Waker>>);

impl Waiting {
    fn add(&self, waker: &Waker) {
        let mut wakers = self.0.lock();
        if !wakers.iter().any(|other| other.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }

    fn wake_all(&self) {
        // Nothing is locked while a waker runs: it may drop a task that has a port.
        let wakers = take(&mut *self.0.lock());
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Waiting>) {
        self.wake_all();
    }
}

impl Ports {
    /// The console, set up if it is not.
    pub(super) fn connect() -> Result<Arc<Ports>, OpenError> {
        let mut kept = CONSOLE.lock();
        if let Some(ports) = kept.upgrade() {
            return Ok(ports);
        }
        let entry = device::find(kind::CONSOLE, 0).ok_or(OpenError::NoPort)?;
        let mut setup = entry.take()?;
        if setup.negotiate(feature::MULTIPORT)? & feature::MULTIPORT == 0 {
            return Err(OpenError::Setup(SetupError::Features));
        }
        let count = entry.config(|space| space.u32(offset_of!(Config, max_nr_ports)));
        let count = count.min(MAX_PORTS.into()) as u16;
        let control_in = control(&setup, CONTROL_IN, 0)?;
        let control_out = control(&setup, CONTROL_OUT, MESSAGE)?;
        let wires = (0..count).map(|port| wires(&setup, port));
        let wires = wires.collect::<Result<_, _>>()?;
        let ports = Arc::new(Ports {
            control_in,
            control_out,
            wires,
            links: Mutex::new(vec![Link::default(); count.into()]),
            waiting: Arc::default(),
            _device: setup.start()?,
        });
        ports.control_in.with(|queue| {
            while !queue.is_full() && post(queue, vec![0; MESSAGE + MAX_NAME]).is_ok() {}
            queue.kick();
        });
        ports.say(0, event::DEVICE_READY, 1)?;
        block_on(poll_fn(|context| ports.poll_named(context)))?;
        *kept = Arc::downgrade(&ports);
        Ok(ports)
    }

    /// Whether every port has told its name.
    fn poll_named(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.hear(context)?;
        match self.links.lock().iter().all(|link| link.name.is_some()) {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    /// Takes the port with a name for its only user.
    pub(super) fn take(&self, name: &str) -> Result<u16, OpenError> {
        let mut links = self.links.lock();
        let mut named = (0..).zip(links.iter_mut());
        let named = named.find(|(_, link)| link.name.as_deref() == Some(name));
        let (port, link) = named.ok_or(OpenError::NoPort)?;
        match core::mem::replace(&mut link.is_taken, true) {
            true => Err(OpenError::Taken),
            false => Ok(port),
        }
    }

    /// The opposite.
    pub(super) fn give_back(&self, port: u16) {
        if let Some(link) = self.links.lock().get_mut(usize::from(port)) {
            link.is_taken = false;
        }
    }

    /// Whether somebody is at a port's host side, and how often somebody has gone away; a change wakes the context's task.
    pub(super) fn poll_state(
        &self,
        port: u16,
        context: &mut Context<'_>,
    ) -> Result<(bool, u64), Error> {
        self.hear(context)?;
        let links = self.links.lock();
        let link = links.get(usize::from(port));
        Ok(link.map_or((false, 0), |link| (link.is_open, link.closes)))
    }

    /// Tells the device something of a port.
    pub(super) fn say(&self, port: u16, event: u16, value: u16) -> Result<(), Error> {
        let mut message = [0; MESSAGE];
        let (id, rest) = message.split_at_mut(4);
        id.copy_from_slice(&u32::from(port).to_le_bytes());
        rest[..2].copy_from_slice(&event.to_le_bytes());
        rest[2..].copy_from_slice(&value.to_le_bytes());
        loop {
            let said = self.control_out.with(|queue| {
                queue.look()?;
                while queue.pop().is_some() {}
                queue.post(&message, Data::None)?;
                queue.kick();
                Ok(())
            });
            match said {
                Err(Error::Full) => drop(self.control_out.pop_blocking()?),
                said => return said,
            }
        }
    }

    /// Takes in what the device has to say; the next message wakes the context's task.
    fn hear(&self, context: &mut Context<'_>) -> Result<(), Error> {
        // Before the look: whoever takes the message wakes everybody.
        self.waiting.add(context.waker());
        let waker = Waker::from(Arc::clone(&self.waiting));
        let mut heard = false;
        let result = loop {
            match self.control_in.poll_pop(&mut Context::from_waker(&waker)) {
                Poll::Pending => break Ok(()),
                Poll::Ready(Err(error)) => break Err(error),
                Poll::Ready(Ok(done)) => {
                    heard = true;
                    self.take_in(done)?;
                }
            }
        };
        if heard {
            self.waiting.wake_all();
            self.waiting.add(context.waker());
        }
        result
    }

    fn take_in(&self, done: Completion<Vec<u8>>) -> Result<(), Error> {
        let written = done.written as usize;
        let buffer = done.data.into_buffer().unwrap_or_default();
        let message = buffer.get(..written).unwrap_or_default();
        if let Some((&[a, b, c, d, event, event_high, value, _], name)) =
            message.split_first_chunk::<MESSAGE>()
        {
            let id = u32::from_le_bytes([a, b, c, d]);
            let event = u16::from_le_bytes([event, event_high]);
            self.learn(id, event, value == 1, name)?;
        }
        self.control_in.with(|queue| {
            post(queue, buffer)?;
            queue.kick();
            Ok(())
        })
    }

    fn learn(&self, id: u32, what: u16, value: bool, name: &[u8]) -> Result<(), Error> {
        let mut links = self.links.lock();
        let Some(link) = links.get_mut(id as usize) else {
            return Ok(());
        };
        match what {
            event::ADD => {
                drop(links);
                return self.say(id as u16, event::PORT_READY, 1);
            }
            event::NAME => link.name = Some(String::from_utf8_lossy(name).into_owned()),
            event::OPEN => {
                link.closes += u64::from(link.is_open && !value);
                link.is_open = value;
            }
            _ => {}
        }
        Ok(())
    }
}

fn control(setup: &Setup, queue: u16, head: usize) -> Result<SharedQueue<Vec<u8>>, SetupError> {
    let shape = Shape::new(CONTROL_ENTRIES).with(head, 0);
    Ok(SharedQueue::new(setup.queue(queue, shape)?))
}

fn wires(setup: &Setup, port: u16) -> Result<Wires, SetupError> {
    let input = port_in(port);
    Ok(Wires {
        input: SharedQueue::new(setup.queue(input, Shape::new(ENTRIES))?),
        output: SharedQueue::new(setup.queue(input + 1, Shape::new(ENTRIES))?),
    })
}

/// Gives the device a buffer to fill.
pub(super) fn post(queue: &mut Queue<Vec<u8>>, buffer: Vec<u8>) -> Result<(), Error> {
    Ok(queue.post(&[], Data::In(buffer))?)
}
