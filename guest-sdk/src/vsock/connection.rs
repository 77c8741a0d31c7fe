//! One connection's state: credit both ways, bytes that nobody has read yet, who will send no more, and whom to wake. It knows no queue.

use super::VsockError;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::task::Waker;
use hypercall_abi::vsock::{HOST_CID, Header, STREAM, op, shutdown};

/// Bytes that are held until the program reads them.
pub(super) const ROOM: u32 = 128 << 10;

/// What distinguishes a connection: this side's port and the host's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Ports {
    pub local: u32,
    pub host: u32,
}

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// The host was asked.
    Asked,
    Open,
    /// The host says that it is no more.
    Reset,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    ports: Ports,
    pub state: State,
    /// Whether nobody has it any more: it stays for as long as the host may speak of it.
    pub is_orphan: bool,
    /// The host's room, what it has passed on, and what was sent to it. They wrap.
    alloc: u32,
    passed_on: u32,
    sent: u32,
    /// What came and was not read, how much was read, and what the host knows of that.
    inbox: VecDeque<u8>,
    read: u32,
    told: u32,
    /// What this side said that it will not do any more, and what the host did: of [`shutdown`].
    ends: u32,
    host_ends: u32,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// A header to the host with nothing in it but from where to where.
pub(super) fn header(cid: u64, ports: Ports, op: u16) -> Header {
    Header {
        src_cid: cid,
        dst_cid: HOST_CID,
        src_port: ports.local,
        dst_port: ports.host,
        kind: STREAM,
        op,
        ..Header::default()
    }
}

impl Connection {
    /// One that the host is asked for.
    pub fn asked(ports: Ports) -> Connection {
        Connection {
            ports,
            state: State::Asked,
            is_orphan: false,
            alloc: 0,
            passed_on: 0,
            sent: 0,
            inbox: VecDeque::new(),
            read: 0,
            told: 0,
            ends: 0,
            host_ends: 0,
            reader: None,
            writer: None,
        }
    }

    /// One that the host asks for, by this packet.
    pub fn accepted(ports: Ports, request: &Header) -> Connection {
        Connection {
            state: State::Open,
            alloc: request.buf_alloc,
            ..Connection::asked(ports)
        }
    }

    /// Takes a packet's contents in. Who waits for them is put among the woken.
    pub fn hear(&mut self, header: &Header, data: &[u8], woken: &mut Vec<Waker>) {
        self.alloc = header.buf_alloc;
        let passed_on = header.fwd_cnt.wrapping_sub(self.passed_on);
        // Not backwards, and not beyond what was sent.
        if passed_on <= self.sent.wrapping_sub(self.passed_on) {
            self.passed_on = header.fwd_cnt;
        }
        match header.op {
            op::RST => self.state = State::Reset,
            op::RESPONSE if self.state == State::Asked => self.state = State::Open,
            op::SHUTDOWN => self.host_ends |= header.flags & shutdown::BOTH,
            op::RW if self.ends & shutdown::RECEIVE == 0 => self.inbox.extend(data),
            _ => {}
        }
        let readable = !self.inbox.is_empty() || self.sends_no_more();
        woken.extend(self.reader.take_if(|_| readable));
        let writable = self.allowance() > 0 || self.takes_no_more();
        woken.extend(self.writer.take_if(|_| writable));
    }

    /// Whether the host will never speak of it again.
    pub fn is_gone(&self) -> bool {
        self.state == State::Reset || self.host_ends == shutdown::BOTH
    }

    fn sends_no_more(&self) -> bool {
        self.state == State::Reset || self.host_ends & shutdown::SEND != 0
    }

    fn takes_no_more(&self) -> bool {
        self.state == State::Reset || self.host_ends & shutdown::RECEIVE != 0
    }

    /// How many bytes may be sent.
    pub fn allowance(&self) -> u32 {
        match self.state {
            State::Open => self
                .alloc
                .saturating_sub(self.sent.wrapping_sub(self.passed_on)),
            _ => 0,
        }
    }

    /// Moves what came into a buffer; `None`: nothing has, and `waker` is woken when something does.
    pub fn read(&mut self, buffer: &mut [u8], waker: &Waker) -> Option<Result<usize, VsockError>> {
        if !self.inbox.is_empty() && !buffer.is_empty() {
            let (first, second) = self.inbox.as_slices();
            let one = first.len().min(buffer.len());
            let two = second.len().min(buffer.len() - one);
            buffer[..one].copy_from_slice(&first[..one]);
            buffer[one..one + two].copy_from_slice(&second[..two]);
            self.inbox.drain(..one + two);
            self.read = self.read.wrapping_add((one + two) as u32);
            return Some(Ok(one + two));
        }
        let ended = self.host_ends & shutdown::SEND != 0 || self.ends & shutdown::RECEIVE != 0;
        if ended || buffer.is_empty() {
            return Some(Ok(0));
        }
        if self.state == State::Reset {
            return Some(Err(VsockError::Reset));
        }
        keep(&mut self.reader, waker);
        None
    }

    /// How many of so many bytes may be written now; `None`: none, and `waker` is woken when some may.
    pub fn write(&mut self, len: usize, waker: &Waker) -> Option<Result<u32, VsockError>> {
        if self.ends & shutdown::SEND != 0 || self.host_ends & shutdown::RECEIVE != 0 {
            return Some(Err(VsockError::Closed));
        }
        if self.state == State::Reset {
            return Some(Err(VsockError::Reset));
        }
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        match self.allowance().min(len) {
            0 if len > 0 => {
                keep(&mut self.writer, waker);
                None
            }
            most => Some(Ok(most)),
        }
    }

    /// Whether the host has answered; `None`: not yet, and `waker` is woken when it does.
    pub fn answered(&mut self, waker: &Waker) -> Option<Result<(), VsockError>> {
        match self.state {
            State::Open => Some(Ok(())),
            State::Reset => Some(Err(VsockError::Refused)),
            State::Asked => {
                keep(&mut self.reader, waker);
                keep(&mut self.writer, waker);
                None
            }
        }
    }

    /// Whether nothing comes any more and the host has passed everything on; `None`: not yet, and `waker` is woken when it has.
    pub fn finished(&mut self, waker: &Waker) -> Option<Result<(), VsockError>> {
        if self.is_gone() {
            return Some(Ok(()));
        }
        self.inbox.clear();
        keep(&mut self.reader, waker);
        None
    }

    /// The header of so many bytes of data, which are sent with it.
    pub fn data(&mut self, cid: u64, len: u32) -> Header {
        self.sent = self.sent.wrapping_add(len);
        Header {
            len,
            ..self.header(cid, op::RW)
        }
    }

    /// Those bytes were not sent after all.
    pub fn unsend(&mut self, len: u32) {
        self.sent = self.sent.wrapping_sub(len);
    }

    /// What tells the host of room, if it is time for that.
    pub fn credit(&mut self, cid: u64) -> Option<Header> {
        let is_due = self.read.wrapping_sub(self.told) >= ROOM / 2 && !self.is_gone();
        is_due.then(|| self.header(cid, op::CREDIT_UPDATE))
    }

    /// What tells the host that this side will not do any more what the flags say, if that is news.
    pub fn end(&mut self, cid: u64, ends: u32, woken: &mut Vec<Waker>) -> Option<Header> {
        let before = self.ends;
        self.ends |= ends;
        woken.extend(self.reader.take());
        woken.extend(self.writer.take());
        if self.ends == before || self.is_gone() {
            return None;
        }
        let op = match self.state {
            State::Asked => op::RST,
            _ => op::SHUTDOWN,
        };
        Some(Header {
            flags: self.ends,
            ..self.header(cid, op)
        })
    }

    /// Everybody who waits is to look again.
    pub fn wake_all(&mut self, woken: &mut Vec<Waker>) {
        woken.extend(self.reader.take());
        woken.extend(self.writer.take());
    }

    /// A header with what every packet of this connection says.
    pub fn header(&mut self, cid: u64, op: u16) -> Header {
        self.told = self.read;
        Header {
            buf_alloc: ROOM,
            fwd_cnt: self.read,
            ..header(cid, self.ports, op)
        }
    }
}

fn keep(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(kept) => kept.clone_from(waker),
        None => *place = Some(waker.clone()),
    }
}
