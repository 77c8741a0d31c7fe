//! A request's parts: the head that says what is wanted, what it carries, and its end.

use super::{Error, SECTOR};
use crate::virtio::{self, Buffer, Completion, Pending};
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::future::Future;
use core::ops::Range;
use core::pin::Pin;
use core::task::{Context, Poll};

/// The most bytes of a head: the header, and the segment of those that have one.
pub(super) const HEAD: usize = 32;
/// Bytes of a tail: the status.
pub(super) const TAIL: usize = 1;
/// Bytes of a serial number.
pub(super) const SERIAL: usize = 20;

/// What is wanted, with its first sector and how many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    Read(u64),
    Write(u64),
    Flush,
    Serial,
    Discard(u64, u32),
    Zero(u64, u32),
}

/// A request's head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    all: [u8; HEAD],
    len: usize,
}

impl Head {
    pub fn bytes(&self) -> &[u8] {
        &self.all[..self.len]
    }
}

impl What {
    /// The head of such a request (virtio 1.2, section 5.2.6).
    pub fn head(self) -> Head {
        let mut all = [0; HEAD];
        let mut put = |at: usize, bytes: &[u8]| all[at..at + bytes.len()].copy_from_slice(bytes);
        let (kind, sector, segment) = match self {
            What::Read(sector) => (0_u32, sector, None),
            What::Write(sector) => (1, sector, None),
            What::Flush => (4, 0, None),
            What::Serial => (8, 0, None),
            What::Discard(at, count) => (11, 0, Some((at, count, 0_u32))),
            // Flag 0: storage may be given back.
            What::Zero(at, count) => (13, 0, Some((at, count, 1))),
        };
        put(0, &kind.to_le_bytes());
        put(8, &sector.to_le_bytes());
        let mut len = 16;
        if let Some((at, count, flags)) = segment {
            put(16, &at.to_le_bytes());
            put(24, &count.to_le_bytes());
            put(28, &flags.to_le_bytes());
            len = HEAD;
        }
        Head { all, len }
    }
}

/// Checks that so many bytes from a sector on are a request.
pub(super) fn check(sector: u64, len: usize, longest: usize, sectors: u64) -> Result<(), Error> {
    let end = sector.checked_add((len / SECTOR) as u64);
    if !len.is_multiple_of(SECTOR) {
        Err(Error::NotSectors)
    } else if len > longest {
        Err(Error::TooLong)
    } else if end.is_none_or(|end| end > sectors) {
        Err(Error::BeyondEnd)
    } else {
        Ok(())
    }
}

/// A range of sectors in parts of at most so many.
pub(super) fn parts(sectors: Range<u64>, most: u32) -> impl Iterator<Item = (u64, u32)> {
    let Range { start, end } = sectors;
    (start..end)
        .step_by(most.max(1) as usize)
        .map(move |at| (at, (end - at).min(most.into()) as u32))
}

/// What a request carries.
pub(super) enum Load<B> {
    Data(B),
    Serial(Box<[u8; SERIAL]>),
}

// SAFETY: each of the two is a buffer.
unsafe impl<B: Buffer> Buffer for Load<B> {
    fn bytes(&mut self) -> &mut [u8] {
        match self {
            Load::Data(buffer) => buffer.bytes(),
            Load::Serial(bytes) => bytes.as_mut_slice(),
        }
    }
}

/// What a request that did what it should left.
pub(super) struct Ended<B>(Option<Load<B>>);

impl<B> Ended<B> {
    /// What became of a request.
    pub fn of(done: Completion<Load<B>>) -> Result<Ended<B>, Error> {
        match done.tail() {
            [0] => Ok(Ended(done.data.into_buffer())),
            [2] => Err(Error::Unsupported),
            _ => Err(Error::Failed),
        }
    }

    pub fn buffer(self) -> Result<B, Error> {
        match self.0 {
            Some(Load::Data(buffer)) => Ok(buffer),
            _ => Err(Error::Queue(virtio::Error::Broken)),
        }
    }

    pub fn serial(self) -> Result<String, Error> {
        let Some(Load::Serial(bytes)) = self.0 else {
            return Err(Error::Queue(virtio::Error::Broken));
        };
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(String::from_utf8_lossy(text).into_owned())
    }
}

/// A read or write in flight: a future of its buffer, or to be waited for. Dropped before that, the request goes on, and its buffer is dropped at its end.
#[must_use = "a request that is dropped is given up"]
pub struct Request<B: Buffer>(Pending<Load<B>>);

impl<B: Buffer> Request<B> {
    pub(super) fn new(pending: Pending<Load<B>>) -> Request<B> {
        Request(pending)
    }

    /// Blocks until the request has ended, and returns its buffer.
    ///
    /// # Errors
    /// [`Error::Failed`], [`Error::Queue`].
    pub fn wait(self) -> Result<B, Error> {
        Ended::of(self.0.wait()?)?.buffer()
    }
}

impl<B: Buffer> Future for Request<B> {
    type Output = Result<B, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let done = Pin::new(&mut self.get_mut().0).poll(context)?;
        done.map(|done| Ended::of(done)?.buffer())
    }
}

impl<B: Buffer> fmt::Debug for Request<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn heads_are_as_the_specification_has_them() {
        let head = What::Write(0x0102_0304_0506_0708).head();
        let expected = [1, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1];
        assert_eq!(head.bytes(), expected);
        assert_eq!(What::Flush.head().bytes()[..4], [4, 0, 0, 0]);
        let head = What::Zero(3, 0x0a0b).head();
        assert_eq!(head.bytes()[16..24], [3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(head.bytes()[24..], [0x0b, 0x0a, 0, 0, 1, 0, 0, 0]);
        assert_eq!(What::Discard(0, 1).head().bytes()[28..], [0; 4]);
    }

    #[test]
    fn a_range_is_cut_into_parts() {
        let cut = |range, most| parts(range, most).collect::<Vec<_>>();
        assert_eq!(cut(5..12, 3), [(5, 3), (8, 3), (11, 1)]);
        assert_eq!(cut(0..3, 3), [(0, 3)]);
        assert_eq!(cut(7..7, 3), []);
        assert_eq!(cut(u64::MAX - 1..u64::MAX, u32::MAX), [(u64::MAX - 1, 1)]);
    }

    #[test]
    fn what_is_no_request_is_refused_here() {
        assert_eq!(check(9, 512, 1024, 10), Ok(()));
        assert_eq!(check(10, 0, 1024, 10), Ok(()));
        assert_eq!(check(0, 511, 1024, 10), Err(Error::NotSectors));
        assert_eq!(check(0, 1536, 1024, 10), Err(Error::TooLong));
        assert_eq!(check(9, 1024, 1024, 10), Err(Error::BeyondEnd));
        assert_eq!(check(u64::MAX, 512, 1024, 10), Err(Error::BeyondEnd));
    }
}
