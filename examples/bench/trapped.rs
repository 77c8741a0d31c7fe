//! The trapped side of the work: what an unmodified kernel does where the rows beside this file call.

use crate::block::Run;
use crate::rows::lateness;
use crate::window::Window;
use alloc::vec::Vec;
use core::hint::black_box;
use core::ops::Range;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};
use guest_sdk::paging::PAGE_SIZE;
use guest_sdk::platform;
use guest_sdk::time::Duration;
use guest_sdk::trapped::{interrupt, msr, pic, pit, rtc, translation, uart};

/// Bytes out, one by one.
pub fn write<const BYTES: usize>(run: &mut Run) {
    let bytes = [b'.'; BYTES];
    run.over(|| uart::write(black_box(&bytes)));
}

pub fn clock_by_pit(run: &mut Run) {
    pit::periodic(pit::LONGEST);
    run.over(|| _ = black_box(pit::read()));
}

pub fn clock_by_rtc(run: &mut Run) {
    run.over(|| _ = black_box(rtc::read()));
}

/// How much later than asked the timer's interrupt has been taken.
pub fn timer(run: &mut Run) {
    pic::unmask(pic::TIMER);
    interrupt::enable();
    run.timed(|| {
        lateness(|ahead_ns| {
            pit::oneshot(pit::ticks(Duration::from_nanos(ahead_ns)));
            interrupt::halt();
            assert_eq!(pic::acknowledge(), Some(pic::TIMER));
            pic::end(pic::TIMER);
        })
    });
    interrupt::disable();
    pic::mask(pic::TIMER);
}

pub fn mask(run: &mut Run) {
    run.over(|| {
        interrupt::disable();
        interrupt::enable();
    });
    interrupt::disable();
}

pub fn identify(run: &mut Run) {
    run.over(|| _ = black_box(msr::read(msr::EFER)));
}

pub fn notify(run: &mut Run) {
    run.over(|| pic::end(pic::TIMER));
}

/// Moves a window, and forgets each page.
pub fn remap(run: &mut Run, pages: usize) {
    remap_with(run, pages, |pages| pages.each(translation::invlpg));
}

/// Moves a window, and forgets everything.
pub fn remap_by_root(run: &mut Run, pages: usize) {
    let root = translation::root();
    // SAFETY: the root that is there already.
    remap_with(run, pages, |_| unsafe { translation::load_root(root) });
}

fn remap_with(run: &mut Run, pages: usize, flush: impl Fn(&Pages)) {
    let window = Window::new(pages);
    // Mapped page by page first, so that there is an entry for each.
    window.map(1);
    let entries = Pages::of(window.pages());
    let mut turn = 0;
    run.over(|| {
        turn ^= 1;
        entries.point(0..pages, window.back(turn));
        flush(&entries);
        window.check(turn);
    });
}

/// Pages, and their entries in the page tables.
pub struct Pages {
    start: u64,
    entries: Vec<&'static AtomicU64>,
}

impl Pages {
    /// Pages that are mapped, by an entry each.
    pub fn of(pages: Range<u64>) -> Pages {
        Pages {
            start: pages.start,
            entries: pages.step_by(PAGE_SIZE as usize).map(entry).collect(),
        }
    }

    /// Lets some of the entries point to a place, whatever was there; nobody has forgotten it.
    pub fn point(&self, which: Range<usize>, mut physical: u64) {
        for entry in &self.entries[which] {
            entry.store(physical | ENTRY, Ordering::Release);
            physical += PAGE_SIZE;
        }
    }

    /// Empties all entries; nobody has forgotten what they said.
    pub fn clear(&self) {
        for entry in &self.entries {
            entry.store(0, Ordering::Release);
        }
    }

    /// Does something for each page's address.
    pub fn each(&self, act: impl Fn(u64)) {
        (0..self.entries.len() as u64).for_each(|page| act(self.start + page * PAGE_SIZE));
    }
}

/// The bits of a page-table entry that are an address.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// A page for data, as kernels map it: present, writable, for ring 3, accessed, dirty, not executable.
const ENTRY: u64 = 1 << 63 | 0x67;

/// The entry of a page of 4 KiB that is mapped.
fn entry(address: u64) -> &'static AtomicU64 {
    let mut table = platform::boot().page_table_root.0;
    for shift in [39, 30, 21] {
        // SAFETY: the tables lie at their own addresses, and a mapped page has one of each level.
        let next = unsafe { ptr::read_volatile((table as *const u64).add(index(address, shift))) };
        table = next & ADDRESS;
    }
    // SAFETY: as above; tables are never freed, and the processor reads them in words.
    unsafe { AtomicU64::from_ptr((table as *mut u64).add(index(address, 12))) }
}

fn index(address: u64, shift: u32) -> usize {
    (address >> shift & 511) as usize
}
