//! A driver of a console in the same process, and the hosts' ends of its ports.

use super::super::end::End;
use super::super::port::{Port, TIMER, TOKENS};
use super::super::{Config, Console};
use crate::config::{self, PortEnd};
use crate::io::{Sources, with_sources};
use crate::rate::Limit;
use crate::virtio::peer::Peer;
use crate::virtio::{Broken, Device, Queue};
use hypercall_abi::console::{CONTROL_IN, CONTROL_OUT, Control, feature};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use vmm_sys_util::epoll::EventSet;
use zerocopy::IntoBytes;

/// What a port ends in.
#[derive(Default)]
pub struct Ends {
    pub taken: Vec<u8>,
    /// How many bytes it still takes.
    pub room: usize,
    pub input: VecDeque<u8>,
    pub is_open: bool,
}

struct Fake(Arc<Mutex<Ends>>);

impl End for Fake {
    fn watch(&mut self, _: u32, _: &mut Sources) {}

    fn forget(&mut self, _: &mut Sources) {}

    fn ready(&mut self, _: u32, _: EventSet) {}

    fn settle(&mut self, _: bool, _: &mut Sources) -> bool {
        false
    }

    fn is_open(&self) -> bool {
        self.0.lock().unwrap().is_open
    }

    fn may_read(&self) -> bool {
        !self.0.lock().unwrap().input.is_empty()
    }

    fn read(&mut self, room: &mut [u8]) -> usize {
        let input = &mut self.0.lock().unwrap().input;
        let len = input.len().min(room.len());
        for (to, from) in room.iter_mut().zip(input.drain(..len)) {
            *to = from;
        }
        len
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        let mut ends = self.0.lock().unwrap();
        let len = bytes.len().min(ends.room);
        ends.room -= len;
        ends.taken.extend_from_slice(&bytes[..len]);
        len
    }
}

/// The driver, with its console.
pub struct Driver {
    pub peer: Peer,
    pub ends: Vec<Arc<Mutex<Ends>>>,
    pub console: Console,
    pub queues: Vec<Option<Queue>>,
}

impl Driver {
    /// With so many ports, called `port0` and so on, that have all room and nobody at them.
    pub fn new(ports: usize) -> Driver {
        Driver::limited(ports, &config::Port::new("", PortEnd::None))
    }

    /// With the limits of this one.
    pub fn limited(ports: usize, config: &config::Port) -> Driver {
        let ends: Vec<_> = (0..ports)
            .map(|_| {
                Arc::new(Mutex::new(Ends {
                    room: usize::MAX,
                    ..Ends::default()
                }))
            })
            .collect();
        let port = |(index, end): (usize, &Arc<Mutex<Ends>>)| {
            let limit = Limit::new("", config.ops_per_second, config.bytes_per_second);
            let name = format!("port{index}");
            Port::new(name, Box::new(Fake(Arc::clone(end))), limit.unwrap())
        };
        let console = Console::new(ends.iter().enumerate().map(port).collect());
        Driver {
            peer: Peer::new(),
            ends,
            console,
            queues: Vec::new(),
        }
    }

    /// Sets all queues up and starts the device.
    pub fn start(&mut self, features: u64) {
        let identity = self.console.identity();
        assert_eq!(identity.config.len(), size_of::<Config>());
        self.queues = self.peer.queues(identity.queues);
        with_sources(|sources| self.console.start(features, sources));
    }

    /// Likewise with messages, for which there are buffers, and with the first port open.
    pub fn ready(ports: usize) -> Driver {
        let mut driver = Driver::new(ports);
        driver.start(feature::MULTIPORT);
        (0..16).for_each(|place| driver.peer.ask(CONTROL_IN, place, 64));
        driver
    }

    pub fn reset(&mut self) {
        with_sources(|sources| self.console.reset(sources));
    }

    /// Sends a message.
    pub fn say(&mut self, id: u32, event: u16, value: u16) {
        let message = Control { id, event, value };
        self.peer.give(CONTROL_OUT, 0, message.as_bytes());
    }

    /// Has the device look at every queue until there is nothing to do.
    pub fn look(&mut self) -> Result<(), Broken> {
        let (console, queues) = (&mut self.console, &mut self.queues);
        with_sources(|sources| {
            let mut did = true;
            while did {
                did = false;
                for queue in 0..queues.len() {
                    did |= console.serve(queue, queues, sources)?;
                }
            }
            Ok(())
        })
    }

    /// Has the device hear of a port's end.
    pub fn hear(&mut self, port: u32) -> Result<bool, Broken> {
        self.hear_of(port * TOKENS)
    }

    /// Has the device hear that there is something in a port's limits again, when there is.
    pub fn rung(&mut self, port: u32) -> Result<bool, Broken> {
        self.console.ports[port as usize].limit.sleep();
        self.hear_of(port * TOKENS + TIMER)
    }

    fn hear_of(&mut self, token: u32) -> Result<bool, Broken> {
        let (console, queues) = (&mut self.console, &mut self.queues);
        with_sources(|sources| console.ready(token, EventSet::IN, queues, sources))
    }

    pub fn arm(&mut self) -> Result<bool, Broken> {
        self.console.arm(&mut self.queues)
    }
}
