//! One connection's state: who may send how much, who will send no more, and what the guest is to be told. It knows no socket and no queue.

use super::request::{Packet, Ports, Room, Said, header};
use hypercall_abi::vsock::{Header, op, shutdown};

/// Bytes that are held for a program on the host that does not read.
pub(super) const HELD: u32 = 128 << 10;

/// How far the connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// The guest is to be asked.
    ToAsk,
    /// It was asked.
    Asked,
    /// It has asked, and is to be answered.
    ToAnswer,
    /// Both sides know of it.
    Open,
    /// The program on the host went before the guest had answered.
    GivenUp,
}

/// What a packet comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// What the connection owes may have changed, and that is all.
    Noted,
    /// The guest has taken it.
    Opened,
    /// So many bytes are for the host's program.
    Data(u32),
    /// The guest has let go of it.
    Gone,
    /// The guest broke the rules: it is told, and the connection is over.
    Broken,
}

/// A connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    ports: Ports,
    state: State,
    /// The guest's room, and the bytes that were sent to it.
    room: Room,
    sent: u32,
    /// Bytes that came from the guest, that were passed on, and of which it knows that. They wrap.
    received: u32,
    forwarded: u32,
    told: u32,
    /// What the guest will not do any more, and what this side will not, as [`shutdown`] has it; and what of this the guest was told.
    guest_ends: u32,
    host_ends: u32,
    told_ends: u32,
    /// Whether the guest asked for room.
    owes_credit: bool,
}

impl Connection {
    /// A connection that a program on the host wants.
    pub fn to_guest(ports: Ports) -> Connection {
        Connection::new(ports, State::ToAsk)
    }

    /// One that the guest wants, by this packet.
    pub fn from_guest(packet: &Packet) -> Connection {
        Connection {
            room: Room {
                alloc: packet.room.alloc,
                forwarded: 0,
            },
            ..Connection::new(packet.ports, State::ToAnswer)
        }
    }

    fn new(ports: Ports, state: State) -> Connection {
        Connection {
            ports,
            state,
            room: Room::default(),
            sent: 0,
            received: 0,
            forwarded: 0,
            told: 0,
            guest_ends: 0,
            host_ends: 0,
            told_ends: 0,
            owes_credit: false,
        }
    }

    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Bytes that came from the guest and were not passed on yet.
    pub fn held(&self) -> u32 {
        self.received.wrapping_sub(self.forwarded)
    }

    /// Takes note of what the guest says.
    pub fn hear(&mut self, packet: &Packet) -> Turn {
        match (packet.said, self.state) {
            (Said::Reset, _) => return Turn::Gone,
            (Said::Response, State::Asked) => self.state = State::Open,
            // It does not know yet that nobody waits any more.
            (_, State::GivenUp) => return Turn::Noted,
            // It cannot speak of what it was not told of.
            (Said::Request | Said::Response, _) | (_, State::ToAsk | State::Asked) => {
                return Turn::Broken;
            }
            _ => {}
        }
        self.room.alloc = packet.room.alloc;
        // Not backwards, where another packet was quicker, and not beyond what was sent.
        let passed_on = packet.room.forwarded.wrapping_sub(self.room.forwarded);
        if passed_on <= self.on_its_way() {
            self.room.forwarded = packet.room.forwarded;
        }
        match packet.said {
            Said::Response => return Turn::Opened,
            Said::Shutdown(ends) => self.guest_ends |= ends,
            Said::CreditRequest => self.owes_credit = true,
            Said::Data(len) => {
                if self.guest_ends & shutdown::SEND != 0 || len > HELD.saturating_sub(self.held()) {
                    return Turn::Broken;
                }
                self.received = self.received.wrapping_add(len);
                return Turn::Data(len);
            }
            _ => {}
        }
        Turn::Noted
    }

    /// Bytes were passed on.
    pub fn forward(&mut self, len: u32) {
        self.forwarded = self.forwarded.wrapping_add(len);
    }

    /// How many bytes may be sent to the guest now.
    pub fn allowance(&self) -> u32 {
        let open = self.state == State::Open
            && self.guest_ends & shutdown::RECEIVE == 0
            && self.host_ends & shutdown::SEND == 0;
        match open {
            true => self.room.alloc.saturating_sub(self.on_its_way()),
            false => 0,
        }
    }

    /// Bytes that were sent and that the guest has not passed on, as far as it said.
    fn on_its_way(&self) -> u32 {
        self.sent.wrapping_sub(self.room.forwarded)
    }

    /// The host's program will not do any more what these flags say.
    pub fn end(&mut self, ends: u32) {
        self.host_ends |= ends;
    }

    /// The host's program is gone; says whether that is the end, with nothing to tell.
    pub fn leave(&mut self) -> bool {
        match self.state {
            State::ToAsk => return true,
            State::Asked => self.state = State::GivenUp,
            _ => self.end(shutdown::BOTH),
        }
        false
    }

    /// Whether the guest has not said yet that it takes it.
    pub fn is_asking(&self) -> bool {
        matches!(self.state, State::ToAsk | State::Asked)
    }

    /// Whether the host's program sends no more.
    pub fn is_silent(&self) -> bool {
        self.host_ends & shutdown::SEND != 0
    }

    /// Whether what the guest sends goes nowhere any more.
    pub fn is_deaf(&self) -> bool {
        self.host_ends & shutdown::RECEIVE != 0
    }

    /// Whether the guest has sent its last and it was passed on.
    pub fn is_drained(&self) -> bool {
        self.guest_ends & shutdown::SEND != 0 && self.held() == 0
    }

    /// Whether the guest receives no more.
    pub fn guest_is_deaf(&self) -> bool {
        self.guest_ends & shutdown::RECEIVE != 0
    }

    /// Whether anything is owed to the guest but data.
    pub fn owes(&self) -> bool {
        self.owed().is_some()
    }

    fn owed(&self) -> Option<(u16, u32)> {
        match self.state {
            State::ToAsk => return Some((op::REQUEST, 0)),
            State::Asked => return None,
            State::ToAnswer => return Some((op::RESPONSE, 0)),
            State::GivenUp => return Some((op::RST, 0)),
            State::Open => {}
        }
        if self.is_over() {
            return Some((op::RST, 0));
        }
        if self.host_ends != self.told_ends {
            return Some((op::SHUTDOWN, self.host_ends));
        }
        let untold = self.forwarded.wrapping_sub(self.told);
        if self.owes_credit || untold >= HELD / 2 {
            return Some((op::CREDIT_UPDATE, 0));
        }
        None
    }

    /// Whether nothing can come any more, in neither direction.
    fn is_over(&self) -> bool {
        let from_guest = self.is_drained() || self.told_ends & shutdown::RECEIVE != 0;
        let to_guest = self.guest_is_deaf() || self.told_ends & shutdown::SEND != 0;
        from_guest && to_guest
    }

    /// The next packet that is owed, not of data; with it, whether it is the last of this connection.
    pub fn next(&mut self, cid: u64) -> Option<(Header, bool)> {
        let (op, flags) = self.owed()?;
        match op {
            op::REQUEST => self.state = State::Asked,
            op::RESPONSE => self.state = State::Open,
            op::SHUTDOWN => self.told_ends = self.host_ends,
            _ => {}
        }
        let header = Header {
            flags,
            ..self.header(cid, op)
        };
        Some((header, op == op::RST || self.told_ends == shutdown::BOTH))
    }

    /// The header of so many bytes of data, which are sent with it.
    pub fn data(&mut self, cid: u64, len: u32) -> Header {
        self.sent = self.sent.wrapping_add(len);
        Header {
            len,
            ..self.header(cid, op::RW)
        }
    }

    /// A header with what every packet of this connection says.
    fn header(&mut self, cid: u64, op: u16) -> Header {
        self.told = self.forwarded;
        self.owes_credit = false;
        Header {
            buf_alloc: HELD,
            fwd_cnt: self.forwarded,
            ..header(cid, self.ports, op)
        }
    }
}
