//! A web server: a page on port 80, over a network card.
//!
//! `cargo run -p examples --bin http`, and `curl http://127.0.0.1:8080/`. With an argument such as `10.0.0.2/24` that is the guest's
//! address; without one it asks for one by DHCP.
#![no_std]
#![cfg_attr(not(test), no_main)]

extern crate alloc;

mod page;

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU32, Ordering};
use embassy_net::tcp::{self, TcpSocket};
use embassy_net::{Config, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use embedded_io_async::Write;
use guest_sdk::abi::note::Note;
use guest_sdk::executor::Spawner;
use guest_sdk::net::Card;
use guest_sdk::virtio::kind;
use guest_sdk::{env, println, random};
use page::Parsed;

/// Connections at a time.
const CONNECTIONS: usize = 16;
/// Bytes of a connection's buffers.
const BUFFER: usize = 8192;

#[guest_sdk::main(Note::DEFAULT.needs(kind::NET))]
async fn main(spawner: Spawner) {
    let card = Card::open().expect("a network card");
    let resources = Box::leak(Box::new(StackResources::<{ CONNECTIONS + 2 }>::new()));
    let seed = random::number().expect("random numbers");
    let (stack, runner) = embassy_net::new(card, config(), resources, seed);
    spawner.spawn(run(runner).expect("one of it"));
    stack.wait_config_up().await;
    if let Some(config) = stack.config_v4() {
        println!("listening at http://{}/", config.address.address());
    }
    for _ in 1..CONNECTIONS {
        spawner.spawn(serve(stack).expect("a place in the pool"));
    }
    serve_connections(stack).await;
}

/// The address in the first argument, or one by DHCP.
fn config() -> Config {
    let Some(argument) = env::args().nth(1) else {
        return Config::dhcpv4(Default::default());
    };
    let address: Ipv4Cidr = argument.parse().expect("an address such as 10.0.0.2/24");
    Config::ipv4_static(StaticConfigV4 {
        address,
        gateway: None,
        dns_servers: Default::default(),
    })
}

#[guest_sdk::task]
async fn run(mut runner: Runner<'static, Card>) {
    runner.run().await;
}

#[guest_sdk::task(pool_size = CONNECTIONS)]
async fn serve(stack: Stack<'static>) {
    serve_connections(stack).await;
}

/// Serves one connection after the other.
async fn serve_connections(stack: Stack<'static>) {
    let mut incoming = alloc::vec![0; BUFFER];
    let mut outgoing = alloc::vec![0; BUFFER];
    loop {
        let mut socket = TcpSocket::new(stack, &mut incoming, &mut outgoing);
        if socket.accept(80).await.is_ok() {
            // A connection that breaks is nobody's loss but its client's.
            let _ = answer(&mut socket).await;
            socket.close();
            let _ = socket.flush().await;
        }
    }
}

/// Answers the requests of a connection until it ends.
async fn answer(socket: &mut TcpSocket<'_>) -> Result<(), tcp::Error> {
    static VISITS: AtomicU32 = AtomicU32::new(0);
    let mut bytes = [0; 2048];
    let mut held = 0;
    loop {
        let request = match page::parse(&bytes[..held]) {
            Parsed::Request(request) => request,
            Parsed::Part if held < bytes.len() => {
                match socket.read(&mut bytes[held..]).await? {
                    0 => return Ok(()),
                    len => held += len,
                }
                continue;
            }
            Parsed::Part | Parsed::Bad => {
                return socket.write_all(page::BAD_REQUEST).await;
            }
        };
        let visits = VISITS.fetch_add(1, Ordering::Relaxed) + 1;
        socket
            .write_all(page::answer(&request, visits).as_bytes())
            .await?;
        if !request.keep_alive {
            return Ok(());
        }
        // What follows it is the next request.
        bytes.copy_within(request.len..held, 0);
        held -= request.len;
    }
}
