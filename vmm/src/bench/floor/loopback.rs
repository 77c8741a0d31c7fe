//! The host's own network: two threads of this process with a TCP connection over loopback.

use super::super::block::Run;
use crate::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// Bytes of a segment, and of a request and its answer.
const SEGMENT: usize = 1460;
const REQUEST: usize = 64;
/// Segments of a stream, of which the last is answered.
pub const STREAM: u32 = 1024;

/// A connection whose other end a thread has, which ends with it.
pub struct Loopback(TcpStream);

impl Loopback {
    /// Whose other end answers with `answer` bytes whenever `asked` have come.
    fn new(asked: usize, answer: usize) -> Result<Loopback, Error> {
        let os = |source| Error::Os {
            what: "a connection over loopback".to_owned(),
            source,
        };
        let listener = TcpListener::bind("127.0.0.1:0").map_err(os)?;
        let ours = TcpStream::connect(listener.local_addr().map_err(os)?).map_err(os)?;
        let (mut theirs, _) = listener.accept().map_err(os)?;
        for end in [&ours, &theirs] {
            end.set_nodelay(true).map_err(os)?;
        }
        let other = move || {
            let mut bytes = vec![0; 256 << 10];
            let answer = vec![1; answer];
            let mut came = 0;
            loop {
                match theirs.read(&mut bytes) {
                    Ok(0) | Err(_) => return,
                    Ok(len) => came += len,
                }
                while came >= asked {
                    came -= asked;
                    if theirs.write_all(&answer).is_err() {
                        return;
                    }
                }
            }
        };
        let named = thread::Builder::new().name("loopback".to_owned());
        named.spawn(other).map_err(os)?;
        Ok(Loopback(ours))
    }

    /// For requests and answers of 64 bytes.
    pub fn for_requests() -> Result<Loopback, Error> {
        Loopback::new(REQUEST, REQUEST)
    }

    /// For streams of [`STREAM`] segments.
    pub fn for_streams() -> Result<Loopback, Error> {
        Loopback::new(SEGMENT * STREAM as usize, 1)
    }

    /// A request and its answer.
    pub fn requests(&mut self, run: &mut Run) -> Result<(), Error> {
        self.rounds(run, REQUEST, 1, REQUEST)
    }

    /// A stream and its answer.
    pub fn streams(&mut self, run: &mut Run) -> Result<(), Error> {
        self.rounds(run, SEGMENT, STREAM, 1)
    }

    fn rounds(
        &mut self,
        run: &mut Run,
        len: usize,
        count: u32,
        answer: usize,
    ) -> Result<(), Error> {
        let (asked, mut answered) = (vec![7; len], vec![0; answer]);
        let mut failed = Ok(());
        run.over(|| {
            let mut round = || {
                for _ in 0..count {
                    self.0.write_all(&asked)?;
                }
                self.0.read_exact(&mut answered)
            };
            if let Err(source) = round() {
                failed = Err(source);
            }
        });
        failed.map_err(|source| Error::Os {
            what: "a connection over loopback".to_owned(),
            source,
        })
    }
}
