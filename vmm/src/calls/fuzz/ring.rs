//! Batch rings as a guest registers and fills them, and what a submission may come to.

use super::{Guest, RING, place};
use crate::calls::batch;
use crate::calls::fuzz::contract::any_call;
use crate::fuzz::Source;
use hypercall_abi::Status;
use hypercall_abi::batch::{BatchEntry, MAX_ENTRIES, flags};
use hypercall_abi::map::{MIN_MEMORY, RAM_BASE};
use hypercall_abi::vcpu::BatchRing;
use std::mem::offset_of;
use std::sync::atomic::Ordering;

/// A ring that the host has accepted.
#[derive(Clone, Copy)]
pub(super) struct Ring {
    pub entries: u64,
    pub count: u32,
    /// Entries served, and those of them that a submission was answered for.
    served: u32,
    answered: u32,
}

impl Guest {
    /// Registers a ring, mostly one that can be.
    pub(super) fn register(&mut self, source: &mut Source, vcpu: u32) {
        let count = match source.once_in(4) {
            true => source.odd() as u32,
            false => 1 << source.below(7),
        };
        let bytes = u64::from(count.min(MAX_ENTRIES)) * 64;
        let entries = match source.below(8) {
            0 => source.near(RAM_BASE, RAM_BASE + 64),
            1 => MIN_MEMORY - bytes,
            _ => RAM_BASE + u64::from(vcpu) * 0x1_0000,
        };
        let told = source.pick(&[0, 0, flags::STOP_ON_ERROR, 1 << 31]);
        self.write(
            place(vcpu, RING + offset_of!(BatchRing, entries_gpa)),
            &entries,
        );
        self.write(place(vcpu, RING + offset_of!(BatchRing, entries)), &count);
        self.write(place(vcpu, RING + offset_of!(BatchRing, flags)), &told);
        let ring = Ring {
            entries,
            count,
            served: 0,
            answered: 0,
        };
        match batch::setup(&self.stage.shared, vcpu) {
            Ok(_) => self.rings[vcpu as usize] = (count != 0).then_some(ring),
            Err(status) => assert!(matches!(status, Status::BAD_ARGUMENT | Status::BAD_ADDRESS)),
        }
    }

    /// Queues an entry, or anything.
    pub(super) fn queue(&mut self, source: &mut Source, vcpu: u32) {
        let Some(ring) = self.rings[vcpu as usize] else {
            return;
        };
        let at = place(vcpu, RING + offset_of!(BatchRing, queued));
        let queued = self.queued(vcpu);
        if source.once_in(16) {
            return self.write(at, &(source.odd() as u32));
        }
        let (number, args) = any_call(source);
        let entry = BatchEntry {
            number,
            status: u32::MAX,
            args,
            result: u64::MAX,
        };
        let slot = u64::from(queued % ring.count);
        self.write(ring.entries + slot * 64, &entry);
        // Not past what the ring holds, or nearly nothing would ever be served.
        if queued.wrapping_sub(ring.served) < ring.count {
            self.write(at, &queued.wrapping_add(1));
        } else if queued.wrapping_sub(ring.served) > ring.count {
            self.write(at, &ring.served);
        }
    }

    /// How much the guest says it has queued.
    pub(super) fn queued(&self, vcpu: u32) -> u32 {
        let ring = self.memory().ring(vcpu).unwrap();
        ring.queued.load(Ordering::Relaxed)
    }

    /// After a submission, before which so many entries were queued.
    pub(super) fn submitted(&mut self, vcpu: u32, queued: u32, answer: Option<(Status, u64)>) {
        let told = self
            .memory()
            .ring(vcpu)
            .unwrap()
            .served
            .load(Ordering::Acquire);
        let Some(ring) = &mut self.rings[vcpu as usize] else {
            assert_ne!(answer.map(|(status, _)| status), Some(Status::OK));
            return;
        };
        let waiting = queued.wrapping_sub(ring.served);
        let done = told.wrapping_sub(ring.served);
        match answer {
            None => assert!(done < waiting && waiting <= ring.count),
            Some((Status::OK, result)) => {
                assert!(done <= waiting && waiting <= ring.count);
                assert_eq!(result, u64::from(told.wrapping_sub(ring.answered)));
                ring.answered = told;
            }
            Some((Status::BAD_ARGUMENT, _)) => assert!(done == 0 && waiting > ring.count),
            Some((status, _)) => assert!(done == 0 && status == Status::DENIED),
        }
        ring.served = told;
        self.batched += u64::from(done);
    }
}
