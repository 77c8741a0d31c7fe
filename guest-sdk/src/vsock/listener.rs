//! A port of the guest's that programs on the host connect to.

use super::driver::Driver;
use super::{Vsock, VsockError, VsockStream};
use crate::executor::block_on;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::task::Poll;

/// A port that this program listens to, until this is dropped. Up to 128 connections wait there to be accepted; further ones are refused.
pub struct VsockListener {
    driver: Arc<Driver>,
    port: u32,
}

impl VsockListener {
    /// What listens to a port, which was bound at the device.
    pub(super) fn new(driver: Arc<Driver>, port: u32) -> VsockListener {
        VsockListener { driver, port }
    }

    /// Listens to a port at the first device; [`Vsock::bind`] does at any.
    ///
    /// # Errors
    /// [`VsockError::InUse`] where it is listened to already, and those of the device.
    pub fn bind(port: u32) -> Result<VsockListener, VsockError> {
        Vsock::at(0)?.bind(port)
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u32 {
        self.port
    }

    /// The next connection. Several tasks may wait for one.
    ///
    /// # Errors
    /// Those of the device.
    pub async fn accept(&self) -> Result<VsockStream, VsockError> {
        let ports = poll_fn(|context| {
            let accepted = self
                .driver
                .with(|state| state.accept(self.port, context.waker()));
            accepted.map_or(Poll::Pending, Poll::Ready)
        })
        .await?;
        Ok(VsockStream::new(Arc::clone(&self.driver), ports))
    }

    /// As [`accept`](VsockListener::accept), blocking.
    ///
    /// # Errors
    /// As there.
    pub fn accept_blocking(&self) -> Result<VsockStream, VsockError> {
        block_on(self.accept())
    }
}

impl Drop for VsockListener {
    fn drop(&mut self) {
        self.driver.with(|state| state.unbind(self.port));
    }
}
