//! The other end of a Unix stream socket: how it is reached, and how often that is tried when it is away.

use crate::Error;
use crate::virtio::listener::{Listener, connected};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A connection.
#[derive(Debug)]
pub(super) struct Connection(OwnedFd);

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Connection {
    /// Reads what is there; 0: the other end has closed.
    pub fn read(&self, room: &mut [u8]) -> io::Result<usize> {
        Ok(recv(&self.0, room, RecvFlags::DONTWAIT)?.0)
    }

    /// Writes what there is room for.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        // Without NOSIGNAL an end that closed would end this process.
        Ok(send(
            &self.0,
            bytes,
            SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
        )?)
    }
}

/// How connections come about.
#[derive(Debug)]
pub(super) enum Peer {
    /// By connecting.
    At(PathBuf),
    /// By being connected to.
    Heard(Listener),
}

impl Peer {
    /// Listens at a path.
    ///
    /// # Errors
    /// [`Error::Create`], with what would help.
    pub fn listen(path: &Path) -> Result<Peer, Error> {
        Ok(Peer::Heard(Listener::new(path, "network card")?))
    }

    /// A connection, if one can be had at once.
    ///
    /// # Errors
    /// The host's; for one that listens [`WouldBlock`](io::ErrorKind::WouldBlock) while nobody connects.
    pub fn reach(&self) -> io::Result<Connection> {
        match self {
            Peer::At(path) => Ok(Connection(connected(path)?)),
            Peer::Heard(listener) => Ok(Connection(listener.accept()?.into())),
        }
    }
}
