//! The same page, seen after an edit of the page tables and a flush of either kind.

use alloc::vec::Vec;
use core::ptr;
use guest_sdk::paging::{Access, Edit, PAGE_SIZE};
use guest_sdk::trapped::translation;
use guest_sdk::{calls, platform};

const WINDOW: u64 = 1 << 40;
/// The bits of a page-table entry that are an address.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Two pages, each full of its own number.
fn two_pages() -> (Vec<u64>, u64) {
    let words = PAGE_SIZE as usize / 8;
    let mut memory = alloc::vec![0_u64; 3 * words];
    let start = (memory.as_ptr() as u64).next_multiple_of(PAGE_SIZE);
    let first = (start - memory.as_ptr() as u64) as usize / 8;
    memory[first..first + words].fill(1);
    memory[first + words..first + 2 * words].fill(2);
    (memory, start)
}

/// The entry of a page of 4 KiB that is mapped.
fn entry(address: u64) -> *mut u64 {
    let mut table = platform::boot().page_table_root.0;
    for shift in [39, 30, 21] {
        // SAFETY: the tables lie at their own addresses, and a mapped page has one of each level.
        let next = unsafe { ptr::read_volatile((table as *const u64).add(index(address, shift))) };
        table = next & ADDRESS;
    }
    (table as *mut u64).wrapping_add(index(address, 12))
}

fn index(address: u64, shift: u32) -> usize {
    (address >> shift & 511) as usize
}

/// What a window onto one page shows, and then after it was moved to the other page in the tables and flushed in this way.
fn seen(flush: impl Fn()) -> (u64, u64) {
    let (_memory, start) = two_pages();
    let look = || {
        // SAFETY: mapped below, to one of two pages that live on.
        unsafe { ptr::read_volatile(WINDOW as *const u64) }
    };
    let mut edit = Edit::begin();
    // SAFETY: nothing else is at that address, and it is only read.
    unsafe { edit.map(WINDOW..WINDOW + PAGE_SIZE, start, Access::READ) }.expect("room for tables");
    edit.commit().expect("flushing is granted");
    let before = look();
    let entry = entry(WINDOW);
    // SAFETY: the entry of a page that only this function uses.
    unsafe {
        let flags = ptr::read_volatile(entry) & !ADDRESS;
        ptr::write_volatile(entry, flags | (start + PAGE_SIZE));
    }
    flush();
    (before, look())
}

pub fn a_page_moves_with_invlpg_as_with_a_call() {
    let called = seen(|| calls::mmu_flush().expect("flushing is granted"));
    let trapped = seen(|| translation::invlpg(WINDOW));
    assert_eq!((called, trapped), ((1, 2), (1, 2)));
}

pub fn a_page_moves_with_the_root_reloaded() {
    let root = translation::root();
    assert_eq!(root, platform::boot().page_table_root.0);
    for _ in 0..3 {
        // SAFETY: the root that is there already.
        let trapped = seen(|| unsafe { translation::load_root(root) });
        assert_eq!(trapped, (1, 2));
        assert_eq!(translation::root(), root);
    }
}
