//! A guest. `cargo run` boots it in a VM as vm.toml says; `cargo test` runs its unit tests on the host.
#![no_std]
#![cfg_attr(not(test), no_main)]

guest_sdk::entry!(main);

fn main() {
    guest_sdk::println!("Hello from {{name}}.");
}
