//! Disks.
//!
//! Owns the requests of virtio 1.2, section 5.2, and what their answers mean. Their way to the device is [`virtio`](crate::virtio)'s. Buffers are
//! owned by a request while it is in flight, and come back with its end; as many are in flight as were begun, up to [`DEPTH`] for each vCPU.
//!
//! ```no_run
//! use guest_sdk::block::{Disk, Error};
//! async fn increment(disk: &Disk) -> Result<(), Error> {
//!     let mut sector = disk.read(0, vec![0; 512]).await?;
//!     sector[0] = sector[0].wrapping_add(1);
//!     disk.write(0, sector).await?;
//!     disk.flush().await // durable when this has ended
//! }
//! # fn main() -> Result<(), Error> {
//! let disk = Disk::open("disk0")?;
//! guest_sdk::println!("{} sectors", disk.sectors());
//! guest_sdk::executor::block_on(increment(&disk))?;
//! // The same without tasks, and with two requests in flight together.
//! let first = disk.begin_read(0, vec![0; 4096])?;
//! let second = disk.begin_read(8, vec![0; 4096])?;
//! assert_eq!(first.wait()?.len() + second.wait()?.len(), 8192);
//! # Ok(())
//! # }
//! ```
//!
//! # What is durable
//! A write that has ended is the host's: no end of the VMM takes it away. It survives the end of the host's power after a [flush](Disk::flush) that
//! began when it had ended; at once where the host's configuration says `cache = "writethrough"`.
//!
//! # Past the host's page cache
//! Where the configuration says `direct = true`, the host reads and writes a request's buffer itself if its address and length, and the place on the disk, are
//! multiples of what the file system asks for: 512 bytes on most, at most a page. With the SDK's [heap](crate::heap) a `Vec` of whole sectors begins at a
//! sector, one of whole pages at a page. Other buffers go through the page cache, as if it did not say so.
//!
//! # Several vCPUs
//! Each vCPU has a queue of its own as far as the device has queues, and waits for what it began itself.

mod cursor;
mod error;
mod request;
mod space;

pub use cursor::Cursor;
pub use error::Error;
pub use request::Request;

use crate::event;
use crate::platform::boot;
use crate::virtio::{Buffer, Data, Device, SetupError, Shape, SharedQueue, device, kind};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use request::{Ended, Load, SERIAL, What};
use space::{Space, feature};

/// Bytes of a sector: the unit of places and lengths, whatever the disk's own blocks are.
pub const SECTOR: usize = 512;

/// Requests of one vCPU that can be in flight.
pub const DEPTH: u16 = 128;

/// A disk. Clones are the same one; the device is reset when the last is gone.
pub struct Disk<B: Buffer = Vec<u8>>(Arc<Inner<B>>);

struct Inner<B: Buffer> {
    /// One for each vCPU, from the first on.
    queues: Box<[SharedQueue<Load<B>>]>,
    device: Device,
    space: Space,
}

impl<B: Buffer> Clone for Disk<B> {
    fn clone(&self) -> Disk<B> {
        Disk(Arc::clone(&self.0))
    }
}

impl<B: Buffer> fmt::Debug for Disk<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk")
            .field("name", &self.name())
            .field("sectors", &self.sectors())
            .field("read_only", &self.read_only())
            .finish_non_exhaustive()
    }
}

impl<B: Buffer> Disk<B> {
    /// Takes the disk with a name in the configuration, where the first has `disk0` if it was given none.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Setup`].
    pub fn open(name: &str) -> Result<Disk<B>, Error> {
        Disk::take(device::find_named(kind::BLOCK, name))
    }

    /// Takes the disk that the configuration has at this place among its disks, from 0.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Setup`].
    pub fn at(instance: u32) -> Result<Disk<B>, Error> {
        Disk::take(device::find(kind::BLOCK, instance))
    }

    fn take(entry: Option<device::Entry>) -> Result<Disk<B>, Error> {
        let entry = entry.ok_or(Error::Missing)?;
        Disk::set_up(entry).map_err(Error::Setup)
    }

    fn set_up(entry: device::Entry) -> Result<Disk<B>, SetupError> {
        let mut setup = entry.take()?;
        let features = setup.negotiate(feature::ALL)?;
        let queues = match features & feature::MQ {
            0 => 1,
            _ => boot().vcpus.min(entry.queues().into()).max(1),
        };
        let queues = (0..queues)
            .map(|vcpu| {
                let shape = Shape {
                    vcpu,
                    ..Shape::new(DEPTH).with(request::HEAD, request::TAIL)
                };
                // There are no more vCPUs than a `u16` holds.
                setup.queue(vcpu as u16, shape).map(SharedQueue::new)
            })
            .collect::<Result<_, _>>()?;
        let device = setup.start()?;
        Ok(Disk(Arc::new(Inner {
            space: entry.config(|space| Space::read(space, features)),
            queues,
            device,
        })))
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.device.entry().name()
    }

    /// How many sectors it has.
    #[must_use]
    pub fn sectors(&self) -> u64 {
        self.0.space.sectors
    }

    /// Bytes of the blocks in which it is best read and written.
    #[must_use]
    pub fn block_size(&self) -> usize {
        self.0.space.block_size
    }

    /// The most bytes of one read or write.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.0.space.longest
    }

    /// Whether it cannot be written.
    #[must_use]
    pub fn read_only(&self) -> bool {
        self.has(feature::RO)
    }

    fn has(&self, feature: u64) -> bool {
        self.0.device.features() & feature != 0
    }

    /// Begins a read of whole sectors, as many as the buffer holds. The device is told when the first of several is awaited or waited for.
    ///
    /// # Errors
    /// [`Error::NotSectors`], [`Error::TooLong`], [`Error::BeyondEnd`]; [`Error::Queue`], also where [`DEPTH`] requests are in flight.
    pub fn begin_read(&self, sector: u64, buffer: B) -> Result<Request<B>, Error> {
        let buffer = self.checked(sector, buffer)?;
        self.begin(What::Read(sector), Data::In(Load::Data(buffer)))
    }

    /// Begins a write of whole sectors.
    ///
    /// # Errors
    /// As [`begin_read`](Disk::begin_read), and [`Error::ReadOnly`].
    pub fn begin_write(&self, sector: u64, buffer: B) -> Result<Request<B>, Error> {
        self.writable()?;
        let buffer = self.checked(sector, buffer)?;
        self.begin(What::Write(sector), Data::Out(Load::Data(buffer)))
    }

    /// Reads whole sectors, as many as the buffer holds.
    ///
    /// # Errors
    /// As [`begin_read`](Disk::begin_read), but it waits for room; [`Error::Failed`].
    pub async fn read(&self, sector: u64, buffer: B) -> Result<B, Error> {
        let buffer = self.checked(sector, buffer)?;
        let load = Data::In(Load::Data(buffer));
        self.request(What::Read(sector), load).await?.buffer()
    }

    /// Writes whole sectors.
    ///
    /// # Errors
    /// As [`read`](Disk::read), and [`Error::ReadOnly`].
    pub async fn write(&self, sector: u64, buffer: B) -> Result<B, Error> {
        self.writable()?;
        let buffer = self.checked(sector, buffer)?;
        let load = Data::Out(Load::Data(buffer));
        self.request(What::Write(sector), load).await?.buffer()
    }

    /// Makes every write that has ended durable.
    ///
    /// # Errors
    /// [`Error::Failed`]: what was written may be lost. [`Error::Queue`].
    pub async fn flush(&self) -> Result<(), Error> {
        // Without the feature every write is durable when it ends.
        if !self.has(feature::FLUSH) {
            return Ok(());
        }
        self.request(What::Flush, Data::None).await.map(drop)
    }

    /// Says that sectors are not needed any more: what they contain is then anything.
    ///
    /// # Errors
    /// [`Error::BeyondEnd`], [`Error::ReadOnly`], [`Error::Failed`], [`Error::Unsupported`], [`Error::Queue`].
    pub async fn discard(&self, sectors: Range<u64>) -> Result<(), Error> {
        let most = self.most(&sectors, feature::DISCARD, self.0.space.discarded)?;
        for (at, count) in request::parts(sectors, most) {
            let what = What::Discard(at, count);
            self.request(what, Data::None).await?;
        }
        Ok(())
    }

    /// Fills sectors with zeros, of which no storage need be kept.
    ///
    /// # Errors
    /// As [`discard`](Disk::discard).
    pub async fn write_zeroes(&self, sectors: Range<u64>) -> Result<(), Error> {
        let most = self.most(&sectors, feature::WRITE_ZEROES, self.0.space.zeroed)?;
        for (at, count) in request::parts(sectors, most) {
            self.request(What::Zero(at, count), Data::None).await?;
        }
        Ok(())
    }

    /// Its serial number.
    ///
    /// # Errors
    /// [`Error::Failed`], [`Error::Queue`].
    pub async fn serial(&self) -> Result<String, Error> {
        let load = Data::In(Load::Serial(Box::new([0; SERIAL])));
        let ended = self.request(What::Serial, load).await?;
        ended.serial()
    }

    /// As [`read`](Disk::read), blocking.
    ///
    /// # Errors
    /// As [`read`](Disk::read).
    pub fn read_blocking(&self, sector: u64, buffer: B) -> Result<B, Error> {
        let buffer = self.checked(sector, buffer)?;
        let load = Data::In(Load::Data(buffer));
        self.blocking(What::Read(sector), load)?.buffer()
    }

    /// As [`write`](Disk::write), blocking.
    ///
    /// # Errors
    /// As [`write`](Disk::write).
    pub fn write_blocking(&self, sector: u64, buffer: B) -> Result<B, Error> {
        self.writable()?;
        let buffer = self.checked(sector, buffer)?;
        let load = Data::Out(Load::Data(buffer));
        self.blocking(What::Write(sector), load)?.buffer()
    }

    /// As [`flush`](Disk::flush), blocking.
    ///
    /// # Errors
    /// As [`flush`](Disk::flush).
    pub fn flush_blocking(&self) -> Result<(), Error> {
        if !self.has(feature::FLUSH) {
            return Ok(());
        }
        self.blocking(What::Flush, Data::None).map(drop)
    }

    /// As [`discard`](Disk::discard), blocking.
    ///
    /// # Errors
    /// As [`discard`](Disk::discard).
    pub fn discard_blocking(&self, sectors: Range<u64>) -> Result<(), Error> {
        let most = self.most(&sectors, feature::DISCARD, self.0.space.discarded)?;
        request::parts(sectors, most).try_for_each(|(at, count)| {
            self.blocking(What::Discard(at, count), Data::None)
                .map(drop)
        })
    }

    /// As [`write_zeroes`](Disk::write_zeroes), blocking.
    ///
    /// # Errors
    /// As [`write_zeroes`](Disk::write_zeroes).
    pub fn write_zeroes_blocking(&self, sectors: Range<u64>) -> Result<(), Error> {
        let most = self.most(&sectors, feature::WRITE_ZEROES, self.0.space.zeroed)?;
        request::parts(sectors, most)
            .try_for_each(|(at, count)| self.blocking(What::Zero(at, count), Data::None).map(drop))
    }

    /// As [`serial`](Disk::serial), blocking.
    ///
    /// # Errors
    /// As [`serial`](Disk::serial).
    pub fn serial_blocking(&self) -> Result<String, Error> {
        let load = Data::In(Load::Serial(Box::new([0; SERIAL])));
        self.blocking(What::Serial, load)?.serial()
    }

    fn blocking(&self, what: What, load: Data<Load<B>>) -> Result<Ended<B>, Error> {
        let done = self.queue()?.request_blocking(what.head().bytes(), load);
        Ended::of(done?)
    }

    async fn request(&self, what: What, load: Data<Load<B>>) -> Result<Ended<B>, Error> {
        let head = what.head();
        let done = self.queue()?.request(head.bytes(), load).await;
        Ended::of(done?)
    }

    fn begin(&self, what: What, load: Data<Load<B>>) -> Result<Request<B>, Error> {
        let made = self.queue()?.submit(what.head().bytes(), load);
        made.map(Request::new)
            .map_err(|refused| Error::Queue(refused.error))
    }

    /// The queue of the vCPU that runs this, or of the first.
    fn queue(&self) -> Result<&SharedQueue<Load<B>>, Error> {
        let own = self.0.queues.get(event::current_vcpu() as usize);
        own.or(self.0.queues.first()).ok_or(Error::Missing)
    }

    fn writable(&self) -> Result<(), Error> {
        match self.read_only() {
            true => Err(Error::ReadOnly),
            false => Ok(()),
        }
    }

    /// A buffer that fits in a request, and onto the disk.
    fn checked(&self, sector: u64, mut buffer: B) -> Result<B, Error> {
        let len = buffer.bytes().len();
        request::check(sector, len, self.longest(), self.sectors())?;
        Ok(buffer)
    }

    /// The most sectors of a request about a range of them.
    fn most(&self, sectors: &Range<u64>, feature: u64, most: u32) -> Result<u32, Error> {
        self.writable()?;
        match () {
            () if !self.has(feature) || most == 0 => Err(Error::Unsupported),
            () if sectors.end > self.sectors() => Err(Error::BeyondEnd),
            () => Ok(most),
        }
    }
}
