//! Events between vCPUs.

use guest_sdk::event::{self, TimedOut};
use guest_sdk::thread;
use guest_sdk::time::{Duration, Instant};

const PING: u64 = 1 << 40;
const PONG: u64 = 1 << 41;

pub fn a_notification_crosses_vcpus() {
    let main = event::current_vcpu();
    let other = thread::spawn(move || {
        for _ in 0..500 {
            event::wait(PING, None).expect("no deadline");
            event::notify(main, PONG).expect("main has a vCPU");
        }
    })
    .expect("a free vCPU");
    for _ in 0..500 {
        event::notify(other.thread().vcpu(), PING).expect("the thread has a vCPU");
        assert_eq!(event::wait(PONG, None), Ok(PONG));
    }
    other.join();
}

pub fn a_deadline_ends_a_wait() {
    let deadline = Instant::now() + Duration::from_millis(2);
    assert_eq!(event::wait(PING, Some(deadline)), Err(TimedOut));
    assert!(Instant::now() >= deadline);
    assert_eq!(
        event::wait(PING, Some(deadline)),
        Err(TimedOut),
        "a deadline that has passed"
    );
}
