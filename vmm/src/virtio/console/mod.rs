//! The console with several ports (virtio 1.2, section 5.3): its queues. Where a port's bytes go to and come from is its end's business.
//!
//! What the host's side cannot take waits in the port's queue, and the queue is left alone until it can. Nothing is read from the host while the guest has its side closed.

mod end;
mod plain;
mod port;
mod request;
mod socket;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use fuzz::messages;

use super::{Broken, Chain, Device, Identity, Queue, Queues};
use crate::config::{Port as PortConfig, PortEnd};
use crate::io::Sources;
use crate::rate::Limit;
use crate::{Error, config};
use end::End;
use hypercall_abi::console::{
    CONTROL_IN, CONTROL_OUT, Config, Control, MAX_NAME, event, feature, port_in, queues,
};
use hypercall_abi::device::kind;
use plain::Plain;
use port::{Port, TIMER, TOKENS};
use request::{Request, parse};
use socket::Socket;
use vmm_sys_util::epoll::EventSet;
use zerocopy::IntoBytes;

/// The most entries of a queue.
const QUEUE_SIZE: u16 = 64;
/// Bytes that are moved at once.
const SCRATCH: usize = 64 * 1024;
/// Messages between two looks at anything else.
const BATCH: usize = 64;

/// The console.
pub(crate) struct Console {
    ports: Vec<Port>,
    /// Whether the driver takes messages.
    has_control: bool,
    chain: Chain,
    scratch: Box<[u8]>,
}

/// What one of its queues is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    /// To the guest, from a port.
    In(usize),
    /// From the guest, to a port.
    Out(usize),
    ControlIn,
    ControlOut,
}

impl Purpose {
    fn of(queue: usize) -> Purpose {
        let port = match queue / 2 {
            0 => 0,
            pair => pair.saturating_sub(1),
        };
        match (queue, queue % 2) {
            (2, _) => Purpose::ControlIn,
            (3, _) => Purpose::ControlOut,
            (_, 0) => Purpose::In(port),
            _ => Purpose::Out(port),
        }
    }
}

impl Console {
    /// Opens the hosts' ends of these ports.
    ///
    /// # Errors
    /// What the host refuses: a file, a socket.
    pub fn open(ports: &[PortConfig]) -> Result<Console, Error> {
        let open = |port: &PortConfig| {
            let plain = |to: config::Console| -> Result<Box<dyn End>, Error> {
                Ok(Box::new(Plain::new(crate::console::Console::open(&to)?)))
            };
            let end = match &port.to {
                PortEnd::Stdio => plain(config::Console::Stdio)?,
                PortEnd::None => plain(config::Console::None)?,
                PortEnd::File(path) => plain(config::Console::File(path.clone()))?,
                PortEnd::Socket(path) => Box::new(Socket::listen(path)?),
            };
            let device = format!("the port {:?}", port.name);
            let limit = Limit::new(&device, port.ops_per_second, port.bytes_per_second)?;
            Ok(Port::new(port.name.clone(), end, limit))
        };
        Ok(Console::new(
            ports.iter().map(open).collect::<Result<_, _>>()?,
        ))
    }

    fn new(ports: Vec<Port>) -> Console {
        Console {
            ports,
            has_control: false,
            chain: Chain::default(),
            scratch: vec![0; SCRATCH].into_boxed_slice(),
        }
    }

    fn port_count(&self) -> u16 {
        u16::try_from(self.ports.len()).unwrap_or(u16::MAX)
    }

    /// Moves bytes of a port, one way.
    fn carry(&mut self, purpose: Purpose, queue: &mut Queue) -> Result<bool, Broken> {
        let scratch = &mut self.scratch;
        match purpose {
            Purpose::In(port) => match self.ports.get_mut(port) {
                Some(port) => port.receive(queue, scratch),
                None => Ok(false),
            },
            Purpose::Out(port) => match self.ports.get_mut(port) {
                Some(port) => port.send(queue, scratch),
                None => Ok(false),
            },
            Purpose::ControlIn | Purpose::ControlOut => Ok(false),
        }
    }

    /// Does what the driver's messages ask for.
    fn listen(&mut self, queue: &mut Queue, sources: &mut Sources) -> Result<bool, Broken> {
        let mut did = false;
        for _ in 0..BATCH {
            if !queue.pop(&mut self.chain)? {
                break;
            }
            let mut message = Control::default();
            let read = queue.read(&self.chain, 0, message.as_mut_bytes())?;
            queue.push(&self.chain, 0)?;
            did = true;
            if read == size_of::<Control>() {
                self.obey(&message, sources);
            }
        }
        if did {
            queue.announce()?;
        }
        Ok(did)
    }

    fn obey(&mut self, message: &Control, sources: &mut Sources) {
        match parse(message, self.port_count()) {
            Some(Request::DeviceReady) => self.ports.iter_mut().for_each(|port| port.owed.ask()),
            Some(Request::PortReady(index)) => {
                if let Some(port) = self.ports.get_mut(usize::from(index)) {
                    port.owed.ready();
                }
            }
            Some(Request::PortOpen(index, is_open)) => {
                if let Some(port) = self.ports.get_mut(usize::from(index)) {
                    port.open(is_open, sources);
                }
            }
            None => {}
        }
    }

    /// Tells the driver what it is owed, as far as it has given buffers. A buffer that is too short gets what fits.
    fn tell(&mut self, queue: &mut Queue) -> Result<bool, Broken> {
        let mut did = false;
        for (id, port) in (0..).zip(&mut self.ports) {
            while let Some((event, value)) = port.owed.next() {
                if !queue.pop(&mut self.chain)? {
                    break;
                }
                let mut message = [0; size_of::<Control>() + MAX_NAME];
                let control = Control { id, event, value };
                let name = match event {
                    event::NAME => port.name.as_bytes(),
                    _ => &[],
                };
                let mut len = 0_usize;
                for (to, from) in message
                    .iter_mut()
                    .zip(control.as_bytes().iter().chain(name))
                {
                    *to = *from;
                    len = len.saturating_add(1);
                }
                let bytes = message.get(..len).unwrap_or_default();
                let written = queue.write(&self.chain, 0, bytes)?;
                queue.push(&self.chain, u32::try_from(written).unwrap_or(0))?;
                port.owed.tell();
                did = true;
            }
        }
        if did {
            queue.announce()?;
        }
        Ok(did)
    }

    /// Tells the driver, if it takes messages.
    fn tell_on(&mut self, queues: &mut Queues) -> Result<bool, Broken> {
        match queues.get_mut(usize::from(CONTROL_IN)) {
            Some(Some(queue)) if self.has_control => self.tell(queue),
            _ => Ok(false),
        }
    }

    fn settle(&mut self, sources: &mut Sources) {
        for port in &mut self.ports {
            port.settle(sources);
        }
    }
}

impl Device for Console {
    fn identity(&self) -> Identity {
        let config = Config {
            max_nr_ports: self.port_count().into(),
            ..Config::default()
        };
        Identity {
            kind: kind::CONSOLE,
            name: "console".into(),
            features: feature::MULTIPORT,
            config: config.as_bytes().to_vec(),
            queues: queues(self.port_count()),
            queue_size: QUEUE_SIZE,
        }
    }

    fn start(&mut self, features: u64, sources: &mut Sources) {
        self.has_control = features & feature::MULTIPORT != 0;
        for (index, port) in (0_u32..).zip(&mut self.ports) {
            // Who knows of no ports uses the first.
            let is_open = !self.has_control && index == 0;
            port.start(index.saturating_mul(TOKENS), is_open, sources);
        }
    }

    fn reset(&mut self, sources: &mut Sources) {
        for port in &mut self.ports {
            port.reset(sources);
        }
    }

    fn serve(
        &mut self,
        queue: usize,
        queues: &mut Queues,
        sources: &mut Sources,
    ) -> Result<bool, Broken> {
        let Some(Some(ring)) = queues.get_mut(queue) else {
            return Ok(false);
        };
        let mut did = match Purpose::of(queue) {
            Purpose::ControlIn if self.has_control => self.tell(ring)?,
            Purpose::ControlOut if self.has_control => self.listen(ring, sources)?,
            purpose => self.carry(purpose, ring)?,
        };
        self.settle(sources);
        did |= self.tell_on(queues)?;
        Ok(did)
    }

    fn arm(&mut self, queues: &mut Queues) -> Result<bool, Broken> {
        let mut more = false;
        for (index, queue) in queues.iter_mut().enumerate() {
            let Some(queue) = queue else { continue };
            // Buffers that wait for input and output that waits for the host need no kicks.
            let wants = match Purpose::of(index) {
                Purpose::In(port) => self.ports.get(port).is_some_and(Port::is_starved),
                Purpose::Out(port) => self.ports.get(port).is_some_and(Port::wants_output),
                Purpose::ControlIn => {
                    let mut owed = self.ports.iter().map(|port| port.owed.next());
                    self.has_control && owed.any(|next| next.is_some())
                }
                Purpose::ControlOut => self.has_control,
            };
            if wants {
                more |= queue.arm()?;
            }
        }
        Ok(more)
    }

    fn ready(
        &mut self,
        token: u32,
        events: EventSet,
        queues: &mut Queues,
        sources: &mut Sources,
    ) -> Result<bool, Broken> {
        let (index, token) = ((token / TOKENS) as usize, token % TOKENS);
        let Some(port) = self.ports.get_mut(index) else {
            return Ok(false);
        };
        port.ready(token, events);
        port.settle(sources);
        let turns = port.limit.turns(2);
        let first = usize::from(port_in(u16::try_from(index).unwrap_or(0)));
        for way in turns {
            let queue = first.saturating_add(way);
            if let Some(Some(ring)) = queues.get_mut(queue) {
                self.carry(Purpose::of(queue), ring)?;
            }
        }
        self.settle(sources);
        let did = self.tell_on(queues)?;
        let is_waiting = |port: &Port| port.limit.is_waiting();
        let waits_again = token == TIMER && self.ports.get(index).is_some_and(is_waiting);
        // Also where nothing moved: other queues than before are to be kicked for now.
        Ok(did || !waits_again)
    }
}

// The queues of messages have the places that the purposes say.
const _: () = assert!(CONTROL_IN == 2 && CONTROL_OUT == 3);
