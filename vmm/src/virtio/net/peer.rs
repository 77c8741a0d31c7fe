//! The other end of a Unix stream socket: how it is reached, and how often that is tried when it is away.

use crate::Error;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    send, socket_with,
};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
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
    Heard(UnixListener, PathBuf),
}

impl Peer {
    /// Listens at a path.
    ///
    /// # Errors
    /// [`Error::Os`], with what would help.
    pub fn listen(path: &Path) -> Result<Peer, Error> {
        let os = |what: String, source| Error::Os { what, source };
        let bound = match UnixListener::bind(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => match connected(path) {
                // Nobody listens any more: the file is what an earlier program left.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path).and_then(|()| UnixListener::bind(path))
                }
                _ => {
                    let what = format!(
                        "{} is in use; end the program that listens there, or name another path",
                        path.display()
                    );
                    return Err(os(what, error));
                }
            },
            bound => bound,
        };
        let cannot = |error| os(format!("listening at {}", path.display()), error);
        let listener = bound.map_err(cannot)?;
        listener.set_nonblocking(true).map_err(cannot)?;
        Ok(Peer::Heard(listener, path.to_owned()))
    }

    /// A connection, if one can be had at once.
    ///
    /// # Errors
    /// The host's; for one that listens [`ErrorKind::WouldBlock`] while nobody connects.
    pub fn reach(&self) -> io::Result<Connection> {
        match self {
            Peer::At(path) => connected(path),
            Peer::Heard(listener, _) => listener
                .accept()
                .map(|(stream, _)| Connection(stream.into())),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Peer::Heard(_, path) = self {
            // Somebody else may have removed it.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn connected(path: &Path) -> io::Result<Connection> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // At once or not at all: a listener that is slow to accept is one that is not there yet.
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(Connection(socket))
}
