//! A Unix socket as a port's end: the VMM listens, and one client at a time is at it.
//!
//! Clients wait in the socket's own queue while there is another, or while the guest has its side closed. Without one the guest's output waits in the port's queue; what a
//! client has left of a buffer when it goes away is the next one's. A client that sends no more still gets output, until it closes or the guest does.

use super::end::End;
use crate::Error;
use crate::io::Sources;
use crate::virtio::listener::Listener;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use vmm_sys_util::epoll::EventSet;

const CLIENT: u32 = 0;
const LISTENER: u32 = 1;

/// The end.
pub(super) struct Socket {
    listener: Listener,
    /// Whether somebody may wait to be accepted.
    is_awaited: bool,
    client: Option<Client>,
    /// The first of this end's tokens.
    first: u32,
}

/// Who is at it.
struct Client {
    stream: UnixStream,
    is_readable: bool,
    is_writable: bool,
    /// It sends no more.
    has_ended: bool,
    /// It has closed; there may still be something to read.
    has_hung_up: bool,
}

impl Client {
    fn is_lost(&self) -> bool {
        self.has_ended && self.has_hung_up
    }
}

impl Socket {
    /// Listens at a path.
    ///
    /// # Errors
    /// [`Error::Create`], with what would help.
    pub fn listen(path: &Path) -> Result<Socket, Error> {
        Ok(Socket {
            listener: Listener::new(path, "console port")?,
            is_awaited: true,
            client: None,
            first: 0,
        })
    }

    /// Takes in whoever waits, if anybody does.
    fn accept(&mut self, sources: &mut Sources) {
        while self.is_awaited && self.client.is_none() {
            match self.listener.accept() {
                Ok(stream) => self.client = self.welcome(stream, sources),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The listener tells of the next one.
                Err(_) => self.is_awaited = false,
            }
        }
    }

    fn welcome(&self, stream: UnixStream, sources: &mut Sources) -> Option<Client> {
        let events =
            EventSet::IN | EventSet::OUT | EventSet::READ_HANG_UP | EventSet::EDGE_TRIGGERED;
        let token = self.first.saturating_add(CLIENT);
        sources.watch(&stream, token, events).ok()?;
        Some(Client {
            stream,
            is_readable: true,
            is_writable: true,
            has_ended: false,
            has_hung_up: false,
        })
    }

    fn dismiss(&mut self, sources: &mut Sources) {
        if let Some(client) = self.client.take() {
            sources.forget(&client.stream);
        }
    }
}

impl End for Socket {
    fn watch(&mut self, first: u32, sources: &mut Sources) {
        self.first = first;
        let events = EventSet::IN | EventSet::EDGE_TRIGGERED;
        // Refused only where the host has no memory for it; then nobody is accepted.
        let _ = sources.watch(&self.listener, first.saturating_add(LISTENER), events);
        self.is_awaited = true;
    }

    fn forget(&mut self, sources: &mut Sources) {
        self.dismiss(sources);
        sources.forget(&self.listener);
    }

    fn ready(&mut self, token: u32, events: EventSet) {
        match (token, &mut self.client) {
            (CLIENT, Some(client)) => {
                client.has_hung_up |= events.intersects(EventSet::HANG_UP | EventSet::ERROR);
                client.is_readable = true;
                client.is_writable = true;
            }
            (LISTENER, _) => self.is_awaited = true,
            _ => {}
        }
    }

    fn settle(&mut self, is_wanted: bool, sources: &mut Sources) -> bool {
        let is_lost = |client: &Client| client.is_lost() || !is_wanted;
        let was_lost = self.client.as_ref().is_some_and(is_lost);
        if was_lost {
            self.dismiss(sources);
            self.is_awaited = true;
        }
        if is_wanted {
            self.accept(sources);
        }
        was_lost
    }

    fn is_open(&self) -> bool {
        let client = self.client.as_ref();
        client.is_some_and(|client| !client.has_ended)
    }

    fn may_read(&self) -> bool {
        let client = self.client.as_ref();
        client.is_some_and(|client| client.is_readable && !client.has_ended)
    }

    fn read(&mut self, room: &mut [u8]) -> usize {
        let may_read = self.may_read() && !room.is_empty();
        let Some(client) = self.client.as_mut().filter(|_| may_read) else {
            return 0;
        };
        loop {
            match client.stream.read(room) {
                Ok(0) => client.has_ended = true,
                Ok(read) => return read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => client.is_readable = false,
                Err(_) => (client.has_ended, client.has_hung_up) = (true, true),
            }
            return 0;
        }
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        let Some(client) = self.client.as_mut().filter(|client| client.is_writable) else {
            return 0;
        };
        loop {
            match client.stream.write(bytes) {
                Ok(0) => client.is_writable = false,
                Ok(written) => return written,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => client.is_writable = false,
                Err(_) => (client.is_writable, client.has_hung_up) = (false, true),
            }
            return 0;
        }
    }
}
