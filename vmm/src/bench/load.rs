//! Load on a web server, as `wrk -t1 -c8` makes it: connections that stay, each of which asks again as soon as it was answered, all of them on one thread, which
//! sleeps while nothing has come.

use super::block::{Run, now};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

/// Connections.
pub const CONNECTIONS: usize = 8;

/// Requests before a block that do not count: the server has woken up, and none of them is the first of its connection.
const BEFORE: u64 = 8 * CONNECTIONS as u64;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: guest\r\n\r\n";

/// How long a server may take to answer at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// Clients of a server.
pub struct Load {
    clients: Vec<Client>,
    /// Where they are watched, by their places.
    set: OwnedFd,
    /// Those that have something to read.
    ready: Vec<Event>,
}

/// A connection.
struct Client {
    stream: TcpStream,
    /// When it asked last, in TSC ticks.
    asked: u64,
    /// What of the answer has come.
    bytes: [u8; 1024],
    held: usize,
}

impl Load {
    /// Connects. A server behind a forwarded port may not be there yet.
    pub fn new(server: SocketAddr) -> io::Result<Load> {
        let until = Instant::now() + PATIENCE;
        let clients = (0..CONNECTIONS).map(|_| Client::connect(server, until));
        let clients: Vec<Client> = clients.collect::<io::Result<_>>()?;
        let set = epoll::create(CreateFlags::CLOEXEC)?;
        for (place, client) in (0..).zip(&clients) {
            epoll::add(
                &set,
                &client.stream,
                EventData::new_u64(place),
                EventFlags::IN,
            )?;
        }
        Ok(Load {
            clients,
            set,
            ready: Vec::with_capacity(CONNECTIONS),
        })
    }

    /// Runs a block.
    pub fn block(&mut self, run: &mut Run) -> io::Result<()> {
        self.clients.iter_mut().try_for_each(Client::ask)?;
        for _ in 0..BEFORE {
            self.next(Client::ask)?;
        }
        run.rounds += BEFORE;
        let mut failed = Ok(());
        run.flow(|| {
            let next = failed.as_ref().ok().map(|()| self.next(Client::ask));
            match next {
                Some(Ok(ticks)) => return ticks,
                Some(Err(error)) => failed = Err(error),
                None => {}
            }
            0
        });
        failed?;
        for _ in 0..CONNECTIONS {
            self.next(|_| Ok(()))?;
        }
        Ok(())
    }

    /// Waits for an answer, does something on its connection, and says how many ticks it took to come.
    fn next(&mut self, then: fn(&mut Client) -> io::Result<()>) -> io::Result<u64> {
        loop {
            while let Some(event) = self.ready.pop() {
                let place = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
                if let Some(client) = self.clients.get_mut(place)
                    && client.read()?
                {
                    let ticks = now() - client.asked;
                    then(client)?;
                    return Ok(ticks);
                }
            }
            let patience = Timespec::try_from(PATIENCE).map_err(io::Error::other)?;
            epoll::wait(&self.set, spare_capacity(&mut self.ready), Some(&patience))?;
            if self.ready.is_empty() {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }
}

impl Client {
    /// One that has been answered once.
    fn connect(server: SocketAddr, until: Instant) -> io::Result<Client> {
        loop {
            let tried = TcpStream::connect(server).and_then(|stream| {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                let mut client = Client {
                    stream,
                    asked: 0,
                    bytes: [0; 1024],
                    held: 0,
                };
                client.ask()?;
                while !client.read()? {}
                Ok(client)
            });
            match tried {
                Err(_) if Instant::now() < until => thread::sleep(Duration::from_millis(10)),
                tried => return tried,
            }
        }
    }

    fn ask(&mut self) -> io::Result<()> {
        self.asked = now();
        self.stream.write_all(REQUEST)
    }

    /// Reads what has come; says whether that was the last of an answer.
    fn read(&mut self) -> io::Result<bool> {
        let room = self.bytes.get_mut(self.held..).unwrap_or_default();
        match self.stream.read(room)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            len => self.held += len,
        }
        let held = self.bytes.get(..self.held).unwrap_or_default();
        let is_whole = is_page(held)?;
        if is_whole {
            self.held = 0;
        }
        Ok(is_whole)
    }
}

/// Whether an answer is whole, which is to be a page.
fn is_page(answer: &[u8]) -> io::Result<bool> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(head) = answer.windows(END.len()).position(|at| at == END) else {
        return Ok(false);
    };
    let (head, rest) = answer.split_at(head);
    let head = std::str::from_utf8(head).map_err(|_| ErrorKind::InvalidData)?;
    let mut lines = head.lines();
    let is_ok = lines.next() == Some("HTTP/1.1 200 OK");
    let length = lines.find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
    match length {
        Some(length) if is_ok => Ok(rest.len().saturating_sub(END.len()) >= length),
        _ => Err(ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_whole_when_its_body_is() {
        let page = b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 4\r\n\r\nbody";
        for len in 0..page.len() {
            assert!(!is_page(&page[..len]).unwrap());
        }
        assert!(is_page(page).unwrap());
        for other in [
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert!(is_page(other.as_bytes()).is_err(), "{other}");
        }
    }
}
