//! A whole program, called and trapped: log lines with events masked, clock readings, pages mapped and used.
//!
//! Its pages are where none were since translations were last flushed, as kernels map them that purge lazily: what is no longer used
//! stays mapped until the window is full, and then goes at once, with one flush.

use crate::block::{Run, now};
use crate::rows::{done, mask};
use crate::trapped::Pages;
use crate::window::{Marked, check, map, unmap};
use core::hint::black_box;
use core::ops::Range;
use guest_sdk::calls;
use guest_sdk::paging::PAGE_SIZE;
use guest_sdk::time::now_ns;
use guest_sdk::trapped::{interrupt, pit, translation, uart};

const LINES: usize = 16;
const LINE: [u8; 64] = [b'.'; 64];
const READINGS: usize = 64;
/// Pages that a round maps.
const PAGES: u64 = 8;
/// Rounds until all of them are unmapped and flushed.
const ROUNDS: u64 = 64;
/// Where they are mapped: nothing else is there.
const WINDOW: u64 = 1 << 40;

/// The addresses of a round's pages.
fn pages(round: u64) -> Range<u64> {
    let start = WINDOW + round * PAGES * PAGE_SIZE;
    start..start + PAGES * PAGE_SIZE
}

/// The addresses of all rounds' pages.
fn window() -> Range<u64> {
    pages(0).start..pages(ROUNDS).start
}

/// Maps every round's pages.
fn map_all(marked: &Marked) {
    (0..ROUNDS).for_each(|round| map(pages(round), marked.place(round & 1)));
}

/// With calls and shared pages: all rounds until the pages are purged.
pub fn called(run: &mut Run) {
    let marked = Marked::new(PAGES);
    run.over(|| {
        for round in 0..ROUNDS {
            for _ in 0..LINES {
                mask(true);
                done(calls::console_write(calls::STREAM_OUTPUT, black_box(&LINE)));
                mask(false);
            }
            for _ in 0..READINGS {
                black_box(now_ns());
            }
            map(pages(round), marked.place(round & 1));
            check(pages(round), round & 1);
        }
        unmap(window());
    });
}

/// As an unmodified kernel does it: one round, and a purge where it is due.
pub fn trapped(run: &mut Run) {
    let marked = Marked::new(PAGES);
    // Mapped once, so that there are tables; their entries are then this function's.
    map_all(&marked);
    let entries = Pages::of(window());
    let root = translation::root();
    let purge = || {
        entries.clear();
        // SAFETY: the root that is there already.
        unsafe { translation::load_root(root) };
    };
    purge();
    let mut round = 0;
    pit::periodic(pit::LONGEST);
    run.over(|| {
        for _ in 0..LINES {
            interrupt::disable();
            uart::write(black_box(&LINE));
            interrupt::enable();
        }
        for _ in 0..READINGS {
            black_box(pit::read());
        }
        let first = (round * PAGES) as usize;
        entries.point(first..first + PAGES as usize, marked.place(round & 1));
        check(pages(round), round & 1);
        round += 1;
        if round == ROUNDS {
            purge();
            round = 0;
        }
    });
    interrupt::disable();
    purge();
}

/// Uses pages for the first time since their translations were flushed; mapping and purging is not in the figure.
pub fn touch(run: &mut Run) {
    let marked = Marked::new(PAGES);
    run.timed(|| {
        map_all(&marked);
        let start = now();
        (0..ROUNDS).for_each(|round| check(pages(round), round & 1));
        let ticks = now() - start;
        unmap(window());
        ticks
    });
}
