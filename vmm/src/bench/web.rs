//! The web server of the examples under load: in a VM, behind a user-mode network, and as threads of this process.

#[path = "../../../examples/http/page.rs"]
mod page;

use super::block::Run;
use super::load::{CONNECTIONS, Load};
use crate::config::{self, Config, Forward, Link, Net, Protocol, UserNetwork};
use crate::gauge::Gauge;
use crate::{Error, StopReason, Stopper, Vm};
use page::Parsed;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

/// A server under load.
pub struct Web {
    load: Load,
    /// What serves, if that has to be ended.
    _server: Option<Server>,
}

/// A VM that serves.
struct Server {
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopper.stop(StopReason::Requested);
        if let Some(thread) = self.thread.take() {
            // How it ended does not matter: it has been measured.
            let _ = thread.join();
        }
    }
}

fn os(source: io::Error) -> Error {
    Error::Os {
        what: "the web server that is measured".to_owned(),
        source,
    }
}

impl Web {
    /// Of the example in a VM, and what that VM's devices do.
    pub fn of_guest(image: &Path) -> Result<(Web, Gauge), Error> {
        let free = TcpListener::bind("127.0.0.1:0").map_err(os)?;
        let host = free.local_addr().map_err(os)?;
        drop(free);
        let network = UserNetwork {
            forward: vec![Forward {
                protocol: Protocol::Tcp,
                host,
                guest: 80,
            }],
            ..UserNetwork::default()
        };
        let mut config = Config::new(config::Image::File(image.to_owned()));
        config.console = config::Console::None;
        config.nets.push(Net::new("net0", Link::User(network)));
        let vm = Vm::new(&config, image)?;
        let (stopper, gauge) = (vm.stopper(), vm.gauge());
        let thread = thread::Builder::new().name("web".to_owned());
        let thread = thread.spawn(|| drop(vm.run())).map_err(os)?;
        let server = Server {
            stopper,
            thread: Some(thread),
        };
        Ok((Web::new(host, Some(server))?, gauge))
    }

    /// Of the same code in this process, with a thread for each connection.
    pub fn of_threads() -> Result<Web, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(os)?;
        let address = listener.local_addr().map_err(os)?;
        let accept = move || {
            for connection in listener.incoming().take(CONNECTIONS).flatten() {
                // A connection that breaks has ended.
                thread::spawn(|| serve(connection));
            }
        };
        let named = thread::Builder::new().name("web".to_owned());
        named.spawn(accept).map_err(os)?;
        Web::new(address, None)
    }

    fn new(address: SocketAddr, server: Option<Server>) -> Result<Web, Error> {
        Ok(Web {
            load: Load::new(address).map_err(os)?,
            _server: server,
        })
    }

    /// Runs a block.
    pub fn block(&mut self, run: &mut Run) -> Result<(), Error> {
        self.load.block(run).map_err(os)
    }
}

/// Answers a connection's requests, as the example does.
fn serve(mut connection: TcpStream) -> io::Result<()> {
    static VISITS: AtomicU32 = AtomicU32::new(0);
    connection.set_nodelay(true)?;
    let mut bytes = [0; 2048];
    let mut held = 0;
    loop {
        match page::parse(bytes.get(..held).unwrap_or_default()) {
            Parsed::Request(request) => {
                let visits = VISITS.fetch_add(1, Ordering::Relaxed) + 1;
                connection.write_all(page::answer(&request, visits).as_bytes())?;
                if !request.keep_alive {
                    return Ok(());
                }
                bytes.copy_within(request.len..held, 0);
                held -= request.len;
            }
            Parsed::Part if held < bytes.len() => {
                let room = bytes.get_mut(held..).unwrap_or_default();
                match connection.read(room)? {
                    0 => return Ok(()),
                    len => held += len,
                }
            }
            Parsed::Part | Parsed::Bad => return connection.write_all(page::BAD_REQUEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::Plan;
    use super::*;
    use crate::histogram::Histogram;

    #[test]
    fn threads_serve_the_page() {
        let mut web = Web::of_threads().unwrap();
        let plan = Plan {
            chunk: 1,
            chunks: 1,
            singles: 1,
        };
        let mut histogram = Histogram::new();
        let mut run = Run::new(plan, &mut histogram);
        web.block(&mut run).unwrap();
        assert!(run.middle_cost() > 0);
        assert!(histogram.max > 0);
    }
}
