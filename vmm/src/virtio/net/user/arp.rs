//! The router's answers to who has which address (RFC 826). Pure.

use super::frame::write_ethernet;
use super::plan::Plan;
use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, ETHERNET_HEADER_LEN, EthernetProtocol};

/// Bytes of an answer's frame.
pub(super) const FRAME: usize = ETHERNET_HEADER_LEN + 28;

/// Writes the frame that answers a question, if it is one after an address of the router's.
pub(super) fn answer(plan: &Plan, question: &[u8], frame: &mut [u8]) -> Option<usize> {
    let question = ArpRepr::parse(&ArpPacket::new_checked(question).ok()?).ok()?;
    let ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr,
        source_protocol_addr,
        target_protocol_addr,
        ..
    } = question
    else {
        return None;
    };
    // A probe for an address in use (RFC 5227) comes from none; it is answered as well.
    if ![plan.gateway, plan.resolver].contains(&target_protocol_addr)
        || !source_hardware_addr.is_unicast()
    {
        return None;
    }
    let answer = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: plan.router_mac,
        source_protocol_addr: target_protocol_addr,
        target_hardware_addr: source_hardware_addr,
        target_protocol_addr: source_protocol_addr,
    };
    let frame = frame.get_mut(..FRAME)?;
    write_ethernet(frame, plan, source_hardware_addr, EthernetProtocol::Arp)?;
    answer.emit(&mut ArpPacket::new_unchecked(
        frame.get_mut(ETHERNET_HEADER_LEN..)?,
    ));
    Some(FRAME)
}
