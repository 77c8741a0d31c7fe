//! The driver's side: requests written into memory and offered.

use super::chain::{self, Draft, Fault, TABLE};
use super::flight::Flight;
use super::{PARTS, Play, REQUESTS};
use crate::fuzz::Source;
use crate::virtio::peer::{self, Descriptor, NEXT, SIZE};
use hypercall_abi::map::{MIN_MEMORY, RAM_BASE};
use zerocopy::IntoBytes;

impl Play {
    /// Asks for something, if the queue has a place for it.
    pub(super) fn ask(&mut self, queue: u16, source: &mut Source) {
        if self.is_lost {
            return;
        }
        let is_free = |head: &u16| {
            let here = |flight: &Flight| flight.queue == queue && flight.head == *head;
            !self.flights.iter().any(here)
        };
        let mut heads = (0..REQUESTS).map(|request| request * PARTS);
        let Some(head) = heads.find(is_free) else {
            return;
        };
        let fault = Fault::any(source);
        let area = peer::buffer(queue, head);
        let draft = chain::draft(source, area, fault);
        self.lay(queue, head, &draft, fault, source);
        let flight = self.flight(queue, head, draft, fault);
        if let Some((at, bytes)) = self.effect(&flight) {
            self.model.may_be(at, &bytes, flight.since);
        }
        for buffer in &flight.writable {
            self.allow(buffer);
        }
        match fault {
            Some(Fault::Head) => self.offer(queue, source.pick(&[SIZE, SIZE + 1, u16::MAX])),
            _ => self.offer(queue, head),
        }
        self.flights.push(flight);
        if fault == Some(Fault::Index) {
            self.is_lost = true;
            self.peer.leap(queue, source.pick(&[SIZE + 1, 0x8000]));
            self.ram.follow(&self.peer.memory, peer::offered(queue));
        } else if source.once_in(20) {
            self.again(queue, head);
        }
    }

    /// Offers a chain that is offered already.
    fn again(&mut self, queue: u16, head: u16) {
        let first = self.flights.pop().expect("it was asked for just now");
        let since = self.model.ask();
        let second = Flight {
            since,
            is_twice: true,
            writable: first.writable.clone(),
            ..first
        };
        if let Some((at, bytes)) = self.effect(&second) {
            self.model.may_be(at, &bytes, since);
        }
        self.flights.push(Flight {
            is_twice: true,
            ..first
        });
        self.flights.push(second);
        self.offer(queue, head);
    }

    fn offer(&mut self, queue: u16, head: u16) {
        self.peer.offer(queue, head);
        self.ram.follow(&self.peer.memory, peer::offered(queue));
    }

    /// Writes a request's bytes and descriptors.
    fn lay(
        &mut self,
        queue: u16,
        head: u16,
        draft: &Draft,
        fault: Option<Fault>,
        source: &mut Source,
    ) {
        let area = peer::buffer(queue, head);
        self.write(area, &draft.bytes);
        let count = draft.buffers.len() as u16;
        let is_indirect = count > PARTS
            || fault.is_some_and(Fault::is_indirect)
            || source.once_in(3) && fault != Some(Fault::Head);
        let first = if is_indirect { 0 } else { head };
        let mut list: Vec<Descriptor> = draft.buffers.clone();
        for (place, buffer) in (first..).zip(&mut list) {
            (buffer.flags, buffer.next) = (buffer.flags | NEXT, place + 1);
        }
        if let Some(last) = list.last_mut() {
            match fault {
                Some(Fault::Loop) => last.next = first,
                Some(Fault::Nowhere) => last.next = source.pick(&[SIZE.max(count), u16::MAX]),
                _ => last.flags &= !NEXT,
            }
        }
        if !is_indirect {
            return self.describe(queue, head, &list);
        }
        let bytes: Vec<u8> = list
            .iter()
            .flat_map(|buffer| buffer.as_bytes())
            .copied()
            .collect();
        self.write(area + TABLE, &bytes);
        let part = match fault {
            Some(Fault::Part) => 8,
            _ => 0,
        };
        let table = Descriptor {
            address: area + TABLE,
            len: bytes.len() as u32 + part,
            flags: peer::INDIRECT,
            next: 0,
        };
        self.describe(queue, head, &[table]);
    }

    fn describe(&mut self, queue: u16, head: u16, list: &[Descriptor]) {
        for (place, descriptor) in (head..).zip(list) {
            self.peer.describe(queue, place, descriptor);
        }
        self.ram.follow(&self.peer.memory, peer::offered(queue));
    }

    /// The device may write a buffer, as far as that is in memory.
    fn allow(&mut self, buffer: &Descriptor) {
        let (start, len) = (buffer.address, u64::from(buffer.len));
        // No request is so long: nothing but its status is written.
        if (RAM_BASE..MIN_MEMORY).contains(&start) && buffer.len != u32::MAX {
            self.ram.allow_buffer(start, len.min(MIN_MEMORY - start));
        }
    }

    /// The driver writes.
    fn write(&mut self, at: u64, bytes: &[u8]) {
        self.ram.write(&self.peer.memory, at, bytes);
    }
}
