//! Pages that rows map and unmap, and what is seen through them.

use alloc::vec::Vec;
use core::ops::Range;
use guest_sdk::paging::{Access, Edit, Error, PAGE_SIZE};
use guest_sdk::sync::{Mutex, MutexGuard};

/// Maps pages that nothing refers into but volatile looks.
pub fn map(pages: Range<u64>, place: u64) {
    // SAFETY: as said.
    edit(|edit| unsafe { edit.map(pages, place, Access::READ_WRITE) });
}

/// Unmaps such pages.
pub fn unmap(pages: Range<u64>) {
    // SAFETY: as said.
    edit(|edit| unsafe { edit.unmap(pages) });
}

/// One edit, committed.
fn edit(by: impl FnOnce(&mut Edit) -> Result<(), Error>) {
    let mut edit = Edit::begin();
    if by(&mut edit).and_then(|()| edit.commit()).is_err() {
        panic!("an edit was refused");
    }
}

/// Pages of the largest window.
pub const MOST_PAGES: usize = 1024;

/// The pages that are remapped. They stay, so that only the first block pays for them.
static MEMORY: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Some pages that are mapped to one of two places behind them, in turn. The last byte of each place says which it is.
pub struct Window {
    start: u64,
    size: u64,
    memory: MutexGuard<'static, Vec<u8>>,
}

impl Window {
    /// A window of so many pages.
    pub fn new(pages: usize) -> Window {
        let mut memory = MEMORY.lock();
        if memory.is_empty() {
            memory.resize((3 * MOST_PAGES + 2) * PAGE_SIZE as usize, 0);
        }
        let base = memory.as_ptr() as u64;
        let (start, size) = (base.next_multiple_of(PAGE_SIZE), pages as u64 * PAGE_SIZE);
        let mut window = Window {
            start,
            size,
            memory,
        };
        for (turn, mark) in [(0, 1), (1, 2)] {
            let last = window.back(turn) + size - 1 - base;
            window.memory[last as usize] = mark;
        }
        window
    }

    /// Its addresses.
    pub fn pages(&self) -> Range<u64> {
        self.start..self.start + self.size
    }

    /// The place of a turn, 0 or 1: a page further than it could be, so that not even many pages become a large one.
    pub fn back(&self, turn: u64) -> u64 {
        self.start + (turn + 1) * self.size + PAGE_SIZE
    }

    /// Maps it to the place of a turn, and has everybody forget the other.
    pub fn map(&self, turn: u64) {
        map(self.pages(), self.back(turn));
    }

    /// Looks through it.
    pub fn check(&self, turn: u64) {
        let last = (self.start + self.size - 1) as *const u8;
        // SAFETY: the window is mapped, to bytes that are there.
        let seen = unsafe { last.read_volatile() };
        assert_eq!(u64::from(seen), turn + 1, "the flush shows the new page");
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // Back where it came from, for who has the memory next. Page by page, so that the tables stay.
        edit(|edit| {
            let mut pages = self.pages().step_by(PAGE_SIZE as usize);
            // SAFETY: what was there before the window.
            pages.try_for_each(|page| unsafe {
                edit.map(page..page + PAGE_SIZE, page, Access::READ_WRITE)
            })
        });
    }
}

/// Two places of some pages each, whose first bytes say which place it is.
pub struct Marked {
    _memory: Vec<u8>,
    start: u64,
    size: u64,
}

impl Marked {
    /// Places of so many pages.
    pub fn new(pages: u64) -> Marked {
        let size = pages * PAGE_SIZE;
        let mut memory = alloc::vec![0; (2 * size + PAGE_SIZE) as usize];
        let start = (memory.as_ptr() as u64).next_multiple_of(PAGE_SIZE);
        let skipped = (start - memory.as_ptr() as u64) as usize;
        let pages = memory[skipped..].chunks_mut(PAGE_SIZE as usize);
        for (index, page) in pages.enumerate() {
            page[0] = 1 + (index as u64 * PAGE_SIZE / size) as u8;
        }
        Marked {
            _memory: memory,
            start,
            size,
        }
    }

    /// The place of a turn, 0 or 1.
    pub fn place(&self, turn: u64) -> u64 {
        self.start + turn * self.size
    }
}

/// Looks through every one of some pages, which are mapped to the place of a turn.
pub fn check(pages: Range<u64>, turn: u64) {
    for page in pages.step_by(PAGE_SIZE as usize) {
        // SAFETY: mapped, to bytes that are there.
        let seen = unsafe { (page as *const u8).read_volatile() };
        assert_eq!(u64::from(seen), turn + 1, "the new page is seen");
    }
}
