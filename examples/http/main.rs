//! A web server: a page on port 80, over a network card.
//!
//! `cargo run -p examples --bin http`, and `curl http://127.0.0.1:8080/`. With an argument such as `10.0.0.2/24` that is the guest's
//! address; without one it asks for one by DHCP. A client that is silent for five seconds is left, so that silent ones do not keep others out for good.
#![no_std]
#![cfg_attr(not(test), no_main)]

extern crate alloc;

mod page;

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU32, Ordering};
use embassy_net::tcp::{self, TcpSocket};
use embassy_net::{Config, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use embassy_time::{Duration, with_timeout};
use embedded_io_async::Write;
use guest_sdk::abi::note::Note;
use guest_sdk::executor::Spawner;
use guest_sdk::net::Card;
use guest_sdk::virtio::kind;
use guest_sdk::{env, println, random};
use page::Parsed;

/// Connections at a time.
const CONNECTIONS: usize = 128;
/// Bytes of a connection's buffers.
const BUFFER: usize = 8192;
/// How long a client may take to ask and to take its answer. Then its connection is there for another.
const PATIENCE: Duration = Duration::from_secs(5);

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
        // For a client that is not there any more. One that is there and silent is closed before.
        socket.set_timeout(Some(PATIENCE * 2));
        if socket.accept(80).await.is_ok() {
            // A connection that breaks is nobody's loss but its client's.
            let _ = answer_all(&mut socket).await;
            socket.close();
            if with_timeout(PATIENCE, socket.flush()).await.is_err() {
                socket.abort();
                let _ = socket.flush().await;
            }
        }
    }
}

/// Answers the requests of a connection until it ends.
async fn answer_all(socket: &mut TcpSocket<'_>) -> Result<(), tcp::Error> {
    let (mut bytes, mut held) = ([0; 2048], 0);
    let mut stays = true;
    while stays {
        let answered = with_timeout(PATIENCE, answer(socket, &mut bytes, &mut held));
        stays = answered.await.unwrap_or(Ok(false))?;
    }
    Ok(())
}

/// Answers one request, of which so many bytes are held already; says whether another may come.
async fn answer(
    socket: &mut TcpSocket<'_>,
    bytes: &mut [u8],
    held: &mut usize,
) -> Result<bool, tcp::Error> {
    static VISITS: AtomicU32 = AtomicU32::new(0);
    let request = loop {
        match page::parse(&bytes[..*held]) {
            Parsed::Request(request) => break request,
            Parsed::Part if *held < bytes.len() => match socket.read(&mut bytes[*held..]).await? {
                0 => return Ok(false),
                len => *held += len,
            },
            Parsed::Part | Parsed::Bad => {
                socket.write_all(page::BAD_REQUEST).await?;
                return Ok(false);
            }
        }
    };
    let visits = VISITS.fetch_add(1, Ordering::Relaxed) + 1;
    let answer = page::answer(&request, visits);
    socket.write_all(answer.as_bytes()).await?;
    // What follows it is the next request.
    bytes.copy_within(request.len..*held, 0);
    *held -= request.len;
    Ok(request.keep_alive)
}
