//! All connections and listeners, and what is to be said to the host. It knows no queue: packets come in as bytes and go out as headers.

use super::VsockError;
use super::connection::{Connection, Ports, State as Stage, header};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::task::Waker;
use hypercall_abi::vsock::{HOST_CID, Header, STREAM, op, shutdown};
use zerocopy::FromBytes;

/// Connections that wait to be accepted by one listener. Further ones are refused.
const BACKLOG: usize = 128;
/// The first of the ports that connections of the guest's own have.
const FIRST_PORT: u32 = 1 << 30;

/// A port that somebody listens to.
#[derive(Default)]
struct Listening {
    backlog: VecDeque<Ports>,
    waiting: Vec<Waker>,
}

/// Everything that is behind the driver's lock.
pub(super) struct State {
    pub cid: u64,
    listening: BTreeMap<u32, Listening>,
    connections: BTreeMap<Ports, Connection>,
    last_port: u32,
    /// Packets without data that wait to be sent, and whether somebody is about to.
    pub outbox: VecDeque<Header>,
    pub is_sending: bool,
    /// Who waits for the device to take packets.
    pub room: Vec<Waker>,
    /// Who is to be woken as soon as the lock is free.
    pub woken: Vec<Waker>,
    /// Why nothing works any more.
    pub failed: Option<VsockError>,
}

impl State {
    pub fn new(cid: u64) -> State {
        State {
            cid,
            listening: BTreeMap::new(),
            connections: BTreeMap::new(),
            last_port: FIRST_PORT - 1,
            outbox: VecDeque::new(),
            is_sending: false,
            room: Vec::new(),
            woken: Vec::new(),
            failed: None,
        }
    }

    /// A connection that somebody has.
    pub fn connection(&mut self, ports: Ports) -> Result<&mut Connection, VsockError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.connections.get_mut(&ports).ok_or(VsockError::Reset)
    }

    /// Takes a packet in.
    pub fn hear(&mut self, packet: &[u8]) {
        let Ok((heard, data)) = Header::read_from_prefix(packet) else {
            return;
        };
        if heard.src_cid != HOST_CID || heard.dst_cid != self.cid || heard.kind != STREAM {
            return;
        }
        let ports = Ports {
            local: heard.dst_port,
            host: heard.src_port,
        };
        if let Some(connection) = self.connections.get_mut(&ports) {
            let data = data.get(..heard.len as usize).unwrap_or(data);
            connection.hear(&heard, data, &mut self.woken);
            if connection.is_orphan && connection.is_gone() {
                self.connections.remove(&ports);
            }
            return;
        }
        let answer = match heard.op {
            op::RST => return,
            op::REQUEST => self.answer(ports, &heard),
            _ => None,
        };
        self.outbox
            .push_back(answer.unwrap_or_else(|| header(self.cid, ports, op::RST)));
    }

    /// Takes a connection that the host asks for, if somebody listens.
    fn answer(&mut self, ports: Ports, request: &Header) -> Option<Header> {
        let listening = self.listening.get_mut(&ports.local)?;
        if listening.backlog.len() >= BACKLOG {
            return None;
        }
        let mut connection = Connection::accepted(ports, request);
        let answer = connection.header(self.cid, op::RESPONSE);
        self.connections.insert(ports, connection);
        listening.backlog.push_back(ports);
        self.woken.append(&mut listening.waiting);
        Some(answer)
    }

    /// Asks the host for a connection to one of its ports.
    pub fn ask(&mut self, host: u32) -> Ports {
        let ports = loop {
            self.last_port = self.last_port.wrapping_add(1).max(FIRST_PORT);
            let ports = Ports {
                local: self.last_port,
                host,
            };
            if !self.connections.contains_key(&ports) {
                break ports;
            }
        };
        let mut connection = Connection::asked(ports);
        self.outbox
            .push_back(connection.header(self.cid, op::REQUEST));
        self.connections.insert(ports, connection);
        ports
    }

    /// Begins to listen.
    pub fn bind(&mut self, port: u32) -> Result<(), VsockError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.listening.contains_key(&port) {
            return Err(VsockError::InUse);
        }
        self.listening.insert(port, Listening::default());
        Ok(())
    }

    /// The oldest connection that waits to be accepted; `None`: there is none, and `waker` is woken when there is.
    pub fn accept(&mut self, port: u32, waker: &Waker) -> Option<Result<Ports, VsockError>> {
        if let Some(error) = self.failed {
            return Some(Err(error));
        }
        let listening = self.listening.get_mut(&port)?;
        if let Some(ports) = listening.backlog.pop_front() {
            return Some(Ok(ports));
        }
        if !listening.waiting.iter().any(|other| other.will_wake(waker)) {
            listening.waiting.push(waker.clone());
        }
        None
    }

    /// Listens no more. Who was not accepted is let go.
    pub fn unbind(&mut self, port: u32) {
        let listening = self.listening.remove(&port).unwrap_or_default();
        for ports in listening.backlog {
            self.let_go(ports);
        }
    }

    /// Tells the host that a connection's side will not do any more what the flags say.
    pub fn end(&mut self, ports: Ports, ends: u32) {
        if let Some(connection) = self.connections.get_mut(&ports) {
            let said = connection.end(self.cid, ends, &mut self.woken);
            self.outbox.extend(said);
        }
    }

    /// Nobody has a connection any more.
    pub fn let_go(&mut self, ports: Ports) {
        self.end(ports, shutdown::BOTH);
        if let Some(connection) = self.connections.get_mut(&ports) {
            connection.is_orphan = true;
            if connection.is_gone() || connection.state == Stage::Asked {
                self.connections.remove(&ports);
            }
        }
    }

    /// Nothing works any more, and everybody is to learn of it.
    pub fn fail(&mut self, error: VsockError) {
        self.failed = Some(error);
        self.outbox.clear();
        self.woken.append(&mut self.room);
        for listening in self.listening.values_mut() {
            self.woken.append(&mut listening.waiting);
        }
        for connection in self.connections.values_mut() {
            connection.wake_all(&mut self.woken);
        }
    }
}
