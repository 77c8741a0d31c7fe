//! What a VM's devices have done until now, for who watches it run.

use crate::shared::Shared;
use crate::stats::DeviceStats;
use std::sync::{Arc, Weak};

/// A way to ask. Does not keep the VM: once that is gone there is nothing to hear.
pub(crate) struct Gauge(Weak<Shared>);

impl Gauge {
    pub fn new(shared: &Arc<Shared>) -> Gauge {
        Gauge(Arc::downgrade(shared))
    }

    /// What each device has done, in order of the device table; empty where no driver has made the I/O thread start, or the VM has ended. That thread
    /// answers, between two things that it does for the guest.
    pub fn devices(&self) -> Vec<DeviceStats> {
        let shared = self.0.upgrade();
        let io = shared.as_ref().and_then(|shared| shared.io.get()?.as_ref());
        io.map(|io| io.stats()).unwrap_or_default()
    }
}
