//! Clocks and timers of both sides. All bounds are one-sided or as wide as a starved machine needs them.

use guest_sdk::event;
use guest_sdk::thread;
use guest_sdk::time::{Duration, Instant, SystemTime, UNIX_EPOCH, sleep};
use guest_sdk::trapped::{interrupt, pic, pit, rtc};

pub fn the_clocks_agree() {
    let called = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a time after the epoch")
            .as_secs()
    };
    let before = called();
    let trapped = rtc::read().since_epoch().as_secs();
    let after = called();
    assert!(
        (before.saturating_sub(2)..=after + 2).contains(&trapped),
        "{before} {trapped} {after}"
    );
}

pub fn the_timer_counts_at_its_rate() {
    pit::periodic(pit::LONGEST);
    let start = Instant::now();
    let first = pit::read();
    sleep(Duration::from_millis(10));
    let second = pit::read();
    let all = start.elapsed();
    // One turn of the timer is 54 ms: more tell nothing. The guest's young clock may run fast by a little.
    if all < Duration::from_millis(40) {
        let counted = u32::from(first.wrapping_sub(second));
        assert!(
            counted >= pit::ticks(Duration::from_millis(9)),
            "{first} {second} {all:?}"
        );
    }
}

pub fn a_timer_wakes_the_halted_and_not_early() {
    pic::unmask(pic::TIMER);
    interrupt::enable();
    for micros in [100, 1_000, 10_000] {
        let time = Duration::from_micros(micros);
        let called = Instant::now();
        assert_eq!(
            event::wait(1 << 40, Some(called + time)),
            Err(event::TimedOut)
        );
        assert!(called.elapsed() >= time);

        let trapped = Instant::now();
        pit::oneshot(pit::ticks(time));
        interrupt::halt();
        let slept = trapped.elapsed();
        // Both clocks are the host's; the guest's reading of it is young and may yet run slow by a little.
        assert!(slept + time / 10 >= time, "{slept:?} of {time:?}");
        assert_eq!(pic::acknowledge(), Some(pic::TIMER));
        pic::end(pic::TIMER);
        assert_eq!(pic::acknowledge(), None, "one edge, one interrupt");
    }
    pic::mask(pic::TIMER);
}

pub fn a_device_changed_elsewhere_wakes_the_halted() {
    let other = thread::spawn(|| {
        interrupt::enable();
        interrupt::halt();
        assert_eq!(pic::acknowledge(), Some(pic::TIMER));
        pic::end(pic::TIMER);
    })
    .expect("a free vCPU");
    sleep(Duration::from_millis(5));
    pic::unmask(pic::TIMER);
    pit::oneshot(100);
    other.join();
}
