//! The other end of a wire: frames in a Unix stream socket, each after its length.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

/// A kind of frame that nobody else sends (IEEE 802's local experiments).
const OURS: [u8; 2] = [0x88, 0xb5];

/// How long a guest may be silent.
pub const PATIENCE: Duration = Duration::from_secs(100);

pub struct Peer(pub UnixStream);

impl Peer {
    /// The next one to connect, which must come before it is clear that none will.
    pub fn accept(listener: &UnixListener) -> Peer {
        listener.set_nonblocking(true).unwrap();
        let until = Instant::now() + PATIENCE;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).unwrap();
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    return Peer(stream);
                }
                Err(error) => assert!(Instant::now() < until, "nobody connects: {error}"),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn send(&mut self, frame: &[u8]) {
        self.try_send(frame).unwrap();
    }

    pub fn try_send(&mut self, frame: &[u8]) -> io::Result<()> {
        let mut bytes = (frame.len() as u32).to_be_bytes().to_vec();
        bytes.extend(frame);
        self.0.write_all(&bytes)
    }

    pub fn receive(&mut self) -> Vec<u8> {
        self.try_receive().expect("a frame")
    }

    /// `None`: the card is gone.
    pub fn try_receive(&mut self) -> Option<Vec<u8>> {
        let mut len = [0; 4];
        self.0.read_exact(&mut len).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(len) as usize];
        self.0.read_exact(&mut frame).ok()?;
        Some(frame)
    }
}

/// A frame of our own kind to the guest.
pub fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(OURS);
    frame.extend(body);
    frame
}

/// A full one with a number.
pub fn numbered(number: u32) -> Vec<u8> {
    let mut frame = frame(&number.to_be_bytes());
    frame.resize(1514, 0x77);
    frame
}

/// Its number.
pub fn body(frame: &[u8]) -> u32 {
    assert_eq!((frame.len(), &frame[12..14]), (1514, &OURS[..]));
    u32::from_be_bytes(frame[14..18].try_into().unwrap())
}
