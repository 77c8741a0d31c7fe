//! A queue as a device sees it: requests come out, answers go in, and the guest is told no more often than it asked for.
//!
//! What the driver writes is read by `virtio-queue`. Here is what it leaves open: that a malformed chain is not an end, and who raises the event. Answers
//! are [`used`](super::used)'s.

use super::used::{BAD_MEMORY, Used};
use super::{Broken, Chain, Counts};
use crate::clock::host_tsc;
use crate::memory::Memory;
use hypercall_abi::device::QueueSetup;
use hypercall_abi::{Gpa, Status};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use virtio_queue::{QueueOwnedT, QueueT};
use vm_memory::GuestAddress;

/// What raises a device's event on a vCPU.
pub(crate) trait Raise: Send + Sync {
    /// Sets bits of a vCPU's events, and wakes it if it waits.
    fn raise(&self, vcpu: u32, bits: u64);
}

/// A queue that a driver has set up.
pub(crate) struct Queue {
    /// What the driver writes of it.
    ring: virtio_queue::Queue,
    used: Used,
    memory: Arc<Memory>,
    raise: Arc<dyn Raise>,
    vcpu: u32,
    event: u64,
    /// Where the driver says how much it has made available.
    index: Gpa,
    /// Requests that were copied and not taken yet: those from `first` to `end`. The others keep their room.
    ahead: Box<[Chain]>,
    first: usize,
    end: usize,
    /// What is wrong with the one that comes then.
    flaw: Option<Broken>,
    /// What the last request's first descriptor leads to: its table, or its first buffer.
    last: Gpa,
    /// When the last request was answered, in TSC ticks, if the driver has not been told yet; 0 otherwise.
    answered: u64,
    pub counts: Counts,
}

/// Requests that are copied together.
const AHEAD: u16 = 16;
/// Bytes of a descriptor, which its address begins.
const DESCRIPTOR: u64 = 16;

const BAD_INDEX: Broken = Broken("the available ring holds more than the queue's size");

impl Queue {
    /// The queue that a driver describes, with entries up to `most`. `event`: the bits that it raises.
    ///
    /// # Errors
    /// What [`QUEUE_SETUP`](hypercall_abi::call::QUEUE_SETUP) answers.
    pub fn new(
        setup: &QueueSetup,
        most: u16,
        event_idx: bool,
        memory: Arc<Memory>,
        raise: Arc<dyn Raise>,
        event: u64,
    ) -> Result<Queue, Status> {
        if !setup.size.is_power_of_two() || setup.size > most {
            return Err(Status::BAD_ARGUMENT);
        }
        let mut ring = virtio_queue::Queue::new(most).map_err(|_| Status::BAD_ARGUMENT)?;
        ring.set_size(setup.size);
        ring.set_event_idx(event_idx);
        ring.try_set_desc_table_address(GuestAddress(setup.descriptors.0))
            .and_then(|()| ring.try_set_avail_ring_address(GuestAddress(setup.available.0)))
            .and_then(|()| ring.try_set_used_ring_address(GuestAddress(setup.used.0)))
            .map_err(|_| Status::BAD_ARGUMENT)?;
        ring.set_ready(true);
        if !ring.is_valid(memory.own()) {
            return Err(Status::BAD_ADDRESS);
        }
        Ok(Queue {
            ring,
            used: Used::new(setup, event_idx, Arc::clone(&memory)),
            memory,
            raise,
            vcpu: setup.vcpu,
            event,
            index: Gpa(setup.available.0.wrapping_add(2)),
            ahead: (0..AHEAD).map(|_| Chain::with_room()).collect(),
            first: 0,
            end: 0,
            flaw: None,
            last: setup.descriptors,
            answered: 0,
            counts: Counts::default(),
        })
    }

    /// How many entries it has.
    pub fn size(&self) -> u16 {
        self.ring.size()
    }

    /// The guest's memory, where the buffers are.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Takes the next request; `false`: there is none.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn pop(&mut self, chain: &mut Chain) -> Result<bool, Broken> {
        if self.first == self.end {
            self.copy_ahead()?;
        }
        let ahead = self.ahead.get_mut(self.first..self.end);
        let Some(next) = ahead.and_then(<[Chain]>::first_mut) else {
            return self.flaw.map_or(Ok(false), Err);
        };
        std::mem::swap(chain, next);
        self.first = self.first.saturating_add(1);
        // One request after the other: the answer to that one was now.
        chain.taken = match std::mem::take(&mut self.answered) {
            0 => host_tsc(),
            answered => answered,
        };
        Ok(true)
    }

    /// Copies the chains that the driver has made available, as many as there is room for: so its index is looked at once for all of them, which takes that
    /// line away from the driver, and their tables come from its core together.
    fn copy_ahead(&mut self) -> Result<(), Broken> {
        if self.flaw.is_some() {
            return Ok(());
        }
        // First, because there is nothing most of the times: acquires what the driver wrote before it.
        let index = self.memory.word16(self.index).map_err(|_| BAD_MEMORY)?;
        let waiting = index
            .load(Ordering::Acquire)
            .wrapping_sub(self.ring.next_avail());
        if waiting == 0 {
            return Ok(());
        }
        // Many a driver uses again what was answered last: it comes while the ring's entry does.
        self.memory.expect(self.last);
        for later in 1..waiting.min(AHEAD) {
            self.expect_table(later);
        }
        let most = usize::from(self.ring.size());
        let mut available = self.ring.iter(self.memory.own()).map_err(|_| BAD_INDEX)?;
        (self.first, self.end) = (0, 0);
        for chain in &mut self.ahead {
            let Some(descriptors) = available.next() else {
                break;
            };
            if let Err(flaw) = chain.copy_from(descriptors, most) {
                // What came before it is served.
                self.flaw = Some(flaw);
                break;
            }
            self.end = self.end.saturating_add(1);
        }
        if let Some(chain) = self.ahead.get(..self.end).and_then(<[Chain]>::last) {
            self.last = self.described(chain.head).unwrap_or(self.last);
        }
        Ok(())
    }

    /// Has the table of descriptors, or the buffer, of the request so many places after the next one come from the driver's core. What is read here is a
    /// hint, and read again when it counts.
    fn expect_table(&self, later: u16) {
        let place = self.ring.next_avail().wrapping_add(later) & self.ring.size().wrapping_sub(1);
        let entries = self.index.0.wrapping_add(2);
        let entry = entries.wrapping_add(2 * u64::from(place));
        let head = self.memory.word16(Gpa(entry));
        let head = head.map(|head| head.load(Ordering::Relaxed));
        if let Ok(place) = head.and_then(|head| self.described(head)) {
            self.memory.expect(place);
        }
    }

    /// Where a descriptor of the queue's table leads to, as it is now.
    fn described(&self, number: u16) -> Result<Gpa, Status> {
        let table = self.ring.desc_table();
        let at = table.wrapping_add(u64::from(number).wrapping_mul(DESCRIPTOR));
        Ok(Gpa(self.memory.word64(Gpa(at))?.load(Ordering::Relaxed)))
    }

    /// Gives the request that [`pop`](Queue::pop) took last back: the next `pop` takes it again. For a device that cannot serve it now.
    pub fn unpop(&mut self, chain: &mut Chain) {
        self.first = self.first.saturating_sub(1);
        if let Some(place) = self.ahead.get_mut(self.first) {
            std::mem::swap(chain, place);
        }
    }

    /// Says how the request that was taken will be answered, if nothing goes wrong: that costs less than to say it when it is done.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn foretell(&mut self, chain: &Chain, written: u32) -> Result<(), Broken> {
        self.used.foretell(chain.head, written)
    }

    /// Answers a request: `written` bytes of its writable buffers are new. The guest is not told yet.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn push(&mut self, chain: &Chain, written: u32) -> Result<(), Broken> {
        self.used.push(chain.head, written)?;
        self.answered = host_tsc();
        self.counts.answer(chain, written, self.answered);
        Ok(())
    }

    /// Tells the guest of what was answered, if it wants to be told.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn announce(&mut self) -> Result<(), Broken> {
        self.answered = 0;
        if self.used.wants_event()? {
            self.counts.events = self.counts.events.wrapping_add(1);
            self.raise.raise(self.vcpu, self.event);
        }
        Ok(())
    }

    /// Tells the guest something else of its device.
    pub fn alert(&self) {
        self.raise.raise(self.vcpu, self.event);
    }

    /// Asks for a kick when more comes; `true`: more has come already.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn arm(&mut self) -> Result<bool, Broken> {
        if self.first != self.end || self.flaw.is_some() {
            return Ok(true);
        }
        self.ring
            .enable_notification(self.memory.own())
            .map_err(|_| BAD_MEMORY)
    }

    /// Copies from a request's readable buffers, from a byte on, until `bytes` is full or they end; says how many bytes were there.
    ///
    /// # Errors
    /// [`Broken`] for a buffer outside the guest's memory.
    pub fn read(&self, chain: &Chain, from: u64, bytes: &mut [u8]) -> Result<usize, Broken> {
        let mut rest = bytes;
        let mut skip = from;
        let mut done = 0_usize;
        for segment in &chain.readable {
            let (gpa, len) = after(&mut skip, segment.gpa, segment.len);
            let here = len.min(rest.len());
            let Some((now, later)) = std::mem::take(&mut rest).split_at_mut_checked(here) else {
                break;
            };
            self.check(gpa, here)?;
            self.memory.read(gpa, now).map_err(|_| OUTSIDE)?;
            done = done.saturating_add(here);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        Ok(done)
    }

    /// Copies into a request's writable buffers, from a byte on, until `bytes` ends or they are full; says how many bytes fitted.
    ///
    /// # Errors
    /// [`Broken`] for a buffer outside the guest's memory.
    pub fn write(&self, chain: &Chain, from: u64, bytes: &[u8]) -> Result<usize, Broken> {
        let mut rest = bytes;
        let mut skip = from;
        for segment in &chain.writable {
            let (gpa, len) = after(&mut skip, segment.gpa, segment.len);
            let Some((now, later)) = rest.split_at_checked(len.min(rest.len())) else {
                break;
            };
            self.check(gpa, now.len())?;
            self.memory.write(gpa, now).map_err(|_| OUTSIDE)?;
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        Ok(bytes.len().saturating_sub(rest.len()))
    }

    fn check(&self, gpa: Gpa, len: usize) -> Result<(), Broken> {
        let fits = self.memory.buffer(gpa.0, len as u64);
        fits.map(drop).map_err(|_| OUTSIDE)
    }
}

const OUTSIDE: Broken = Broken("a buffer does not lie in the guest's memory");

/// What is left of a segment after some bytes, which are counted down.
fn after(skip: &mut u64, gpa: Gpa, len: u32) -> (Gpa, usize) {
    let skipped = (*skip).min(u64::from(len));
    *skip = skip.saturating_sub(skipped);
    let left = u64::from(len).saturating_sub(skipped);
    // A sum that wraps is no address of the guest's, and is found so.
    (
        Gpa(gpa.0.wrapping_add(skipped)),
        usize::try_from(left).unwrap_or(0),
    )
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
