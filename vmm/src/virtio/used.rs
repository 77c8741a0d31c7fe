//! The used ring of a queue as its device writes it (virtio 1.2, sections 2.7.8 and 2.7.10): answers, and whether the driver wants to be told of them.
//!
//! Not `virtio-queue`'s, because an answer takes the fewest cache lines from core to core if its entry is written before the request is served. Nobody
//! looks at an entry before the index says so; but a driver that looks at the index already fetches the entry's line, and has it when the index comes.

use super::Broken;
use crate::memory::Memory;
use hypercall_abi::Gpa;
use hypercall_abi::device::{QueueSetup, crossed};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// Where in the ring the index is, and the entries begin; the bytes of an entry.
const INDEX: u64 = 2;
const ENTRIES: u64 = 4;
const ENTRY: u64 = 8;

pub(super) const BAD_MEMORY: Broken = Broken("a ring does not lie in the guest's memory");

/// An answer: the head of its chain, and how many bytes were written.
type Entry = [u32; 2];

/// It.
pub(super) struct Used {
    memory: Arc<Memory>,
    ring: Gpa,
    size: u16,
    /// Where the driver says after how many answers it wants to be told; `None`: after each.
    event: Option<Gpa>,
    /// How many answers there were, and when the driver was told last.
    next: u16,
    told: u16,
    /// What the next entry is already.
    foretold: Option<Entry>,
}

impl Used {
    /// The ring of a queue, whose parts have been checked.
    pub fn new(setup: &QueueSetup, event_idx: bool, memory: Arc<Memory>) -> Used {
        let event = setup.available.0.wrapping_add(4);
        let event = Gpa(event.wrapping_add(2 * u64::from(setup.size)));
        Used {
            memory,
            ring: setup.used,
            size: setup.size,
            event: event_idx.then_some(event),
            next: 0,
            told: 0,
            foretold: None,
        }
    }

    /// Writes what the next answer will be, if all goes well. Another one may come instead.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn foretell(&mut self, head: u16, written: u32) -> Result<(), Broken> {
        self.enter([head.into(), written])
    }

    /// Has the driver see an answer.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn push(&mut self, head: u16, written: u32) -> Result<(), Broken> {
        self.enter([head.into(), written])?;
        self.foretold = None;
        self.next = self.next.wrapping_add(1);
        let index = self.memory.word16(Gpa(self.ring.0.wrapping_add(INDEX)));
        let index = index.map_err(|_| BAD_MEMORY)?;
        index.store(self.next, Ordering::Release); // the driver sees entry and buffers before this
        Ok(())
    }

    /// Writes the next entry, unless it is that already.
    fn enter(&mut self, entry: Entry) -> Result<(), Broken> {
        if self.foretold == Some(entry) {
            return Ok(());
        }
        let place = self.next & self.size.wrapping_sub(1);
        let at = self.ring.0.wrapping_add(ENTRIES);
        let at = at.wrapping_add(ENTRY.wrapping_mul(place.into()));
        self.memory.store(Gpa(at), &entry).map_err(|_| BAD_MEMORY)?;
        self.foretold = Some(entry);
        Ok(())
    }

    /// Whether the driver wants to be told of the answers since this was asked last.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn wants_event(&mut self) -> Result<bool, Broken> {
        let told = std::mem::replace(&mut self.told, self.next);
        let Some(event) = self.event else {
            return Ok(self.next != told);
        };
        fence(Ordering::SeqCst); // `used.idx` before `used_event`: the driver stores the one before it looks at the other for the last time
        let event = self.memory.word16(event).map_err(|_| BAD_MEMORY)?;
        let event = event.load(Ordering::Relaxed);
        Ok(crossed(event, self.next, told))
    }
}

#[cfg(test)]
mod tests {
    use super::super::peer::{Peer, SIZE, setup};
    use super::*;

    fn ring(event_idx: bool) -> (Peer, Used) {
        let mut peer = Peer::new();
        peer.queues(1);
        let used = Used::new(&setup(0), event_idx, Arc::clone(&peer.memory));
        (peer, used)
    }

    #[test]
    fn what_is_foretold_is_no_answer_and_may_come_otherwise() {
        let (mut peer, mut used) = ring(true);
        used.foretell(3, 100).unwrap();
        assert_eq!(peer.answers(0), []);
        used.push(3, 100).unwrap();
        used.foretell(4, 100).unwrap();
        used.push(4, 0).unwrap();
        used.foretell(5, 100).unwrap();
        used.push(6, 1).unwrap();
        used.push(5, 100).unwrap();
        assert_eq!(peer.answers(0), [(3, 100), (4, 0), (6, 1), (5, 100)]);
    }

    #[test]
    fn an_entry_of_the_round_before_is_written_again() {
        let (mut peer, mut used) = ring(true);
        for head in 0..2 * SIZE {
            used.foretell(head % 3, 7).unwrap();
            used.push(head % 3, 7).unwrap();
            assert_eq!(peer.answers(0), [((head % 3).into(), 7)]);
        }
    }

    #[test]
    fn the_driver_is_told_of_the_answer_it_named() {
        let (peer, mut used) = ring(true);
        for start in [0, u16::MAX - 1] {
            (used.next, used.told) = (start, start);
            let third = start.wrapping_add(2);
            let at = used.event.unwrap();
            peer.memory.write(at, &third.to_le_bytes()).unwrap();
            assert_eq!(used.wants_event(), Ok(false), "nothing is new");
            used.push(0, 0).unwrap();
            used.push(0, 0).unwrap();
            assert_eq!(used.wants_event(), Ok(false), "two");
            used.push(0, 0).unwrap();
            used.push(0, 0).unwrap();
            assert_eq!(used.wants_event(), Ok(true), "the third among others");
            used.push(0, 0).unwrap();
            assert_eq!(used.wants_event(), Ok(false), "it was told");
        }
    }

    #[test]
    fn without_event_indices_it_is_told_of_each() {
        let (_, mut used) = ring(false);
        assert_eq!(used.wants_event(), Ok(false));
        used.push(0, 0).unwrap();
        assert_eq!(used.wants_event(), Ok(true));
        assert_eq!(used.wants_event(), Ok(false));
    }
}
