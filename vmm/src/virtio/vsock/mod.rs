//! The socket device (virtio 1.2, section 5.10): byte streams between programs in the guest and programs on the host, over Unix sockets.
//!
//! A program on the host connects to the device's socket, writes `CONNECT 5000` and a line's end, reads `OK` with a port of the host's, and is connected to whoever listens to
//! port 5000 in the guest. A guest that connects to port 5000 of the host is connected to whoever listens at the socket's path with `_5000` after it.
//!
//! Here are the queues. Headers are [`request`]'s, the state of a connection is [`connection`]'s, sockets are [`socket`]'s and [`listener`](super::listener)'s. Everything that waits has a bound: for
//! the guest wait resets, up to [`MOST_RESETS`], and then its packets wait too; for a program that does not read wait as many bytes as the guest was told.

mod connection;
#[cfg(test)]
pub(crate) mod fuzz;
mod greeting;
#[cfg(test)]
mod limit_tests;
mod programs;
mod request;
mod socket;
#[cfg(test)]
mod stage;
mod streams;
#[cfg(test)]
mod tests;

use super::listener::Listener;
use super::{Broken, Chain, Device, Identity, Queues};
use crate::Error;
use crate::config::Vsock as Config;
use crate::io::Sources;
use crate::rate::Limit;
use connection::Turn;
use hypercall_abi::device::kind;
use hypercall_abi::vsock::{Config as Space, EVENT, Header, MAX_PAYLOAD, RECEIVE, SEND, shutdown};
use request::{Packet, Ports, Said, Wrong, parse, reset};
use socket::Got;
use std::collections::VecDeque;
use streams::Streams;
use vmm_sys_util::epoll::EventSet;
use zerocopy::IntoBytes;

/// Resets that wait for a buffer of the guest's.
const MOST_RESETS: usize = 64;
/// Packets taken, and given, before anything else has its turn.
const BURST: u32 = 64;
/// The tokens of the listener and of the limit's timer. Connections have others.
const LISTENER: u32 = 0;
const TIMER: u32 = streams::NO_PLACE;
const HEADER: usize = size_of::<Header>();
/// The queues that packets pass through, from the first on.
const PACKET_QUEUES: usize = 2;
const _: () = assert!(RECEIVE == 0 && SEND == 1);

/// The device.
pub(crate) struct Vsock {
    name: String,
    cid: u64,
    listener: Listener,
    streams: Streams,
    /// Answers to packets that belong to no connection.
    resets: VecDeque<Header>,
    /// Whether programs may be waiting to be accepted.
    is_called: bool,
    /// Whether a packet for the guest waits for a buffer.
    is_starved: bool,
    /// What may pass in a second, both ways together.
    limit: Limit,
    chain: Chain,
    scratch: Box<[u8]>,
}

impl Vsock {
    /// Listens at the device's path.
    ///
    /// # Errors
    /// [`Error::Create`], [`Error::Os`].
    pub fn open(config: &Config) -> Result<Vsock, Error> {
        let device = format!("the vsock device {:?}", config.name);
        Ok(Vsock {
            limit: Limit::new(&device, config.ops_per_second, config.bytes_per_second)?,
            name: config.name.clone(),
            cid: config.cid.into(),
            listener: Listener::new(&config.path, "vsock device")?,
            streams: Streams::new(),
            resets: VecDeque::with_capacity(MOST_RESETS),
            is_called: false,
            is_starved: false,
            chain: Chain::default(),
            scratch: vec![0; MAX_PAYLOAD as usize].into_boxed_slice(),
        })
    }

    /// Takes packets from the guest.
    fn take(&mut self, queues: &mut Queues, sources: &mut Sources) -> Result<bool, Broken> {
        let Some(Some(queue)) = queues.get_mut(usize::from(SEND)) else {
            return Ok(false);
        };
        let mut did = false;
        for _ in 0..BURST {
            let may = self.resets.len() < MOST_RESETS && self.limit.admits();
            if !may || !queue.pop(&mut self.chain)? {
                break;
            }
            let mut header = Header::default();
            let bytes = header.as_mut_bytes();
            let is_whole = queue.read(&self.chain, 0, bytes)? == HEADER;
            let data = self.chain.readable_bytes().saturating_sub(HEADER as u64);
            // What is shorter than a header says nothing.
            let packet = match is_whole {
                true => parse(&header, self.cid, data),
                false => Err(Wrong::Ignored),
            };
            let mut len = 0;
            if let Ok(Packet {
                said: Said::Data(data),
                ..
            }) = packet
            {
                let room = self.scratch.get_mut(..data as usize).unwrap_or_default();
                len = queue.read(&self.chain, HEADER as u64, room)?;
            }
            self.limit.charge(len as u64);
            match packet {
                Ok(packet) => self.hear(&header, &packet, len, sources),
                Err(Wrong::Refused) => self.refuse(&header, sources),
                Err(Wrong::Ignored) => {}
            }
            queue.push(&self.chain, 0)?;
            did = true;
        }
        if did {
            queue.announce()?;
        }
        Ok(did)
    }

    /// Acts on a packet, the data of which are in the scratch.
    fn hear(&mut self, header: &Header, packet: &Packet, len: usize, sources: &mut Sources) {
        let Some(place) = self.streams.find(packet.ports) else {
            match packet.said {
                Said::Reset => {}
                Said::Request if self.connect(packet, sources) => {}
                _ => self.resets.push_back(reset(header)),
            }
            return;
        };
        let Some(stream) = self.streams.get_mut(place) else {
            return;
        };
        let Some(connection) = &mut stream.connection else {
            return;
        };
        let passed = match connection.hear(packet) {
            Turn::Gone => return self.streams.remove(place, sources),
            Turn::Broken => return self.refuse(header, sources),
            Turn::Noted => Ok(0),
            Turn::Opened => {
                let line = format!("OK {}\n", packet.ports.host);
                // Not of the guest's bytes: a socket that is new has room for it, or is gone.
                stream.socket.write(line.as_bytes()).map(|_| 0)
            }
            Turn::Data(len) if connection.is_deaf() => Ok(len),
            Turn::Data(_) => {
                let data = self.scratch.get(..len).unwrap_or_default();
                stream.socket.write(data)
            }
        };
        self.pass(place, passed);
        self.settle(place);
    }

    /// Has a connection's socket, and the guest's turn, follow from its state.
    fn settle(&mut self, place: usize) {
        let Some(stream) = self.streams.get_mut(place) else {
            return;
        };
        let Some(connection) = &mut stream.connection else {
            return;
        };
        if connection.is_drained() {
            stream.socket.end_writing();
        }
        if connection.guest_is_deaf() {
            stream.socket.end_reading();
        }
        if connection.owes() || connection.allowance() > 0 && stream.socket.is_readable() {
            self.streams.set_due(place);
        }
    }

    /// Answers a packet by a reset, which ends whatever connection it named.
    fn refuse(&mut self, header: &Header, sources: &mut Sources) {
        let ports = Ports {
            guest: header.src_port,
            host: header.dst_port,
        };
        if let Some(place) = self.streams.find(ports) {
            self.streams.remove(place, sources);
        }
        self.resets.push_back(reset(header));
    }

    /// Gives the guest packets, as far as it has buffers.
    fn give(&mut self, queues: &mut Queues, sources: &mut Sources) -> Result<bool, Broken> {
        let Some(Some(queue)) = queues.get_mut(usize::from(RECEIVE)) else {
            return Ok(false);
        };
        let mut did = false;
        for _ in 0..BURST {
            let due = self.streams.first_due();
            self.is_starved = false;
            if self.resets.is_empty() && due.is_none() || !self.limit.admits() {
                break;
            }
            if !queue.pop(&mut self.chain)? {
                self.is_starved = true;
                break;
            }
            let room = self.chain.writable_bytes().checked_sub(HEADER as u64);
            let room = room.filter(|room| *room > 0).ok_or(NO_ROOM)?;
            let packet = match self.resets.pop_front() {
                Some(reset) => Some((reset, 0)),
                None => due.and_then(|place| self.next(place, room, sources)),
            };
            let Some((header, len)) = packet else {
                queue.unpop(&mut self.chain);
                did = true;
                continue;
            };
            let data = self.scratch.get(..len).unwrap_or_default();
            let head = queue.write(&self.chain, 0, header.as_bytes())?;
            let body = queue.write(&self.chain, HEADER as u64, data)?;
            let written = u32::try_from(head.saturating_add(body)).unwrap_or(0);
            queue.push(&self.chain, written)?;
            self.limit.charge(len as u64);
            did = true;
        }
        if did {
            queue.announce()?;
        }
        Ok(did)
    }

    /// Goes on after its limit has held it up.
    fn resume(&mut self, queues: &mut Queues, sources: &mut Sources) -> Result<bool, Broken> {
        self.limit.rung();
        for queue in self.limit.turns(PACKET_QUEUES) {
            match queue == usize::from(SEND) {
                true => self.take(queues, sources)?,
                false => self.give(queues, sources)?,
            };
        }
        // Kicks are asked for again after a look, unless it waits for the timer again.
        Ok(!self.limit.is_waiting())
    }

    /// The next packet of the connection whose turn it is: its header, and how many bytes of data are in the scratch. Without one it leaves the row.
    fn next(&mut self, place: usize, room: u64, sources: &mut Sources) -> Option<(Header, usize)> {
        self.streams.pop_due();
        let stream = self.streams.get_mut(place)?;
        let connection = stream.connection.as_mut()?;
        if let Some((header, is_last)) = connection.next(self.cid) {
            match is_last {
                true => self.streams.remove(place, sources),
                false => self.settle(place),
            }
            return Some((header, 0));
        }
        let room = u64::from(connection.allowance()).min(room);
        let room = usize::try_from(room)
            .unwrap_or(usize::MAX)
            .min(self.scratch.len());
        if room == 0 || !stream.socket.is_readable() {
            return None;
        }
        let room = self.scratch.get_mut(..room).unwrap_or_default();
        let packet = match stream.socket.read(room) {
            Got::Bytes(len) => {
                let count = u32::try_from(len).unwrap_or(u32::MAX);
                Some((connection.data(self.cid, count), len))
            }
            Got::Nothing => None,
            Got::End => {
                connection.end(shutdown::SEND);
                if stream.socket.is_hung_up() {
                    stream.socket.discard();
                    connection.forward(connection.held());
                    connection.end(shutdown::BOTH);
                }
                None
            }
        };
        self.settle(place);
        packet
    }
}

const NO_ROOM: Broken = Broken("a buffer for packets has no room for a header and a byte");

impl Device for Vsock {
    fn identity(&self) -> Identity {
        let space = Space {
            guest_cid: self.cid,
        };
        Identity {
            kind: kind::VSOCK,
            name: self.name.clone(),
            features: 0,
            config: space.as_bytes().to_vec(),
            queues: EVENT.saturating_add(1),
            queue_size: 256,
        }
    }

    fn start(&mut self, _: u64, sources: &mut Sources) {
        let events = EventSet::IN | EventSet::EDGE_TRIGGERED;
        // Without it no program on the host gets through; the guest's own connections do.
        let _ = sources.watch(&self.listener, LISTENER, events);
        self.limit.watch(TIMER, sources);
    }

    fn reset(&mut self, sources: &mut Sources) {
        sources.forget(&self.listener);
        self.limit.forget(sources);
        self.streams.clear(sources);
        self.resets.clear();
        self.is_called = false;
        self.is_starved = false;
    }

    fn serve(
        &mut self,
        queue: usize,
        queues: &mut Queues,
        sources: &mut Sources,
    ) -> Result<bool, Broken> {
        let mut did = false;
        if queue == usize::from(SEND) {
            did |= self.take(queues, sources)?;
        }
        did |= self.give(queues, sources)?;
        self.accept(sources);
        Ok(did)
    }

    fn arm(&mut self, queues: &mut Queues) -> Result<bool, Broken> {
        let mut more = false;
        // The timer looks at everything.
        if self.limit.is_waiting() {
            return Ok(more);
        }
        // Buffers for packets are there in advance: it is their lack that is of interest.
        if let (true, Some(Some(queue))) = (self.is_starved, queues.get_mut(usize::from(RECEIVE))) {
            more |= queue.arm()?;
        }
        if let (true, Some(Some(queue))) = (
            self.resets.len() < MOST_RESETS,
            queues.get_mut(usize::from(SEND)),
        ) {
            more |= queue.arm()?;
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
        match token {
            LISTENER => self.is_called = true,
            TIMER => return self.resume(queues, sources),
            _ => {
                if let Some(place) = self.streams.of_token(token) {
                    self.stir(place, events, sources);
                }
            }
        }
        let did = self.give(queues, sources)?;
        self.accept(sources);
        Ok(did)
    }
}
