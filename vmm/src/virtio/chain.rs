//! A request's buffers, as a queue's descriptors name them: copied and checked once, whole or not at all.

use super::Broken;
use hypercall_abi::Gpa;
use std::ops::Deref;
use virtio_queue::DescriptorChain;
use vm_memory::{Address, GuestMemory};

/// A buffer in the guest's own part of memory. Where it lies is checked when it is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Segment {
    pub gpa: Gpa,
    pub len: u32,
}

/// A request's buffers. Its vectors keep their room from one request to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain {
    /// The index of its first descriptor, which names it.
    pub head: u16,
    /// What the device reads, in order.
    pub readable: Vec<Segment>,
    /// What it writes, in order.
    pub writable: Vec<Segment>,
    /// When it was taken from the queue, in TSC ticks.
    pub taken: u64,
}

/// Buffers of each kind for which a chain has room from the start: more than most requests have.
const ROOM: usize = 4;

impl Chain {
    /// No request yet.
    pub fn with_room() -> Chain {
        Chain {
            readable: Vec::with_capacity(ROOM),
            writable: Vec::with_capacity(ROOM),
            ..Chain::default()
        }
    }

    /// Bytes that the device reads.
    pub fn readable_bytes(&self) -> u64 {
        bytes(&self.readable)
    }

    /// Bytes that the device writes.
    pub fn writable_bytes(&self) -> u64 {
        bytes(&self.writable)
    }

    /// Copies a chain of descriptors, in place of what was here. `most`: the descriptors it may have.
    pub(super) fn copy_from<M>(
        &mut self,
        descriptors: DescriptorChain<M>,
        most: usize,
    ) -> Result<(), Broken>
    where
        M: Deref,
        M::Target: GuestMemory,
    {
        self.head = descriptors.head_index();
        self.readable.clear();
        self.writable.clear();
        // The walk ends alike at the last descriptor and at one that cannot be read, follows a loop or leads nowhere; only the first says so.
        let mut whole = false;
        for descriptor in descriptors {
            whole = !descriptor.has_next();
            let segment = Segment {
                gpa: Gpa(descriptor.addr().raw_value()),
                len: descriptor.len(),
            };
            if self.readable.len().saturating_add(self.writable.len()) >= most {
                return Err(Broken("a chain has more descriptors than its queue"));
            }
            match (descriptor.is_write_only(), self.writable.is_empty()) {
                (true, _) => self.writable.push(segment),
                (false, true) => self.readable.push(segment),
                (false, false) => {
                    return Err(Broken(
                        "a buffer to read comes after one to write in a chain",
                    ));
                }
            }
        }
        match whole {
            true => Ok(()),
            false => Err(Broken("a chain of descriptors loops or leads nowhere")),
        }
    }
}

fn bytes(segments: &[Segment]) -> u64 {
    segments
        .iter()
        .map(|segment| u64::from(segment.len))
        .fold(0, u64::saturating_add)
}
