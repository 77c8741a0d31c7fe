//! A guest. `cargo run` boots it in a VM as vm.toml says; `cargo test` runs its unit tests on the host and tests/vm.rs in VMs.
#![no_std]
#![cfg_attr(not(test), no_main)]

guest_sdk::entry!(main);

fn main() {
    let name = guest_sdk::env::args().nth(1).unwrap_or("{{name}}");
    guest_sdk::println!("Hello from {name}, {} letters long.", letters(name));
}

/// Code that needs no VM is tested without one.
fn letters(name: &str) -> usize {
    name.chars().filter(|c| c.is_alphabetic()).count()
}

#[cfg(test)]
mod tests {
    #[test]
    fn punctuation_is_no_letter() {
        assert_eq!(super::letters("my-guest"), 7);
    }
}
