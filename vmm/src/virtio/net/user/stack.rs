//! The TCP stack's one interface, which takes every address for its own.
//!
//! It is shown one connection's socket at a time, or none, and then refuses: that is the answer to a packet of no connection, and to a new
//! one when there are too many.

use super::frame::{Packet, write_ethernet};
use super::icmp::{Lost, UNREACHABLE_FRAME};
use super::link::Link;
use super::site::Site;
use super::stream::Pair;
use super::terminal::Terminal;
use rustix::io::Errno;
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::time::Instant;
use smoltcp::wire::{
    ETHERNET_HEADER_LEN, EthernetProtocol, HardwareAddress, Icmpv4DstUnreachable, IpAddress, IpCidr,
};

/// The longest packet with which the stack answers one: headers with every option.
const ANSWER: usize = 120;

/// The interface.
pub(super) struct Stack {
    interface: Interface,
    /// No connection's.
    nobody: SocketSet<'static>,
}

impl Stack {
    /// `seed`: unknown to the guest.
    pub fn new(site: &Site, seed: u64) -> Stack {
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut link = Link {
            packet: None,
            room: &mut [],
            written: None,
            mtu: site.plan.mtu,
        };
        let mut interface = Interface::new(config, &mut link, site.now);
        let own = IpCidr::new(site.plan.gateway.into(), site.plan.network.prefix_len());
        interface.update_ip_addrs(|addresses| {
            // The first of two.
            let _ = addresses.push(own);
        });
        interface.set_any_ip(true);
        Stack {
            interface,
            nobody: SocketSet::new(Vec::new()),
        }
    }

    /// Has a connection's socket see a packet of the guest's.
    pub fn show(&mut self, terminal: &mut Terminal, packet: &[u8], site: &mut Site) {
        answer(&mut self.interface, &mut terminal.sockets, packet, site);
    }

    /// Tells the guest that what its packet is for is not there: with a reset, or that the way is missing.
    pub fn refuse(&mut self, packet: &Packet, error: Errno, site: &mut Site) {
        let reason = match error {
            Errno::HOSTUNREACH | Errno::TIMEDOUT => Icmpv4DstUnreachable::HostUnreachable,
            Errno::NETUNREACH => Icmpv4DstUnreachable::NetUnreachable,
            _ => return answer(&mut self.interface, &mut self.nobody, packet.bytes, site),
        };
        let Some(lost) = Lost::of(packet) else {
            return;
        };
        let plan = &site.plan;
        site.replies
            .add(UNREACHABLE_FRAME, |frame| lost.tell(plan, reason, frame));
    }

    /// Begins to connect a socket to a port of the guest's; says whether that could be.
    pub fn connect(&mut self, terminal: &mut Terminal, pair: Pair, site: &Site) -> bool {
        let to: (IpAddress, u16) = (site.plan.guest.into(), pair.port);
        let from: (IpAddress, u16) = ((*pair.foreign.ip()).into(), pair.foreign.port());
        let context = self.interface.context();
        terminal.socket().connect(context, to, from).is_ok()
    }

    /// What a connection's socket has to send, at most one packet, as a frame, and its length; then, when the socket wants to be asked next.
    pub fn ask(
        &mut self,
        terminal: &mut Terminal,
        frame: &mut [u8],
        site: &Site,
    ) -> (Option<usize>, Option<Instant>) {
        let plan = &site.plan;
        let mut link = Link {
            packet: None,
            room: frame.get_mut(ETHERNET_HEADER_LEN..).unwrap_or_default(),
            written: None,
            mtu: plan.mtu,
        };
        let sockets = &mut terminal.sockets;
        self.interface.poll_egress(site.now, &mut link, sockets);
        let written = link.written;
        let length = written.and_then(|written| {
            let length = written.checked_add(ETHERNET_HEADER_LEN)?;
            let frame = frame.get_mut(..length)?;
            write_ethernet(frame, plan, plan.guest_mac, EthernetProtocol::Ipv4)?;
            Some(length)
        });
        (length, self.interface.poll_at(site.now, sockets))
    }
}

/// Shows the interface a packet and the socket that it may be for; what it says to it goes to the guest.
fn answer(
    interface: &mut Interface,
    sockets: &mut SocketSet<'static>,
    packet: &[u8],
    site: &mut Site,
) {
    let mut room = [0; ANSWER];
    let mut link = Link {
        packet: Some(packet),
        room: &mut room,
        written: None,
        mtu: site.plan.mtu,
    };
    interface.poll_ingress_single(site.now, &mut link, sockets);
    let said = link.written.and_then(|length| room.get(..length));
    let Some(said) = said else { return };
    let Some(length) = said.len().checked_add(ETHERNET_HEADER_LEN) else {
        return;
    };
    let plan = &site.plan;
    site.replies.add(length, |frame| {
        let room = frame.get_mut(ETHERNET_HEADER_LEN..)?;
        room.copy_from_slice(said);
        write_ethernet(frame, plan, plan.guest_mac, EthernetProtocol::Ipv4)?;
        Some(length)
    });
}
