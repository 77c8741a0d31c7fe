//! Calls by whatever carries them.

use alloc::vec::Vec;
use guest_sdk::batch::{Batch, Command};
use guest_sdk::{calls, env};

fn number(index: usize) -> usize {
    let argument = env::args().nth(index).expect("another argument");
    argument.parse().expect("a number")
}

/// As many null calls as the argument says.
pub fn null_calls() {
    for _ in 0..number(2) {
        calls::null().expect("a null call");
    }
}

/// Batches of null calls: how many in each, and how many batches.
pub fn batches() {
    let mut batch = Batch::new(number(2)).expect("a batch");
    for _ in 0..number(3) {
        let tickets: Vec<_> = (0..number(2))
            .map(|_| batch.push(Command::null()).expect("room"))
            .collect();
        let results = batch.submit().expect("a submission");
        for ticket in tickets {
            results.get(ticket).expect("a null call");
        }
    }
}
