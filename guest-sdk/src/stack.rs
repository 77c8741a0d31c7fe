//! Stacks from the heap, with a guard page below that is not mapped.

use crate::paging::{Access, Edit, PAGE_SIZE};
use alloc::alloc::{Layout, alloc, dealloc};
use core::ops::Range;

/// A stack. Running off its end faults instead of overwriting what lies below.
pub(crate) struct Stack {
    base: *mut u8,
    layout: Layout,
}

// SAFETY: memory that this owns, wherever it is used.
unsafe impl Send for Stack {}

impl Stack {
    /// A stack of at least `bytes`; `None` where there is no memory for it.
    pub(crate) fn new(bytes: usize) -> Option<Stack> {
        let page = PAGE_SIZE as usize;
        let bytes = bytes.max(page).checked_next_multiple_of(page)?;
        let layout = Layout::from_size_align(bytes.checked_add(page)?, page).ok()?;
        // SAFETY: the size is not 0.
        let base = unsafe { alloc(layout) };
        if base.is_null() {
            return None;
        }
        let stack = Stack { base, layout };
        let mut edit = Edit::begin();
        // SAFETY: the page was just allocated, and belongs to nobody.
        unsafe { edit.unmap(stack.guard()) }.ok()?;
        // Where the VM may not flush, the guard takes effect later or never; the stack is none the worse.
        let _ = edit.commit();
        Some(stack)
    }

    /// The byte after its highest, page-aligned.
    pub(crate) fn top(&self) -> u64 {
        self.base as u64 + self.layout.size() as u64
    }

    /// Bytes that can be used.
    pub(crate) fn bytes(&self) -> usize {
        self.layout.size() - PAGE_SIZE as usize
    }

    fn guard(&self) -> Range<u64> {
        self.base as u64..self.base as u64 + PAGE_SIZE
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let mut edit = Edit::begin();
        let guard = self.guard();
        // SAFETY: gives the page back to the heap as it was: mapped to itself.
        let mapped = unsafe { edit.map(guard.clone(), guard.start, Access::READ_WRITE) };
        // The page's table exists since `new`, so this does not fail; if it did, the heap must not have the page.
        if mapped.is_ok() && edit.commit().is_ok() {
            // SAFETY: allocated in `new` with this layout, and whole again.
            unsafe { dealloc(self.base, self.layout) };
        }
    }
}
