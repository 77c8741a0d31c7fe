//! Memory that a device uses too: the door to a queue's rings.
//!
//! Owns the allocation and every access to it. What lies where is [`ring`](super::ring)'s business. Nothing here makes a reference to plain
//! bytes: a device may write at any moment, so that shared words are atomics.

use alloc::alloc::{alloc_zeroed, dealloc, handle_alloc_error};
use core::alloc::Layout;
use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64};

/// Zeroed, page-aligned memory whose addresses a device is told. In a guest a heap address is also the physical one.
pub(super) struct Memory {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the allocation belongs to no thread in particular, and is this value's alone.
unsafe impl Send for Memory {}

impl Memory {
    /// `len` bytes, above 0 and below 2^31.
    pub(super) fn zeroed(len: usize) -> Memory {
        let layout = Layout::from_size_align(len.max(1), 4096).expect("a queue is below 2 GiB");
        // SAFETY: the size is not 0.
        match NonNull::new(unsafe { alloc_zeroed(layout) }) {
            Some(start) => Memory { start, layout },
            None => handle_alloc_error(layout),
        }
    }

    /// The address of a byte, for the device.
    pub(super) fn address(&self, at: usize) -> u64 {
        // Exposed: the device's accesses come from outside of the program.
        (self.start.as_ptr().expose_provenance() + at) as u64
    }

    /// Where `size` bytes lie, aligned to their size.
    ///
    /// # Panics
    /// If they are not all inside: the layout that `Ring` has computed is wrong.
    #[inline]
    fn place(&self, at: usize, size: usize) -> *mut u8 {
        assert!(
            at.is_multiple_of(size) && at <= self.layout.size() - size,
            "offset {at} in a queue's memory"
        );
        // SAFETY: inside the allocation, as just checked.
        unsafe { self.start.as_ptr().add(at) }
    }

    #[inline]
    pub(super) fn word16(&self, at: usize) -> &AtomicU16 {
        // SAFETY: inside and aligned (`place`; the start is page-aligned), initialized, and accessed by both sides only atomically:
        // `bytes` of a slot are not those of a word.
        unsafe { AtomicU16::from_ptr(self.place(at, 2).cast()) }
    }

    #[inline]
    pub(super) fn word32(&self, at: usize) -> &AtomicU32 {
        // SAFETY: as in `word16`.
        unsafe { AtomicU32::from_ptr(self.place(at, 4).cast()) }
    }

    #[inline]
    pub(super) fn word64(&self, at: usize) -> &AtomicU64 {
        // SAFETY: as in `word16`.
        unsafe { AtomicU64::from_ptr(self.place(at, 8).cast()) }
    }

    /// Has the processor's cache fetch what is about to be read.
    #[inline]
    pub(super) fn expect(&self, at: usize) {
        let place = self.start.as_ptr().wrapping_add(at);
        // SAFETY: a prefetch changes nothing that can be observed, wherever it points.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast_const().cast()) };
    }

    /// Copies bytes in, to where no device looks at the moment.
    #[inline]
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        assert!(
            at <= self.layout.size() && bytes.len() <= self.layout.size() - at,
            "offset {at} in a queue's memory"
        );
        // SAFETY: inside the allocation, as just checked; `bytes` is borrowed from elsewhere, as this memory gives out no references to bytes.
        unsafe {
            core::ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                self.start.as_ptr().add(at),
                bytes.len(),
            );
        }
    }

    /// Copies bytes out, of where no device writes at the moment.
    #[inline]
    pub(super) fn read(&self, at: usize, bytes: &mut [u8]) {
        assert!(
            at <= self.layout.size() && bytes.len() <= self.layout.size() - at,
            "offset {at} in a queue's memory"
        );
        // SAFETY: as in `write`, the other way round.
        unsafe {
            core::ptr::copy_nonoverlapping(
                self.start.as_ptr().add(at),
                bytes.as_mut_ptr(),
                bytes.len(),
            );
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this layout. `Queue` drops it only after the device has let go.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}
