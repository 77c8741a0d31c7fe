//! Frames of the guest's network: Ethernet with an IPv4 packet or an ARP one in it. Pure.
//!
//! What comes from the guest is parsed once, and everything that is wrong with it makes it nothing. Lengths are checked before a view of
//! anything is made.

use super::plan::Plan;
use smoltcp::phy::{Checksum, ChecksumCapabilities};
use smoltcp::wire::{
    ETHERNET_HEADER_LEN, EthernetAddress, EthernetFrame, EthernetProtocol, IPV4_HEADER_LEN,
    IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, UDP_HEADER_LEN, UdpPacket, UdpRepr,
};
use std::net::SocketAddrV4;

/// Bytes before an IP packet's payload in a frame.
pub(super) const IP_PAYLOAD: usize = ETHERNET_HEADER_LEN + IPV4_HEADER_LEN;
/// Bytes before a datagram's payload in a frame.
pub(super) const UDP_PAYLOAD: usize = IP_PAYLOAD + UDP_HEADER_LEN;

/// An IPv4 packet from the guest, whole and with the right header checksum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub source: Ipv4Address,
    pub destination: Ipv4Address,
    pub protocol: IpProtocol,
    /// All of it, without what a frame has after it.
    pub bytes: &'a [u8],
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet; `None`: not a whole one. Fragments are none.
    pub fn parse(bytes: &'a [u8]) -> Option<Packet<'a>> {
        let view = Ipv4Packet::new_checked(bytes).ok()?;
        if view.version() != 4 || view.more_frags() || view.frag_offset() != 0 {
            return None;
        }
        if !view.verify_checksum() {
            return None;
        }
        let total = usize::from(view.total_len());
        Some(Packet {
            source: view.src_addr(),
            destination: view.dst_addr(),
            protocol: view.next_header(),
            bytes: bytes.get(..total)?,
            payload: bytes.get(usize::from(view.header_len())..total)?,
        })
    }
}

/// A datagram from the guest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'a> {
    pub source: SocketAddrV4,
    pub destination: SocketAddrV4,
    pub payload: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Reads a packet's datagram. Its checksum is not looked at: it travelled through memory.
    pub fn parse(packet: &Packet<'a>) -> Option<Datagram<'a>> {
        let view = UdpPacket::new_checked(packet.payload).ok()?;
        if view.dst_port() == 0 || view.src_port() == 0 {
            return None;
        }
        Some(Datagram {
            source: SocketAddrV4::new(packet.source, view.src_port()),
            destination: SocketAddrV4::new(packet.destination, view.dst_port()),
            payload: view.payload(),
        })
    }
}

/// Writes a frame's Ethernet header.
pub(super) fn write_ethernet(
    frame: &mut [u8],
    plan: &Plan,
    to: EthernetAddress,
    kind: EthernetProtocol,
) -> Option<()> {
    let mut view = EthernetFrame::new_checked(frame).ok()?;
    view.set_src_addr(plan.router_mac);
    view.set_dst_addr(to);
    view.set_ethertype(kind);
    Some(())
}

/// Writes the headers before an IP packet's payload of `length` bytes, in a frame for the guest; says how long the frame is.
/// `None`: it has no room.
pub(super) fn write_ip(
    frame: &mut [u8],
    plan: &Plan,
    source: Ipv4Address,
    destination: Ipv4Address,
    protocol: IpProtocol,
    length: usize,
) -> Option<usize> {
    let end = IP_PAYLOAD.checked_add(length)?;
    if length.saturating_add(IPV4_HEADER_LEN) > usize::from(plan.mtu) {
        return None;
    }
    let frame = frame.get_mut(..end)?;
    let to = match destination.is_broadcast() {
        true => EthernetAddress::BROADCAST,
        false => plan.guest_mac,
    };
    write_ethernet(frame, plan, to, EthernetProtocol::Ipv4)?;
    let header = Ipv4Repr {
        src_addr: source,
        dst_addr: destination,
        next_header: protocol,
        payload_len: length,
        hop_limit: 64,
    };
    let mut view = Ipv4Packet::new_unchecked(frame.get_mut(ETHERNET_HEADER_LEN..)?);
    header.emit(&mut view, &ChecksumCapabilities::default());
    Some(end)
}

/// Writes the headers before a datagram's payload of `length` bytes, which is there already, but for the checksum; says how long the frame is.
/// `None`: it has no room, or is more than the network carries.
pub(super) fn write_udp(
    frame: &mut [u8],
    plan: &Plan,
    source: SocketAddrV4,
    destination: SocketAddrV4,
    length: usize,
) -> Option<usize> {
    let (from, to) = (*source.ip(), *destination.ip());
    let all = length.checked_add(UDP_HEADER_LEN)?;
    let end = write_ip(frame, plan, from, to, IpProtocol::Udp, all)?;
    let mut view = UdpPacket::new_unchecked(frame.get_mut(IP_PAYLOAD..end)?);
    let header = UdpRepr {
        src_port: source.port(),
        dst_port: destination.port(),
    };
    // Done later, if at all.
    let mut checksums = ChecksumCapabilities::default();
    checksums.udp = Checksum::None;
    header.emit(
        &mut view,
        &from.into(),
        &to.into(),
        length,
        |_| {},
        &checksums,
    );
    Some(end)
}
