//! What guest memory is to look like: as the guest wrote it, but for where the host may have written.

use crate::memory::Memory;
use hypercall_abi::map::{self, MIN_MEMORY};
use hypercall_abi::{Gpa, map::CORNER, map::VCPU_PAGES};
use std::ops::Range;
use std::sync::LazyLock;

/// Compared at once.
const CHUNK: usize = 4096;

/// What is there at first: something everywhere, but nothing in the vCPU pages.
static FIRST: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let fresh = VCPU_PAGES..CORNER;
    (0..MIN_MEMORY)
        .map(|at| match fresh.contains(&at) {
            true => 0,
            false => (at ^ at >> 8) as u8 | 1,
        })
        .collect()
});

/// A copy of the least memory a VM can have, kept beside it.
pub(crate) struct Ram {
    copy: Vec<u8>,
    /// Which bytes the host may write.
    may: Vec<bool>,
}

impl Ram {
    /// Fills a VM's memory.
    pub fn new(memory: &Memory) -> Ram {
        assert_eq!(memory.size(), MIN_MEMORY);
        memory.write(Gpa(0), &FIRST).unwrap();
        Ram {
            copy: FIRST.clone(),
            may: vec![false; FIRST.len()],
        }
    }

    /// A VM's memory as it is, of which the host may write nothing.
    pub fn of(memory: &Memory) -> Ram {
        let mut copy = vec![0; MIN_MEMORY as usize];
        memory.read(Gpa(0), &mut copy).unwrap();
        let may = vec![false; copy.len()];
        Ram { copy, may }
    }

    /// The guest has written somewhere in this range.
    pub fn follow(&mut self, memory: &Memory, range: Range<u64>) {
        let copy = &mut self.copy[range.start as usize..range.end as usize];
        memory.read(Gpa(range.start), copy).unwrap();
    }

    /// The guest writes.
    pub fn write(&mut self, memory: &Memory, at: u64, bytes: &[u8]) {
        memory.write(Gpa(at), bytes).unwrap();
        let at = at as usize;
        self.copy[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// From now on the host may write this range, where it is in memory.
    pub fn allow(&mut self, range: Range<u64>) {
        let end = range.end.min(MIN_MEMORY) as usize;
        if let Some(bytes) = self.may.get_mut(range.start as usize..end) {
            bytes.fill(true);
        }
    }

    /// Likewise a buffer that the guest named, where a buffer can be.
    pub fn allow_buffer(&mut self, gpa: u64, len: u64) {
        let end = gpa.checked_add(len).filter(|end| *end <= MIN_MEMORY);
        if let Some(end) = end
            && gpa >= map::RAM_BASE
        {
            self.allow(gpa..end);
        }
    }

    /// Checks that the host wrote nowhere else.
    pub fn check(&self, memory: &Memory) {
        let mut now = [0; CHUNK];
        for (index, copy) in self.copy.chunks(CHUNK).enumerate() {
            let base = index * CHUNK;
            memory.read(Gpa(base as u64), &mut now).unwrap();
            if now == *copy {
                continue;
            }
            for (offset, (now, copy)) in now.iter().zip(copy).enumerate() {
                let at = base + offset;
                assert!(now == copy || self.may[at], "the host wrote at {at:#x}");
            }
        }
    }
}
