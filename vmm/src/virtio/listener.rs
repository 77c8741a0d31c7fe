//! A Unix socket at which programs on the host reach a device.

use crate::Error;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The socket. Its file goes with it.
#[derive(Debug)]
pub(super) struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// The file's device and number: another one at the same path is left alone.
    file: (u64, u64),
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Listener {
    /// Listens at a path, for a device of this kind. A socket that an earlier program left there is replaced, and nothing else is.
    ///
    /// # Errors
    /// [`Error::Create`], with what would help.
    pub fn new(path: &Path, device: &str) -> Result<Listener, Error> {
        let refused = |problem: String| Error::Create {
            path: path.to_owned(),
            problem,
        };
        let bound = match UnixListener::bind(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                // A connection to any other file is refused as one to a socket that nobody listens at.
                let is_socket = std::fs::symlink_metadata(path)
                    .is_ok_and(|found| found.file_type().is_socket());
                if !is_socket {
                    let problem = "something else is there; name another path for the";
                    return Err(refused(format!("{problem} {device}")));
                }
                if !matches!(connected(path), Err(Errno::CONNREFUSED)) {
                    let problem = "a program listens there, perhaps another VM; end it, or name another path for the";
                    return Err(refused(format!("{problem} {device}")));
                }
                std::fs::remove_file(path).and_then(|()| UnixListener::bind(path))
            }
            bound => bound,
        };
        let cannot = |error: io::Error| refused(error.to_string());
        let socket = bound.map_err(cannot)?;
        socket.set_nonblocking(true).map_err(cannot)?;
        let found = std::fs::symlink_metadata(path).map_err(cannot)?;
        Ok(Listener {
            socket,
            path: path.to_owned(),
            file: (found.dev(), found.ino()),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next program that connects; it is read and written without blocking.
    ///
    /// # Errors
    /// The host's; [`ErrorKind::WouldBlock`] while there is none.
    pub fn accept(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.socket.accept()?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let found = std::fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.file) {
            // Somebody else may have been quicker.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Connects to a socket, at once or not at all: who is slow to accept is one that is not there yet. Nothing at it blocks.
///
/// # Errors
/// The host's.
pub(super) fn connected(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_was_left_is_replaced_and_one_in_use_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vsock");
        let other = UnixListener::bind(&path).unwrap();
        let refusal = |path: &Path| match Listener::new(path, "vsock device") {
            Ok(_) => panic!("{} was taken", path.display()),
            Err(error) => error.to_string(),
        };
        let said = refusal(&path);
        assert!(said.contains("a program listens there"), "{said}");
        drop(other);
        let listener = Listener::new(&path, "vsock device").unwrap();
        assert!(refusal(&path).contains("a program listens there"));
        drop(listener);
        assert!(!path.exists());

        std::fs::write(&path, "precious").unwrap();
        let said = refusal(&path);
        assert!(said.contains("something else is there"), "{said}");
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        let said = refusal(&directory.path().join("no/vsock"));
        assert!(said.contains("No such file"), "{said}");
    }

    #[test]
    fn the_file_of_a_successor_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vsock");
        let first = Listener::new(&path, "vsock device").unwrap();
        std::fs::rename(&path, directory.path().join("away")).unwrap();
        let second = Listener::new(&path, "vsock device").unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }
}
