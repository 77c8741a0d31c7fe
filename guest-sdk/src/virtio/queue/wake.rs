//! Whom a queue wakes, and when it asks its device for an event at all.
//!
//! Owns the wakers that wait for a request, for something to pop or for room, and the choice of how much the device is to do before it raises
//! the next event.

use super::Queue;
use crate::virtio::{Buffer, Error, Token};
use core::task::Waker;

impl<B: Buffer> Queue<B> {
    /// Has a request's completion wake `waker`, once.
    pub fn wake_when_done(&mut self, token: &Token, waker: &Waker) {
        if let Some(place) = self.slots.get_mut(usize::from(token.0)) {
            self.waiting += u16::from(place.waker.is_none());
            keep(&mut place.waker, waker);
        }
    }

    /// Has the next completion of a posted request wake `waker`, once. One waker at a time.
    pub fn wake_when_ready(&mut self, waker: &Waker) {
        keep(&mut self.popper, waker);
    }

    /// Has the next slot that becomes free wake `waker`, once.
    pub fn wake_when_room(&mut self, waker: &Waker) {
        if !self.room.iter().any(|other| other.will_wake(waker)) {
            self.room.push(waker.clone());
        }
    }

    /// Somebody to wake, after a look, a take, a pop or an abandon. Nothing may be locked meanwhile that a waker, or a task that it
    /// drops, uses: a [`SharedQueue`](crate::virtio::SharedQueue) sees to that.
    pub fn woken(&mut self) -> Option<Waker> {
        self.woken.pop()
    }

    /// Whether anybody waits, for whatever.
    pub(in crate::virtio) fn awaited(&self) -> bool {
        self.waiting > 0 || self.popper.is_some() || !self.room.is_empty()
    }

    /// Everybody who waits, for whatever, is to be woken.
    pub(in crate::virtio) fn wake_all(&mut self) {
        self.waiting = 0;
        let asked = self.slots.iter_mut().filter_map(|slot| slot.waker.take());
        self.woken.extend(asked.chain(self.popper.take()));
        self.woken.append(&mut self.room);
    }

    /// Asks the device for an event when it has returned `count` more requests, at least 1, at most those in flight. Says `false` where
    /// that has happened already: [look](Queue::look) again.
    ///
    /// A change of the device's configuration wakes everybody who waits, and is such a case too.
    ///
    /// A device that was not asked raises none, so that a queue that is looked at all the time costs no events.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::Stopped`].
    pub fn arm(&mut self, count: u16) -> Result<bool, Error> {
        // The device tells of this with the same event; whoever missed that one finds it here, before it waits for another.
        self.broken |= self.link.broken();
        if let Err(error) = self.health() {
            self.wake_all();
            return Err(error);
        }
        let generation = self.link.generation();
        if generation != self.generation {
            self.generation = generation;
            self.wake_all();
            return Ok(false);
        }
        Ok(self.ring.arm(count.clamp(1, self.in_flight.max(1))))
    }

    /// Asks the device for the event that those who wait need, if anybody waits. As [`arm`](Queue::arm) otherwise.
    pub(in crate::virtio) fn arm_for_waiters(&mut self) -> Result<bool, Error> {
        if self.waiting > 0 || self.popper.is_some() {
            self.arm(1)
        } else if !self.room.is_empty() {
            // Who only wants room for more gets it by the half queue.
            self.arm(self.in_flight / 2)
        } else {
            Ok(true)
        }
    }
}

fn keep(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(kept) => kept.clone_from(waker),
        None => *place = Some(waker.clone()),
    }
}
