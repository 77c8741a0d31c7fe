//! The virtio device that gives random numbers, for who wants them from a device; [`random`](crate::random) has the call that does the same.
//!
//! ```no_run
//! let rng = guest_sdk::rng::Rng::open()?;
//! let mut key = [0; 32];
//! rng.fill(&mut key)?;
//! # Ok::<(), guest_sdk::rng::RngError>(())
//! ```

use crate::executor::block_on;
use crate::virtio::{Data, Device, Error, SetupError, Shape, SharedQueue, device, kind};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// Requests in flight, of all tasks together.
const ENTRIES: u16 = 16;
/// Bytes of a request.
const PIECE: usize = 4096;

/// Why there are no random numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RngError {
    /// The VM has no such device.
    NoDevice,
    /// The device could not be set up.
    Setup(SetupError),
    /// The device failed.
    Failed(Error),
}

impl fmt::Display for RngError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RngError::NoDevice => f.write_str(
                "this VM has no device for random numbers; write rng = true in [machine]",
            ),
            RngError::Setup(error) => error.fmt(f),
            RngError::Failed(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for RngError {}

impl From<SetupError> for RngError {
    fn from(error: SetupError) -> RngError {
        RngError::Setup(error)
    }
}

impl From<Error> for RngError {
    fn from(error: Error) -> RngError {
        RngError::Failed(error)
    }
}

/// The device, for all tasks of the vCPU that opened it. Dropping it resets it.
pub struct Rng {
    requests: SharedQueue<Vec<u8>>,
    _device: Device,
}

impl Rng {
    /// Opens the device.
    ///
    /// # Errors
    /// [`RngError::NoDevice`], [`RngError::Setup`].
    pub fn open() -> Result<Rng, RngError> {
        let entry = device::find(kind::RNG, 0).ok_or(RngError::NoDevice)?;
        let mut setup = entry.take()?;
        setup.negotiate(0)?;
        let requests = setup.queue(0, Shape::new(ENTRIES))?;
        Ok(Rng {
            requests: SharedQueue::new(requests),
            _device: setup.start()?,
        })
    }

    /// Fills a buffer with random bytes from the host.
    ///
    /// # Errors
    /// [`RngError::Failed`].
    pub fn fill(&self, buffer: &mut [u8]) -> Result<(), RngError> {
        block_on(self.fill_async(buffer))
    }

    /// As [`fill`](Rng::fill), for a task.
    ///
    /// # Errors
    /// As [`fill`](Rng::fill).
    pub async fn fill_async(&self, buffer: &mut [u8]) -> Result<(), RngError> {
        let mut rest = buffer;
        let mut piece = vec![0; rest.len().min(PIECE)];
        while !rest.is_empty() {
            piece.truncate(rest.len());
            let done = self.requests.request(&[], Data::In(piece)).await?;
            // The device may give less than was asked for.
            let written = done.written as usize;
            piece = done.data.into_buffer().unwrap_or_default();
            let given = written.min(piece.len());
            let (now, later) = rest.split_at_mut(given);
            now.copy_from_slice(&piece[..given]);
            rest = later;
        }
        Ok(())
    }
}
