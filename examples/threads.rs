//! A sum, computed by as many threads as the VM has vCPUs.
//!
//! `cargo run -p examples --bin threads`
#![no_std]
#![cfg_attr(not(test), no_main)]

use guest_sdk::println;
use guest_sdk::sync::{Mutex, channel};
use guest_sdk::thread::{self, SpawnError};

guest_sdk::entry!(main);

const NUMBERS: u64 = 4_000_000;

fn main() -> Result<(), SpawnError> {
    let parts = u64::from(thread::available_parallelism());
    let total = Mutex::new(0);
    let (sender, done) = channel();
    thread::scope(|scope| {
        for part in 1..parts {
            let (total, sender) = (&total, sender.clone());
            scope.spawn(move || {
                *total.lock() += sum(part, parts);
                let _ = sender.send(part);
            })?;
        }
        drop(sender);
        *total.lock() += sum(0, parts);
        println!("part 0 is done here");
        for part in done.iter() {
            println!("part {part} is done elsewhere");
        }
        Ok(())
    })?;
    println!("the sum below {NUMBERS} is {}", total.into_inner());
    Ok(())
}

/// The sum of every number below [`NUMBERS`] that is `part` modulo `parts`.
fn sum(part: u64, parts: u64) -> u64 {
    (part..NUMBERS).step_by(parts as usize).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_make_the_whole() {
        let whole: u64 = (0..4).map(|part| sum(part, 4)).sum();
        assert_eq!(whole, NUMBERS * (NUMBERS - 1) / 2);
    }
}
