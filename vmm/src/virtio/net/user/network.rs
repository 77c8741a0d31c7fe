//! The network itself: where each frame of the guest's goes, and whose the next one for the guest is.

use super::datagrams::Datagrams;
use super::forwards::Forwards;
use super::frame::{Datagram, Packet};
use super::icmp::Echo;
use super::plan::{Place, Plan};
use super::resolvers::Resolvers;
use super::site::Site;
use super::stack::Stack;
use super::streams::Streams;
use super::watch::{Readiness, Source, Watch};
use super::{arp, dhcp};
use crate::Error;
use crate::config::Forward;
use crate::virtio::share_of_files;
use smoltcp::wire::{ETHERNET_HEADER_LEN, EthernetFrame, EthernetProtocol, IpProtocol};
use std::os::fd::BorrowedFd;

/// The most connections, where the process may have descriptors enough.
const STREAMS: usize = 256;
/// The most exchanges without one.
const DATAGRAMS: usize = 128;

/// A guest's network.
pub(super) struct Network {
    site: Site,
    streams: Streams,
    datagrams: Datagrams,
    forwards: Forwards,
    found: Vec<(Source, Readiness)>,
}

impl Network {
    /// A network with these addresses, name servers and forwards.
    ///
    /// # Errors
    /// What the host refuses.
    pub fn open(plan: Plan, resolvers: Resolvers, forwards: &[Forward]) -> Result<Network, Error> {
        let os = |source| Error::Os {
            what: "making a network for the guest".to_owned(),
            source,
        };
        let mut seed = [0; 8];
        // Fails for no more than 256 bytes only before the kernel has any.
        let _ = rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty());
        let site = Site::new(plan, Watch::new().map_err(os)?, resolvers);
        let stack = Stack::new(&site, u64::from_ne_bytes(seed));
        Ok(Network {
            streams: Streams::new(stack, share_of_files(STREAMS)),
            datagrams: Datagrams::new(share_of_files(DATAGRAMS)),
            forwards: Forwards::open(forwards, &site)?,
            site,
            found: Vec::new(),
        })
    }

    /// Readable while there is something to [do](Network::ready).
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.site.watch.descriptor()
    }

    /// Takes a frame from the guest; says whether it went anywhere.
    pub fn send(&mut self, frame: &[u8]) -> bool {
        self.site.tick();
        self.take(frame).is_some()
    }

    fn take(&mut self, frame: &[u8]) -> Option<()> {
        let view = EthernetFrame::new_checked(frame).ok()?;
        let to = view.dst_addr();
        if to != self.site.plan.router_mac && !to.is_broadcast() {
            return None;
        }
        let payload = frame.get(ETHERNET_HEADER_LEN..)?;
        match view.ethertype() {
            EthernetProtocol::Arp => {
                let site = &mut self.site;
                let plan = &site.plan;
                site.replies
                    .add(arp::FRAME, |reply| arp::answer(plan, payload, reply));
                Some(())
            }
            EthernetProtocol::Ipv4 => self.route(&Packet::parse(payload)?),
            _ => None,
        }
    }

    /// Sends a packet on its way.
    fn route(&mut self, packet: &Packet) -> Option<()> {
        let site = &mut self.site;
        if packet.protocol == IpProtocol::Udp {
            let datagram = Datagram::parse(packet)?;
            if datagram.destination.port() == dhcp::SERVER
                && (packet.destination == site.plan.gateway || packet.destination.is_broadcast())
            {
                let plan = &site.plan;
                site.replies
                    .add(dhcp::FRAME, |reply| dhcp::answer(plan, &datagram, reply));
                self.streams.addressed(site);
                return Some(());
            }
        }
        // The guest has one address. Who answers to another one would talk to nobody.
        if packet.source != site.plan.guest {
            return None;
        }
        match packet.protocol {
            IpProtocol::Tcp => self.streams.take(packet, site),
            IpProtocol::Udp => {
                let datagram = Datagram::parse(packet)?;
                if !self.forwards.take(&datagram, site) {
                    self.datagrams.take(packet, &datagram, site);
                }
            }
            IpProtocol::Icmp => {
                let echo = Echo::parse(packet.payload)?;
                match site.plan.place(packet.destination) {
                    Place::Gateway | Place::Resolver => {
                        let (plan, from) = (&site.plan, packet.destination);
                        site.replies
                            .add(echo.frame(), |reply| echo.answer(plan, from, reply));
                    }
                    Place::Outside(_) => self.datagrams.take_echo(packet, &echo, site),
                    Place::Nobody => return None,
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// Does what has become possible: sockets that are ready, times that have come.
    pub fn ready(&mut self) {
        self.site.tick();
        let mut found = std::mem::take(&mut self.found);
        self.site.watch.look(&mut found);
        for (source, readiness) in found.drain(..) {
            match source {
                Source::Time => self.expire(),
                Source::Stream(number) => self.streams.ready(number, readiness, &mut self.site),
                Source::Datagrams(number) => self.datagrams.ready(number),
                Source::Forward(index) => self.forwards.ready(index),
            }
        }
        self.found = found;
        self.forwards.accept(&mut self.streams, &mut self.site);
    }

    fn expire(&mut self) {
        let now = self.site.now;
        let next = [
            self.streams.expire(now),
            self.datagrams.expire(now),
            self.forwards.expire(&self.site),
        ];
        if let Some(next) = next.into_iter().flatten().min() {
            self.site.wake_by(next);
        }
    }

    /// What the guest has sent goes on to the host's sockets.
    pub fn flush(&mut self) {
        self.streams.flush();
        self.forwards.accept(&mut self.streams, &mut self.site);
    }

    /// The next frame for the guest, into the beginning of `frame`, which has room for the longest, without its [checksum](super::checksum); says how
    /// long it is.
    pub fn receive(&mut self, frame: &mut [u8]) -> Option<usize> {
        self.site.tick();
        let site = &mut self.site;
        let next = site.replies.take(frame);
        next.or_else(|| self.streams.give(frame, site))
            .or_else(|| self.datagrams.give(frame, site))
            .or_else(|| self.forwards.give(frame, site))
            // What the host's sockets said about datagrams.
            .or_else(|| site.replies.take(frame))
    }

    /// The guest is gone, and with it all that it had.
    pub fn clear(&mut self) {
        self.site.replies.clear();
        self.streams.clear();
        self.datagrams.clear();
        self.forwards.clear();
    }

    /// How many connections there are.
    #[cfg(test)]
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// How many exchanges without one there are.
    #[cfg(test)]
    pub fn datagrams(&self) -> usize {
        self.datagrams.len()
    }

    /// Where the forwards listen.
    #[cfg(test)]
    pub fn forwards(&self) -> Vec<std::net::SocketAddr> {
        self.forwards.addresses()
    }

    /// Time passes without anything else happening.
    #[cfg(test)]
    pub fn pass(&mut self, time: std::time::Duration) {
        self.site.pass(time);
        self.expire();
    }
}
