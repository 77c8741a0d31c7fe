//! Programs at the other ends of the measured VM's sockets: a thread for each kind of exchange, which answers one connection after the other.

use super::floor::loopback::{Exchange, PAGES, REQUEST};
use super::host;
use crate::Error;
use std::ffi::OsString;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// What the guest has with whom, by port: as its own table has it.
const PORTS: [(u32, Exchange); 2] = [(1, REQUEST), (2, PAGES)];

/// Listens to a VM's connections while this lives, which is longer than the VM does.
pub struct Sockets {
    path: PathBuf,
    over: Arc<AtomicBool>,
}

impl Sockets {
    /// Listens.
    pub fn start() -> Result<Sockets, Error> {
        let sockets = Sockets {
            path: host::free_path(),
            over: Arc::default(),
        };
        let os = |source| Error::Os {
            what: format!("the sockets at {}", sockets.path.display()),
            source,
        };
        for (port, exchange) in PORTS {
            let listener = UnixListener::bind(at(&sockets.path, port)).map_err(os)?;
            let over = Arc::clone(&sockets.over);
            let named = thread::Builder::new().name("sockets".to_owned());
            // It ends with a connection that is none, as every way out of this function makes one.
            let serve = move || _ = serve(&listener, exchange, &over);
            named.spawn(serve).map_err(os)?;
        }
        Ok(sockets)
    }

    /// What the VM's device is to be given.
    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }
}

/// Where the guest reaches a port.
fn at(path: &Path, port: u32) -> PathBuf {
    let mut path = OsString::from(path);
    path.push(format!("_{port}"));
    path.into()
}

fn serve(listener: &UnixListener, exchange: Exchange, over: &AtomicBool) -> io::Result<()> {
    loop {
        let (connection, _) = listener.accept()?;
        if over.load(Ordering::Acquire) {
            return Ok(());
        }
        // The guest is not reset for it: what broke is its to say.
        let _ = exchange.answer(connection);
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        for (port, _) in PORTS {
            let path = at(&self.path, port);
            // So that the thread ends; where it has not begun, nobody listens.
            let _ = UnixStream::connect(&path);
            let _ = std::fs::remove_file(&path);
        }
    }
}
