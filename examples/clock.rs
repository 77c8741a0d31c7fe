//! What time costs: reading it makes no call, sleeping makes one.
//!
//! `cargo run -p examples --bin clock`
#![no_std]
#![cfg_attr(not(test), no_main)]

use guest_sdk::println;
use guest_sdk::time::{Duration, Instant, SystemTime, UNIX_EPOCH, sleep};

guest_sdk::entry!(main);

fn main() {
    guest_sdk::logger::init();
    let boot = Instant::now();
    log::info!("the VM is {} us old", boot.as_nanos() / 1_000);

    const READINGS: u32 = 100_000;
    let mut last = boot;
    for _ in 0..READINGS {
        let now = Instant::now();
        assert!(now >= last, "the clock stepped back");
        last = now;
    }
    println!(
        "{READINGS} readings, {} ns each",
        ((last - boot) / READINGS).as_nanos()
    );

    let before = Instant::now();
    sleep(Duration::from_millis(20));
    println!("slept {:?}", before.elapsed());

    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => println!("{} s since 1970", since.as_secs()),
        Err(_) => println!("it is before 1970"),
    }
}
