//! Structs in guest memory that are nothing but atomic words: the only things there that the host may point at.
//!
//! They are [`hypercall_abi::words`]'. Whatever the guest does to one meanwhile, a load yields some value, which the host then
//! checks as its own copy.

use super::{Memory, OutOfRange};
use hypercall_abi::map::{MAX_VCPUS, vcpu_page};
use hypercall_abi::vcpu::VcpuPage;
pub(crate) use hypercall_abi::words::{EntryWords, LineWords, RingWords, TimesWords};
use hypercall_abi::{Gpa, Status};
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::mem::offset_of;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

/// Copies six arguments, each once.
pub(crate) fn copy(args: &[AtomicU64; 6]) -> [u64; 6] {
    let [a, b, c, d, e, f] = args;
    [a, b, c, d, e, f].map(|word| word.load(Ordering::Relaxed))
}

/// Has this core's cache fetch a struct that is about to be read and written, before the work on others that precede it. Not as the only one that has it:
/// the other side looks at the same lines meanwhile, and both would fetch them twice.
#[inline]
pub(crate) fn claim<T>(words: &T) {
    fetch(std::ptr::from_ref(words).cast());
}

/// Has this core's cache fetch a line.
#[inline]
fn fetch(place: *const u8) {
    // SAFETY: a prefetch changes nothing that can be observed, wherever it points.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
}

/// A struct that consists of atomic words, without padding.
///
/// # Safety
/// It does: every byte of it belongs to an atomic integer.
unsafe trait AtomicWords {}

// SAFETY: 2 × 4 + 6 × 8 + 2 × 4 = 64 bytes of atomics, as the assertion on its size confirms.
unsafe impl AtomicWords for LineWords {}
// SAFETY: 2 × 4 + 6 × 8 + 8 = 64 bytes of atomics, as the assertion on its size confirms.
unsafe impl AtomicWords for EntryWords {}

// SAFETY: 8 + 3 × 4 + 11 × 4 + 4 + 15 × 4 = 128 bytes of atomics, as the assertion on its size confirms.
unsafe impl AtomicWords for RingWords {}

// SAFETY: 2 × 4 + 2 × 8 + 5 × 8 = 64 bytes of atomics, as the assertion on its size confirms.
unsafe impl AtomicWords for TimesWords {}

// SAFETY: two bytes, one atomic.
unsafe impl AtomicWords for AtomicU16 {}

// SAFETY: eight bytes, one atomic.
unsafe impl AtomicWords for AtomicU64 {}

impl Memory {
    /// A word of a queue's rings, in the guest's own part of memory. 2-byte aligned.
    ///
    /// # Errors
    /// [`Status::BAD_ADDRESS`].
    #[inline]
    pub(crate) fn word16(&self, at: Gpa) -> Result<&AtomicU16, Status> {
        self.buffer(at.0, 2)?;
        Ok(self.atomics(at, 1)?.first().ok_or(OutOfRange)?)
    }

    /// Likewise one of 8 bytes.
    ///
    /// # Errors
    /// [`Status::BAD_ADDRESS`].
    #[inline]
    pub(crate) fn word64(&self, at: Gpa) -> Result<&AtomicU64, Status> {
        self.buffer(at.0, 8)?;
        Ok(self.atomics(at, 1)?.first().ok_or(OutOfRange)?)
    }

    /// Has this core's cache fetch what is about to be read, wherever in RAM, before the work on what precedes it.
    #[inline]
    pub(crate) fn expect(&self, at: Gpa) {
        let offset = at.0.min(self.size()) as usize;
        fetch(self.mapping.start.wrapping_add(offset).cast_const());
    }

    /// A vCPU's call line.
    #[inline]
    pub(crate) fn line(&self, vcpu: u32) -> Result<&LineWords, OutOfRange> {
        self.of_vcpu(vcpu, offset_of!(VcpuPage, line))
    }

    /// The registration and the indices of a vCPU's batch ring.
    #[inline]
    pub(crate) fn ring(&self, vcpu: u32) -> Result<&RingWords, OutOfRange> {
        self.of_vcpu(vcpu, offset_of!(VcpuPage, ring))
    }

    /// Where a vCPU notes how long its calls take.
    #[inline]
    pub(crate) fn times(&self, vcpu: u32) -> Result<&TimesWords, OutOfRange> {
        self.of_vcpu(vcpu, offset_of!(VcpuPage, times))
    }

    #[inline]
    fn of_vcpu<T: AtomicWords>(&self, vcpu: u32, offset: usize) -> Result<&T, OutOfRange> {
        if vcpu >= MAX_VCPUS {
            return Err(OutOfRange);
        }
        let at = vcpu_page(vcpu).wrapping_add(offset as u64);
        self.atomics(Gpa(at), 1)?.first().ok_or(OutOfRange)
    }

    /// The entries of a batch ring, in the guest's own part of memory.
    ///
    /// # Errors
    /// [`Status::BAD_ADDRESS`].
    pub(crate) fn entries(&self, at: Gpa, count: u32) -> Result<&[EntryWords], Status> {
        let bytes = u64::from(count).saturating_mul(size_of::<EntryWords>() as u64);
        self.buffer(at.0, bytes)?;
        Ok(self.atomics(at, count)?)
    }

    /// The door: `count` structs of atomic words, aligned and inside RAM.
    #[inline]
    fn atomics<T: AtomicWords>(&self, at: Gpa, count: u32) -> Result<&[T], OutOfRange> {
        let count = count as usize;
        let bytes = count.checked_mul(size_of::<T>()).ok_or(OutOfRange)? as u64;
        let end = at.0.checked_add(bytes).ok_or(OutOfRange)?;
        if end > self.size() || !at.0.is_multiple_of(align_of::<T>() as u64) {
            return Err(OutOfRange);
        }
        let start = self.mapping.start.wrapping_add(at.0 as usize).cast::<T>();
        // SAFETY: inside the mapping, which lives as long as `self`; aligned, because the mapping is to more than any struct's
        // alignment. `T` is atomic words, so that any bytes are one, and writes by the guest or other threads meanwhile are no
        // data race with these accesses.
        Ok(unsafe { std::slice::from_raw_parts(start, count) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hypercall_abi::vcpu::CallLine;

    #[test]
    fn lines_are_where_the_abi_says() {
        let memory = Memory::new(2 << 20).unwrap();
        for vcpu in [0, 63] {
            memory
                .line(vcpu)
                .unwrap()
                .number
                .store(7, Ordering::Relaxed);
            let line: CallLine = memory
                .load(Gpa(vcpu_page(vcpu) + offset_of!(VcpuPage, line) as u64))
                .unwrap();
            assert_eq!(line.number, 7);
        }
        assert!(memory.line(64).is_err());
    }

    #[test]
    fn rings_lie_in_the_guests_memory() {
        let memory = Memory::new(2 << 20).unwrap();
        assert_eq!(memory.entries(Gpa(0x10_0000), 1024).unwrap().len(), 1024);
        assert!(memory.entries(Gpa((2 << 20) - 64), 1).is_ok());
        for (at, count) in [
            (0xf_ffc0, 2),
            (0x4_0000, 1),
            (0x10_0008, 1),
            ((2 << 20) - 64, 2),
            (2 << 20, 1),
            (!63, 1),
            (!63, u32::MAX),
        ] {
            let entries = memory.entries(Gpa(at), count).map(<[_]>::len);
            assert_eq!(entries, Err(Status::BAD_ADDRESS), "{at:#x} {count}");
        }
    }
}
