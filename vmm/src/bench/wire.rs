//! The other end of the measured VM's network card: a thread that sends the frames back that are marked.

use super::host;
use crate::Error;
use crate::config::Link;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread;

/// Bytes of a length, and of an Ethernet header.
const LENGTH: usize = 4;
const ETHERNET: usize = 14;
/// Bytes that are read at once, at most.
const ROOM: usize = 256 << 10;

/// A socket that a network card can be connected to while this lives, once. The thread at its end ends with the card.
pub struct Wire {
    path: PathBuf,
}

impl Wire {
    /// Listens.
    pub fn start() -> Result<Wire, Error> {
        let path = host::free_path();
        let os = |source| Error::Os {
            what: format!("the wire at {}", path.display()),
            source,
        };
        let listener = UnixListener::bind(&path).map_err(os)?;
        thread::Builder::new()
            .name("wire".to_owned())
            .spawn(move || {
                // Ends when the card does; what it measured has been read.
                let _ = listener.accept().and_then(|(wire, _)| answer(wire));
            })
            .map_err(os)?;
        Ok(Wire { path })
    }

    /// What a card is to be connected to.
    pub fn link(&self) -> Link {
        Link::Connect(self.path.clone())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // Where no card came, so that the thread ends too.
        let _ = UnixStream::connect(&self.path);
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Sends every frame back whose first byte behind the Ethernet header is not 0.
fn answer(mut wire: UnixStream) -> io::Result<()> {
    let mut bytes = vec![0; ROOM];
    let mut held = 0;
    loop {
        let room = bytes.get_mut(held..).unwrap_or_default();
        let len = wire.read(room)?;
        if len == 0 {
            return Ok(());
        }
        held += len;
        let mut rest = bytes.get(..held).unwrap_or_default();
        while let Some((framed, after)) = first(rest) {
            if framed.get(LENGTH + ETHERNET).is_some_and(|mark| *mark != 0) {
                wire.write_all(framed)?;
            }
            rest = after;
        }
        let left = rest.len();
        bytes.copy_within(held - left..held, 0);
        held = left;
    }
}

/// The first frame with its length before it, and what follows.
fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, _) = bytes.split_first_chunk::<LENGTH>()?;
    let len = u32::from_be_bytes(*length) as usize;
    bytes.split_at_checked(LENGTH.checked_add(len)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_frames_come_back() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let thread = thread::spawn(|| answer(theirs));
        let frame = |mark| [&[0, 0, 0, 16][..], &[7; 14], &[mark, 5]].concat();
        let sent = [frame(0), frame(1), frame(0), frame(9)].concat();
        for piece in sent.chunks(7) {
            ours.write_all(piece).unwrap();
        }
        let mut back = vec![0; 40];
        ours.read_exact(&mut back).unwrap();
        assert_eq!(back, [frame(1), frame(9)].concat());
        drop(ours);
        thread.join().unwrap().unwrap();
    }
}
