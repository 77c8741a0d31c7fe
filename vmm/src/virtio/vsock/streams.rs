//! All connections: their places, which of them have something for the guest, and how they are found by ports and by what the I/O thread is told.

use super::connection::Connection;
use super::request::Ports;
use super::socket::Socket;
use crate::io::Sources;
use crate::virtio::share_of_files;
use std::collections::{HashMap, VecDeque};

/// The most connections at once, those included whose program has not said yet which port it wants; fewer where the process may not have many files.
pub(super) const MOST: usize = 512;

/// Bits of a token that are a place, counted from 1. The others tell those apart that had it one after the other.
const PLACE_BITS: u32 = 10;
const PLACE: u32 = (1 << PLACE_BITS) - 1;

/// A token that is no connection's, as 0 is none.
pub(super) const NO_PLACE: u32 = PLACE;

/// The first of the host's ports for its own programs.
const FIRST_PORT: u32 = 1 << 30;

const _: () = assert!(MOST < PLACE as usize);

/// A connection with its socket.
pub(super) struct Stream {
    pub socket: Socket,
    /// `None` before the program on the host has said which port it wants.
    pub connection: Option<Connection>,
    token: u32,
    is_due: bool,
}

/// The connections.
pub(super) struct Streams {
    most: usize,
    places: Vec<Option<Stream>>,
    free: Vec<usize>,
    by_ports: HashMap<Ports, usize>,
    /// Those that may have something for the guest, in turn.
    due: VecDeque<usize>,
    /// How many there have been.
    count: u32,
    last_port: u32,
}

impl Streams {
    pub fn new() -> Streams {
        Streams {
            most: share_of_files(MOST),
            places: Vec::new(),
            free: Vec::new(),
            by_ports: HashMap::with_capacity(MOST),
            due: VecDeque::with_capacity(MOST),
            count: 0,
            last_port: FIRST_PORT.wrapping_sub(1),
        }
    }

    pub fn is_full(&self) -> bool {
        self.free.is_empty() && self.places.len() >= self.most
    }

    /// How many there are.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.places.iter().flatten().count()
    }

    /// Takes a socket in and watches it; `None` where there is no place for it.
    pub fn add(&mut self, socket: Socket, sources: &mut Sources) -> Option<usize> {
        if self.is_full() {
            return None;
        }
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.places.push(None);
                self.places.len().checked_sub(1)?
            }
        };
        self.count = self.count.wrapping_add(1);
        let number = u32::try_from(place).ok()?.checked_add(1)?;
        let token = (self.count << PLACE_BITS | number) & Sources::TOKENS.saturating_sub(1);
        if sources.watch(&socket, token, Socket::EVENTS).is_err() {
            self.free.push(place);
            return None;
        }
        *self.places.get_mut(place)? = Some(Stream {
            socket,
            connection: None,
            token,
            is_due: false,
        });
        Some(place)
    }

    /// Says whose connection it is.
    pub fn name(&mut self, place: usize, connection: Connection) {
        if let Some(stream) = self.places.get_mut(place).and_then(Option::as_mut) {
            self.by_ports.insert(connection.ports(), place);
            stream.connection = Some(connection);
        }
    }

    /// Ports for a connection to a port of the guest's.
    pub fn fresh_ports(&mut self, guest: u32) -> Ports {
        loop {
            self.last_port = self.last_port.wrapping_add(1).max(FIRST_PORT);
            let ports = Ports {
                guest,
                host: self.last_port,
            };
            if !self.by_ports.contains_key(&ports) {
                return ports;
            }
        }
    }

    /// Closes a connection.
    pub fn remove(&mut self, place: usize, sources: &mut Sources) {
        let Some(stream) = self.places.get_mut(place).and_then(Option::take) else {
            return;
        };
        sources.forget(&stream.socket);
        if let Some(connection) = stream.connection {
            self.by_ports.remove(&connection.ports());
        }
        if stream.is_due {
            self.due.retain(|due| *due != place);
        }
        self.free.push(place);
    }

    /// Closes all of them.
    pub fn clear(&mut self, sources: &mut Sources) {
        for place in 0..self.places.len() {
            self.remove(place, sources);
        }
    }

    pub fn find(&self, ports: Ports) -> Option<usize> {
        self.by_ports.get(&ports).copied()
    }

    /// The connection that a token was given to, if it is still there.
    pub fn of_token(&self, token: u32) -> Option<usize> {
        let place = usize::try_from(token & PLACE).ok()?.checked_sub(1)?;
        let stream = self.places.get(place)?.as_ref()?;
        (stream.token == token).then_some(place)
    }

    pub fn get_mut(&mut self, place: usize) -> Option<&mut Stream> {
        self.places.get_mut(place)?.as_mut()
    }

    /// Puts a connection in the row of those that may have something for the guest.
    pub fn set_due(&mut self, place: usize) {
        if let Some(stream) = self.places.get_mut(place).and_then(Option::as_mut)
            && !std::mem::replace(&mut stream.is_due, true)
        {
            self.due.push_back(place);
        }
    }

    /// The first in that row.
    pub fn first_due(&self) -> Option<usize> {
        self.due.front().copied()
    }

    /// Takes the first out of the row.
    pub fn pop_due(&mut self) {
        if let Some(place) = self.due.pop_front()
            && let Some(stream) = self.get_mut(place)
        {
            stream.is_due = false;
        }
    }
}
