//! The guest's own page tables: look up, map, unmap, protect.
//!
//! Owns the door to the tables, which the host maps writable at their own addresses, and the rule that an edit ends
//! in one flush, or in none where it only added pages. The walk itself, in `table`, works on any memory and is tested on the host.
//!
//! ```no_run
//! use guest_sdk::paging::{Access, Edit};
//! # let page = 0x60_0000..0x60_1000;
//! let mut edit = Edit::begin();
//! // SAFETY: nothing is written to this page any more.
//! unsafe { edit.protect(page, Access::READ)? };
//! edit.commit()?;
//! # Ok::<(), guest_sdk::paging::Error>(())
//! ```

mod table;

use crate::calls;
use crate::platform::boot;
use crate::sync::{Mutex, MutexGuard};
use core::fmt;
use core::ops::Range;
use hypercall_abi::Status;

use own::Own;
use table::Walk;
pub use table::{Access, Mapping};

/// Bytes of a page.
pub const PAGE_SIZE: u64 = hypercall_abi::map::PAGE_SIZE;

/// One edit at a time: two would overwrite each other's split pages. It holds whether translations are stale: vCPUs may remember pages that
/// are gone or changed. A flush that the host refuses leaves it so, for the next edit's end.
static EDITING: Mutex<bool> = Mutex::new(false);

/// Why an edit was not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// An address is not a multiple of [`PAGE_SIZE`], a range ends before it begins, or lies beyond the lower half of the address space.
    BadRange,
    /// There is no page at this address.
    NotMapped(u64),
    /// There is no memory for a page-table page.
    NoMemory,
    /// The host refused the flush.
    Flush(Status),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::BadRange => f.write_str("not a range of whole pages"),
            Error::NotMapped(address) => write!(f, "no page at {address:#x}"),
            Error::NoMemory => f.write_str("no memory for a page table"),
            Error::Flush(status) => write!(f, "flushing translations: {status}"),
        }
    }
}

impl core::error::Error for Error {}

/// The page at an address, if there is one.
#[must_use]
pub fn lookup(address: u64) -> Option<Mapping> {
    let _editing = EDITING.lock();
    Walk::new(Own, boot().page_table_root.0).lookup(address)
}

/// Changes to the page tables, visible to every vCPU at the latest when [committed](Edit::commit).
///
/// A page where there was none is there for every vCPU at once, and committing costs nothing. One that was replaced, removed or protected is
/// flushed from all vCPUs, together with all others of the edit, by one call. So a kernel that hands out addresses which have not been used since
/// the last flush, and removes many old mappings in one edit, rarely calls.
///
/// Each method fails before it changes anything of its last incomplete page; what it changed until then stays. Pages of 2 MiB
/// and 1 GiB are split where an edit needs it; the tables that takes come from the heap and stay.
pub struct Edit {
    stale: MutexGuard<'static, bool>,
}

impl Edit {
    /// Begins an edit; blocks while another is going on.
    #[must_use]
    pub fn begin() -> Edit {
        Edit {
            stale: EDITING.lock(),
        }
    }

    /// Maps pages to physical memory from `physical` on; what was mapped there is forgotten.
    ///
    /// # Safety
    /// No reference may come to point at memory that the mapping makes shared, moved or unwritable.
    ///
    /// # Errors
    /// See [`Error`].
    pub unsafe fn map(
        &mut self,
        pages: Range<u64>,
        physical: u64,
        access: Access,
    ) -> Result<(), Error> {
        self.change(|walk| walk.map(pages, physical, access))
    }

    /// Removes pages: a later access faults.
    ///
    /// # Safety
    /// Nothing may use the pages any more, this code and its stack included.
    ///
    /// # Errors
    /// See [`Error`].
    pub unsafe fn unmap(&mut self, pages: Range<u64>) -> Result<(), Error> {
        self.change(|walk| walk.unmap(pages))
    }

    /// Changes what may be done with pages.
    ///
    /// # Safety
    /// Nothing may use the pages in a way that is now forbidden.
    ///
    /// # Errors
    /// See [`Error`].
    pub unsafe fn protect(&mut self, pages: Range<u64>, access: Access) -> Result<(), Error> {
        self.change(|walk| walk.protect(pages, access))
    }

    /// Makes every vCPU see the edit, with one call if there is something to forget. Dropping it does the same, but cannot say if that fails.
    ///
    /// # Errors
    /// [`Error::Flush`].
    pub fn commit(mut self) -> Result<(), Error> {
        self.flush()
    }

    /// What an edit that fails has changed until then counts as well.
    fn change(
        &mut self,
        by: impl FnOnce(&mut Walk<Own>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut walk = Walk::new(Own, boot().page_table_root.0);
        let done = by(&mut walk);
        *self.stale |= walk.has_replaced();
        done
    }

    fn flush(&mut self) -> Result<(), Error> {
        if *self.stale {
            calls::mmu_flush().map_err(Error::Flush)?;
            *self.stale = false;
        }
        Ok(())
    }
}

impl Drop for Edit {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

/// The tables this vCPU runs on.
#[cfg(any(pv_guest, target_os = "none"))]
mod own {
    use super::PAGE_SIZE;
    use super::table::Tables;
    use alloc::alloc::{Layout, alloc_zeroed};
    use core::sync::atomic::{AtomicU64, Ordering};

    pub(super) struct Own;

    /// # Safety
    /// `table` must be the address of a page table.
    unsafe fn entry(table: u64, index: usize) -> &'static AtomicU64 {
        // SAFETY: tables lie at their own addresses, writable, and are never freed; the index is masked to a page.
        unsafe { AtomicU64::from_ptr((table as *mut u64).add(index & 511)) }
    }

    impl Tables for Own {
        fn read(&self, table: u64, index: usize) -> u64 {
            // SAFETY: `Walk` passes the root and what it finds in entries.
            unsafe { entry(table, index) }.load(Ordering::Acquire)
        }

        fn write(&mut self, table: u64, index: usize, value: u64) {
            // Release: a new table's contents are there before the entry that leads to it; the processor's walker reads in that order.
            // SAFETY: as in `read`.
            unsafe { entry(table, index) }.store(value, Ordering::Release);
        }

        fn allocate(&mut self) -> Option<u64> {
            let layout = Layout::from_size_align(PAGE_SIZE as usize, PAGE_SIZE as usize).ok()?;
            // SAFETY: the size is not 0.
            let page = unsafe { alloc_zeroed(layout) };
            (!page.is_null()).then_some(page as u64)
        }
    }
}

/// The host flavour has no page tables of its own: nothing is mapped, and there is no memory for more.
#[cfg(not(any(pv_guest, target_os = "none")))]
mod own {
    use super::table::Tables;

    pub(super) struct Own;

    impl Tables for Own {
        fn read(&self, _: u64, _: usize) -> u64 {
            0
        }

        fn write(&mut self, _: u64, _: usize, _: u64) {}

        fn allocate(&mut self) -> Option<u64> {
            None
        }
    }
}
