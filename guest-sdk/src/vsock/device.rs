//! One of the VM's vsock devices: what listeners and connections are of.

use super::driver::Driver;
use super::{VsockError, VsockListener, VsockStream};
use crate::executor::block_on;
use crate::virtio::{device, kind};
use alloc::sync::Arc;
use core::fmt;

/// A vsock device. Clones are the same one, and whoever opens it again has the same one too.
#[derive(Clone)]
pub struct Vsock(Arc<Driver>);

impl Vsock {
    /// The device with a name in the configuration, where the first has `vsock0` if it was given none.
    ///
    /// # Errors
    /// [`VsockError::NoDevice`], [`VsockError::Setup`].
    pub fn open(name: &str) -> Result<Vsock, VsockError> {
        Vsock::of(device::find_named(kind::VSOCK, name))
    }

    /// The device that the configuration has at this place among its vsock devices, from 0.
    ///
    /// # Errors
    /// [`VsockError::NoDevice`], [`VsockError::Setup`].
    pub fn at(instance: u32) -> Result<Vsock, VsockError> {
        Vsock::of(device::find(kind::VSOCK, instance))
    }

    fn of(entry: Option<device::Entry>) -> Result<Vsock, VsockError> {
        let entry = entry.ok_or(VsockError::NoDevice)?;
        Driver::of(entry).map(Vsock)
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.entry().name()
    }

    /// The guest's context ID at this device.
    #[must_use]
    pub fn cid(&self) -> u64 {
        self.0.with(|state| state.cid)
    }

    /// Listens to a port.
    ///
    /// # Errors
    /// [`VsockError::InUse`] where it is listened to already at this device, and those of the device.
    pub fn bind(&self, port: u32) -> Result<VsockListener, VsockError> {
        self.0.with(|state| state.bind(port))?;
        Ok(VsockListener::new(Arc::clone(&self.0), port))
    }

    /// Connects to a port of the host's, which is whoever listens at this device's path with `_` and the port behind it.
    ///
    /// # Errors
    /// [`VsockError::Refused`] where nobody listens, and those of the device.
    pub async fn connect(&self, port: u32) -> Result<VsockStream, VsockError> {
        VsockStream::ask(Arc::clone(&self.0), port).await
    }

    /// As [`connect`](Vsock::connect), blocking.
    ///
    /// # Errors
    /// As there.
    pub fn connect_blocking(&self, port: u32) -> Result<VsockStream, VsockError> {
        block_on(self.connect(port))
    }
}

impl fmt::Debug for Vsock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vsock")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
