//! Devices: virtio queues in shared memory, set up by calls, completed by events. Nothing here traps.
//!
//! Owns what every driver is built on: [discovery](device), set-up, queues with several requests in flight that own their buffers, blocking and
//! async. It owns no driver. It has a ring protocol of its own, and not the `virtio-drivers` crate's, because that one asks for a notification with every used
//! entry, spins in its blocking calls, and allocates for every indirect chain.
//!
//! | layer | for |
//! |---|---|
//! | [`device`], [`Setup`], [`Device`] | finding a device, taking it, features, queues, reset |
//! | [`Queue`] | requests of one owner: add or post several, kick once, look, take or pop |
//! | [`SharedQueue`] | the same for tasks and threads: requests to await or block for |
//! | [`settle`] | what an executor calls before it sleeps; [that of this crate](mod@crate::executor) does |
//!
//! # A driver's shape
//! ```no_run
//! use guest_sdk::virtio::{Data, Device, Error, SetupError, Shape, SharedQueue, device, kind};
//!
//! pub struct Disk {
//!     requests: SharedQueue<Vec<u8>>,
//!     device: Device,
//! }
//!
//! impl Disk {
//!     pub fn open(name: &str) -> Option<Result<Disk, SetupError>> {
//!         device::find_named(kind::BLOCK, name).map(Disk::set_up)
//!     }
//!
//!     fn set_up(entry: device::Entry) -> Result<Disk, SetupError> {
//!         let mut setup = entry.take()?;
//!         setup.negotiate(1 << 9)?; // VIRTIO_BLK_F_FLUSH
//!         let requests = setup.queue(0, Shape::new(128).with(16, 1))?;
//!         Ok(Disk { requests: SharedQueue::new(requests), device: setup.start()? })
//!     }
//!
//!     pub async fn read(&self, sector: u64, buffer: Vec<u8>) -> Result<Vec<u8>, Error> {
//!         let mut head = [0; 16]; // VIRTIO_BLK_T_IN
//!         head[8..].copy_from_slice(&sector.to_le_bytes());
//!         let done = self.requests.request(&head, Data::In(buffer)).await?;
//!         assert_eq!(done.tail(), [0], "VIRTIO_BLK_S_OK");
//!         Ok(done.data.into_buffer().unwrap_or_default())
//!     }
//! }
//! ```
//! A read by [`request_blocking`](SharedQueue::request_blocking) is the same without `await`. A driver that keeps buffers with the device for what may come,
//! as a network card does, [posts](Queue::post) them and [pops](SharedQueue::poll_pop) them.
//!
//! # Several vCPUs
//! A queue's event comes on one vCPU, which its [`Shape`] names: blocking and [`settle`] belong there. A device with several queues is
//! used best with one for each vCPU.

mod buffer;
pub mod device;
mod memory;
#[cfg(test)]
mod peer;
mod queue;
mod request;
mod ring;
mod setup;
mod shared;
mod watch;

pub use buffer::{Buffer, Data};
pub use hypercall_abi::device::{feature, kind};
pub use queue::Queue;
pub use request::{Completion, Error, MAX_HEAD, MAX_TAIL, Refused, Shape, Token};
pub use setup::{Device, Setup, SetupError};
pub use shared::{Pending, SharedQueue};
pub use watch::settle;
pub(crate) use watch::{glance, settle_beside};
