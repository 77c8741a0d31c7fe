//! A guest whose `main` is asynchronous. The first argument chooses the case; `tests/it/tasks` says what must come of it.
#![no_std]
#![cfg_attr(not(test), no_main)]

extern crate alloc;

use alloc::string::String;
use embassy_futures::join::join3;
use embassy_futures::select::{Either, select};
use guest_sdk::abi::note::Note;
use guest_sdk::console::stdin;
use guest_sdk::executor::{Spawner, sleep};
use guest_sdk::time::Duration;
use guest_sdk::{ExitCode, env, event, platform, println, shutdown};

const NEVER_RAISED: u64 = 1 << 40;
const STACK: u64 = 128 * 1024;

#[guest_sdk::main(Note { stack_bytes: STACK, ..Note::DEFAULT })]
async fn main(spawner: Spawner) -> Result<ExitCode, &'static str> {
    match env::args().nth(1).unwrap_or_default() {
        "idle" => idle(spawner).await,
        "ticks" => ticks().await,
        "reads" => reads().await,
        "asked-to-end" => asked_to_end(spawner).await,
        "note" => note(),
        "code" => return Ok(ExitCode(7)),
        "error" => return Err("no luck"),
        _ => return Err("no case is called so"),
    }
    Ok(ExitCode::SUCCESS)
}

#[guest_sdk::task(pool_size = 8)]
async fn wait_for(events: u64) {
    event::next(events).await;
    panic!("nobody raises it");
}

fn spawn_waiting(spawner: Spawner) {
    for bit in 0..8 {
        spawner.spawn(wait_for(NEVER_RAISED << bit).expect("a place in the pool"));
    }
    assert!(wait_for(0).is_err());
}

/// Eight tasks wait for ever, `main` for as many milliseconds as the argument says.
async fn idle(spawner: Spawner) {
    let ms = env::args().nth(2).and_then(|ms| ms.parse().ok());
    spawn_waiting(spawner);
    println!("ready");
    sleep(Duration::from_millis(ms.expect("a number"))).await;
}

/// Three futures sleep ten times each.
async fn ticks() {
    let tick = async |ms| {
        for _ in 0..10 {
            sleep(Duration::from_millis(ms)).await;
        }
    };
    join3(tick(2), tick(3), tick(5)).await;
}

/// Repeats each line of the input, while a timer ticks.
async fn reads() {
    let repeat = async {
        let mut lines = 0;
        let mut line = String::new();
        while stdin()
            .read_line_async(&mut line)
            .await
            .expect("a console that may be read")
            != 0
        {
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
    let Either::First(lines) = select(repeat, ticking).await;
    println!("{lines} lines");
}

/// Ends with code 3 when the operator asks for it, though nobody waits for that.
async fn asked_to_end(spawner: Spawner) {
    shutdown::on_request(|| {
        println!("asked");
        shutdown::exit(3)
    });
    spawn_waiting(spawner);
    println!("ready");
    core::future::pending().await
}

/// The attribute's note is the image's.
fn note() {
    let boot = platform::boot();
    assert_eq!(boot.stack_end.0 - boot.stack_start.0, STACK);
}
