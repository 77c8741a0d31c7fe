//! The host's own connections: two threads of this process with one between them, over loopback or over a Unix socket.

use super::super::block::Run;
use crate::Error;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::thread;

/// What is written until the other end answers.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// Bytes of a write.
    pub len: usize,
    /// Writes, of which the last is answered.
    pub writes: u32,
    /// Bytes of the answer.
    pub answer: usize,
}

/// A few bytes and as many back.
pub const REQUEST: Exchange = Exchange {
    len: 64,
    writes: 1,
    answer: 64,
};

/// Segments of a stream.
pub const SEGMENTS: Exchange = Exchange {
    len: 1460,
    writes: 1024,
    answer: 1,
};

/// Pages of a stream.
pub const PAGES: Exchange = Exchange {
    len: 4096,
    writes: 256,
    answer: 1,
};

impl Exchange {
    /// The other end: answers until the connection ends.
    pub fn answer(self, mut connection: impl Read + Write) -> io::Result<()> {
        let asked = self.len * self.writes as usize;
        let mut bytes = vec![0; 256 << 10];
        let answer = vec![1; self.answer];
        let mut came = 0;
        loop {
            match connection.read(&mut bytes)? {
                0 => return Ok(()),
                len => came += len,
            }
            while came >= asked {
                came -= asked;
                connection.write_all(&answer)?;
            }
        }
    }
}

/// A connection whose other end a thread has, which ends with it.
pub struct Loopback<S> {
    connection: S,
    exchange: Exchange,
}

/// Two UDP sockets of one thread, each of which sends to the other.
pub struct Datagrams([UdpSocket; 2]);

/// Over UDP, within this host.
pub fn datagrams() -> Result<Datagrams, Error> {
    let connect = || {
        let pair = [
            UdpSocket::bind("127.0.0.1:0")?,
            UdpSocket::bind("127.0.0.1:0")?,
        ];
        pair[0].connect(pair[1].local_addr()?)?;
        pair[1].connect(pair[0].local_addr()?)?;
        Ok(Datagrams(pair))
    };
    connect().map_err(os)
}

impl Datagrams {
    /// Runs a block. A round is a datagram there and one back.
    pub fn block(&self, run: &mut Run) -> Result<(), Error> {
        let [ours, theirs] = &self.0;
        let mut bytes = [0; REQUEST.len];
        run.try_over(|| {
            for (from, to) in [(ours, theirs), (theirs, ours)] {
                from.send(&bytes)?;
                to.recv(&mut bytes)?;
            }
            Ok(())
        })
        .map_err(os)
    }
}

/// Over TCP, within this host.
pub fn tcp(exchange: Exchange) -> Result<Loopback<TcpStream>, Error> {
    let connect = || {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let ours = TcpStream::connect(listener.local_addr()?)?;
        let (theirs, _) = listener.accept()?;
        ours.set_nodelay(true)?;
        theirs.set_nodelay(true)?;
        Loopback::new(ours, theirs, exchange)
    };
    connect().map_err(os)
}

/// Over a pair of Unix sockets.
pub fn unix(exchange: Exchange) -> Result<Loopback<UnixStream>, Error> {
    let pair = UnixStream::pair();
    let connected = pair.and_then(|(ours, theirs)| Loopback::new(ours, theirs, exchange));
    connected.map_err(os)
}

fn os(source: io::Error) -> Error {
    Error::Os {
        what: "a connection of two threads".to_owned(),
        source,
    }
}

impl<S: Read + Write + Send + 'static> Loopback<S> {
    fn new(connection: S, theirs: S, exchange: Exchange) -> io::Result<Loopback<S>> {
        let named = thread::Builder::new().name("loopback".to_owned());
        // Its end is that of the connection, however that ends.
        named.spawn(move || _ = exchange.answer(theirs))?;
        Ok(Loopback {
            connection,
            exchange,
        })
    }

    /// Runs a block. A round is an exchange.
    pub fn block(&mut self, run: &mut Run) -> Result<(), Error> {
        let Exchange {
            len,
            writes,
            answer,
        } = self.exchange;
        let (asked, mut answered) = (vec![7; len], vec![0; answer]);
        run.try_over(|| {
            for _ in 0..writes {
                self.connection.write_all(&asked)?;
            }
            self.connection.read_exact(&mut answered)
        })
        .map_err(os)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_whole_is_answered() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let exchange = Exchange {
            len: 3,
            writes: 2,
            answer: 2,
        };
        let other = thread::spawn(move || exchange.answer(theirs));
        for _ in 0..4 {
            ours.write_all(b"abc").unwrap();
        }
        let mut answers = [0; 4];
        ours.read_exact(&mut answers).unwrap();
        drop(ours);
        other.join().unwrap().unwrap();
    }
}
