//! The heap: all memory that the boot page says nothing uses, behind `alloc`.
//!
//! Owns the allocator's state; [`entry!`](crate::entry!) makes [`Heap`] the program's global allocator. The memory is touched only as it is
//! handed out, so a guest pays for what it uses, not for what the VM was given.
//!
//! A block of whole sectors of 512 bytes begins at a sector's multiple, one of whole pages at a page: so a `Vec` is a buffer that a disk takes past the
//! host's page cache, and no copy into it or out of it splits the processor's cache lines.

use crate::block::SECTOR;
use crate::paging::PAGE_SIZE;
use crate::platform::boot;
use crate::sync::Mutex;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};
use talc::DefaultBinning;
use talc::base::Talc;
use talc::source::Manual;

static STATE: Mutex<State> = Mutex::new(State {
    talc: Talc::new(Manual),
    claimed: false,
});

struct State {
    talc: Talc<Manual, DefaultBinning>,
    claimed: bool,
}

// SAFETY: the allocator's pointers lead to heap memory, which belongs to no thread in particular.
unsafe impl Send for State {}

impl State {
    /// The allocator, which takes over the heap's memory the first time.
    fn ready(&mut self) -> &mut Talc<Manual, DefaultBinning> {
        if !self.claimed {
            self.claimed = true;
            let (start, end) = (boot().heap_start.0, boot().heap_end.0);
            // SAFETY: the host promises that nothing else uses this range, and it is claimed once.
            // A range too small to claim leaves the allocator empty, and every allocation fails.
            let _ = unsafe {
                self.talc
                    .claim(start as *mut u8, end.saturating_sub(start) as usize)
            };
        }
        &mut self.talc
    }
}

const PAGE: usize = PAGE_SIZE as usize;

/// How a block of so many bytes is aligned at least.
fn alignment(size: usize) -> usize {
    match size {
        _ if size.is_multiple_of(PAGE) => PAGE,
        _ if size.is_multiple_of(SECTOR) => SECTOR,
        _ => 1,
    }
}

/// A global allocator over the memory between the boot page's `heap_start` and `heap_end`.
pub struct Heap;

// SAFETY: `talc` is an allocator in this trait's sense, and the lock makes its use exclusive.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Ok(layout) = layout.align_to(alignment(layout.size())) else {
            return null_mut();
        };
        // SAFETY: the size is not 0, by the caller's promise.
        let block = unsafe { STATE.lock().ready().allocate(layout) };
        block.map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block was allocated here with this layout, by the caller's promise. That it is aligned to more makes no difference: `talc` finds a
        // block by its address and size.
        unsafe { STATE.lock().talc.deallocate(block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as in `dealloc`; the new size is not 0 and makes a valid layout, by the caller's promise.
        unsafe {
            if STATE
                .lock()
                .talc
                .try_realloc_in_place(block, layout, new_size)
            {
                return block;
            }
            let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !new.is_null() {
                // Not under the lock: it may be long.
                core::ptr::copy_nonoverlapping(block, new, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_disk_reads_into_is_aligned_as_direct_io_wants_it() {
        assert_eq!([512, 1024, 4608].map(alignment), [SECTOR; 3]);
        assert_eq!([4096, 8192, 1 << 20].map(alignment), [PAGE; 3]);
        assert_eq!([1, 511, 513, 4097].map(alignment), [1; 4]);
    }
}
