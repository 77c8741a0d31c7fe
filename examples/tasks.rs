//! Two tasks that send and one that receives, on one vCPU, which sleeps while all of them wait.
//!
//! `cargo run -p examples --bin tasks`
#![no_std]
#![cfg_attr(not(test), no_main)]

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::{Duration, Instant, Ticker, with_timeout};
use guest_sdk::executor::{SpawnError, Spawner};
use guest_sdk::println;

type Line = Channel<CriticalSectionRawMutex, (&'static str, u32), 4>;

static LINE: Line = Channel::new();

#[guest_sdk::main]
async fn main(spawner: Spawner) -> Result<(), SpawnError> {
    spawner.spawn(tick("slow", 30)?);
    spawner.spawn(tick("quick", 10)?);
    // When this ends, so does the VM, and the tasks with it.
    let patience = Duration::from_millis(200);
    while let Ok((name, count)) = with_timeout(patience, LINE.receive()).await {
        println!("{:3} ms: {name} {count}", Instant::now().as_millis());
    }
    println!("nothing more");
    Ok(())
}

/// Says its name three times, a period apart.
#[guest_sdk::task(pool_size = 2)]
async fn tick(name: &'static str, period_ms: u64) {
    say(&LINE, name, Duration::from_millis(period_ms)).await;
}

async fn say(line: &Line, name: &'static str, period: Duration) {
    let mut ticker = Ticker::every(period);
    for count in 1..=3 {
        ticker.next().await;
        line.send((name, count)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_three_times() {
        let line = Line::new();
        guest_sdk::executor::block_on(say(&line, "test", Duration::from_millis(1)));
        for count in 1..=3 {
            assert_eq!(line.try_receive().ok(), Some(("test", count)));
        }
        assert!(line.is_empty());
    }
}
