//! A guest with a network card. The first argument chooses the case; `tests/it/net` is at the other end of the wire. What is wrong is a
//! panic.
#![no_std]
#![cfg_attr(not(test), no_main)]

extern crate alloc;

mod broken;
mod frames;
mod outbound;
mod stack;

use guest_sdk::env;
use guest_sdk::executor::Spawner;
use guest_sdk::net::Card;

#[guest_sdk::main]
async fn main(spawner: Spawner) {
    let case = env::args().nth(1).unwrap_or_default();
    match case {
        "broken" => return broken::broken(),
        "reset" => return broken::reset(),
        _ => {}
    }
    let card = Card::open().expect("a network card");
    match case {
        "echo" => frames::echo(card).await,
        "flood" => frames::flood(card, number(2)).await,
        "drain" => frames::drain(card, number(2)).await,
        "link" => frames::link(card).await,
        "outbound" => outbound::outbound(card, spawner, number(2) as u16).await,
        "tcp" => stack::tcp(card, spawner).await,
        "dhcp" => stack::dhcp(card, spawner).await,
        "stack-link" => stack::link(card, spawner).await,
        other => panic!("no case is called {other:?}"),
    }
}

/// An argument as a number.
fn number(index: usize) -> u32 {
    let text = env::args().nth(index).unwrap_or_default();
    text.parse().expect("a number")
}
