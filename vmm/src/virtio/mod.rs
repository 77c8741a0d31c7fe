//! virtio devices: what they are, and how a guest's driver sets one up.
//!
//! A device is three files: its queue loop, its request (a pure parse) and its backend. It knows queues and nothing of how a driver
//! reached it: [`station`] is the transport that a guest with calls uses, [`table`] what such a guest reads. All of it runs on the VM's
//! [I/O thread](crate::io).

pub(crate) mod block;
mod chain;
pub(crate) mod console;
mod counts;
#[cfg(test)]
pub(crate) mod fuzz;
mod listener;
pub(crate) mod net;
#[cfg(test)]
pub(crate) mod peer;
mod queue;
pub(crate) mod rng;
mod station;
mod table;
mod used;
pub(crate) mod vsock;

pub(crate) use block::{Block, Disk};
pub(crate) use chain::Chain;
pub(crate) use console::Console;
pub(crate) use counts::Counts;
pub(crate) use queue::{Queue, Raise};
pub(crate) use rng::Rng;
pub(crate) use station::{Request, Station};
pub(crate) use table::publish;
pub(crate) use vsock::Vsock;

use crate::io::Sources;
use rustix::process::{Resource, getrlimit};
use vmm_sys_util::epoll::EventSet;

/// What a device is, as the device table says it.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Of [`hypercall_abi::device::kind`].
    pub kind: u32,
    /// Its name in the configuration, at most 32 bytes.
    pub name: String,
    /// The feature bits of its own; those of every device come on top.
    pub features: u64,
    /// Its configuration space.
    pub config: Vec<u8>,
    /// How many queues it has.
    pub queues: u16,
    /// The most entries they can have, a power of two.
    pub queue_size: u16,
}

/// What a driver did that no queue may hold: the device stops until it is reset. A sentence for the operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Broken(pub &'static str);

/// The queues that a driver has set up, by their index.
pub(crate) type Queues = [Option<Queue>];

/// A device, as its transport drives it. It never blocks for the guest, and for the host's files no longer than a request takes.
pub(crate) trait Device: Send {
    /// What it is. Does not change.
    fn identity(&self) -> Identity;

    /// The driver has taken these features and the queues are there; sources of its own may be watched from now on.
    fn start(&mut self, features: u64, sources: &mut Sources);

    /// The driver is gone: whatever it asked for has ended or ends now, before this returns, and no source is watched any more.
    fn reset(&mut self, sources: &mut Sources);

    /// Serves what a queue holds, as far as that is possible now; says whether it did anything.
    ///
    /// # Errors
    /// [`Broken`].
    fn serve(
        &mut self,
        queue: usize,
        queues: &mut Queues,
        sources: &mut Sources,
    ) -> Result<bool, Broken>;

    /// Asks for kicks on the queues from which it could serve something, before the thread sleeps; `true`: something has come already.
    ///
    /// # Errors
    /// [`Broken`].
    fn arm(&mut self, queues: &mut Queues) -> Result<bool, Broken> {
        let mut more = false;
        for queue in queues.iter_mut().flatten() {
            more |= queue.arm()?;
        }
        Ok(more)
    }

    /// How many requests the host could not do, and why not the first of them.
    fn failures(&self) -> (u64, Option<String>) {
        (0, None)
    }

    /// Its configuration space, if that is another than when it was asked last.
    fn changed(&mut self) -> Option<&[u8]> {
        None
    }

    /// A source that it watches, by the token it gave, is ready; says whether it did anything.
    ///
    /// # Errors
    /// [`Broken`].
    fn ready(
        &mut self,
        token: u32,
        events: EventSet,
        queues: &mut Queues,
        sources: &mut Sources,
    ) -> Result<bool, Broken> {
        let _ = (token, events, queues, sources);
        Ok(false)
    }
}

/// How many files a device may have open for its guest: as many as it wants, up to a quarter of what the process may have.
pub(crate) fn share_of_files(wanted: usize) -> usize {
    let quarter = getrlimit(Resource::Nofile).current.map(|most| most >> 2);
    let quarter = quarter.and_then(|most| usize::try_from(most).ok());
    wanted.min(quarter.unwrap_or(usize::MAX))
}
