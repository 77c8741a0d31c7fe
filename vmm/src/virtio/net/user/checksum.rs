//! The checksums of TCP segments and datagrams in frames for the guest: left to it where it takes frames without them, and done here where it does
//! not. Whatever makes a frame leaves them alone. Pure.

use hypercall_abi::net::{Header, flags};
use smoltcp::wire::{
    ETHERNET_HEADER_LEN, EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet,
    TcpPacket, UdpPacket,
};

/// A frame's segment.
struct Segment<'a> {
    source: IpAddress,
    destination: IpAddress,
    view: View<'a>,
    /// Where it begins in the frame.
    start: u16,
}

enum View<'a> {
    Tcp(TcpPacket<&'a mut [u8]>),
    Udp(UdpPacket<&'a mut [u8]>),
}

impl Segment<'_> {
    /// The segment of a frame that the network has made; `None`: it has none.
    fn of(frame: &mut [u8]) -> Option<Segment<'_>> {
        let ethernet = EthernetFrame::new_checked(&*frame).ok()?;
        if ethernet.ethertype() != EthernetProtocol::Ipv4 {
            return None;
        }
        let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
        let (source, destination) = (ip.src_addr(), ip.dst_addr());
        let header = usize::from(ip.header_len());
        let protocol = ip.next_header();
        let start = ETHERNET_HEADER_LEN.checked_add(header)?;
        let bytes = frame.get_mut(start..)?;
        let view = match protocol {
            IpProtocol::Tcp => View::Tcp(TcpPacket::new_checked(bytes).ok()?),
            IpProtocol::Udp => View::Udp(UdpPacket::new_checked(bytes).ok()?),
            _ => return None,
        };
        Some(Segment {
            source: source.into(),
            destination: destination.into(),
            view,
            start: u16::try_from(start).ok()?,
        })
    }
}

/// Does the checksum.
pub(super) fn fill(frame: &mut [u8]) {
    let Some(segment) = Segment::of(frame) else {
        return;
    };
    let (source, destination) = (&segment.source, &segment.destination);
    match segment.view {
        View::Tcp(mut view) => view.fill_checksum(source, destination),
        View::Udp(mut view) => view.fill_checksum(source, destination),
    }
}

/// Leaves the checksum to the guest: says where it belongs, and writes there what its sum begins with (virtio 1.2, 5.1.6.4.2).
pub(super) fn leave(frame: &mut [u8]) -> Header {
    let Some(segment) = Segment::of(frame) else {
        return Header::default();
    };
    let (IpAddress::Ipv4(source), IpAddress::Ipv4(destination)) =
        (segment.source, segment.destination);
    let begin = |protocol: IpProtocol, length: usize| {
        let words = [source, destination].map(|address| {
            let bits = address.to_bits();
            (bits >> 16).wrapping_add(bits & 0xffff)
        });
        let length = u32::try_from(length).unwrap_or(0);
        folded(
            words[0]
                .wrapping_add(words[1])
                .wrapping_add(u8::from(protocol).into())
                .wrapping_add(length),
        )
    };
    let csum_offset = match segment.view {
        View::Tcp(mut view) => {
            let length = view.as_ref().len();
            view.set_checksum(begin(IpProtocol::Tcp, length));
            16
        }
        View::Udp(mut view) => {
            let length = usize::from(view.len());
            view.set_checksum(begin(IpProtocol::Udp, length));
            6
        }
    };
    Header {
        flags: flags::NEEDS_CSUM,
        csum_start: segment.start,
        csum_offset,
        ..Header::default()
    }
}

/// Carries added until 16 bits are left.
fn folded(sum: u32) -> u16 {
    let once = (sum >> 16).wrapping_add(sum & 0xffff);
    let twice = (once >> 16).wrapping_add(once & 0xffff);
    u16::try_from(twice).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::frame::{IP_PAYLOAD, UDP_PAYLOAD, write_ip, write_udp};
    use super::super::plan::Plan;
    use super::*;
    use smoltcp::wire::{EthernetAddress, Ipv4Cidr};
    use std::net::SocketAddrV4;

    fn plan() -> Plan {
        let network: Ipv4Cidr = "10.0.2.0/24".parse().unwrap();
        Plan::new(network, EthernetAddress([2; 6]), 1500, false)
    }

    fn datagram(length: usize) -> Vec<u8> {
        let plan = plan();
        let mut frame: Vec<u8> = (0..UDP_PAYLOAD + length).map(|n| (n * 7) as u8).collect();
        let from = SocketAddrV4::new([203, 0, 113, 255].into(), 65_535);
        let to = SocketAddrV4::new(plan.guest, 40_000);
        write_udp(&mut frame, &plan, from, to, length).unwrap();
        frame
    }

    fn segment(length: usize) -> Vec<u8> {
        let plan = plan();
        let mut frame: Vec<u8> = (0..IP_PAYLOAD + length).map(|n| (n * 7) as u8).collect();
        let from = [203, 0, 113, 255].into();
        write_ip(&mut frame, &plan, from, plan.guest, IpProtocol::Tcp, length).unwrap();
        frame[IP_PAYLOAD + 12] = 5 << 4;
        frame
    }

    /// As a guest does what was left to it.
    fn complete(frame: &mut [u8], header: Header) {
        assert_eq!(header.flags, flags::NEEDS_CSUM);
        let start = usize::from(header.csum_start);
        let at = start + usize::from(header.csum_offset);
        let words = frame[start..].chunks(2).map(|word| {
            u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or_default())
        });
        let sum = folded(words.sum());
        frame[at..at + 2].copy_from_slice(&(!sum).to_be_bytes());
    }

    #[test]
    fn what_is_left_to_the_guest_comes_to_what_is_done_here() {
        for length in [20, 21, 600, 1479, 1480] {
            for frame in [segment(length), datagram(length - 8)] {
                let (mut left, mut done) = (frame.clone(), frame);
                let header = leave(&mut left);
                assert_ne!(left, done, "it was not there before");
                fill(&mut done);
                assert_ne!(left, done, "it is not there yet");
                complete(&mut left, header);
                assert_eq!(left, done, "{length}");
            }
        }
    }

    #[test]
    fn what_has_none_is_left_alone() {
        let plan = plan();
        let mut echo = vec![7; IP_PAYLOAD + 40];
        let from = plan.gateway;
        write_ip(&mut echo, &plan, from, plan.guest, IpProtocol::Icmp, 40).unwrap();
        let mut arp = vec![7; 60];
        arp[12..14].copy_from_slice(&[8, 6]);
        for frame in [echo, arp, vec![8; 20], vec![]] {
            let mut same = frame.clone();
            fill(&mut same);
            assert_eq!(leave(&mut same), Header::default());
            assert_eq!(same, frame);
        }
    }
}
