//! A split virtqueue as the driver writes it (virtio 1.2, section 2.7), with event indices in both directions.
//!
//! Owns the rings, their indices and every ordering between the two sides. It knows requests only as numbered slots, each with descriptors and
//! scratch bytes of its own: which are free, and what they carry, is [`queue`](super::queue)'s business.
//!
//! Nothing that this side has written is ever read back from shared memory, and nothing is written again that is there already.
//!
//! What a request and its answer cost is the cache lines that go from one core to the other. So what is written together lies together:
//! ```text
//! a slot's record    | its table: head, data, tail | its head |     one line for most devices
//! the answers        | ... tail of slot 1 | of slot 0 | used ring |   the last tails lie in the line of `used.idx`
//! ```
//!
//! | this side | orders | partner: the device's |
//! |---|---|---|
//! | [`Ring::publish`] | descriptors and the ring's entry before `avail.idx` | acquire of `avail.idx` |
//! | [`Ring::must_kick`] | `avail.idx` before the look at `avail_event` | `avail_event` before its last look at `avail.idx` |
//! | [`Ring::next`] | `used.idx` before the used entry and the buffers | release of `used.idx` |
//! | [`Ring::arm`] | `used_event` before the last look at `used.idx` | `used.idx` before its look at `used_event` |

use super::memory::Memory;
use super::request::MAX_TAIL;
use alloc::boxed::Box;
use alloc::vec;
use core::sync::atomic::{Ordering, fence};
use hypercall_abi::Gpa;
use hypercall_abi::device::{QueueSetup, crossed};

/// Bytes of a descriptor.
const DESCRIPTOR: usize = 16;
/// Apart from each other for the caches' sake.
const LINE: usize = 64;
/// Descriptor flags.
const NEXT: u64 = 1;
const WRITE: u64 = 2;
const INDIRECT: u64 = 4;

/// The descriptors that a slot can need: head, data, tail.
pub(super) const SEGMENTS: usize = 3;

/// The device did something that the specification forbids: the ring cannot be trusted any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Broken;

/// Some bytes of a request.
#[derive(Clone, Copy, Default)]
pub(super) struct Segment {
    pub(super) address: u64,
    pub(super) len: u32,
    /// Whether the device writes it.
    pub(super) write: bool,
}

/// What a ring is to look like.
#[derive(Clone, Copy)]
pub(super) struct Dimensions {
    /// Entries, a power of two, at most 1024.
    pub(super) entries: u16,
    /// The most descriptors of a slot, 1 to [`SEGMENTS`].
    pub(super) segments: u16,
    /// Whether descriptors may lead to tables.
    pub(super) indirect: bool,
    /// The most bytes of a slot's head, and those of its tail.
    pub(super) head: usize,
    pub(super) tail: usize,
}

/// See the module's documentation.
pub(super) struct Ring {
    memory: Memory,
    entries: u16,
    /// Ring entries from one slot's to the next's: its descriptors lie from `slot * stride` on.
    stride: u16,
    slots: u16,
    available: usize,
    used: usize,
    /// Where the slots' records begin, the bytes of each, and how many of these are its table's, if it has one.
    records: usize,
    record: usize,
    table: usize,
    /// Bytes of a tail. That of slot 0 ends where the used ring begins.
    tail: usize,
    /// What is in the table of descriptors and in the available ring.
    described: Box<[[u64; 2]]>,
    offered: Box<[Option<u16>]>,
    /// What `avail.idx` is.
    published: u16,
    /// What it was at the last look at `avail_event`.
    looked: u16,
    /// Used entries consumed so far.
    consumed: u16,
    /// What `used.idx` was when last loaded.
    returned: u16,
}

impl Ring {
    pub(super) fn new(dimensions: Dimensions) -> Ring {
        let Dimensions {
            entries,
            segments,
            indirect,
            head,
            tail,
        } = dimensions;
        // A slot of a single descriptor gains nothing from a table.
        let indirect = indirect && segments > 1;
        let stride = if indirect { 1 } else { segments };
        let slots = entries / stride;
        let count = usize::from(entries);
        let available = (count * DESCRIPTOR).next_multiple_of(LINE);
        // Flags, index, entries, used_event.
        let tails = (available + 6 + 2 * count).next_multiple_of(LINE);
        let used = match tail {
            0 => tails,
            // Half a line of tails beside the index and the first entries.
            _ => (tails + tail * usize::from(slots)).next_multiple_of(LINE) + LINE / 2,
        };
        // Flags, index, entries, avail_event.
        let records = (used + 6 + 8 * count).next_multiple_of(LINE);
        let table = usize::from(segments) * DESCRIPTOR * usize::from(indirect);
        let record = (table + head).next_multiple_of(LINE);
        Ring {
            memory: Memory::zeroed(records + usize::from(slots) * record),
            entries,
            stride,
            slots,
            available,
            used,
            records,
            record,
            table,
            tail,
            described: vec![[0; 2]; count].into(),
            offered: vec![None; count].into(),
            published: 0,
            looked: 0,
            consumed: 0,
            returned: 0,
        }
    }

    /// How many requests fit.
    pub(super) fn slots(&self) -> u16 {
        self.slots
    }

    /// What the device is told of it.
    pub(super) fn setup(&self, queue: u16, vcpu: u32) -> QueueSetup {
        QueueSetup {
            descriptors: Gpa(self.memory.address(0)),
            available: Gpa(self.memory.address(self.available)),
            used: Gpa(self.memory.address(self.used)),
            queue,
            size: self.entries,
            vcpu,
        }
    }

    /// The addresses of a slot's head and tail.
    pub(super) fn ends(&self, slot: u16) -> [u64; 2] {
        [self.head_at(slot), self.tail_at(slot)].map(|at| self.memory.address(at))
    }

    fn record_at(&self, slot: u16) -> usize {
        self.records + usize::from(slot) * self.record
    }

    fn head_at(&self, slot: u16) -> usize {
        self.record_at(slot) + self.table
    }

    fn tail_at(&self, slot: u16) -> usize {
        self.used - self.tail * (usize::from(slot) + 1)
    }

    /// Fills a slot's head, and has its tail be what no device writes. The device does not have the slot.
    ///
    /// The tail now, and not when the last one was read: the line in which it lies is the device's then, and whatever orders memory next, such as a lock
    /// that is released, would wait for it. Here it comes together with those of the record and of the available ring.
    pub(super) fn fill(&mut self, slot: u16, head: &[u8]) {
        let tail = [0xff; MAX_TAIL];
        self.memory.write(self.tail_at(slot), &tail[..self.tail]);
        self.memory.write(self.head_at(slot), head);
    }

    /// Reads a slot's tail. The device does not have the slot.
    pub(super) fn read_tail(&self, slot: u16, bytes: &mut [u8]) {
        self.memory.read(self.tail_at(slot), bytes);
    }

    /// Leaves the memory to a device that will not let go of it.
    pub(super) fn leak(&mut self) {
        core::mem::forget(core::mem::replace(&mut self.memory, Memory::zeroed(1)));
    }

    /// Hands a slot to the device: 1 to [`SEGMENTS`] segments, those that the device reads first.
    pub(super) fn publish(&mut self, slot: u16, segments: &[Segment]) {
        let head = slot * self.stride;
        if self.table > 0 && segments.len() > 1 {
            let table = self.record_at(slot);
            for (at, words) in (table..).step_by(DESCRIPTOR).zip(chain(0, segments)) {
                self.write(at, words);
            }
            let len = (segments.len() * DESCRIPTOR) as u64;
            self.describe(head, [self.memory.address(table), len | INDIRECT << 32]);
        } else {
            for (number, words) in (head..).zip(chain(head, segments)) {
                self.describe(number, words);
            }
        }
        let place = usize::from(self.published & (self.entries - 1));
        if self.offered[place].replace(head) != Some(head) {
            let entry = self.memory.word16(self.available + 4 + 2 * place);
            entry.store(head, Ordering::Relaxed);
        }
        self.published = self.published.wrapping_add(1);
        self.memory
            .word16(self.available + 2)
            .store(self.published, Ordering::Release); // the device sees descriptors and entry before this
    }

    /// Has a descriptor be these words.
    fn describe(&mut self, number: u16, words: [u64; 2]) {
        let number = usize::from(number);
        if core::mem::replace(&mut self.described[number], words) != words {
            self.write(number * DESCRIPTOR, words);
        }
    }

    fn write(&self, at: usize, words: [u64; 2]) {
        self.memory.word64(at).store(words[0], Ordering::Relaxed);
        self.memory
            .word64(at + 8)
            .store(words[1], Ordering::Relaxed);
    }

    /// As if so many requests had gone through already.
    #[cfg(test)]
    pub(super) fn begin_at(&mut self, index: u16) {
        (self.published, self.looked) = (index, index);
        (self.consumed, self.returned) = (index, index);
        let words = [self.available + 2, self.used + 2];
        for at in words {
            self.memory.word16(at).store(index, Ordering::Relaxed);
        }
    }

    /// Whether the device asked to be told of what was published since the last look.
    #[inline]
    pub(super) fn must_kick(&mut self) -> bool {
        if self.published == self.looked {
            return false;
        }
        fence(Ordering::SeqCst); // `avail.idx` before `avail_event`: the device stores the one before it looks at the other for the last time
        let at = self.used + 4 + 8 * usize::from(self.entries);
        let event = self.memory.word16(at).load(Ordering::Relaxed);
        let (new, old) = (self.published, self.looked);
        self.looked = new;
        crossed(event, new, old)
    }

    /// The next slot that the device is done with, and how many bytes it says it wrote.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(u16, u32)>, Broken> {
        let entry = self.used + 4 + 8 * usize::from(self.consumed & (self.entries - 1));
        if self.returned == self.consumed {
            // A device may have written the entry already: it comes while the index does, or before.
            self.memory.expect(entry);
            // Acquire: entries and buffers are as the device left them before it stored this.
            self.returned = self.memory.word16(self.used + 2).load(Ordering::Acquire);
            if self.returned.wrapping_sub(self.consumed) > self.slots {
                return Err(Broken);
            }
            if self.returned == self.consumed {
                return Ok(None);
            }
        }
        let head = self.memory.word32(entry).load(Ordering::Relaxed);
        let written = self.memory.word32(entry + 4).load(Ordering::Relaxed);
        let (stride, slots) = (u32::from(self.stride), u32::from(self.slots));
        if !head.is_multiple_of(stride) || head / stride >= slots {
            return Err(Broken);
        }
        self.consumed = self.consumed.wrapping_add(1);
        Ok(Some(((head / stride) as u16, written)))
    }

    /// Asks the device for a notification when it has returned `count` more slots, at least 1. `false` where it has done so already.
    ///
    /// Until then, and after that one, it sends none.
    #[inline]
    pub(super) fn arm(&mut self, count: u16) -> bool {
        let event = self.consumed.wrapping_add(count).wrapping_sub(1);
        let at = self.available + 4 + 2 * usize::from(self.entries);
        self.memory.word16(at).store(event, Ordering::Relaxed);
        fence(Ordering::SeqCst); // `used_event` before `used.idx`: the device stores the one before it looks at the other
        let returned = self.memory.word16(self.used + 2).load(Ordering::Relaxed);
        returned.wrapping_sub(self.consumed) < count
    }
}

/// A chain of descriptors, of which the first is number `first` of its table: each its address, and its length, flags and successor in one word.
fn chain(first: u16, segments: &[Segment]) -> impl Iterator<Item = [u64; 2]> {
    (1..).zip(segments).map(move |(after, segment)| {
        let mut word = u64::from(segment.len);
        if segment.write {
            word |= WRITE << 32;
        }
        if after < segments.len() {
            word |= NEXT << 32 | (u64::from(first) + after as u64) << 48;
        }
        [segment.address, word]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_as_many_as_chains_fit() {
        let slots = |entries, segments, indirect| {
            Ring::new(Dimensions {
                entries,
                segments,
                indirect,
                head: 16,
                tail: 1,
            })
            .slots()
        };
        assert_eq!(slots(8, 1, false), 8);
        assert_eq!(slots(8, 3, false), 2);
        assert_eq!(slots(8, 3, true), 8);
    }
}
