//! The console's streams by the traits of `embedded-io` and `embedded-io-async`.
//!
//! Of standard input, output and error only reading waits in the asynchronous ones: output goes to the host, which takes it at once unless its own side
//! is full. Ports wait both ways.

use super::{Port, Reader, Stderr, Stdin, Stdout, Writer};
use crate::executor::block_on;
use crate::virtio;
use core::fmt;
use embedded_io::{ErrorKind, ErrorType};
use hypercall_abi::Status;

/// Why the console did not do what it was asked to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConsoleError(pub Status);

impl fmt::Display for ConsoleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "console: {}", self.0)
    }
}

impl core::error::Error for ConsoleError {}

impl embedded_io::Error for ConsoleError {
    fn kind(&self) -> ErrorKind {
        match self.0 {
            Status::DENIED => ErrorKind::PermissionDenied,
            Status::UNSUPPORTED | Status::UNKNOWN_CALL => ErrorKind::Unsupported,
            _ => ErrorKind::Other,
        }
    }
}

impl ErrorType for Stdin {
    type Error = ConsoleError;
}

impl embedded_io::Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ConsoleError> {
        Stdin::read(self, buffer).map_err(ConsoleError)
    }
}

impl embedded_io_async::Read for Stdin {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ConsoleError> {
        self.read_async(buffer).await.map_err(ConsoleError)
    }
}

impl ErrorType for Stdout {
    type Error = ConsoleError;
}

impl embedded_io::Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ConsoleError> {
        Stdout::write_all(self, bytes).map_err(ConsoleError)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ConsoleError> {
        Stdout::flush(self).map_err(ConsoleError)
    }
}

impl embedded_io_async::Write for Stdout {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ConsoleError> {
        embedded_io::Write::write(self, bytes)
    }

    async fn flush(&mut self) -> Result<(), ConsoleError> {
        embedded_io::Write::flush(self)
    }
}

impl ErrorType for Stderr {
    type Error = ConsoleError;
}

impl embedded_io::Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ConsoleError> {
        Stderr::write_all(self, bytes).map_err(ConsoleError)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ConsoleError> {
        Ok(())
    }
}

impl embedded_io_async::Write for Stderr {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ConsoleError> {
        embedded_io::Write::write(self, bytes)
    }

    async fn flush(&mut self) -> Result<(), ConsoleError> {
        Ok(())
    }
}

/// Why a port did not do what it was asked to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortError(pub virtio::Error);

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port: {}", self.0)
    }
}

impl core::error::Error for PortError {}

impl embedded_io::Error for PortError {
    fn kind(&self) -> ErrorKind {
        match self.0 {
            virtio::Error::Stopped => ErrorKind::NotConnected,
            _ => ErrorKind::Other,
        }
    }
}

impl ErrorType for Port {
    type Error = PortError;
}

impl ErrorType for Reader {
    type Error = PortError;
}

impl ErrorType for Writer {
    type Error = PortError;
}

impl embedded_io::Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, PortError> {
        Reader::read(self, buffer).map_err(PortError)
    }
}

impl embedded_io_async::Read for Reader {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, PortError> {
        self.read_async(buffer).await.map_err(PortError)
    }
}

impl embedded_io::Read for Port {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, PortError> {
        Port::read(self, buffer).map_err(PortError)
    }
}

impl embedded_io_async::Read for Port {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, PortError> {
        self.read_async(buffer).await.map_err(PortError)
    }
}

impl embedded_io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, PortError> {
        block_on(self.write_some(bytes)).map_err(PortError)
    }

    fn flush(&mut self) -> Result<(), PortError> {
        Writer::flush(self).map_err(PortError)
    }
}

impl embedded_io_async::Write for Writer {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, PortError> {
        self.write_some(bytes).await.map_err(PortError)
    }

    async fn flush(&mut self) -> Result<(), PortError> {
        self.flush_async().await.map_err(PortError)
    }
}

impl embedded_io::Write for Port {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, PortError> {
        embedded_io::Write::write(self.writer(), bytes)
    }

    fn flush(&mut self) -> Result<(), PortError> {
        embedded_io::Write::flush(self.writer())
    }
}

impl embedded_io_async::Write for Port {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, PortError> {
        embedded_io_async::Write::write(self.writer(), bytes).await
    }

    async fn flush(&mut self) -> Result<(), PortError> {
        embedded_io_async::Write::flush(self.writer()).await
    }
}
