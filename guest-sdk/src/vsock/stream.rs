//! A connection as its owner has it, whole or in halves.

use super::connection::Ports;
use super::driver::Driver;
use super::{Vsock, VsockError};
use crate::executor::block_on;
use alloc::sync::Arc;
use core::fmt;
use core::future::poll_fn;
use core::task::Poll;
use hypercall_abi::vsock::shutdown;

/// The connection. The last one who has it lets it go.
struct Hold {
    driver: Arc<Driver>,
    ports: Ports,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.driver.with(|state| state.let_go(self.ports));
    }
}

/// A byte stream to a program on the host. Read and written by the traits of `embedded-io-async`, or, blocking, by those of `embedded-io`.
///
/// Dropped, it is closed: what was written before still arrives, if the VM lives on. [`close`](VsockStream::close) waits for that.
pub struct VsockStream {
    // Dropped first, so that the writer knows itself the last.
    reader: VsockReader,
    writer: VsockWriter,
}

/// The half of a [`VsockStream`] that reads.
pub struct VsockReader(Arc<Hold>);

/// The half of a [`VsockStream`] that writes. Dropped before the other, it tells the host that no more comes.
pub struct VsockWriter(Arc<Hold>);

impl VsockStream {
    pub(super) fn new(driver: Arc<Driver>, ports: Ports) -> VsockStream {
        let hold = Arc::new(Hold { driver, ports });
        VsockStream {
            reader: VsockReader(Arc::clone(&hold)),
            writer: VsockWriter(hold),
        }
    }

    /// Connects to a port of the host's by the first device; [`Vsock::connect`] does by any.
    ///
    /// # Errors
    /// [`VsockError::Refused`] where nobody listens, and those of the device.
    pub async fn connect(port: u32) -> Result<VsockStream, VsockError> {
        Vsock::at(0)?.connect(port).await
    }

    /// Asks the host for a connection, and waits for its answer.
    pub(super) async fn ask(driver: Arc<Driver>, port: u32) -> Result<VsockStream, VsockError> {
        let ports = driver.with(|state| match state.failed {
            Some(error) => Err(error),
            None => Ok(state.ask(port)),
        })?;
        // Dropped with this future, it takes the question back.
        let stream = VsockStream::new(driver, ports);
        poll_fn(|context| {
            stream.reader.0.driver.with(|state| {
                match state.connection(ports)?.answered(context.waker()) {
                    Some(answer) => Poll::Ready(answer),
                    None => Poll::Pending,
                }
            })
        })
        .await?;
        Ok(stream)
    }

    /// As [`connect`](VsockStream::connect), blocking.
    ///
    /// # Errors
    /// As there.
    pub fn connect_blocking(port: u32) -> Result<VsockStream, VsockError> {
        block_on(VsockStream::connect(port))
    }

    /// This side's port.
    #[must_use]
    pub fn local_port(&self) -> u32 {
        self.reader.0.ports.local
    }

    /// The host's port. Of a connection that a program on the host has made, it is what that program was told.
    #[must_use]
    pub fn host_port(&self) -> u32 {
        self.reader.0.ports.host
    }

    /// Two halves, for two tasks.
    #[must_use]
    pub fn split(self) -> (VsockReader, VsockWriter) {
        (self.reader, self.writer)
    }

    /// Says that nothing more is written: the program on the host reads to the end. This side may go on reading.
    pub fn end_writing(&mut self) {
        self.writer.end();
    }

    /// Says that nothing more is read: the program on the host cannot write any more.
    pub fn end_reading(&mut self) {
        self.reader.end();
    }

    /// Closes the stream, and waits until what was written has been passed on to the program on the host. What was not read is lost.
    ///
    /// # Errors
    /// Those of the device.
    pub async fn close(self) -> Result<(), VsockError> {
        let Hold { driver, ports } = &*self.reader.0;
        driver.with(|state| state.end(*ports, shutdown::BOTH));
        poll_fn(|context| {
            driver.with(
                |state| match state.connection(*ports)?.finished(context.waker()) {
                    Some(result) => Poll::Ready(result),
                    None => Poll::Pending,
                },
            )
        })
        .await
    }

    /// As [`close`](VsockStream::close), blocking.
    ///
    /// # Errors
    /// As there.
    pub fn close_blocking(self) -> Result<(), VsockError> {
        block_on(self.close())
    }

    pub(super) async fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, VsockError> {
        self.reader.read_some(buffer).await
    }

    pub(super) async fn write_some(&mut self, bytes: &[u8]) -> Result<usize, VsockError> {
        self.writer.write_some(bytes).await
    }

    pub(super) async fn drain(&mut self) -> Result<(), VsockError> {
        self.writer.drain().await
    }
}

impl VsockReader {
    fn end(&mut self) {
        let Hold { driver, ports } = &*self.0;
        driver.with(|state| state.end(*ports, shutdown::RECEIVE));
    }

    pub(super) async fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, VsockError> {
        let Hold { driver, ports } = &*self.0;
        poll_fn(|context| driver.poll_read(*ports, buffer, context)).await
    }
}

impl VsockWriter {
    fn end(&mut self) {
        let Hold { driver, ports } = &*self.0;
        driver.with(|state| state.end(*ports, shutdown::SEND));
    }

    pub(super) async fn write_some(&mut self, bytes: &[u8]) -> Result<usize, VsockError> {
        let Hold { driver, ports } = &*self.0;
        poll_fn(|context| driver.poll_write(*ports, bytes, context)).await
    }

    pub(super) async fn drain(&mut self) -> Result<(), VsockError> {
        poll_fn(|context| self.0.driver.poll_flush(context)).await
    }
}

impl Drop for VsockWriter {
    fn drop(&mut self) {
        if Arc::strong_count(&self.0) > 1 {
            self.end();
        }
    }
}

impl fmt::Debug for VsockStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VsockStream")
            .field("local_port", &self.local_port())
            .field("host_port", &self.host_port())
            .finish()
    }
}
