//! The DHCP server (RFC 2131) of a network with one guest: it is always given the same address. Pure.

use super::frame::{Datagram, UDP_PAYLOAD, write_udp};
use super::plan::Plan;
use smoltcp::wire::{DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, Ipv4Address};
use std::net::SocketAddrV4;

/// The server's port, and the client's.
pub(super) const SERVER: u16 = 67;
const CLIENT: u16 = 68;
/// The option that says the link's MTU (RFC 2132, 5.1).
const INTERFACE_MTU: u8 = 26;
/// Seconds of a lease. Nobody else wants the address.
const LEASE: u32 = 86_400;
/// Bytes of an answer: what every client takes (RFC 2131, 2).
const MESSAGE: usize = 300;
/// Bytes of its frame.
pub(super) const FRAME: usize = UDP_PAYLOAD + MESSAGE;

/// Writes the frame that answers a client's message.
pub(super) fn answer(plan: &Plan, message: &Datagram, frame: &mut [u8]) -> Option<usize> {
    let packet = DhcpPacket::new_checked(message.payload).ok()?;
    let asked = DhcpRepr::parse(&packet).ok()?;
    if asked.server_identifier.is_some_and(|id| id != plan.gateway) {
        return None;
    }
    let wanted = asked
        .requested_ip
        .or((!asked.client_ip.is_unspecified()).then_some(asked.client_ip));
    let answer = match asked.message_type {
        DhcpMessageType::Discover => DhcpMessageType::Offer,
        DhcpMessageType::Request if wanted == Some(plan.guest) => DhcpMessageType::Ack,
        DhcpMessageType::Request => DhcpMessageType::Nak,
        DhcpMessageType::Inform => DhcpMessageType::Ack,
        _ => return None,
    };
    let nak = answer == DhcpMessageType::Nak;
    let inform = asked.message_type == DhcpMessageType::Inform;
    let mtu = plan.mtu.to_be_bytes();
    let mtu = [DhcpOption {
        kind: INTERFACE_MTU,
        data: &mtu,
    }];
    let reply = DhcpRepr {
        message_type: answer,
        transaction_id: asked.transaction_id,
        secs: 0,
        client_hardware_address: asked.client_hardware_address,
        client_ip: if inform {
            asked.client_ip
        } else {
            Ipv4Address::UNSPECIFIED
        },
        your_ip: if nak || inform {
            Ipv4Address::UNSPECIFIED
        } else {
            plan.guest
        },
        server_ip: plan.gateway,
        router: (!nak).then_some(plan.gateway),
        subnet_mask: (!nak).then_some(plan.network.netmask()),
        relay_agent_ip: Ipv4Address::UNSPECIFIED,
        broadcast: asked.broadcast,
        requested_ip: None,
        client_identifier: asked.client_identifier,
        server_identifier: Some(plan.gateway),
        parameter_request_list: None,
        dns_servers: (!nak).then(|| [plan.resolver].into_iter().collect()),
        max_size: None,
        lease_duration: (!nak && !inform).then_some(LEASE),
        renew_duration: None,
        rebind_duration: None,
        additional_options: if nak { &[] } else { &mtu },
    };
    let room = frame.get_mut(UDP_PAYLOAD..FRAME)?;
    reply.emit(&mut DhcpPacket::new_unchecked(room)).ok()?;
    let to = match asked.client_ip {
        // It has no address yet, or must not keep it.
        _ if nak => Ipv4Address::BROADCAST,
        ip if ip == plan.guest => ip,
        _ => Ipv4Address::BROADCAST,
    };
    let from = SocketAddrV4::new(plan.gateway, SERVER);
    write_udp(frame, plan, from, SocketAddrV4::new(to, CLIENT), MESSAGE)
}
