//! Why a disk's request did not do what it should.

use crate::virtio::{self, SetupError};
use core::fmt;
use embedded_io::ErrorKind;

/// Why a disk's request did not do what it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The configuration has no such disk.
    Missing,
    /// The disk cannot be used.
    Setup(SetupError),
    /// The buffer is not a whole number of sectors.
    NotSectors,
    /// The buffer is longer than one request can be.
    TooLong,
    /// The sectors are not all on the disk.
    BeyondEnd,
    /// The disk cannot be written.
    ReadOnly,
    /// The disk could not do it: the host's file is short, full or broken.
    Failed,
    /// The disk does not do such things.
    Unsupported,
    /// The request did not get to the disk, or no answer will come.
    Queue(virtio::Error),
}

impl From<virtio::Error> for Error {
    fn from(error: virtio::Error) -> Error {
        Error::Queue(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Missing => {
                "this VM has no such disk; its configuration's [[disk]] tables say which it has"
            }
            Error::Setup(error) => return error.fmt(f),
            Error::NotSectors => "the buffer is not a whole number of sectors of 512 bytes",
            Error::TooLong => "the buffer is longer than a request of this disk can be",
            Error::BeyondEnd => "the sectors are not all on the disk",
            Error::ReadOnly => "the disk is read-only",
            Error::Failed => "the host could not read or write the disk's file",
            Error::Unsupported => "the disk does not do such requests",
            Error::Queue(error) => return error.fmt(f),
        })
    }
}

impl core::error::Error for Error {}

impl embedded_io::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::Missing => ErrorKind::NotFound,
            Error::NotSectors | Error::TooLong | Error::BeyondEnd => ErrorKind::InvalidInput,
            Error::ReadOnly => ErrorKind::PermissionDenied,
            Error::Unsupported => ErrorKind::Unsupported,
            Error::Setup(_) | Error::Failed | Error::Queue(_) => ErrorKind::Other,
        }
    }
}
