//! Calls by whatever carries them.

use alloc::vec::Vec;
use guest_sdk::batch::{Batch, Command};
use guest_sdk::time::{Duration, Instant, sleep};
use guest_sdk::{calls, env, random, thread};

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

/// Bursts of calls with pauses between them, of all lengths, on every vCPU, for as many seconds as the argument says.
pub fn bursts() {
    let end = Instant::now() + Duration::from_secs(number(2) as u64);
    let work = || {
        let mut made = 0_u64;
        while Instant::now() < end {
            let mut chance = [0; 2];
            random::fill(&mut chance).expect("random bytes");
            for _ in 0..u32::from(chance[0]) * 4 {
                calls::null().expect("a null call");
                made += 1;
            }
            match chance[1] {
                // About as long as the poller stays awake, and the instants around it.
                short @ 0..128 => {
                    let until = Instant::now() + Duration::from_micros(short.into());
                    while Instant::now() < until {
                        core::hint::spin_loop();
                    }
                }
                long => sleep(Duration::from_micros(u64::from(long) * 8)),
            }
        }
        made
    };
    thread::scope(|scope| {
        let others = thread::available_parallelism() - 1;
        let others: Vec<_> = (0..others)
            .map(|_| scope.spawn(work).expect("a thread"))
            .collect();
        let made = work() + others.into_iter().map(|other| other.join()).sum::<u64>();
        guest_sdk::println!("{made}");
    });
}
