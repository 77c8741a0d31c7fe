//! Tasks on the executor.

use alloc::string::String;
use embassy_futures::join::join3;
use embassy_futures::select::{Either, select};
use guest_sdk::console::stdin;
use guest_sdk::executor::{self, Spawner, block_on, sleep};
use guest_sdk::time::Duration;
use guest_sdk::{env, event, println, shutdown};

const NEVER_RAISED: u64 = 1 << 40;

#[guest_sdk::task(pool_size = 8)]
async fn wait_for(events: u64) {
    event::next(events).await;
    panic!("nobody raises it");
}

fn spawn_waiting(spawner: Spawner) {
    for bit in 0..8 {
        spawner.spawn(wait_for(NEVER_RAISED << bit).expect("a place in the pool"));
    }
}

/// Eight tasks wait for ever, one for as many milliseconds as the argument says.
pub fn idle() {
    let ms = env::args().nth(2).and_then(|ms| ms.parse().ok());
    executor::run(async |spawner| {
        spawn_waiting(spawner);
        println!("ready");
        sleep(Duration::from_millis(ms.expect("a number"))).await;
    });
}

/// Three tasks sleep ten times each.
pub fn ticking() {
    let tick = async |ms| {
        for _ in 0..10 {
            sleep(Duration::from_millis(ms)).await;
        }
    };
    block_on(join3(tick(2), tick(3), tick(5)));
}

/// Repeats each line of the input, and counts the milliseconds meanwhile.
pub fn reading() {
    let repeat = async {
        let mut lines = 0;
        let mut line = String::new();
        while stdin().read_line_async(&mut line).await.expect("a console") != 0 {
            println!("{}", line.trim_end());
            line.clear();
            lines += 1;
        }
        lines
    };
    let ticking = async {
        loop {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let Either::First(lines) = block_on(select(repeat, ticking));
    println!("{lines} lines");
}

/// Ends with code 3 when the operator asks for it, though no task does.
pub fn asked() {
    shutdown::on_request(|| {
        println!("asked");
        shutdown::exit(3)
    });
    executor::run(async |spawner| {
        spawn_waiting(spawner);
        println!("ready");
        core::future::pending().await
    })
}
