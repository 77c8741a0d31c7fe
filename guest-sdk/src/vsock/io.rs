//! Streams and their halves by the traits of `embedded-io` and `embedded-io-async`.

use super::{VsockError, VsockReader, VsockStream, VsockWriter};
use crate::executor::block_on;
use crate::virtio;
use embedded_io::{ErrorKind, ErrorType};

impl embedded_io::Error for VsockError {
    fn kind(&self) -> ErrorKind {
        match self {
            VsockError::NoDevice => ErrorKind::NotFound,
            VsockError::InUse => ErrorKind::AddrInUse,
            VsockError::Refused => ErrorKind::ConnectionRefused,
            VsockError::Reset => ErrorKind::ConnectionReset,
            VsockError::Closed => ErrorKind::BrokenPipe,
            VsockError::Device(virtio::Error::Stopped) => ErrorKind::NotConnected,
            VsockError::Setup(_) | VsockError::Device(_) => ErrorKind::Other,
        }
    }
}

/// Both traits for reading.
macro_rules! reads {
    ($ty:ty) => {
        impl embedded_io_async::Read for $ty {
            async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, VsockError> {
                self.read_some(buffer).await
            }
        }

        impl embedded_io::Read for $ty {
            fn read(&mut self, buffer: &mut [u8]) -> Result<usize, VsockError> {
                block_on(self.read_some(buffer))
            }
        }
    };
}

/// Both traits for writing. To flush is to wait until the host has taken what was written, by whatever stream.
macro_rules! writes {
    ($ty:ty) => {
        impl embedded_io_async::Write for $ty {
            async fn write(&mut self, bytes: &[u8]) -> Result<usize, VsockError> {
                self.write_some(bytes).await
            }

            async fn flush(&mut self) -> Result<(), VsockError> {
                self.drain().await
            }
        }

        impl embedded_io::Write for $ty {
            fn write(&mut self, bytes: &[u8]) -> Result<usize, VsockError> {
                block_on(self.write_some(bytes))
            }

            fn flush(&mut self) -> Result<(), VsockError> {
                block_on(self.drain())
            }
        }
    };
}

impl ErrorType for VsockStream {
    type Error = VsockError;
}

impl ErrorType for VsockReader {
    type Error = VsockError;
}

impl ErrorType for VsockWriter {
    type Error = VsockError;
}

reads!(VsockStream);
reads!(VsockReader);
writes!(VsockStream);
writes!(VsockWriter);
