//! Tests that run in a VM of their own each: `cargo test --test vm`. `tests/vm.toml` would be their VM; without it they get the default.
#![no_std]
#![no_main]

extern crate alloc;

guest_sdk::test_main!(the_heap_grows, time_passes);

fn the_heap_grows() {
    let numbers: alloc::vec::Vec<u64> = (0..10_000).collect();
    assert_eq!(numbers.iter().sum::<u64>(), 49_995_000);
}

fn time_passes() {
    use guest_sdk::time::{Duration, Instant, sleep};
    let before = Instant::now();
    sleep(Duration::from_millis(1));
    assert!(before.elapsed() >= Duration::from_millis(1));
}
