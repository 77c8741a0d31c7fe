//! Reading, writing and flushing with many requests in flight: `io_uring`.
//!
//! Everything the kernel was given is kept here until it has given it back, also when this is dropped.

use super::disk::Disk;
use super::request::Request;
use crate::memory::Vectors;
use io_uring::{IoUring, opcode, types};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::thread;

/// How many requests can be in flight.
pub(super) const DEPTH: u16 = 256;

/// The ring and what is in it.
pub(super) struct Uring {
    ring: IoUring,
    /// Keeps the files open.
    disk: Arc<Disk>,
    /// The buffers of what is in flight, by token.
    flying: Vec<Option<Vectors>>,
    in_flight: u16,
}

/// An operation that has ended.
pub(super) struct Ended {
    /// What it was started with.
    pub token: u16,
    pub vectors: Vectors,
    /// How many bytes were moved.
    pub result: io::Result<u64>,
}

impl Uring {
    /// A ring for a disk.
    ///
    /// # Errors
    /// The host's, where it has or allows none.
    pub fn new(disk: Arc<Disk>) -> io::Result<Uring> {
        Ok(Uring {
            ring: IoUring::new(DEPTH.into())?,
            disk,
            flying: (0..DEPTH).map(|_| None).collect(),
            in_flight: 0,
        })
    }

    /// Queues an operation: a read, a write or a flush. `token`: below [`DEPTH`], and of none that is in flight.
    ///
    /// # Errors
    /// The vectors, where it could not.
    pub fn start(
        &mut self,
        token: u16,
        request: Request,
        vectors: Vectors,
        durable: bool,
    ) -> Result<(), Vectors> {
        let Some(place @ None) = self.flying.get_mut(usize::from(token)) else {
            return Err(vectors);
        };
        let (list, count) = vectors.parts();
        let way = |at| types::Fd(self.disk.way(&vectors, at).as_raw_fd());
        let entry = match request {
            Request::Read { at, .. } => opcode::Readv::new(way(at), list, count).offset(at).build(),
            Request::Write { at, .. } => opcode::Writev::new(way(at), list, count)
                .offset(at)
                .rw_flags(if durable { libc::RWF_DSYNC } else { 0 })
                .build(),
            Request::Flush => opcode::Fsync::new(types::Fd(self.disk.whole().as_raw_fd()))
                .flags(types::FsyncFlags::DATASYNC)
                .build(),
            _ => return Err(vectors),
        };
        let entry = entry.user_data(token.into());
        *place = Some(vectors);
        // SAFETY: the files are open for as long as `disk` is kept, and the kernel keeps those it works on. The vectors, which the entry points into, stay in
        // `flying` unchanged until the entry's completion has been seen or, when this is dropped, waited for; so does the memory they point into.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        match pushed {
            Ok(()) => {
                self.in_flight = self.in_flight.saturating_add(1);
                Ok(())
            }
            Err(_) => Err(place.take().unwrap_or_default()),
        }
    }

    /// Tells the kernel of what is queued; says whether it took all of it. Else it is to be told again.
    pub fn submit(&mut self) -> bool {
        loop {
            if self.ring.submission().is_empty() {
                return true;
            }
            match self.ring.submit() {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    /// An operation that has ended, if there is one.
    pub fn next(&mut self) -> Option<Ended> {
        if self.in_flight == 0 {
            return None;
        }
        let entry = self.ring.completion().next()?;
        self.in_flight = self.in_flight.saturating_sub(1);
        let token = u16::try_from(entry.user_data()).unwrap_or(u16::MAX);
        let result = entry.result();
        Some(Ended {
            token,
            vectors: self
                .flying
                .get_mut(usize::from(token))
                .and_then(Option::take)
                .unwrap_or_default(),
            result: u64::try_from(result)
                .map_err(|_| io::Error::from_raw_os_error(result.saturating_neg())),
        })
    }

    /// Waits until everything has ended. What ended is there to be asked for.
    pub fn settle(&mut self) {
        loop {
            let ended = self.ring.completion().len();
            if ended >= usize::from(self.in_flight) {
                return;
            }
            // Fails where it was interrupted, or while the kernel lacks memory.
            if self.ring.submit_and_wait(self.in_flight.into()).is_err() {
                thread::yield_now();
            }
        }
    }
}

impl AsFd for Uring {
    /// Readable while something has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring's descriptor is open for as long as the ring is there.
        unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) }
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        self.settle();
    }
}
