//! User-mode networking: a network for one guest that needs no privileges of the host, made of the sockets that any program may have.
//!
//! The guest sees an Ethernet with a router on it, which answers for DHCP, ARP, echoes and name service, and behind which is all that the
//! host can reach. Its TCP connections end here, in `smoltcp`'s stack, and go on as connections of the host's; so do its datagrams, through
//! a socket for each of its ports and peers. What the host listens for on the guest's behalf are [forwards](crate::config::Forward).
//!
//! What the guest cannot reach: the host itself, by any address, unless it is configured that it may (`host_access`): a guest that is let
//! onto a network is not thereby let into programs that listen for their own machine only. The name server is the exception: its address
//! leads to the host's, and there to name service only.
//!
//! Everything is bounded: connections and exchanges in number, so that descriptors are; buffers per connection, with windows that close;
//! frames that wait, which are made when the guest has room for them. What is too many is refused or lost as on any network.
//!
//! It does not know how frames travel, and has one descriptor to watch: that of a set in which all of its sockets are.

mod arp;
mod call;
mod calls;
mod checksum;
mod datagrams;
mod dhcp;
mod forwards;
mod frame;
mod host;
mod icmp;
mod link;
mod network;
mod plan;
mod replies;
mod resolvers;
mod site;
mod stack;
mod stream;
mod streams;
mod terminal;
mod visitors;
mod watch;

#[cfg(test)]
pub(crate) mod tests;

use super::{Backend, HEADER, Sent};
use crate::Error;
use crate::config::{LEAST_MTU, NameServer, UserNetwork};
use crate::io::Sources;
use hypercall_abi::net::{Header, feature};
use network::Network;
use plan::Plan;
use resolvers::Resolvers;
use smoltcp::wire::{EthernetAddress, Ipv4Cidr};
use std::io;
use std::net::SocketAddr;
use vmm_sys_util::epoll::EventSet;
use zerocopy::IntoBytes;

/// The token of the set.
const SET: u32 = 0;

/// The network as what a card is connected to.
pub(crate) struct User {
    network: Network,
    /// Whether the guest takes frames without checksums.
    leaves_checksums: bool,
}

impl User {
    /// The network of a card with an address and the most bytes of a packet.
    ///
    /// # Errors
    /// [`Error::Os`]: what the host refuses, and what would help. [`Error::Config`] for a network that cannot be.
    pub fn open(user: &UserNetwork, mac: [u8; 6], mtu: u16) -> Result<User, Error> {
        let prefix = user.network.prefix;
        if !(8..=29).contains(&prefix) || mtu < LEAST_MTU {
            return Err(Error::Config(format!(
                "a user-mode network is one of /8 to /29 with packets of at least {LEAST_MTU} bytes, and not {} with {mtu}",
                user.network
            )));
        }
        let network = Ipv4Cidr::new(user.network.address, prefix);
        let plan = Plan::new(network, EthernetAddress(mac), mtu, user.host_access);
        let resolvers = match user.dns {
            NameServer::Host => Resolvers::of_host(),
            NameServer::At(address) => Resolvers::new(vec![SocketAddr::new(address, site::DNS)]),
        };
        let network = Network::open(plan, resolvers, &user.forward)?;
        Ok(User {
            network,
            leaves_checksums: false,
        })
    }
}

impl Backend for User {
    /// Checksums of the guest's packets are not looked at, and its connections end here: long segments are as good as short ones. What comes to the
    /// guest has not left this process: it need not look at checksums either.
    fn features(&self) -> u64 {
        feature::CSUM | feature::HOST_TSO4 | feature::GUEST_CSUM
    }

    fn watch(&mut self, features: u64, sources: &mut Sources) -> io::Result<()> {
        self.leaves_checksums = features & feature::GUEST_CSUM != 0;
        sources.watch(&self.network.descriptor(), SET, EventSet::IN)
    }

    fn forget(&mut self, sources: &mut Sources) {
        sources.forget(&self.network.descriptor());
        self.network.clear();
    }

    fn ready(&mut self, _: u32, _: EventSet, _: &mut Sources) {
        self.network.ready();
    }

    fn send(&mut self, packet: &[u8]) -> Sent {
        let frame = packet.get(HEADER..).unwrap_or_default();
        match self.network.send(frame) {
            true => Sent::Taken,
            false => Sent::Dropped,
        }
    }

    fn flush(&mut self, _: &mut Sources) {
        self.network.flush();
    }

    fn receive(&mut self, room: &mut [u8]) -> Option<usize> {
        let (header, frame) = room.split_at_mut_checked(HEADER)?;
        let length = self.network.receive(frame)?;
        let frame = frame.get_mut(..length)?;
        let left = match self.leaves_checksums {
            true => checksum::leave(frame),
            false => {
                checksum::fill(frame);
                Header::default()
            }
        };
        header.copy_from_slice(left.as_bytes());
        length.checked_add(HEADER)
    }
}
