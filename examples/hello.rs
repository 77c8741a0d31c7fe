//! The smallest guest: one line on the console.
//!
//! `cargo run -p examples --bin hello`, or `trapless run examples/hello.toml`.
#![no_std]
#![cfg_attr(not(test), no_main)]

guest_sdk::entry!(main);

fn main() {
    guest_sdk::println!("Hello from ring 3.");
}
