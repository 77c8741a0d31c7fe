//! Page tables as this guest finds them, edited with no regard for what they map.

use crate::{Answer, boot, call};
use core::sync::atomic::{AtomicU64, Ordering};
use hypercall_abi::call as number;

/// Page-table entry bits.
pub const PRESENT: u64 = 1 << 0;
/// Writable.
pub const WRITABLE: u64 = 1 << 1;
/// Open to ring 3.
pub const USER: u64 = 1 << 2;
/// The entry maps a large page.
const LARGE: u64 = 1 << 7;
/// Not executable.
pub const NO_EXECUTE: u64 = 1 << 63;
/// The bits of an entry that are an address.
pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// The lowest entry that maps an address, present or not; `None` where a table above it is missing. Every table
/// on the way is opened to ring 3 for writing.
#[must_use]
pub fn entry(address: u64) -> Option<&'static AtomicU64> {
    let mut table = boot().page_table_root.0;
    for level in (0..4).rev() {
        let index = (address >> (12 + 9 * level)) & 0x1ff;
        // SAFETY: the ABI says that the tables lie in RAM mapped at its own address and writable to the guest; every
        // eight aligned bytes are an `AtomicU64`.
        let entry = unsafe { &*((table + index * 8) as *const AtomicU64) };
        let value = entry.load(Ordering::SeqCst);
        if level == 0 || value & LARGE != 0 {
            return Some(entry);
        }
        if value & PRESENT == 0 {
            return None;
        }
        entry.store((value | USER | WRITABLE) & !NO_EXECUTE, Ordering::SeqCst);
        table = value & ADDRESS;
    }
    None
}

/// Opens the page of an address to ring 3: readable, writable and executable. False where no table maps it.
pub fn open(address: u64) -> bool {
    let Some(entry) = entry(address) else {
        return false;
    };
    let value = entry.load(Ordering::SeqCst);
    if value & PRESENT == 0 {
        return false;
    }
    entry.store((value | USER | WRITABLE) & !NO_EXECUTE, Ordering::SeqCst);
    flush();
    true
}

/// Makes the host forget old translations.
pub fn flush() -> Answer {
    call(number::MMU_FLUSH, &[])
}

/// Fills a page with a repeated pattern of 1 to 8 bytes, the low ones of a word.
pub fn fill(page: u64, pattern: u64, len: u64) {
    for offset in 0..4096 {
        let byte = (pattern >> (8 * (offset % len))) as u8;
        // SAFETY: not sound, and not meant to be: the case wants to see what the host makes of it. The page is
        // open, or the fault is what is wanted.
        unsafe { ((page + offset) as *mut u8).write_volatile(byte) };
    }
}
