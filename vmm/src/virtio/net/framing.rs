//! Frames in a stream of bytes: each after its length in 32 bits, the most significant byte first, as QEMU's `stream` and passt have them.
//!
//! Both directions have a buffer, so that many frames are one system call.

use super::{LEAST_FRAME, MOST_FRAME};
use std::io;

/// Bytes of a length.
const LENGTH: usize = 4;
/// Bytes of each buffer: of several frames of any length.
const ROOM: usize = 256 << 10;

/// Bytes on their way: filled at the end, emptied from the front.
struct Bytes {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Bytes {
    fn new() -> Bytes {
        Bytes {
            bytes: vec![0; ROOM].into_boxed_slice(),
            start: 0,
            end: 0,
        }
    }

    fn held(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    fn consume(&mut self, len: usize) {
        self.start = self.start.saturating_add(len).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// The room behind what is held: all there is if at least `len` bytes were asked for.
    fn room(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len().saturating_sub(self.end) < len {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end.saturating_sub(self.start));
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    fn extend(&mut self, len: usize) {
        self.end = self.end.saturating_add(len).min(self.bytes.len());
    }
}

/// What comes out of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// So many bytes of a frame.
    Frame(usize),
    /// A frame that is none: it was too short.
    Short,
    /// Not a whole one: [fill](Incoming::fill).
    None,
    /// A length that no frame has: what follows cannot be understood.
    Lost,
}

/// From the other end.
pub(super) struct Incoming(Bytes);

impl Incoming {
    pub fn new() -> Incoming {
        Incoming(Bytes::new())
    }

    pub fn clear(&mut self) {
        self.0.consume(usize::MAX);
    }

    /// Takes more from `read`, which says how many bytes it has put where; returns that, and whether it was all there was room for.
    pub fn fill(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<(usize, bool)> {
        let room = self.0.room(LENGTH.saturating_add(MOST_FRAME));
        let most = room.len();
        let len = read(room)?;
        self.0.extend(len);
        Ok((len, len == most))
    }

    /// Copies the next frame into the beginning of `room`, which is as long as any may be.
    pub fn next(&mut self, room: &mut [u8]) -> Next {
        let Some((length, rest)) = self.0.held().split_first_chunk::<LENGTH>() else {
            return Next::None;
        };
        let len = u32::from_be_bytes(*length) as usize;
        if len > MOST_FRAME {
            return Next::Lost;
        }
        let (Some(frame), Some(place)) = (rest.get(..len), room.get_mut(..len)) else {
            return Next::None;
        };
        place.copy_from_slice(frame);
        self.0.consume(LENGTH.saturating_add(len));
        match len {
            LEAST_FRAME.. => Next::Frame(len),
            _ => Next::Short,
        }
    }
}

/// To the other end.
pub(super) struct Outgoing(Bytes);

impl Outgoing {
    pub fn new() -> Outgoing {
        Outgoing(Bytes::new())
    }

    pub fn clear(&mut self) {
        self.0.consume(usize::MAX);
    }

    pub fn is_empty(&self) -> bool {
        self.0.held().is_empty()
    }

    /// Takes a frame; `false`: there is no room.
    pub fn push(&mut self, frame: &[u8]) -> bool {
        let whole = LENGTH.saturating_add(frame.len());
        let Some((length, rest)) = self.0.room(whole).split_first_chunk_mut::<LENGTH>() else {
            return false;
        };
        let (Ok(len), Some(place)) = (u32::try_from(frame.len()), rest.get_mut(..frame.len()))
        else {
            return false;
        };
        *length = len.to_be_bytes();
        place.copy_from_slice(frame);
        self.0.extend(whole);
        true
    }

    /// Gives what is held to `write`, which says how many bytes it took; returns whether it took all.
    pub fn drain(&mut self, write: impl FnOnce(&[u8]) -> io::Result<usize>) -> io::Result<bool> {
        let taken = write(self.0.held())?;
        self.0.consume(taken);
        Ok(self.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fill(incoming: &mut Incoming, bytes: &[u8]) {
        let (len, _) = incoming
            .fill(|room| {
                room[..bytes.len()].copy_from_slice(bytes);
                Ok(bytes.len())
            })
            .unwrap();
        assert_eq!(len, bytes.len());
    }

    fn next(incoming: &mut Incoming) -> (Next, Vec<u8>) {
        let mut room = vec![0; MOST_FRAME];
        let next = incoming.next(&mut room);
        let len = match next {
            Next::Frame(len) => len,
            _ => 0,
        };
        (next, room[..len].to_vec())
    }

    #[test]
    fn lengths_are_judged() {
        let mut incoming = Incoming::new();
        for (bytes, expected) in [
            (&[0, 0, 0][..], Next::None),
            (&[3, 1, 2], Next::None),
            (&[3], Next::Short),
            (&[0, 0, 0, 0], Next::Short),
            (&[0, 1, 0, 18], Next::Lost),
        ] {
            fill(&mut incoming, bytes);
            assert_eq!(next(&mut incoming).0, expected, "{bytes:?}");
        }
        incoming.clear();
        fill(&mut incoming, &[0, 1, 0, 17]);
        assert_eq!(next(&mut incoming).0, Next::None, "the longest frame");
        incoming.clear();
        fill(&mut incoming, &[0xff; 4]);
        assert_eq!(next(&mut incoming).0, Next::Lost);
    }

    #[test]
    fn a_full_buffer_takes_no_more_and_what_it_has_is_whole() {
        let mut outgoing = Outgoing::new();
        let frame = [7; 1514];
        let mut count = 0;
        while outgoing.push(&frame) {
            count += 1;
        }
        assert_eq!(count, ROOM / 1518);
        let mut bytes = 0;
        while !outgoing
            .drain(|held| {
                let len = held.len().min(10_000);
                bytes += len;
                Ok(len)
            })
            .unwrap()
        {}
        assert_eq!(bytes, count * 1518);
    }

    proptest! {
        #[test]
        fn frames_arrive_as_they_were_sent(
            lens in proptest::collection::vec(0..3000_usize, 1..60),
            piece in 1..5000_usize,
        ) {
            let frames: Vec<Vec<u8>> = (0_u8..).zip(&lens).map(|(n, &len)| vec![n; len]).collect();
            let (mut outgoing, mut incoming) = (Outgoing::new(), Incoming::new());
            let mut arrived = Vec::new();
            let mut sent = frames.iter();
            let mut waiting = sent.next();
            while waiting.is_some() || !outgoing.is_empty() {
                while let Some(frame) = waiting && outgoing.push(frame) {
                    waiting = sent.next();
                }
                outgoing.drain(|held| {
                    let len = held.len().min(piece);
                    fill(&mut incoming, &held[..len]);
                    Ok(len)
                }).unwrap();
                loop {
                    match next(&mut incoming) {
                        (Next::Frame(_), frame) => arrived.push(frame),
                        (Next::Short, _) => {}
                        (end, _) => {
                            prop_assert_eq!(end, Next::None);
                            break;
                        }
                    }
                }
            }
            let whole: Vec<Vec<u8>> = frames.into_iter().filter(|frame| frame.len() >= LEAST_FRAME).collect();
            prop_assert_eq!(arrived, whole);
        }
    }
}
