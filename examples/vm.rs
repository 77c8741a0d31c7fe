//! Tests that need a VM: `cargo test -p examples --test vm` boots one for each.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{format, vec::Vec};
use guest_sdk::collections::HashMap;
use guest_sdk::thread;
use guest_sdk::time::{Duration, Instant, sleep};

guest_sdk::test_main!(
    the_heap_holds_what_it_is_given,
    sleeping_takes_its_time,
    threads_borrow
);

fn the_heap_holds_what_it_is_given() {
    let mut lengths: HashMap<usize, Vec<u8>> = HashMap::default();
    for length in 0..500 {
        lengths.insert(length, (0..length).map(|n| n as u8).collect());
    }
    for (length, bytes) in &lengths {
        assert_eq!(bytes.len(), *length);
        assert!(bytes.iter().enumerate().all(|(n, byte)| *byte == n as u8));
    }
    assert_eq!(format!("{:>6.2}", 2.0_f64 / 3.0), "  0.67");
}

fn sleeping_takes_its_time() {
    let before = Instant::now();
    sleep(Duration::from_millis(3));
    assert!(before.elapsed() >= Duration::from_millis(3));
}

fn threads_borrow() {
    let mut numbers = [1, 2, 3];
    for _ in 0..3 {
        let add = || numbers[0] += 1;
        thread::scope(|scope| scope.spawn(add).expect("a second vCPU").join());
    }
    assert_eq!(numbers, [4, 2, 3]);
}
