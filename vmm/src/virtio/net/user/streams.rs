//! The guest's TCP connections: which there are, and whose turn it is to send to the guest.

use super::call::Call;
use super::calls::Calls;
use super::frame::Packet;
use super::host::{self, Connected};
use super::plan::after;
use super::site::{Site, Way};
use super::stack::Stack;
use super::stream::{Pair, Phase, Stream};
use super::terminal::Terminal;
use super::watch::{Readiness, Source};
use rustix::io::Errno;
use smoltcp::socket::tcp::State;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, TcpPacket};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;

/// The longest packet that asks for a connection and is kept: headers with every option.
const SYN: usize = 120;
/// Ended connections whose buffers are kept for new ones.
const SPARE: usize = 16;
/// The port after which those follow from which connections come to the guest.
const BEFORE_PORTS: u16 = 49_151;
/// How soon the stack is asked again when it sent nothing though it wanted to.
const SOON: Duration = Duration::from_millis(10);

/// Them.
pub(super) struct Streams {
    stack: Stack,
    numbers: HashMap<Pair, u64>,
    streams: HashMap<u64, Stream>,
    /// Those that may have something to send to the guest.
    turns: VecDeque<u64>,
    /// Those that the guest has sent something to since the last [`flush`](Streams::flush).
    touched: Vec<u64>,
    calls: Calls,
    spare: Vec<Terminal>,
    /// The most there may be.
    most: usize,
    /// The port from which the last connection came to the guest.
    port: u16,
}

impl Streams {
    /// None yet, and at most so many.
    pub fn new(stack: Stack, most: usize) -> Streams {
        Streams {
            stack,
            numbers: HashMap::new(),
            streams: HashMap::new(),
            turns: VecDeque::new(),
            touched: Vec::new(),
            calls: Calls::default(),
            spare: Vec::new(),
            most,
            port: BEFORE_PORTS,
        }
    }

    /// Whether another one would be one too many.
    pub fn is_full(&self) -> bool {
        self.streams.len() >= self.most
    }

    /// Whether the guest can be asked to take another one: of all there may be, half may wait for that.
    pub fn takes_calls(&self) -> bool {
        !self.is_full() && self.calls.len() < self.most.div_ceil(2)
    }

    /// Takes a packet from the guest.
    pub fn take(&mut self, packet: &Packet, site: &mut Site) {
        let Ok(segment) = TcpPacket::new_checked(packet.payload) else {
            return;
        };
        let pair = Pair {
            port: segment.src_port(),
            foreign: SocketAddrV4::new(packet.destination, segment.dst_port()),
        };
        if pair.port == 0 || pair.foreign.port() == 0 {
            return;
        }
        let asks = segment.syn() && !segment.ack() && !segment.rst();
        let Some(number) = self.numbers.get(&pair).copied() else {
            return match asks {
                true => self.open(pair, packet, site),
                false => self.stack.refuse(packet, Errno::CONNREFUSED, site),
            };
        };
        let Some(stream) = self.streams.get_mut(&number) else {
            return;
        };
        match &mut stream.phase {
            // It has lost its patience.
            Phase::Connecting(_) if segment.rst() => self.end(number),
            // It asks again, and may have begun anew. It will be told.
            Phase::Connecting(kept) => {
                if asks && packet.bytes.len() <= SYN {
                    kept.clear();
                    kept.extend_from_slice(packet.bytes);
                }
            }
            Phase::Calling(terminal, call) => {
                if terminal.socket().state() != State::SynSent {
                    // It was refused already.
                    return;
                }
                self.stack.show(terminal, packet.bytes, site);
                match terminal.socket().state() {
                    State::SynSent => {}
                    State::Closed => call.refused(site.now),
                    _ => {
                        self.calls.remove(number);
                        stream.answered();
                    }
                }
                self.queue(number);
            }
            Phase::Open(terminal) => {
                self.stack.show(terminal, packet.bytes, site);
                if self.touched.last() != Some(&number) {
                    self.touched.push(number);
                }
                self.queue(number);
                if segment.fin() || segment.rst() {
                    self.freed(pair.port, site.now);
                }
            }
        }
    }

    /// The guest has ended a connection at a port of its own: another one may have its turn there.
    fn freed(&mut self, port: u16, now: Instant) {
        if let Some(next) = self.calls.freed(port, now, &mut self.streams) {
            self.queue(next);
        }
    }

    /// The guest has been given its address.
    pub fn addressed(&mut self, site: &mut Site) {
        if let Some(next) = self.calls.addressed(site.now, &mut self.streams) {
            site.wake_by(next);
        }
    }

    /// The guest asks for a connection.
    fn open(&mut self, pair: Pair, packet: &Packet, site: &mut Site) {
        let way = match self.is_full() || packet.bytes.len() > SYN {
            true => Way::Refused,
            false => site.way(pair.foreign),
        };
        let connecting = match way {
            Way::To(to) => host::connect_stream(to),
            Way::Refused => Err(Errno::CONNREFUSED),
            Way::Nowhere => Err(Errno::HOSTUNREACH),
        };
        let added = connecting.and_then(|host| {
            let kept = Phase::Connecting(packet.bytes.to_vec());
            self.add(pair, host, kept, site)
        });
        if let Err(error) = added {
            self.stack.refuse(packet, error, site);
        }
    }

    fn add(
        &mut self,
        pair: Pair,
        host: OwnedFd,
        phase: Phase,
        site: &mut Site,
    ) -> Result<u64, Errno> {
        let number = site.watch.number();
        site.watch.add(&host, Source::Stream(number))?;
        self.numbers.insert(pair, number);
        self.streams.insert(number, Stream::new(pair, host, phase));
        Ok(number)
    }

    /// Asks the guest to take a stream that came to the host, at a port of its own. It is closed if that cannot be.
    pub fn accept(&mut self, host: OwnedFd, port: u16, site: &mut Site) {
        let Some(from) = self.free_port(port, site) else {
            return;
        };
        let pair = Pair {
            port,
            foreign: SocketAddrV4::new(site.plan.gateway, from),
        };
        let mut terminal = self.spare.pop().unwrap_or_else(Terminal::new);
        if !self.stack.connect(&mut terminal, pair, site) || host::tune(&host).is_err() {
            return;
        }
        let calling = Phase::Calling(terminal, Call::new(site.now));
        if let Ok(number) = self.add(pair, host, calling, site) {
            self.calls.add(number);
            self.queue(number);
        }
    }

    /// A port of the gateway's from which nothing goes to this one of the guest's.
    fn free_port(&mut self, port: u16, site: &Site) -> Option<u16> {
        for _ in BEFORE_PORTS..u16::MAX {
            self.port = self.port.checked_add(1).unwrap_or(BEFORE_PORTS);
            let foreign = SocketAddrV4::new(site.plan.gateway, self.port);
            if !self.numbers.contains_key(&Pair { port, foreign }) {
                return Some(self.port);
            }
        }
        None
    }

    /// A stream's socket on the host is ready.
    pub fn ready(&mut self, number: u64, readiness: Readiness, site: &mut Site) {
        let Some(stream) = self.streams.get_mut(&number) else {
            return;
        };
        stream.readable |= readiness.readable;
        stream.writable |= readiness.writable;
        match &mut stream.phase {
            // Asking it again has its own time.
            Phase::Calling(..) => return,
            Phase::Open(_) => stream.pump(),
            Phase::Connecting(packet) => match host::connected(&stream.host) {
                Connected::NotYet => return,
                Connected::Yes => {
                    let packet = std::mem::take(packet);
                    let mut terminal = self.spare.pop().unwrap_or_else(Terminal::new);
                    let foreign = stream.pair.foreign;
                    if *foreign.ip() == site.plan.resolver {
                        site.resolvers.answered();
                    }
                    let at: (IpAddress, u16) = ((*foreign.ip()).into(), foreign.port());
                    // Fails for port 0, which was refused.
                    let _ = terminal.socket().listen(at);
                    self.stack.show(&mut terminal, &packet, site);
                    stream.phase = Phase::Open(terminal);
                }
                Connected::No(error) => {
                    let packet = std::mem::take(packet);
                    self.end(number);
                    if let Some(packet) = Packet::parse(&packet) {
                        self.stack.refuse(&packet, error, site);
                    }
                    return;
                }
            },
        }
        self.queue(number);
    }

    fn queue(&mut self, number: u64) {
        if let Some(stream) = self.streams.get_mut(&number)
            && !stream.queued
        {
            stream.queued = true;
            self.turns.push_back(number);
        }
    }

    /// What the guest has sent goes on.
    pub fn flush(&mut self) {
        for number in self.touched.drain(..) {
            if let Some(stream) = self.streams.get_mut(&number) {
                stream.pump();
            }
        }
    }

    /// Queues those whose time has come, ends those that the guest does not take, and says when the next one's time comes.
    pub fn expire(&mut self, now: Instant) -> Option<Instant> {
        let (over, mut next) = self.calls.over(now, &self.streams);
        over.into_iter().for_each(|number| self.end(number));
        for (number, stream) in &mut self.streams {
            match stream.deadline {
                Some(at) if at <= now => {
                    stream.deadline = None;
                    if !stream.queued {
                        stream.queued = true;
                        self.turns.push_back(*number);
                    }
                }
                Some(at) => next = Some(next.map_or(at, |next| next.min(at))),
                None => {}
            }
        }
        next
    }

    /// The next packet for the guest, as a frame; says how long it is.
    pub fn give(&mut self, frame: &mut [u8], site: &mut Site) -> Option<usize> {
        while let Some(number) = self.turns.pop_front() {
            let length = self.turn(number, frame, site);
            if length.is_some() {
                return length;
            }
        }
        None
    }

    fn turn(&mut self, number: u64, frame: &mut [u8], site: &mut Site) -> Option<usize> {
        let stream = self.streams.get_mut(&number)?;
        stream.queued = false;
        stream.pump();
        let terminal = match &mut stream.phase {
            Phase::Connecting(_) => return None,
            Phase::Calling(_, call) if call.is_over(site.now) => {
                self.end(number);
                return None;
            }
            Phase::Calling(terminal, call) => {
                let length = call.ask(&mut self.stack, terminal, stream.pair, frame, site);
                stream.deadline = Some(call.deadline());
                site.wake_by(call.deadline());
                return length;
            }
            Phase::Open(terminal) => terminal,
        };
        let (length, at) = self.stack.ask(terminal, frame, site);
        let has_more = at.is_some_and(|at| at <= site.now);
        stream.deadline = match has_more {
            true if length.is_some() => None,
            true => Some(after(site.now, SOON)),
            false => at,
        };
        if let Some(at) = stream.deadline {
            site.wake_by(at);
        }
        if stream.is_over(has_more) {
            let port = stream.pair.port;
            self.end(number);
            self.freed(port, site.now);
        } else if has_more && length.is_some() {
            self.queue(number);
        }
        length
    }

    fn end(&mut self, number: u64) {
        let Some(stream) = self.streams.remove(&number) else {
            return;
        };
        self.numbers.remove(&stream.pair);
        if let Phase::Calling(..) = stream.phase {
            self.calls.remove(number);
        }
        if let Some(terminal) = stream.end()
            && self.spare.len() < SPARE
        {
            self.spare.push(terminal);
        }
    }

    /// Ends all of them abruptly.
    pub fn clear(&mut self) {
        self.numbers.clear();
        self.turns.clear();
        self.touched.clear();
        self.calls.clear();
        for (_, stream) in self.streams.drain() {
            stream.end();
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.streams.len()
    }
}
