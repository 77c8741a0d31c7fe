//! Messages about messages (RFC 792): echoes, and that something cannot be reached. Pure.

use super::frame::{IP_PAYLOAD, Packet, write_ip};
use super::plan::Plan;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    IPV4_HEADER_LEN, Icmpv4DstUnreachable, Icmpv4Message, Icmpv4Packet, Icmpv4Repr, IpProtocol,
    Ipv4Address, Ipv4Repr,
};

/// Bytes of an echo's header: type, code, checksum, identifier, number.
const ECHO: usize = 8;
/// Bytes before a message in a frame.
pub(super) const PAYLOAD: usize = IP_PAYLOAD;
/// Bytes of a packet that a message about it repeats after its header.
pub(super) const REPEATED: usize = 8;
/// Bytes of the frame of such a message.
pub(super) const UNREACHABLE_FRAME: usize = IP_PAYLOAD + 8 + IPV4_HEADER_LEN + REPEATED;

/// An echo that the guest asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Echo<'a> {
    pub identifier: u16,
    pub number: u16,
    pub data: &'a [u8],
}

impl<'a> Echo<'a> {
    /// Reads a request; `None`: another message.
    pub fn parse(message: &'a [u8]) -> Option<Echo<'a>> {
        let view = Icmpv4Packet::new_checked(message).ok()?;
        if message.len() < ECHO {
            return None;
        }
        match Icmpv4Repr::parse(&view, &ChecksumCapabilities::default()).ok()? {
            Icmpv4Repr::EchoRequest {
                ident,
                seq_no,
                data,
            } => Some(Echo {
                identifier: ident,
                number: seq_no,
                data,
            }),
            _ => None,
        }
    }

    /// Bytes of the frame of an answer.
    pub fn frame(&self) -> usize {
        IP_PAYLOAD
            .saturating_add(ECHO)
            .saturating_add(self.data.len())
    }

    /// Writes the frame that answers it, from an address.
    pub fn answer(&self, plan: &Plan, from: Ipv4Address, frame: &mut [u8]) -> Option<usize> {
        let message = Icmpv4Repr::EchoReply {
            ident: self.identifier,
            seq_no: self.number,
            data: self.data,
        };
        write(plan, from, &message, frame)
    }
}

/// Makes an echo's answer of `length` bytes, which is in a frame already, one to an echo of this identifier, and writes the headers before
/// it; says how long the frame is. `None`: it is no answer.
pub(super) fn readdress(
    plan: &Plan,
    from: Ipv4Address,
    identifier: u16,
    frame: &mut [u8],
    length: usize,
) -> Option<usize> {
    let end = write_ip(frame, plan, from, plan.guest, IpProtocol::Icmp, length)?;
    let message = frame.get_mut(IP_PAYLOAD..end)?;
    if message.len() < ECHO {
        return None;
    }
    let mut view = Icmpv4Packet::new_unchecked(message);
    if view.msg_type() != Icmpv4Message::EchoReply {
        return None;
    }
    view.set_echo_ident(identifier);
    view.fill_checksum();
    Some(end)
}

/// A packet of the guest's that went nowhere, as far as a message about it repeats it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    header: Ipv4Repr,
    start: [u8; REPEATED],
}

impl Lost {
    /// What a message about a packet repeats.
    pub fn of(packet: &Packet) -> Option<Lost> {
        Lost::with(
            packet.source,
            packet.destination,
            packet.protocol,
            packet.payload,
        )
    }

    /// The same of a packet's parts.
    pub fn with(
        source: Ipv4Address,
        destination: Ipv4Address,
        protocol: IpProtocol,
        payload: &[u8],
    ) -> Option<Lost> {
        Some(Lost {
            header: Ipv4Repr {
                src_addr: source,
                dst_addr: destination,
                next_header: protocol,
                payload_len: payload.len(),
                hop_limit: 64,
            },
            start: *payload.first_chunk()?,
        })
    }

    /// Writes the frame that tells the guest, from the gateway.
    pub fn tell(
        &self,
        plan: &Plan,
        reason: Icmpv4DstUnreachable,
        frame: &mut [u8],
    ) -> Option<usize> {
        let message = Icmpv4Repr::DstUnreachable {
            reason,
            header: self.header,
            data: &self.start,
        };
        write(plan, plan.gateway, &message, frame)
    }
}

fn write(plan: &Plan, from: Ipv4Address, message: &Icmpv4Repr, frame: &mut [u8]) -> Option<usize> {
    let length = message.buffer_len();
    let end = write_ip(frame, plan, from, plan.guest, IpProtocol::Icmp, length)?;
    let room = frame.get_mut(IP_PAYLOAD..end)?;
    room.fill(0);
    let mut view = Icmpv4Packet::new_unchecked(room);
    message.emit(&mut view, &ChecksumCapabilities::default());
    Some(end)
}
