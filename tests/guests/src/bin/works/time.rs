//! Clocks and sleep.

use guest_sdk::time::{Duration, Instant, SystemTime, UNIX_EPOCH, sleep, sleep_until};
use guest_sdk::{event, println};

/// The clock never steps back, and reading it is no call.
pub fn clock() {
    let first = Instant::now();
    let mut last = first;
    for _ in 0..200_000 {
        let now = Instant::now();
        assert!(now >= last, "the clock stepped back");
        last = now;
    }
    assert!(last > first, "the clock stands still");
}

/// Seconds since the Unix epoch.
pub fn time_of_day() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    println!("{}", since.expect("a time after the epoch").as_secs());
}

/// Sleeping takes its time.
pub fn sleeping() {
    for ms in [0, 1, 5, 20] {
        let before = Instant::now();
        sleep(Duration::from_millis(ms));
        assert!(before.elapsed() >= Duration::from_millis(ms));
    }
}

/// Waiting with a deadline that passes, with one that has passed, and with an event that comes first.
pub fn deadlines() {
    const MINE: u64 = 1 << 40;
    let soon = Instant::now().checked_add(Duration::from_millis(5));
    assert_eq!(event::wait(MINE, soon), Err(event::TimedOut));
    assert!(Instant::now() >= soon.expect("a near deadline"));
    assert_eq!(
        event::wait(MINE, Some(Instant::now())),
        Err(event::TimedOut)
    );
    event::notify(event::current_vcpu(), MINE).expect("notifying oneself");
    assert_eq!(event::wait(MINE, None), Ok(MINE));
    assert_eq!(event::take(MINE), 0);
    sleep_until(soon);
}
