//! Byte streams between this program and programs on the host, over the VM's `[[vsock]]` devices.
//!
//! ```ignore
//! let listener = VsockListener::bind(5000)?;
//! let mut stream = listener.accept().await?;
//! let mut buffer = [0; 512];
//! let count = stream.read(&mut buffer).await?;
//! stream.write_all(&buffer[..count]).await?;
//! ```
//! A program on the host comes here by the device's Unix socket, at which it writes `CONNECT 5000` and a line's end and reads `OK` and a number. A guest that
//! [connects](VsockStream::connect) to port 5000 comes to whoever listens at that socket's path with `_5000` behind it.
//!
//! [`VsockListener::bind`] and [`VsockStream::connect`] use the first device; a [`Vsock`] is any of them, by its name or its place in the configuration:
//!
//! ```ignore
//! let management = Vsock::open("management")?;
//! let listener = management.bind(5000)?;
//! ```
//!
//! Owns the driver of the device (virtio 1.2, section 5.10). Every stream holds up to 128 KiB that were not read; then the program on the host waits.
//!
//! # Tasks, threads, vCPUs
//! Everything waits as a task under [`executor`](mod@crate::executor), or blocks by the functions named so. Packets come on the vCPU that opened the device first: while it neither
//! runs an executor nor blocks for a stream, nothing comes.

mod connection;
mod device;
mod driver;
mod io;
mod listener;
mod state;
mod stream;

pub use device::Vsock;
pub use listener::VsockListener;
pub use stream::{VsockReader, VsockStream, VsockWriter};

use crate::virtio::{self, SetupError};
use core::fmt;

/// Why something did not work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VsockError {
    /// The VM has no such device: its configuration has no `[[vsock]]` for it.
    NoDevice,
    /// The device could not be set up.
    Setup(SetupError),
    /// The device does not work any more.
    Device(virtio::Error),
    /// This program listens to the port already.
    InUse,
    /// Nobody on the host listens there, or the device has as many connections as it can.
    Refused,
    /// The connection is gone.
    Reset,
    /// One of the two sides has said that no more is written.
    Closed,
}

impl fmt::Display for VsockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VsockError::NoDevice => f.write_str("the VM has no such vsock device; add a [[vsock]]"),
            VsockError::Setup(error) => write!(f, "setting the vsock device up: {error}"),
            VsockError::Device(error) => write!(f, "vsock: {error}"),
            VsockError::InUse => f.write_str("the port is listened to already"),
            VsockError::Refused => f.write_str("nobody listens to the port"),
            VsockError::Reset => f.write_str("the connection is gone"),
            VsockError::Closed => f.write_str("the stream takes no more"),
        }
    }
}

impl core::error::Error for VsockError {}
