//! Taking a device, agreeing on features, making its queues, starting it, and letting go of it.
//!
//! Owns the order of the [setup calls](hypercall_abi::device) and the rule that memory which a device was told of is freed only after a reset.
//! A device is taken once; it is free again when its [`Device`] and all its queues are gone.

use super::device::Entry;
use super::{Buffer, Queue, Shape};
use crate::platform::Vcpu;
use crate::sync::Mutex;
use crate::{calls, event};
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use hypercall_abi::Status;
use hypercall_abi::device::{QueueSetup, feature};

/// The devices that are taken, a bit for each.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// Why a device cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetupError {
    /// This program uses it already.
    Taken,
    /// The device does not offer what no driver here can do without: version 1 and event indices.
    Features,
    /// It has no such queue, or the shape does not fit one.
    Queue,
    /// It was reset meanwhile, as one of its queues was dropped or refused: take it again.
    Stopped,
    /// The host refused a call.
    Refused(Status),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetupError::Taken => f.write_str("the device is in use already"),
            SetupError::Features => {
                f.write_str("the device lacks a mandatory feature: VERSION_1 or EVENT_IDX")
            }
            SetupError::Queue => f.write_str("the device has no such queue, or none of that shape"),
            SetupError::Stopped => f.write_str("the device was reset while it was set up"),
            SetupError::Refused(status) => write!(f, "the host refused it: {status}"),
        }
    }
}

impl core::error::Error for SetupError {}

/// What a device and its queues share: whether the device may still use their memory.
pub(super) struct Link {
    entry: Option<Entry>,
    state: AtomicU8,
    /// Whether the device has let go. Locked while it is made to.
    released: Mutex<bool>,
}

/// What [`Link::state`] can be.
mod state {
    pub(super) const SETUP: u8 = 0;
    pub(super) const RUNNING: u8 = 1;
    pub(super) const STOPPED: u8 = 2;
}

impl Link {
    /// A link to no device: the other end of the queue is in the same process.
    #[cfg(test)]
    pub(super) fn detached() -> Arc<Link> {
        Arc::new(Link {
            entry: None,
            state: AtomicU8::new(state::RUNNING),
            released: Mutex::new(false),
        })
    }

    /// Whether the device serves queues.
    #[inline]
    pub(super) fn running(&self) -> bool {
        self.state.load(Ordering::Acquire) == state::RUNNING
    }

    /// Whether the device was reset, and will not serve these queues again.
    #[inline]
    pub(super) fn stopped(&self) -> bool {
        self.state.load(Ordering::Acquire) == state::STOPPED
    }

    /// Whether the device says that it has stopped for an error.
    pub(super) fn broken(&self) -> bool {
        self.entry.is_some_and(|entry| entry.broken())
    }

    /// A number that is another one after the device's configuration has changed.
    pub(super) fn generation(&self) -> u32 {
        self.entry.map_or(0, |entry| entry.generation())
    }

    /// How many queues share the device's event.
    pub(super) fn queues(&self) -> u16 {
        self.entry.map_or(1, |entry| entry.queues())
    }

    /// Makes a call that gives the device something, unless it was stopped; nobody stops it meanwhile.
    fn unless_stopped<T>(&self, call: impl FnOnce() -> Result<T, Status>) -> Result<T, SetupError> {
        let _released = self.released.lock();
        if self.stopped() {
            return Err(SetupError::Stopped);
        }
        call().map_err(SetupError::Refused)
    }

    /// Makes the device let go of its queues and buffers, and says whether it has. Who waits for one of its other queues learns of it.
    pub(super) fn stop(&self) -> bool {
        let mut released = self.released.lock();
        if *released {
            return true;
        }
        self.state.store(state::STOPPED, Ordering::Release);
        let Some(entry) = self.entry else {
            *released = true;
            return true;
        };
        *released = calls::device_reset(entry.index()).is_ok();
        (0..)
            .map_while(Vcpu::get)
            .for_each(|vcpu| event::raise(vcpu, entry.event()));
        *released
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A device that does not let go stays taken.
        if let (true, Some(entry)) = (self.stop(), self.entry) {
            TAKEN.fetch_and(!(1 << entry.index()), Ordering::Release);
        }
    }
}

impl Entry {
    /// Takes the device, to set it up. It is reset first.
    ///
    /// # Errors
    /// [`SetupError::Taken`]; [`SetupError::Refused`] where the class `device` is not granted.
    pub fn take(self) -> Result<Setup, SetupError> {
        let bit = 1 << self.index();
        // Acquire: what the last owner did comes before what this one does.
        if TAKEN.fetch_or(bit, Ordering::Acquire) & bit != 0 {
            return Err(SetupError::Taken);
        }
        if let Err(status) = calls::device_reset(self.index()) {
            TAKEN.fetch_and(!bit, Ordering::Release);
            return Err(SetupError::Refused(status));
        }
        let link = Arc::new(Link {
            entry: Some(self),
            state: AtomicU8::new(state::SETUP),
            released: Mutex::new(false),
        });
        Ok(Setup {
            entry: self,
            link,
            features: 0,
        })
    }
}

/// A device that is being set up.
pub struct Setup {
    entry: Entry,
    link: Arc<Link>,
    features: u64,
}

impl Setup {
    /// The device's row in the table.
    #[must_use]
    pub fn entry(&self) -> Entry {
        self.entry
    }

    /// Takes those of the `wanted` features that the device offers, and those of the queues themselves, and returns what was taken.
    ///
    /// # Errors
    /// [`SetupError::Features`], [`SetupError::Stopped`], [`SetupError::Refused`].
    pub fn negotiate(&mut self, wanted: u64) -> Result<u64, SetupError> {
        const MANDATORY: u64 = feature::VERSION_1 | feature::EVENT_IDX;
        let offered = self.entry.features();
        if offered & MANDATORY != MANDATORY {
            return Err(SetupError::Features);
        }
        let bits = offered & (wanted | MANDATORY | feature::INDIRECT);
        let index = self.entry.index();
        self.features = self
            .link
            .unless_stopped(|| calls::device_features(index, bits))?;
        Ok(self.features)
    }

    /// Makes one of the device's queues, of at most the entries that `shape` asks for. It may be filled before the device starts.
    ///
    /// # Errors
    /// [`SetupError::Queue`]; [`SetupError::Stopped`]; [`SetupError::Refused`], also where nothing was [negotiated](Setup::negotiate) yet.
    pub fn queue<B: Buffer>(&self, queue: u16, shape: Shape) -> Result<Queue<B>, SetupError> {
        if queue >= self.entry.queues() {
            return Err(SetupError::Queue);
        }
        let mut shape = shape;
        shape.entries = shape.entries.min(self.entry.queue_size());
        let made = Queue::new(
            shape,
            self.features & feature::INDIRECT != 0,
            Arc::clone(&self.link),
            self.entry.doorbell(queue),
            self.entry.event(),
        )
        .ok_or(SetupError::Queue)?;
        let (index, setup): (u32, QueueSetup) = (self.entry.index(), made.setup(queue));
        self.link.unless_stopped(|| {
            // SAFETY: the rings are the queue's, which drops them, and the buffers that it was given, only after the link has stopped the device.
            unsafe { calls::queue_setup(index, &setup) }
        })?;
        Ok(made)
    }

    /// Starts the device. [Kick](Queue::kick) the queues that are filled already.
    ///
    /// # Errors
    /// [`SetupError::Stopped`]; [`SetupError::Refused`], also where a queue is missing that the device cannot do without.
    pub fn start(self) -> Result<Device, SetupError> {
        self.link.unless_stopped(|| {
            calls::device_start(self.entry.index())?;
            self.link.state.store(state::RUNNING, Ordering::Release);
            Ok(())
        })?;
        Ok(Device {
            entry: self.entry,
            link: self.link,
            features: self.features,
        })
    }
}

/// A device that runs. Dropping it, or one of its queues, resets it.
pub struct Device {
    entry: Entry,
    link: Arc<Link>,
    features: u64,
}

impl Device {
    /// Its row in the table: configuration, event, whether it is broken.
    #[must_use]
    pub fn entry(&self) -> Entry {
        self.entry
    }

    /// The features that were taken.
    #[must_use]
    pub fn features(&self) -> u64 {
        self.features
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.link.stop();
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry.fmt(f)
    }
}
