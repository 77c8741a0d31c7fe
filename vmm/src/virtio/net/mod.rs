//! The network card (virtio 1.2, section 5.1): its two queues. What packets go to and come from is a [`Backend`].
//!
//! Every packet is copied once on its way, so that what is checked is what is used. A packet that cannot go on is dropped and counted, as on any
//! network; it is the driver's queues alone that can be broken.

mod backend;
mod framing;
mod inbound;
mod open;
mod peer;
mod request;
mod stream;
mod tap;
mod tun;
mod user;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use backend::{Backend, HEADER, LEAST_FRAME, MOST_FRAME, Sent};
pub(crate) use stream::Stream;
pub(crate) use tap::Tap;
pub(crate) use user::User;
#[cfg(test)]
pub(crate) use user::tests::fuzz;

use super::{Broken, Chain, Device, Identity, Queue, Queues};
use crate::io::Sources;
use crate::rate::Limit;
use hypercall_abi::device::kind;
use hypercall_abi::net::{Config, Header, LINK_UP, RECEIVE, SEND, feature};
use inbound::Inbound;
use vmm_sys_util::epoll::EventSet;
use zerocopy::{FromBytes, IntoBytes};

/// Packets of one direction between two looks at the other one.
const BATCH: usize = 64;
/// The token of the limit's timer: above the backend's.
const TIMER: u32 = 0x1_0000;
/// The most entries of a queue.
const QUEUE_SIZE: u16 = 256;

/// The card.
pub(crate) struct Card {
    name: String,
    config: Config,
    /// Whether the driver has yet to be told that the configuration is another.
    is_changed: bool,
    backend: Box<dyn Backend>,
    /// What the driver took and can use.
    features: u64,
    chain: Chain,
    /// The packet that is being sent.
    outbound: Box<[u8]>,
    /// Whether the backend has yet to say that it takes packets again.
    is_full: bool,
    inbound: Inbound,
    /// What may pass in a second, both ways together.
    limit: Limit,
}

impl Card {
    /// A card with an address and the most bytes of a packet, connected to something.
    pub fn new(
        name: String,
        mac: [u8; 6],
        mtu: u16,
        backend: Box<dyn Backend>,
        limit: Limit,
    ) -> Card {
        let status = link_status(&*backend);
        Card {
            name,
            config: Config {
                mac,
                status,
                max_virtqueue_pairs: 0,
                mtu,
            },
            is_changed: false,
            backend,
            features: 0,
            chain: Chain::default(),
            outbound: vec![0; HEADER.saturating_add(MOST_FRAME)].into_boxed_slice(),
            is_full: false,
            inbound: Inbound::default(),
            limit,
        }
    }

    /// Sends what the guest has queued, until the backend takes no more.
    fn transmit(&mut self, queue: &mut Queue) -> Result<bool, Broken> {
        let mut did = false;
        for _ in 0..BATCH {
            let may = !self.is_full && self.limit.admits();
            if !may || !queue.pop(&mut self.chain)? {
                break;
            }
            match self.send(queue)? {
                Sent::Taken => {}
                Sent::Dropped => queue.counts.dropped = queue.counts.dropped.wrapping_add(1),
                Sent::Full => {
                    queue.unpop(&mut self.chain);
                    self.is_full = true;
                    break;
                }
            }
            charge(&mut self.limit, self.chain.readable_bytes());
            queue.push(&self.chain, 0)?;
            did = true;
        }
        if did {
            queue.announce()?;
        }
        Ok(did)
    }

    /// Sends the packet in `self.chain`.
    fn send(&mut self, queue: &Queue) -> Result<Sent, Broken> {
        let len = usize::try_from(self.chain.readable_bytes()).unwrap_or(usize::MAX);
        let Some(packet) = self.outbound.get_mut(..len) else {
            return Ok(Sent::Dropped);
        };
        queue.read(&self.chain, 0, packet)?;
        let Some((header, frame)) = packet.split_at_mut_checked(HEADER) else {
            return Ok(Sent::Dropped);
        };
        let asked = Header::read_from_bytes(header).unwrap_or_default();
        let checked = request::check(&asked, frame.len(), self.features);
        let (Some(checked), LEAST_FRAME..) = (checked, frame.len()) else {
            return Ok(Sent::Dropped);
        };
        header.copy_from_slice(checked.as_bytes());
        Ok(self.backend.send(packet))
    }

    /// Moves packets in one queue's direction, as far as possible.
    fn work(&mut self, index: usize, queues: &mut Queues) -> Result<bool, Broken> {
        let Some(Some(queue)) = queues.get_mut(index) else {
            return Ok(false);
        };
        match index == usize::from(SEND) {
            true => self.transmit(queue),
            false => self
                .inbound
                .receive(&mut *self.backend, queue, &mut self.limit),
        }
    }

    /// Ends a batch; says whether the link is another one.
    fn settle(&mut self, sources: &mut Sources) -> bool {
        self.backend.flush(sources);
        let status = link_status(&*self.backend);
        if self.config.status == status {
            return false;
        }
        self.config.status = status;
        self.is_changed = true;
        // Whatever it waited for, it is another link now, or there is none, and packets are dropped.
        self.is_full = false;
        true
    }

    /// Whether what is to be sent waits, for the backend or for time.
    fn is_waiting(&self) -> bool {
        self.is_full || self.limit.is_waiting()
    }
}

/// Counts a packet of so many bytes, of which the header is none.
fn charge(limit: &mut Limit, packet: u64) {
    limit.charge(packet.saturating_sub(HEADER as u64));
}

fn link_status(backend: &dyn Backend) -> u16 {
    match backend.has_link() {
        true => LINK_UP,
        false => 0,
    }
}

impl Device for Card {
    fn identity(&self) -> Identity {
        Identity {
            kind: kind::NET,
            name: self.name.clone(),
            features: feature::MAC
                | feature::MTU
                | feature::STATUS
                | feature::MRG_RXBUF
                | self.backend.features(),
            config: self.config.as_bytes().to_vec(),
            queues: 2,
            queue_size: QUEUE_SIZE,
        }
    }

    fn start(&mut self, features: u64, sources: &mut Sources) {
        self.features = request::usable(features);
        self.is_full = false;
        self.inbound.start(self.features);
        // A backend that cannot watch has no link, and says so.
        let _ = self.backend.watch(self.features, sources);
        self.limit.watch(TIMER, sources);
        self.settle(sources);
    }

    fn reset(&mut self, sources: &mut Sources) {
        self.backend.forget(sources);
        self.limit.forget(sources);
        self.inbound.start(0);
    }

    fn serve(
        &mut self,
        queue: usize,
        queues: &mut Queues,
        sources: &mut Sources,
    ) -> Result<bool, Broken> {
        let did = self.work(queue, queues)?;
        Ok(self.settle(sources) | did)
    }

    fn arm(&mut self, queues: &mut Queues) -> Result<bool, Broken> {
        let mut more = false;
        // A queue that waits already, and one that holds buffers enough, need no kicks.
        if let (Some(Some(queue)), false) = (queues.get_mut(usize::from(SEND)), self.is_waiting()) {
            more |= queue.arm()?;
        }
        if let (Some(Some(queue)), true) = (
            queues.get_mut(usize::from(RECEIVE)),
            self.inbound.is_starved(),
        ) {
            more |= queue.arm()?;
        }
        Ok(more)
    }

    fn ready(
        &mut self,
        token: u32,
        events: EventSet,
        queues: &mut Queues,
        sources: &mut Sources,
    ) -> Result<bool, Broken> {
        // A queue that has waited has not asked for kicks: it is looked at until it has.
        let mut did = self.is_waiting();
        match token {
            TIMER => self.limit.rung(),
            _ => {
                self.backend.ready(token, events, sources);
                self.is_full = false;
            }
        }
        for queue in self.limit.turns(queues.len()) {
            did |= self.work(queue, queues)?;
        }
        // As long as it has to wait for the timer there is nothing to look for.
        Ok(self.settle(sources) | did && !self.limit.is_waiting())
    }

    fn changed(&mut self) -> Option<&[u8]> {
        std::mem::take(&mut self.is_changed).then(|| self.config.as_bytes())
    }
}
