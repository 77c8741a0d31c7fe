//! Programs on the host: those that connect, and say first where to; those that the guest is connected to; and what any of them does to its connection.

use super::Vsock;
use super::connection::Connection;
use super::greeting::Greeting;
use super::request::Packet;
use super::socket::{Closed, Socket};
use crate::io::Sources;
use hypercall_abi::vsock::shutdown;
use std::ffi::OsString;
use std::path::Path;
use vmm_sys_util::epoll::EventSet;

impl Vsock {
    /// Connects the guest to a program on the host; says whether there is one.
    pub(super) fn connect(&mut self, packet: &Packet, sources: &mut Sources) -> bool {
        if self.streams.is_full() {
            return false;
        }
        let mut path = OsString::from(self.listener.path());
        path.push(format!("_{}", packet.ports.host));
        let Ok(socket) = Socket::connect(Path::new(&path)) else {
            return false;
        };
        let Some(place) = self.streams.add(socket, sources) else {
            return false;
        };
        self.streams.name(place, Connection::from_guest(packet));
        self.streams.set_due(place);
        true
    }

    /// Lets programs in that have connected, as long as there are places.
    pub(super) fn accept(&mut self, sources: &mut Sources) {
        while self.is_called && !self.streams.is_full() {
            match self.listener.accept() {
                // A socket that cannot be watched is closed.
                Ok(stream) => drop(self.streams.add(Socket::new(stream.into()), sources)),
                // Others than that nobody is there pass, and a program that connects later brings them up again.
                Err(_) => self.is_called = false,
            }
        }
    }

    /// Reads a program's first line.
    fn greet(&mut self, place: usize, sources: &mut Sources) {
        let Some(stream) = self.streams.get_mut(place) else {
            return;
        };
        match stream.socket.greeting() {
            Greeting::Connect { port, .. } => {
                let ports = self.streams.fresh_ports(port);
                self.streams.name(place, Connection::to_guest(ports));
                self.streams.set_due(place);
            }
            Greeting::Partial if !stream.socket.is_hung_up() => {}
            Greeting::Partial | Greeting::Refused => self.streams.remove(place, sources),
        }
    }

    /// Accounts for what a connection's socket took.
    pub(super) fn pass(&mut self, place: usize, passed: Result<u32, Closed>) {
        let Some(stream) = self.streams.get_mut(place) else {
            return;
        };
        let Some(connection) = &mut stream.connection else {
            return;
        };
        match passed {
            Ok(len) => connection.forward(len),
            Err(Closed) => {
                stream.socket.discard();
                connection.forward(connection.held());
                connection.end(shutdown::RECEIVE);
            }
        }
    }

    /// A connection's socket has changed.
    pub(super) fn stir(&mut self, place: usize, events: EventSet, sources: &mut Sources) {
        let Some(stream) = self.streams.get_mut(place) else {
            return;
        };
        stream.socket.hear(events);
        let Some(connection) = &mut stream.connection else {
            return self.greet(place, sources);
        };
        // What it sent before it went is still read, where the guest takes it.
        let is_mute =
            connection.is_asking() || connection.is_silent() || connection.guest_is_deaf();
        if stream.socket.is_hung_up() && is_mute {
            stream.socket.discard();
            connection.forward(connection.held());
            if connection.leave() {
                return self.streams.remove(place, sources);
            }
        }
        let passed = stream.socket.drain();
        self.pass(place, passed);
        self.settle(place);
    }
}
