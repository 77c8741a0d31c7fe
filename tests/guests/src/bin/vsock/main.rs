//! A guest with sockets to the host. The first argument chooses the case; `tests/it/vsock` is the other end and says what must come of it.
#![no_std]
#![cfg_attr(not(test), no_main)]

extern crate alloc;

mod blocking;
mod busy;
mod devices;
mod hostile;
mod packets;
mod streams;

use guest_sdk::abi::device::kind;
use guest_sdk::abi::note::Note;
use guest_sdk::executor::Spawner;

#[guest_sdk::main(Note::DEFAULT.needs(kind::VSOCK))]
async fn main(spawner: Spawner) {
    match test_guests::arg(1) {
        "echo" => streams::echo(spawner).await,
        "pump" => streams::pump().await,
        "source" => busy::source().await,
        "sink" => busy::sink().await,
        "halves" => streams::halves().await,
        "refused" => streams::refused().await,
        "ports" => streams::ports().await,
        "blocking" => blocking::both_ways(),
        "vanishing" => streams::vanishing().await,
        "deaf" => streams::deaf().await,
        "several" => devices::several().await,
        "packets" => hostile::packets(),
        "credit" => hostile::credit(),
        "flood" => hostile::flood(),
        "short" => hostile::short(),
        "outside" => hostile::outside(),
        other => test_guests::fail(format_args!("no case is called {other:?}")),
    }
}
