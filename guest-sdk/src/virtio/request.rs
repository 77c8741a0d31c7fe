//! What a request is made of, what comes back, and what can be wrong with it.
//!
//! Owns the types that queues and drivers exchange. Who keeps a request meanwhile is [`queue`](super::queue)'s business.

use super::Data;
use crate::event;
use core::fmt;

/// The most bytes of a request's tail.
pub const MAX_TAIL: usize = 16;
/// The most bytes of a request's head.
pub const MAX_HEAD: usize = 512;

/// What a queue's requests look like: up to `head` bytes that the device reads, data, up to `tail` bytes that the device writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Entries of the ring, a power of two: how many requests can be in flight, or a half or third of that where the
    /// device does not offer indirect descriptors.
    pub entries: u16,
    /// The most bytes of a head, up to [`MAX_HEAD`]. They are copied.
    pub head: usize,
    /// The bytes of a tail, up to [`MAX_TAIL`]. They come with the completion.
    pub tail: usize,
    /// The vCPU that is told of completions: the one whose tasks and threads wait for them.
    pub vcpu: u32,
}

impl Shape {
    /// Requests of data alone, told to the vCPU that runs this.
    #[must_use]
    pub fn new(entries: u16) -> Shape {
        Shape {
            entries,
            head: 0,
            tail: 0,
            vcpu: event::current_vcpu(),
        }
    }

    /// The same with heads and tails.
    #[must_use]
    pub fn with(self, head: usize, tail: usize) -> Shape {
        Shape { head, tail, ..self }
    }
}

/// Why a request was not made, or will not be completed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// As many requests are in flight as fit.
    Full,
    /// The head is longer than the queue's shape says, the data is 4 GiB or more, or there is nothing at all.
    BadRequest,
    /// The device broke the specification, or says that this side did. It needs a reset: drop the queue, and take the device again.
    Broken,
    /// The device was reset.
    Stopped,
    /// Completions are told to another vCPU: only that one can block for them.
    OtherVcpu,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Full => "as many requests are in flight as the queue holds",
            Error::BadRequest => "the request does not fit the queue's shape",
            Error::Broken => "the device is broken and needs a reset",
            Error::Stopped => "the device was reset",
            Error::OtherVcpu => "the queue's completions are told to another vCPU",
        })
    }
}

impl core::error::Error for Error {}

/// A request that was not made, with what it would have carried.
pub struct Refused<B> {
    /// Why.
    pub error: Error,
    /// The data, as it was.
    pub data: Data<B>,
}

impl<B> fmt::Debug for Refused<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<B> fmt::Display for Refused<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<B> core::error::Error for Refused<B> {}

impl<B> From<Refused<B>> for Error {
    fn from(refused: Refused<B>) -> Error {
        refused.error
    }
}

/// A request in flight, to be [taken](super::Queue::take) from the queue that gave this out.
#[derive(PartialEq, Eq, Debug)]
#[must_use = "its completion stays in the queue until it is taken"]
pub struct Token(pub(super) u16);

/// A request that the device is done with.
#[derive(Debug)]
pub struct Completion<B> {
    /// The data, back.
    pub data: Data<B>,
    /// How many bytes the device says it wrote, of data and tail together.
    pub written: u32,
    pub(super) tail: [u8; MAX_TAIL],
    pub(super) tail_len: usize,
}

impl<B> Completion<B> {
    /// The tail: 0xff where the device did not write it.
    #[must_use]
    pub fn tail(&self) -> &[u8] {
        &self.tail[..self.tail_len]
    }
}
