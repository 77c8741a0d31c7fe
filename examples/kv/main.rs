//! A key-value store on a disk, for clients of Redis: what it has acknowledged survives whatever ends the VM.
//!
//! `truncate -s 64M examples/kv.img`, `cargo run -p examples --bin kv`, and `redis-cli SET name value`. Everything is in memory too, and a `GET` asks
//! that; a `SET` is answered when it is durable on the disk. A request may have 1024 words and 256 KiB: its command, its keys and its values together. One
//! that is longer ends its connection, with an error that says so.
#![no_std]
#![cfg_attr(not(test), no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod change;
mod command;
mod commit;
mod disk;
mod log;
mod map;
mod resp;
mod session;
mod store;

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use commit::{CLIENTS, Queue};
use core::cell::RefCell;
use embassy_net::tcp::TcpSocket;
use embassy_net::{Config, Runner, Stack, StackResources};
use embassy_time::Duration;
use guest_sdk::abi::note::Note;
use guest_sdk::block::Disk;
use guest_sdk::executor::Spawner;
use guest_sdk::net::Card;
use guest_sdk::virtio::kind;
use guest_sdk::{println, random};
use map::Map;
use session::Session;
use store::Store;

/// Where clients connect to.
const PORT: u16 = 6379;
/// Bytes of each of a connection's two buffers.
const BUFFER: usize = 16 << 10;
/// Sectors that the disk has at least: then the longest group of changes fits beside what is kept.
const SECTORS: u64 = 16384;
/// How long a client may be silent before it is asked whether it is still there, and then until it answers.
const SILENCE: Duration = Duration::from_secs(30);

#[guest_sdk::main(Note::DEFAULT.needs(kind::BLOCK).needs(kind::NET))]
async fn main(spawner: Spawner) -> Result<(), String> {
    let disk: Disk = Disk::open("data").map_err(|error| error.to_string())?;
    if disk.sectors() < SECTORS {
        return Err("the disk is too small: 8 MiB are the least".into());
    }
    let opened = Store::open(disk).await;
    let store = opened.map_err(|error| error.to_string())?;
    let stack = network(spawner);
    let queue = Box::leak(Box::new(Queue::new()));
    for _ in 0..CLIENTS {
        spawner.spawn(serve(stack, store.map(), queue).expect("a place in the pool"));
    }
    stack.wait_config_up().await;
    let keys = store.map().borrow().len();
    println!("{keys} keys; listening on port {PORT}");
    commit::run(store, queue).await
}

/// The network of the VM's card, with an address by DHCP.
fn network(spawner: Spawner) -> Stack<'static> {
    let card = Card::open().expect("a network card");
    let resources = Box::leak(Box::new(StackResources::<{ CLIENTS + 2 }>::new()));
    let seed = random::number().expect("a random number");
    let config = Config::dhcpv4(Default::default());
    let (stack, runner) = embassy_net::new(card, config, resources, seed);
    spawner.spawn(run(runner).expect("one of it"));
    stack
}

#[guest_sdk::task]
async fn run(mut runner: Runner<'static, Card>) {
    runner.run().await;
}

/// Serves one client after the other.
#[guest_sdk::task(pool_size = CLIENTS)]
async fn serve(stack: Stack<'static>, map: Rc<RefCell<Map>>, queue: &'static Queue) {
    let (mut incoming, mut outgoing) = (vec![0; BUFFER], vec![0; BUFFER]);
    loop {
        let mut socket = TcpSocket::new(stack, &mut incoming, &mut outgoing);
        socket.set_nagle_enabled(false);
        socket.set_keep_alive(Some(SILENCE));
        socket.set_timeout(Some(SILENCE * 2));
        if socket.accept(PORT).await.is_ok() {
            // A connection that breaks is nobody's loss but its client's.
            let _ = Session::new(Rc::clone(&map), queue)
                .serve(&mut socket)
                .await;
            socket.close();
            let _ = socket.flush().await;
        }
    }
}
