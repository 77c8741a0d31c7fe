//! Standard input to standard output, line by line, with a count at the end.
//!
//! `printf 'one\ntwo\n' | cargo run -p examples --bin echo`
#![no_std]
#![cfg_attr(not(test), no_main)]

use guest_sdk::abi::Status;
use guest_sdk::console::stdin;
use guest_sdk::{eprintln, println};

guest_sdk::entry!(main);

fn main() -> Result<(), Status> {
    let mut count = 0;
    for line in stdin().lines() {
        println!("{}", line?);
        count += 1;
    }
    eprintln!("{}", summary(count));
    Ok(())
}

fn summary(lines: u64) -> &'static str {
    match lines {
        0 => "nothing to echo",
        1 => "one line",
        _ => "several lines",
    }
}

/// A unit test of a guest is an ordinary one: `cargo test` runs it on the host.
#[cfg(test)]
mod tests {
    #[test]
    fn one_line_is_not_several() {
        assert_eq!(super::summary(1), "one line");
        assert_eq!(super::summary(2), "several lines");
    }
}
