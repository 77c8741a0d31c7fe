//! Requests in flight: several at once, each owning its buffer, completed in any order.
//!
//! Owns the slots: what each request carries, whom its completion wakes, and which slots are free. The rings themselves are
//! [`ring`](super::ring)'s business; sharing a queue between tasks and threads is [`shared`](super::shared)'s.
//!
//! A buffer stays in its slot until the device returns it, whoever still waits for it. All memory is allocated when the queue is made.

pub(super) mod block;
mod wake;

#[cfg(test)]
mod tests;

use super::request::{MAX_HEAD, MAX_TAIL};
use super::ring::{Broken, Dimensions, Ring, SEGMENTS, Segment};
use super::setup::Link;
use super::{Buffer, Completion, Data, Error, Refused, Shape, Token};
use crate::doorbell;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::Waker;
use hypercall_abi::device::{MAX_QUEUE_SIZE, QueueSetup};

/// What a slot is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nothing: it is in the list of free ones.
    Free,
    /// The device has it, and somebody will take it by its token.
    Asked,
    /// The device has it, and it will be popped.
    Posted,
    /// The device has it, and nobody waits for it any more.
    Abandoned,
    /// The device is done with it, having written so many bytes; to be taken.
    Done(u32),
    /// Likewise; it is in the list of those to be popped.
    Ready(u32),
}

struct Slot<B> {
    state: State,
    /// The next one in the list it is in.
    next: Option<u16>,
    data: Data<B>,
    /// How many bytes the device may write.
    writable: u64,
    /// Who waits for it.
    waker: Option<Waker>,
}

/// One queue of a device, used by one owner. `B` is what its requests carry.
///
/// ```no_run
/// use guest_sdk::virtio::{Completion, Data, Error, Queue};
/// /// Has a device that fills buffers fill two of them, with one kick.
/// fn fill_two(queue: &mut Queue<Vec<u8>>) -> Result<[Vec<u8>; 2], Error> {
///     let first = queue.add(&[], Data::In(vec![0; 64]))?;
///     let second = queue.add(&[], Data::In(vec![0; 64]))?;
///     queue.kick();
///     let buffer = |done: Completion<Vec<u8>>| done.data.into_buffer().unwrap_or_default();
///     Ok([buffer(queue.wait(first)?), buffer(queue.wait(second)?)])
/// }
/// ```
pub struct Queue<B> {
    ring: Ring,
    slots: Box<[Slot<B>]>,
    /// The list of free slots.
    free: Option<u16>,
    /// The list of slots to be popped, oldest first, and its end.
    ready: Option<u16>,
    newest: Option<u16>,
    in_flight: u16,
    /// How many wakers the slots hold.
    waiting: u16,
    /// Who waits for something to pop.
    popper: Option<Waker>,
    /// Who waits for a free slot.
    room: Vec<Waker>,
    /// Who is to be woken.
    woken: Vec<Waker>,
    broken: bool,
    /// That of the configuration which whoever waits has been told of.
    generation: u32,
    shape: Shape,
    link: Arc<Link>,
    doorbell: u32,
    event: u64,
}

impl<B: Buffer> Queue<B> {
    /// `None` where there can be no queue of that shape.
    pub(super) fn new(
        shape: Shape,
        indirect: bool,
        link: Arc<Link>,
        doorbell: u32,
        event: u64,
    ) -> Option<Queue<B>> {
        let segments = 1 + u16::from(shape.head > 0) + u16::from(shape.tail > 0);
        if !shape.entries.is_power_of_two()
            || shape.entries > MAX_QUEUE_SIZE
            || shape.head > MAX_HEAD
            || shape.tail > MAX_TAIL
        {
            return None;
        }
        let ring = Ring::new(Dimensions {
            entries: shape.entries,
            segments,
            indirect,
            head: shape.head,
            tail: shape.tail,
        });
        let count = ring.slots();
        if count == 0 {
            return None;
        }
        let slots = (0..count).map(|slot| Slot {
            state: State::Free,
            next: (slot + 1 < count).then_some(slot + 1),
            data: Data::None,
            writable: 0,
            waker: None,
        });
        Some(Queue {
            slots: slots.collect(),
            free: Some(0),
            ready: None,
            newest: None,
            in_flight: 0,
            waiting: 0,
            popper: None,
            room: Vec::with_capacity(count.into()),
            woken: Vec::with_capacity(2 * usize::from(count) + 1),
            broken: false,
            generation: link.generation(),
            ring,
            shape,
            link,
            doorbell,
            event,
        })
    }

    /// What the device is told of it.
    pub(super) fn setup(&self, queue: u16) -> QueueSetup {
        self.ring.setup(queue, self.shape.vcpu)
    }

    /// How many requests fit.
    #[must_use]
    pub fn capacity(&self) -> u16 {
        self.ring.slots()
    }

    /// How many requests the device has.
    #[must_use]
    pub fn in_flight(&self) -> u16 {
        self.in_flight
    }

    /// Whether no request fits, before one is taken or popped.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.free.is_none()
    }

    /// The event that the device raises for this queue, on the vCPU of its [`Shape`].
    #[must_use]
    pub fn event(&self) -> u64 {
        self.event
    }

    /// Whether requests can still be completed.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::Stopped`].
    pub fn health(&self) -> Result<(), Error> {
        if self.broken {
            Err(Error::Broken)
        } else if self.link.stopped() {
            Err(Error::Stopped)
        } else {
            Ok(())
        }
    }

    /// Makes a request, to be [taken](Queue::take) by its token. The device may see it now, or only after a [kick](Queue::kick).
    ///
    /// # Errors
    /// A [`Refused`], with the data.
    pub fn add(&mut self, head: &[u8], data: Data<B>) -> Result<Token, Refused<B>> {
        self.submit(head, data, State::Asked).map(Token)
    }

    /// Makes a request, to be [popped](Queue::pop). As [`add`](Queue::add) otherwise.
    ///
    /// # Errors
    /// A [`Refused`], with the data.
    pub fn post(&mut self, head: &[u8], data: Data<B>) -> Result<(), Refused<B>> {
        self.submit(head, data, State::Posted).map(drop)
    }

    fn submit(&mut self, head: &[u8], data: Data<B>, state: State) -> Result<u16, Refused<B>> {
        if let Err(error) = self.health() {
            return Err(Refused { error, data });
        }
        let Some(slot) = self.free else {
            let error = Error::Full;
            return Err(Refused { error, data });
        };
        let [head_at, tail_at] = self.ring.ends(slot);
        let place = &mut self.slots[usize::from(slot)];
        // The buffer is where it stays before its address is taken.
        place.data = data;
        let (bytes, write) = match &mut place.data {
            Data::None => (Default::default(), false),
            Data::Out(buffer) => (buffer.bytes(), false),
            Data::In(buffer) => (buffer.bytes(), true),
        };
        let (Ok(len), true) = (u32::try_from(bytes.len()), head.len() <= self.shape.head) else {
            let error = Error::BadRequest;
            let data = core::mem::replace(&mut place.data, Data::None);
            return Err(Refused { error, data });
        };
        let mut segments = [Segment::default(); SEGMENTS];
        let mut count = 0;
        let mut add = |address, len, write| {
            if len > 0 {
                segments[count] = Segment {
                    address,
                    len,
                    write,
                };
                count += 1;
            }
        };
        add(head_at, head.len() as u32, false);
        // Exposed: the device's accesses come from outside of the program.
        add(bytes.as_mut_ptr().expose_provenance() as u64, len, write);
        add(tail_at, self.shape.tail as u32, true);
        if count == 0 {
            let error = Error::BadRequest;
            let data = core::mem::replace(&mut place.data, Data::None);
            return Err(Refused { error, data });
        }
        self.free = place.next.take();
        place.state = state;
        place.writable = self.shape.tail as u64 + if write { len.into() } else { 0 };
        self.in_flight += 1;
        self.ring.fill(slot, head);
        self.ring.publish(slot, &segments[..count]);
        Ok(slot)
    }

    /// Tells the device of the requests made since the last kick, if it asked to be told. Says whether that rang its doorbell.
    #[inline]
    pub fn kick(&mut self) -> bool {
        let ring = self.link.running() && self.ring.must_kick();
        if ring {
            doorbell::ring(self.doorbell);
        }
        ring
    }

    /// Looks at what the device has returned, and says how many requests that were. Whom they concern is to be [woken](Queue::woken).
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::Stopped`], which concern everybody.
    pub fn look(&mut self) -> Result<usize, Error> {
        let mut count = 0;
        let result = loop {
            if let Err(error) = self.health() {
                break Err(error);
            }
            match self.next() {
                Ok(true) => count += 1,
                Ok(false) => return Ok(count),
                Err(Broken) => self.broken = true,
            }
        };
        self.wake_all();
        result
    }

    /// Completes one returned request, if there is one.
    fn next(&mut self) -> Result<bool, Broken> {
        let Some((slot, written)) = self.ring.next()? else {
            return Ok(false);
        };
        let place = self.slots.get_mut(usize::from(slot)).ok_or(Broken)?;
        if u64::from(written) > place.writable {
            return Err(Broken);
        }
        match place.state {
            State::Asked => {
                place.state = State::Done(written);
                if let Some(waker) = place.waker.take() {
                    self.waiting -= 1;
                    self.woken.push(waker);
                }
            }
            State::Posted => {
                place.state = State::Ready(written);
                match self.newest.replace(slot) {
                    Some(before) => self.slots[usize::from(before)].next = Some(slot),
                    None => self.ready = Some(slot),
                }
                self.woken.extend(self.popper.take());
            }
            State::Abandoned => drop(self.release(slot)),
            State::Free | State::Done(_) | State::Ready(_) => return Err(Broken),
        }
        self.in_flight -= 1;
        Ok(true)
    }

    /// Frees a slot that the device does not have, and returns its data.
    fn release(&mut self, slot: u16) -> Data<B> {
        let place = &mut self.slots[usize::from(slot)];
        place.state = State::Free;
        place.next = self.free.replace(slot);
        self.waiting -= u16::from(place.waker.take().is_some());
        let data = core::mem::replace(&mut place.data, Data::None);
        self.woken.append(&mut self.room);
        data
    }

    fn complete(&mut self, slot: u16, written: u32) -> Completion<B> {
        let mut tail = [0; MAX_TAIL];
        let tail_len = self.shape.tail;
        self.ring.read_tail(slot, &mut tail[..tail_len]);
        Completion {
            data: self.release(slot),
            written,
            tail,
            tail_len,
        }
    }

    /// A request's completion, if a [look](Queue::look) has found it; its token again otherwise.
    ///
    /// # Errors
    /// The token.
    pub fn take(&mut self, token: Token) -> Result<Completion<B>, Token> {
        match self.slots.get(usize::from(token.0)).map(|slot| slot.state) {
            Some(State::Done(written)) => Ok(self.complete(token.0, written)),
            _ => Err(token),
        }
    }

    /// The oldest completion of a [posted](Queue::post) request, if a [look](Queue::look) has found one.
    pub fn pop(&mut self) -> Option<Completion<B>> {
        let slot = self.ready?;
        let place = &mut self.slots[usize::from(slot)];
        self.ready = place.next.take();
        if self.ready.is_none() {
            self.newest = None;
        }
        match place.state {
            State::Ready(written) => Some(self.complete(slot, written)),
            _ => None,
        }
    }

    /// Gives a request up. Its buffer is dropped when the device returns it.
    pub fn abandon(&mut self, token: Token) {
        let Some(place) = self.slots.get_mut(usize::from(token.0)) else {
            return;
        };
        self.waiting -= u16::from(place.waker.take().is_some());
        match place.state {
            State::Asked => place.state = State::Abandoned,
            State::Done(_) => drop(self.release(token.0)),
            _ => {}
        }
    }
}

impl<B> Drop for Queue<B> {
    fn drop(&mut self) {
        if !self.link.stop() {
            // The device may go on using all that it was given: it is never freed.
            core::mem::take(&mut self.slots)
                .into_iter()
                .for_each(core::mem::forget);
            self.ring.leak();
        }
    }
}
