//! The host's end of a connection: a Unix stream socket that never blocks, and bytes that it did not take yet.
//!
//! It is watched for changes only. So it remembers whether there may be something to read or room to write, until the kernel says that there is not.

use super::greeting::{self, Greeting};
use crate::virtio::listener::connected;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use vmm_sys_util::epoll::EventSet;

/// The socket.
pub(super) struct Socket {
    fd: OwnedFd,
    is_readable: bool,
    is_writable: bool,
    /// Whether the other end is gone, with both directions.
    is_hung_up: bool,
    /// Whether the other end was told that no more comes, and that no more is read.
    has_ended: [bool; 2],
    /// Bytes that wait for room. No more than the guest was told that are held; it keeps its memory.
    held: VecDeque<u8>,
}

/// What reading came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Got {
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// Nothing ever again.
    End,
}

/// The other end takes nothing any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Closed;

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Socket {
    /// What a socket is watched for.
    pub const EVENTS: EventSet = EventSet::IN
        .union(EventSet::OUT)
        .union(EventSet::READ_HANG_UP)
        .union(EventSet::EDGE_TRIGGERED);

    /// A socket that is connected, and does not block.
    pub fn new(fd: OwnedFd) -> Socket {
        Socket {
            fd,
            is_readable: true,
            is_writable: true,
            is_hung_up: false,
            has_ended: [false; 2],
            held: VecDeque::new(),
        }
    }

    /// Connects to a program that listens at a path; at once or not at all.
    pub fn connect(path: &Path) -> Result<Socket, Errno> {
        connected(path).map(Socket::new)
    }

    /// Takes note of what the kernel tells.
    pub fn hear(&mut self, events: EventSet) {
        self.is_readable |=
            events.intersects(EventSet::IN | EventSet::READ_HANG_UP | EventSet::HANG_UP);
        self.is_writable |= events.intersects(EventSet::OUT | EventSet::HANG_UP);
        self.is_hung_up |= events.intersects(EventSet::HANG_UP | EventSet::ERROR);
    }

    pub fn is_readable(&self) -> bool {
        self.is_readable
    }

    pub fn is_hung_up(&self) -> bool {
        self.is_hung_up
    }

    /// Reads the line with which a program on the host begins.
    pub fn greeting(&mut self) -> Greeting {
        let mut line = [0; greeting::LONGEST];
        // Looked at first: what comes after the line is for the guest.
        let len = match recv(&self.fd, &mut line, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Greeting::Refused,
            Ok((len, _)) => len,
            Err(Errno::AGAIN | Errno::INTR) => return Greeting::Partial,
            Err(_) => return Greeting::Refused,
        };
        let greeting = greeting::parse(line.get(..len).unwrap_or_default());
        if let Greeting::Connect { len, .. } = greeting {
            let line = line.get_mut(..len).unwrap_or_default();
            if !matches!(recv(&self.fd, line, RecvFlags::DONTWAIT), Ok((read, _)) if read == len) {
                return Greeting::Refused;
            }
        }
        greeting
    }

    /// Reads what is there, where there is room for a byte at least.
    pub fn read(&mut self, room: &mut [u8]) -> Got {
        loop {
            match recv(&self.fd, &mut *room, RecvFlags::DONTWAIT) {
                Ok((0, _)) => break,
                Ok((len, _)) => return Got::Bytes(len),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.is_readable = false;
                    return Got::Nothing;
                }
                // It closed without having read everything.
                Err(_) => break,
            }
        }
        self.is_readable = false;
        Got::End
    }

    /// Writes bytes, and holds those that there is no room for; says how many were written, of these and of those held before.
    pub fn write(&mut self, bytes: &[u8]) -> Result<u32, Closed> {
        let mut written = self.drain()?;
        let mut rest = bytes;
        if self.held.is_empty() {
            let now = self.put(rest)?;
            written = written.saturating_add(u32::try_from(now).unwrap_or(0));
            rest = rest.get(now..).unwrap_or_default();
        }
        self.held.extend(rest);
        Ok(written)
    }

    /// Writes what is held; says how many bytes there was room for.
    pub fn drain(&mut self) -> Result<u32, Closed> {
        let mut written = 0_u32;
        while !self.held.is_empty() && self.is_writable {
            let now = put(&self.fd, self.held.as_slices().0)?;
            self.is_writable = now == self.held.as_slices().0.len();
            self.held.drain(..now);
            written = written.saturating_add(u32::try_from(now).unwrap_or(0));
        }
        Ok(written)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<usize, Closed> {
        if !self.is_writable {
            return Ok(0);
        }
        let now = put(&self.fd, bytes)?;
        self.is_writable = now == bytes.len();
        Ok(now)
    }

    /// Throws away what is held.
    pub fn discard(&mut self) {
        self.held.clear();
    }

    /// Tells the other end, once, that no more comes.
    pub fn end_writing(&mut self) {
        let [writing, _] = &mut self.has_ended;
        if !std::mem::replace(writing, true) {
            // Fails only if the other end is gone.
            let _ = shutdown(&self.fd, Shutdown::Write);
        }
    }

    /// Tells the other end, once, that no more is read.
    pub fn end_reading(&mut self) {
        let [_, reading] = &mut self.has_ended;
        if !std::mem::replace(reading, true) {
            let _ = shutdown(&self.fd, Shutdown::Read);
        }
    }
}

/// Writes what there is room for.
fn put(fd: &OwnedFd, bytes: &[u8]) -> Result<usize, Closed> {
    loop {
        // Without NOSIGNAL an end that closed would end this process.
        match send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(len) => return Ok(len),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(0),
            Err(_) => return Err(Closed),
        }
    }
}
