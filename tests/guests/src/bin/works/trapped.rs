//! The same work by calls and by the trapped side.

use core::iter;
use guest_sdk::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use guest_sdk::trapped::{interrupt, pic, pit, rtc, uart};
use guest_sdk::{calls, println};

/// Every byte there is, by call and then by the serial port.
pub fn console() {
    let bytes: [u8; 256] = core::array::from_fn(|byte| byte as u8);
    let written = calls::console_write(calls::STREAM_OUTPUT, &bytes);
    assert_eq!(written, Ok(bytes.len()));
    uart::write(&bytes);
}

/// Seconds since the Unix epoch, by the shared page before, by the real-time clock, and by the shared page after.
pub fn clock() {
    let shared = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.expect("a time after the epoch").as_secs()
    };
    let before = shared();
    let read = rtc::read().since_epoch().as_secs();
    println!("{before} {read} {}", shared());
}

/// A hundred interrupts of a periodic timer, which take as long as a hundred periods.
pub fn timer() {
    const TURNS: u32 = 100;
    let period = pit::ticks(Duration::from_millis(1));
    pic::unmask(pic::TIMER);
    interrupt::enable();
    let start = Instant::now();
    pit::periodic(period);
    let handled = iter::repeat_with(|| {
        interrupt::halt();
        let line = pic::acknowledge();
        pic::end(pic::TIMER);
        line
    });
    let missed = handled
        .take(TURNS as usize)
        .filter(|line| *line != Some(pic::TIMER))
        .count();
    assert_eq!(missed, 0, "woken for nothing");
    // Each interrupt is of a period of its own; the guest's young clock may run slow by a little.
    assert!(start.elapsed() >= Duration::from_millis(90));
}
