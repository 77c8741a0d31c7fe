//! A whole program, called and trapped: log lines with events masked, clock readings, pages that move.

use crate::block::Run;
use crate::rows::{Window, done, mask};
use crate::trapped;
use core::hint::black_box;
use guest_sdk::calls;
use guest_sdk::time::now_ns;
use guest_sdk::trapped::{interrupt, pit, translation, uart};

const LINES: usize = 16;
const LINE: [u8; 64] = [b'.'; 64];
const READINGS: usize = 64;
const PAGES: usize = 8;

/// With calls and shared pages.
pub fn called(run: &mut Run) {
    let window = Window::new(PAGES);
    let mut turn = 0;
    run.over(|| {
        for _ in 0..LINES {
            mask(true);
            done(calls::console_write(calls::STREAM_OUTPUT, black_box(&LINE)));
            mask(false);
        }
        for _ in 0..READINGS {
            black_box(now_ns());
        }
        turn ^= 1;
        window.map(turn);
        window.check(turn);
    });
}

/// As an unmodified kernel does it.
pub fn trapped(run: &mut Run) {
    let window = Window::new(PAGES);
    let pages = trapped::Pages::of(&window, PAGES);
    let mut turn = 0;
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
        turn ^= 1;
        pages.point_to(window.back(turn));
        pages.each(translation::invlpg);
        window.check(turn);
    });
    interrupt::disable();
}
