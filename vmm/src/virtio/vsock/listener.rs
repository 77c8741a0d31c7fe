//! The socket at which programs on the host reach the guest's listeners, and the paths of those that the guest reaches.

use crate::Error;
use rustix::io::Errno;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use super::socket::Socket;

/// The socket. Its file goes with it.
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
    /// Listens at a path. A socket that an earlier program left there is replaced.
    ///
    /// # Errors
    /// [`Error::Create`], with what would help.
    pub fn new(path: &Path) -> Result<Listener, Error> {
        let refused = |problem: String| Error::Create {
            path: path.to_owned(),
            problem,
        };
        let bound = match UnixListener::bind(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                let is_socket = std::fs::symlink_metadata(path)
                    .is_ok_and(|found| found.file_type().is_socket());
                if !is_socket {
                    let problem = "something else is there; name another path for the vsock device";
                    return Err(refused(problem.into()));
                }
                if !matches!(Socket::connect(path), Err(Errno::CONNREFUSED)) {
                    let problem = "a program listens there, perhaps another VM; end it, or name another path for the vsock device";
                    return Err(refused(problem.into()));
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

    /// The next program that connects.
    pub fn accept(&self) -> io::Result<Socket> {
        let (stream, _) = self.socket.accept()?;
        stream.set_nonblocking(true)?;
        Ok(Socket::new(OwnedFd::from(stream)))
    }

    /// Connects to the program that listens for connections from the guest to a port.
    pub fn connect(&self, port: u32) -> Result<Socket, Errno> {
        let mut path = OsString::from(&self.path);
        path.push(format!("_{port}"));
        Socket::connect(Path::new(&path))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_was_left_is_replaced_and_one_in_use_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vsock");
        let other = UnixListener::bind(&path).unwrap();
        let refusal = |path: &Path| match Listener::new(path) {
            Ok(_) => panic!("{} was taken", path.display()),
            Err(error) => error.to_string(),
        };
        let said = refusal(&path);
        assert!(said.contains("a program listens there"), "{said}");
        drop(other);
        let listener = Listener::new(&path).unwrap();
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
        let first = Listener::new(&path).unwrap();
        std::fs::rename(&path, directory.path().join("away")).unwrap();
        let second = Listener::new(&path).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }
}
