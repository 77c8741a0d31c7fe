//! Stacks from the heap, with a guard page below that is not mapped.

use crate::paging::{Access, Edit, Error, PAGE_SIZE};
use alloc::alloc::{Layout, alloc, dealloc};
use core::ops::Range;

/// A stack. Running off its end faults instead of overwriting what lies below.
pub(crate) struct Stack {
    base: *mut u8,
    layout: Layout,
    /// Whether the lowest page is unmapped. Not so in the host flavour, which has no page tables of its own.
    guarded: bool,
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
        let mut stack = Stack {
            base,
            layout,
            guarded: false,
        };
        let mut edit = Edit::begin();
        // SAFETY: the page was just allocated, and belongs to nobody.
        stack.guarded = match unsafe { edit.unmap(stack.guard()) } {
            Ok(()) => true,
            Err(Error::NotMapped(_)) => false,
            Err(_) => return None,
        };
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

    /// Maps the guard page to itself again.
    fn unguard(&self) -> Result<(), Error> {
        let guard = self.guard();
        let mut edit = Edit::begin();
        // SAFETY: gives the page back as it came from the heap; nothing refers to it.
        unsafe { edit.map(guard.clone(), guard.start, Access::READ_WRITE)? };
        edit.commit()
    }

    fn guard(&self) -> Range<u64> {
        self.base as u64..self.base as u64 + PAGE_SIZE
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // The guard's table exists since `new`, so this does not fail; if it did, the heap must not have the page.
        if !self.guarded || self.unguard().is_ok() {
            // SAFETY: allocated in `new` with this layout, and whole again.
            unsafe { dealloc(self.base, self.layout) };
        }
    }
}
