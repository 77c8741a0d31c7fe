//! What the guest sends without a connection, and the answers: datagrams and echoes. Each port of the guest's with each peer has a socket
//! of the host's, connected to the peer, so that nobody else's packets come in. Sockets are closed after a silence, and the most silent one
//! when there are too many.

use super::frame::{Datagram, Packet, UDP_PAYLOAD, write_udp};
use super::host;
use super::icmp::{self, Echo, Lost, UNREACHABLE_FRAME};
use super::plan::after;
use super::site::{Site, Way};
use super::stream::Pair;
use super::watch::Source;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{Icmpv4DstUnreachable, IpProtocol};
use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

/// How long a socket is kept without a packet either way.
const SILENCE: Duration = Duration::from_secs(60);

/// What is exchanged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Kind {
    Datagrams,
    /// The guest's port is the echoes' identifier, and the peer's is 0.
    Echoes,
}

/// One exchange.
struct Exchange {
    kind: Kind,
    pair: Pair,
    host: OwnedFd,
    /// Where it goes on the host's side.
    to: SocketAddr,
    used: Instant,
    queued: bool,
}

/// All of them.
pub(super) struct Datagrams {
    numbers: HashMap<(Kind, Pair), u64>,
    exchanges: HashMap<u64, Exchange>,
    /// Those whose socket may have something for the guest.
    turns: VecDeque<u64>,
    most: usize,
}

impl Datagrams {
    /// None yet, and at most so many.
    pub fn new(most: usize) -> Datagrams {
        Datagrams {
            numbers: HashMap::new(),
            exchanges: HashMap::new(),
            turns: VecDeque::new(),
            most,
        }
    }

    /// Sends a datagram of the guest's.
    pub fn take(&mut self, packet: &Packet, datagram: &Datagram, site: &mut Site) {
        let pair = Pair {
            port: datagram.source.port(),
            foreign: datagram.destination,
        };
        let sent = match site.way(pair.foreign) {
            Way::To(to) => self.send(Kind::Datagrams, pair, to, datagram.payload, site),
            Way::Refused => Err(Errno::CONNREFUSED),
            Way::Nowhere => Err(Errno::HOSTUNREACH),
        };
        if let (Err(error), Some(lost)) = (sent, Lost::of(packet)) {
            tell(&lost, error, site);
        }
    }

    /// Sends an echo request of the guest's.
    pub fn take_echo(&mut self, packet: &Packet, echo: &Echo, site: &mut Site) {
        let pair = Pair {
            port: echo.identifier,
            foreign: SocketAddrV4::new(packet.destination, 0),
        };
        if let Way::To(to) = site.way(pair.foreign) {
            // A host that lets nobody send echoes loses them.
            let _ = self.send(Kind::Echoes, pair, to, packet.payload, site);
        }
    }

    fn send(
        &mut self,
        kind: Kind,
        pair: Pair,
        to: SocketAddr,
        payload: &[u8],
        site: &mut Site,
    ) -> Result<(), Errno> {
        let mut known = self.numbers.get(&(kind, pair)).copied();
        // Another name server is asked now.
        let elsewhere = |number: &u64| self.exchanges.get(number).is_none_or(|it| it.to != to);
        if let Some(number) = known.filter(elsewhere) {
            self.end(number);
            known = None;
        }
        let number = match known {
            Some(number) => number,
            None => self.open(kind, pair, to, site)?,
        };
        let exchange = self.exchanges.get_mut(&number).ok_or(Errno::NOENT)?;
        exchange.used = site.now;
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match send(&exchange.host, payload, flags) {
            // Lost, as datagrams may be.
            Ok(_) | Err(Errno::AGAIN | Errno::NOBUFS | Errno::MSGSIZE) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn open(
        &mut self,
        kind: Kind,
        pair: Pair,
        to: SocketAddr,
        site: &mut Site,
    ) -> Result<u64, Errno> {
        if self.exchanges.len() >= self.most {
            let oldest = self.exchanges.iter().min_by_key(|(_, it)| it.used);
            if let Some(oldest) = oldest.map(|(number, _)| *number) {
                self.end(oldest);
            }
        }
        let host = match kind {
            Kind::Datagrams => host::connect_datagrams(to)?,
            Kind::Echoes => host::connect_echoes(to)?,
        };
        let number = site.watch.number();
        site.watch.add(&host, Source::Datagrams(number))?;
        self.numbers.insert((kind, pair), number);
        let exchange = Exchange {
            kind,
            pair,
            host,
            to,
            used: site.now,
            queued: false,
        };
        self.exchanges.insert(number, exchange);
        site.wake_by(after(site.now, SILENCE));
        Ok(number)
    }

    /// An exchange's socket is ready.
    pub fn ready(&mut self, number: u64) {
        if let Some(exchange) = self.exchanges.get_mut(&number)
            && !exchange.queued
        {
            exchange.queued = true;
            self.turns.push_back(number);
        }
    }

    /// The next packet for the guest, as a frame; says how long it is.
    pub fn give(&mut self, frame: &mut [u8], site: &mut Site) -> Option<usize> {
        while let Some(number) = self.turns.pop_front() {
            let Some(exchange) = self.exchanges.get_mut(&number) else {
                continue;
            };
            match exchange.receive(frame, site) {
                Ok(length) => {
                    exchange.used = site.now;
                    self.turns.push_back(number);
                    if length.is_some() {
                        return length;
                    }
                }
                Err(Errno::INTR) => self.turns.push_back(number),
                Err(error) => {
                    exchange.queued = false;
                    if error != Errno::AGAIN {
                        exchange.fail(error, site);
                        // There may be more behind it.
                        self.ready(number);
                    }
                }
            }
        }
        None
    }

    /// Ends those that have been silent, and says when the next one will have been.
    pub fn expire(&mut self, now: Instant) -> Option<Instant> {
        let silent = |exchange: &Exchange| after(exchange.used, SILENCE);
        self.exchanges.retain(|_, exchange| silent(exchange) > now);
        self.numbers
            .retain(|_, number| self.exchanges.contains_key(number));
        self.exchanges.values().map(silent).min()
    }

    fn end(&mut self, number: u64) {
        if let Some(exchange) = self.exchanges.remove(&number) {
            self.numbers.remove(&(exchange.kind, exchange.pair));
        }
    }

    /// Ends all of them.
    pub fn clear(&mut self) {
        self.numbers.clear();
        self.exchanges.clear();
        self.turns.clear();
    }

    /// How many there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.exchanges.len()
    }
}

impl Exchange {
    /// Takes a packet from the socket, as a frame for the guest; says how long it is. `None`: it was one that the guest's network does not carry.
    fn receive(&self, frame: &mut [u8], site: &mut Site) -> Result<Option<usize>, Errno> {
        let plan = &site.plan;
        let payload = match self.kind {
            Kind::Datagrams => UDP_PAYLOAD,
            Kind::Echoes => icmp::PAYLOAD,
        };
        let room = frame.get_mut(payload..).unwrap_or_default();
        let fits = room.len();
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        let (_, length) = recv(&self.host, room, flags)?;
        if length > fits {
            return Ok(None);
        }
        Ok(match self.kind {
            Kind::Datagrams => {
                if *self.pair.foreign.ip() == plan.resolver {
                    site.resolvers.answered();
                }
                let guest = SocketAddrV4::new(plan.guest, self.pair.port);
                write_udp(frame, plan, self.pair.foreign, guest, length)
            }
            Kind::Echoes => {
                let from = *self.pair.foreign.ip();
                icmp::readdress(plan, from, self.pair.port, frame, length)
            }
        })
    }

    /// The socket says that a datagram went nowhere.
    fn fail(&self, error: Errno, site: &mut Site) {
        if self.kind == Kind::Echoes {
            return;
        }
        let [port, foreign] = [self.pair.port, self.pair.foreign.port()].map(u16::to_be_bytes);
        let [a, b, c, d] = [port[0], port[1], foreign[0], foreign[1]];
        // A datagram's header. How long it was is not known any more.
        let header = [a, b, c, d, 0, 8, 0, 0];
        let to = *self.pair.foreign.ip();
        if let Some(lost) = Lost::with(site.plan.guest, to, IpProtocol::Udp, &header) {
            tell(&lost, error, site);
        }
    }
}

/// Tells the guest why a datagram was lost.
fn tell(lost: &Lost, error: Errno, site: &mut Site) {
    let reason = match error {
        Errno::CONNREFUSED => Icmpv4DstUnreachable::PortUnreachable,
        Errno::NETUNREACH => Icmpv4DstUnreachable::NetUnreachable,
        _ => Icmpv4DstUnreachable::HostUnreachable,
    };
    let plan = &site.plan;
    site.replies
        .add(UNREACHABLE_FRAME, |frame| lost.tell(plan, reason, frame));
}
