//! A packet from the guest: what its header asks for, and of which connection. A pure parse.

use hypercall_abi::vsock::{HOST_CID, Header, MAX_PAYLOAD, STREAM, op, shutdown};

/// What distinguishes a connection: its ports.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Ports {
    pub guest: u32,
    pub host: u32,
}

/// What the guest says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// It wants to be connected.
    Request,
    /// It has taken a connection.
    Response,
    /// It has no such connection, or none any more.
    Reset,
    /// It will not do what the flags say any more.
    Shutdown(u32),
    /// So many bytes follow.
    Data(u32),
    /// How much room it has, which every packet says.
    Credit,
    /// It wants to know how much room there is.
    CreditRequest,
}

/// Room for data, as the guest says it in every packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Room {
    /// Bytes in all.
    pub alloc: u32,
    /// Bytes that it has passed on.
    pub forwarded: u32,
}

/// A packet that concerns a connection with the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Packet {
    pub ports: Ports,
    pub room: Room,
    pub said: Said,
}

/// What a packet is that concerns none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wrong {
    /// Nothing to answer: it is a reset, or does not say truly where it comes from.
    Ignored,
    /// To be answered by a reset, and whatever connection has its ports is one that the guest has lost the thread of.
    Refused,
}

/// Reads a packet's header. `cid`: the guest's; `data`: bytes that follow the header in its buffers.
pub(super) fn parse(header: &Header, cid: u64, data: u64) -> Result<Packet, Wrong> {
    if header.src_cid != cid {
        return Err(Wrong::Ignored);
    }
    let is_reset = header.op == op::RST;
    let refused = match is_reset {
        true => Wrong::Ignored,
        false => Wrong::Refused,
    };
    if header.dst_cid != HOST_CID || header.kind != STREAM {
        return Err(refused);
    }
    let said = match header.op {
        op::REQUEST => Said::Request,
        op::RESPONSE => Said::Response,
        op::RST => Said::Reset,
        op::SHUTDOWN => Said::Shutdown(header.flags & shutdown::BOTH),
        op::RW if header.len <= MAX_PAYLOAD && u64::from(header.len) <= data => {
            Said::Data(header.len)
        }
        op::CREDIT_UPDATE => Said::Credit,
        op::CREDIT_REQUEST => Said::CreditRequest,
        _ => return Err(refused),
    };
    Ok(Packet {
        ports: Ports {
            guest: header.src_port,
            host: header.dst_port,
        },
        room: Room {
            alloc: header.buf_alloc,
            forwarded: header.fwd_cnt,
        },
        said,
    })
}

/// The header of a packet to the guest that carries no data and asks for none.
pub(super) fn header(cid: u64, ports: Ports, op: u16) -> Header {
    Header {
        src_cid: HOST_CID,
        dst_cid: cid,
        src_port: ports.host,
        dst_port: ports.guest,
        kind: STREAM,
        op,
        ..Header::default()
    }
}

/// The reset that answers a packet.
pub(super) fn reset(answered: &Header) -> Header {
    Header {
        src_cid: answered.dst_cid,
        dst_cid: answered.src_cid,
        src_port: answered.dst_port,
        dst_port: answered.src_port,
        kind: answered.kind,
        op: op::RST,
        ..Header::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CID: u64 = 7;

    fn from_guest(op: u16) -> Header {
        Header {
            src_cid: CID,
            dst_cid: HOST_CID,
            src_port: 10,
            dst_port: 20,
            kind: STREAM,
            op,
            buf_alloc: 100,
            fwd_cnt: 30,
            ..Header::default()
        }
    }

    #[test]
    fn each_operation_is_understood() {
        for (op, said) in [
            (op::REQUEST, Said::Request),
            (op::RESPONSE, Said::Response),
            (op::RST, Said::Reset),
            (op::SHUTDOWN, Said::Shutdown(0)),
            (op::RW, Said::Data(0)),
            (op::CREDIT_UPDATE, Said::Credit),
            (op::CREDIT_REQUEST, Said::CreditRequest),
        ] {
            let packet = parse(&from_guest(op), CID, 0).unwrap();
            assert_eq!(packet.said, said);
            assert_eq!(
                packet.ports,
                Ports {
                    guest: 10,
                    host: 20
                }
            );
            assert_eq!((packet.room.alloc, packet.room.forwarded), (100, 30));
        }
        let said = |header: Header, data| parse(&header, CID, data).map(|packet| packet.said);
        let flags = Header {
            flags: u32::MAX,
            ..from_guest(op::SHUTDOWN)
        };
        assert_eq!(said(flags, 0), Ok(Said::Shutdown(shutdown::BOTH)));
        let data = Header {
            len: MAX_PAYLOAD,
            ..from_guest(op::RW)
        };
        assert_eq!(said(data, u64::MAX), Ok(Said::Data(MAX_PAYLOAD)));
        // Without data, a length means nothing.
        let request = Header {
            len: u32::MAX,
            ..from_guest(op::REQUEST)
        };
        assert_eq!(said(request, 0), Ok(Said::Request));
    }

    #[test]
    fn what_is_wrong_is_refused_once() {
        let wrong = |change: fn(&mut Header)| {
            let both = [op::RW, op::RST].map(|op| {
                let mut header = from_guest(op);
                change(&mut header);
                parse(&header, CID, 5)
            });
            assert_eq!(both[1], Err(Wrong::Ignored), "a reset is never answered");
            both[0]
        };
        assert_eq!(wrong(|header| header.src_cid = 8), Err(Wrong::Ignored));
        assert_eq!(wrong(|header| header.dst_cid = CID), Err(Wrong::Refused));
        assert_eq!(wrong(|header| header.kind = 2), Err(Wrong::Refused));
        for (len, data) in [(6, 5), (MAX_PAYLOAD + 1, u64::MAX), (u32::MAX, u64::MAX)] {
            let header = Header {
                len,
                ..from_guest(op::RW)
            };
            assert_eq!(parse(&header, CID, data), Err(Wrong::Refused), "{len}");
        }
        for op in [0, 8, u16::MAX] {
            assert_eq!(parse(&from_guest(op), CID, 0), Err(Wrong::Refused), "{op}");
        }
    }

    #[test]
    fn an_answer_goes_where_the_packet_came_from() {
        let asked = from_guest(op::RW);
        let answer = reset(&asked);
        assert_eq!({ answer.src_cid }, HOST_CID);
        assert_eq!(({ answer.dst_cid }, { answer.dst_port }), (CID, 10));
        assert_eq!(
            answer,
            header(
                CID,
                Ports {
                    guest: 10,
                    host: 20
                },
                op::RST
            )
        );
    }
}
