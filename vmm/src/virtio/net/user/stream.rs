//! One TCP connection: the guest's side, which the stack ends, and a socket of the host's, with bytes carried both ways.
//!
//! Flow control goes through: what one side does not take stays in a buffer, and when that is full the other side's window closes. Each
//! direction ends for itself, and an abrupt end on one side is one on the other.

use super::call::Call;
use super::terminal::{BUFFER, Terminal};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use smoltcp::socket::tcp::State;
use smoltcp::time::Instant;
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Bytes of room in the buffer towards the guest from which the host's socket is read.
const WORTH_READING: usize = BUFFER / 4;

/// Which connection: the guest's port, and the other end as the guest knows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Pair {
    pub port: u16,
    pub foreign: SocketAddrV4,
}

/// How far it is.
pub(super) enum Phase {
    /// The host's socket is being connected. The packet in which the guest asked for it.
    Connecting(Vec<u8>),
    /// The guest is being asked to take what came to the host.
    Calling(Terminal, Call),
    Open(Terminal),
}

/// It.
pub(super) struct Stream {
    pub pair: Pair,
    pub phase: Phase,
    /// Whether it waits for its turn to send to the guest.
    pub queued: bool,
    /// When it has to have its turn.
    pub deadline: Option<Instant>,
    pub host: OwnedFd,
    pub readable: bool,
    pub writable: bool,
    /// The host's side has sent its last byte.
    host_finished: bool,
    /// The guest has sent its last byte,
    guest_finished: bool,
    /// and the host's side knows.
    told: bool,
    /// The host's side is gone.
    broken: bool,
}

impl Stream {
    pub fn new(pair: Pair, host: OwnedFd, phase: Phase) -> Stream {
        Stream {
            pair,
            phase,
            queued: false,
            deadline: None,
            host,
            readable: false,
            writable: false,
            host_finished: false,
            guest_finished: false,
            told: false,
            broken: false,
        }
    }

    /// The guest has taken it.
    pub fn answered(&mut self) {
        // In place of what is there until the next line.
        let phase = std::mem::replace(&mut self.phase, Phase::Connecting(Vec::new()));
        self.phase = match phase {
            Phase::Calling(terminal, _) => Phase::Open(terminal),
            other => other,
        };
    }

    /// Carries what can be carried now.
    pub fn pump(&mut self) {
        let Phase::Open(terminal) = &mut self.phase else {
            return;
        };
        self.guest_finished |= terminal.is_guest_finished();
        let socket = terminal.socket();
        while self.writable && !self.broken && socket.can_recv() {
            let carried = socket.recv(|bytes| {
                let sent = send(&self.host, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
                (*sent.as_ref().unwrap_or(&0), sent)
            });
            match carried {
                Ok(Ok(_) | Err(Errno::INTR)) => {}
                Ok(Err(Errno::AGAIN)) => self.writable = false,
                Ok(Err(_)) => self.broken = true,
                Err(_) => break,
            }
        }
        if self.guest_finished && !self.told && !self.broken && !socket.can_recv() {
            // Fails only where the host's side is gone, which reading finds out.
            let _ = shutdown(&self.host, Shutdown::Write);
            self.told = true;
        }
        while self.readable && !self.host_finished && !self.broken && socket.can_send() {
            let used = socket.send_queue();
            if socket.send_capacity().saturating_sub(used) < WORTH_READING {
                break;
            }
            let carried = socket.send(|room| {
                let read = recv(&self.host, &mut *room, RecvFlags::DONTWAIT).map(|(_, read)| read);
                (*read.as_ref().unwrap_or(&0), read)
            });
            match carried {
                Ok(Ok(0)) => {
                    self.host_finished = true;
                    socket.close();
                }
                Ok(Ok(_) | Err(Errno::INTR)) => {}
                Ok(Err(Errno::AGAIN)) => self.readable = false,
                Ok(Err(_)) => self.broken = true,
                Err(_) => break,
            }
        }
        if self.broken && socket.state() != State::Closed {
            socket.abort();
        }
    }

    /// Whether it has come to its end. `has_more`: the stack has something to send at once.
    pub fn is_over(&mut self, has_more: bool) -> bool {
        let Phase::Open(terminal) = &mut self.phase else {
            return false;
        };
        let delivered = self.told || self.broken || !self.guest_finished;
        // The stack would wait for a last packet that nobody has lost: there is no network to lose it.
        let waits = terminal.socket().state() == State::TimeWait && !has_more;
        delivered && (waits || terminal.is_closed())
    }

    /// Ends it; gives back what can be used again.
    pub fn end(self) -> Option<Terminal> {
        if !(self.host_finished && self.told) {
            // An abrupt end here is one there. Fails only where there is nothing to end.
            let _ = set_socket_linger(&self.host, Some(Duration::ZERO));
        }
        match self.phase {
            Phase::Connecting(_) => None,
            Phase::Open(mut terminal) | Phase::Calling(mut terminal, _) => {
                terminal.is_closed().then_some(terminal)
            }
        }
    }
}
